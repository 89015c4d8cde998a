//! `leveret beat`: puts in what the timetable asks for; any number of them stand by for each other.

use std::sync::Arc;
use std::time::Duration;

use leveret_beat::engine::Status;
use leveret_common::backend::Purpose;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Given, Ground};
use crate::error::Error;
use crate::notify::Pulse;
use crate::probe::{Probe, Readiness};
use crate::report;
use crate::signals::{Hangups, Signals};
use crate::timekeeper::Timekeeper;

/// How long what is being put in may take after a signal.
const GRACE: Duration = Duration::from_secs(5);

/// Keeps the timetable until a signal, then finishes what is in flight.
///
/// # Cancel safety
/// Dropped, another beat goes on where it was.
pub(super) async fn run(given: Given, signals: Signals, hangups: Hangups) -> Result<(), Error> {
    assemble::require_servers(&given.settings, "beat")?;
    assemble::play(given, "beat", Purpose::Enqueue, signals, async |ground, stop| {
        keep(ground, hangups, stop).await
    })
    .await
}

async fn keep(ground: &Ground, hangups: Hangups, stop: CancellationToken) -> Result<(), Error> {
    let timekeeper = Timekeeper::new(ground)?;
    let listen = ground.settings.beat.listen;
    let status = timekeeper.status();
    let readiness: Readiness = Arc::new(move || readiness(&status));
    let probe =
        Probe::bind(listen, "beat.listen", readiness.clone(), ground.metrics.clone()).await?;
    let shown = json!({
        "probe": probe.as_ref().map(Probe::url),
        "timetable": timekeeper.file(),
        "schedules": timekeeper.schedules(),
    });
    report::one(ground.format, &["probe", "timetable", "schedules"], &shown)?;
    let pulse = Pulse::of(probe.as_ref().map(Probe::address), readiness)?;
    let _told = ground.keep_told(pulse, GRACE, &stop);
    let keeping = timekeeper.run(hangups, stop.clone());
    ground.probed(probe, keeping, stop, "run the beat").await?;
    Ok(())
}

/// What `/readyz` answers: yes means that this beat leads, or could at any moment.
pub(super) fn readiness(status: &Status) -> Result<String, String> {
    match (status.trouble(), status.epoch()) {
        (Some(why), _) => Err(why.to_owned()),
        (None, Some(epoch)) => Ok(format!("ready; leads, epoch {epoch}")),
        (None, None) => Ok("ready; stands by".to_owned()),
    }
}
