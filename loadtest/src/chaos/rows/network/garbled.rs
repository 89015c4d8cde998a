//! What the servers say cannot be read any more: the connection is given up, and nothing with it.

use std::time::Duration;

use tokio::time::sleep;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Proxied, Stage};
use super::super::wait::SOON;
use super::{PACE, PATIENCE, has_seen};
use crate::error::Error;
use crate::fleet::producers::Load;
use crate::fleet::{Fleet, Settings};
use crate::oracle::{Event, Finding};
use crate::proxy::Proxy;
use crate::proxy::fault::Fault;

/// How many frames or replies cannot be read.
const SHARE: f64 = 0.02;
/// For how long, on each link, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(60));
/// Frames or replies that cannot be read, at least.
const GARBLED: u64 = 10;

pub(super) async fn unreadable(play: Play) -> Result<Finding, Error> {
    let keys = "broker.heartbeat = \"3s\"".to_owned();
    let settings = Settings { keys, ..Settings::default() };
    let plan = Plan { proxied: Proxied::Everybody, settings, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    let lasts = if play.is_full { LASTS.1 } else { LASTS.0 };

    stage.harmed();
    let from = Fleet::now();
    stage.say("spoils what the broker says");
    stage.to_broker()?.set(Fault::Garble { share: SHARE });
    let is_spoiled = spoiled_for(stage.to_broker()?, lasts).await;
    stage.to_broker()?.set(Fault::None);
    stage.happened("the broker could be read", is_spoiled)?;
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.say("spoils what the store says");
    stage.to_store()?.set(Fault::Garble { share: SHARE });
    let is_spoiled = spoiled_for(stage.to_store()?, lasts).await;
    stage.to_store()?.set(Fault::None);
    stage.happened("the store could be read", is_spoiled)?;
    stage.healed();

    let (broker, store) = (stage.to_broker()?.seen().garbled, stage.to_store()?.seen().garbled);
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.notes.push(format!("{broker} frames and {store} replies could not be read"));
    Ok(finding)
}

/// Waits for as long as the fault lasts, and longer where it has hit too little: some of it takes a while to be noticed.
async fn spoiled_for(proxy: &Proxy, lasts: Duration) -> bool {
    sleep(lasts).await;
    has_seen(proxy, SOON, |seen| seen.garbled >= GARBLED).await
}
