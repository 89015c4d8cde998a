//! Replies of the store are lost, each with its connection, after the store did what it was asked.

use std::time::Duration;

use tokio::time::sleep;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Proxied, Stage};
use super::{PACE, PATIENCE};
use crate::error::Error;
use crate::fleet::producers::Load;
use crate::oracle::Finding;
use crate::proxy::fault::Fault;

/// How many of them.
const SHARE: f64 = 0.1;
/// For how long, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(60));
/// Replies that are lost at least.
const LOST: u64 = 50;

pub(super) async fn lost(play: Play) -> Result<Finding, Error> {
    let plan = Plan { proxied: Proxied::Everybody, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;

    stage.say("loses replies");
    stage.harmed();
    let before = stage.fleet.journal.read()?.len();
    stage.to_store()?.set(Fault::DropReplies { share: SHARE });
    sleep(if play.is_full { LASTS.1 } else { LASTS.0 }).await;
    stage.to_store()?.set(Fault::None);
    stage.healed();

    let seen = stage.to_store()?.seen();
    let ran = stage.fleet.journal.read()?.len() - before;
    stage.happened(
        &format!("only {} replies were lost", seen.replies_lost),
        seen.replies_lost >= LOST,
    )?;
    // No event is written down: nothing explains a second run.
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    if ran == 0 {
        finding.wrong.push("nothing ran while replies were lost".to_owned());
    }
    finding.notes.push(format!(
        "{} replies were lost, each with its connection; {ran} runs began meanwhile",
        seen.replies_lost
    ));
    Ok(finding)
}
