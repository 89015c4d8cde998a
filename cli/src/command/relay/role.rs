//! `leveret relay`: hands committed rows of an outbox to the broker; any number of them share the
//! work.

use std::sync::Arc;

use leveret_common::backend::Purpose;
use leveret_outbox::relay::{GRACE, Status};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Given, Ground};
use crate::error::Error;
use crate::notify::Pulse;
use crate::probe::{Probe, Readiness};
use crate::report;
use crate::signals::Signals;

/// Hands rows on until a signal, then ends those that are on their way.
///
/// # Cancel safety
/// Dropped, rows that were taken wait again.
pub(super) async fn run(given: Given, signals: Signals) -> Result<(), Error> {
    assemble::require_servers(&given.settings, "relay")?;
    assemble::play(given, "relay", Purpose::Enqueue, signals, async |ground, stop| {
        hand_on(ground, stop).await
    })
    .await
}

async fn hand_on(ground: &Ground, stop: CancellationToken) -> Result<(), Error> {
    // A database that says nothing is not waited for once a signal has come.
    let Some(opened) = stop.run_until_cancelled(ground.relay()).await else { return Ok(()) };
    let relay = opened?.ok_or(Error::NoOutbox)?;
    let listen = ground.settings.relay.listen;
    let status = relay.status();
    let readiness: Readiness = Arc::new(move || readiness(&status));
    let probe =
        Probe::bind(listen, "relay.listen", readiness.clone(), ground.metrics.clone()).await?;
    let outbox = ground.settings.outbox.url.as_ref().map(ToString::to_string);
    let shown = json!({ "probe": probe.as_ref().map(Probe::url), "outbox": outbox });
    report::one(ground.format, &["probe", "outbox"], &shown)?;
    let pulse = Pulse::of(probe.as_ref().map(Probe::address), readiness)?;
    let _told = ground.keep_told(pulse, GRACE, &stop);
    ground.probed(probe, relay.run(stop.clone()), stop, "run the relay").await
}

/// What `/readyz` answers: yes means that what is committed now is handed on, by this relay or by
/// the one that it stands by for.
fn readiness(status: &Status) -> Result<String, String> {
    match status.trouble() {
        Some(why) => Err(why),
        None if status.stands_by() => Ok("ready; stands by".to_owned()),
        None => Ok("ready".to_owned()),
    }
}
