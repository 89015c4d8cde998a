//! `leveret beat`: puts in what the timetable asks for; any number of them stand by for each other.

use std::sync::Arc;

use leveret_beat::engine::Status;
use leveret_common::backend::Purpose;
use leveret_common::config::Settings;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Ground};
use crate::error::Error;
use crate::probe::Probe;
use crate::report::{self, Format};
use crate::signals::{Hangups, Signals};
use crate::timekeeper::Timekeeper;

/// Keeps the timetable until a signal, then finishes what is in flight.
///
/// # Cancel safety
/// Dropped, another beat goes on where it was.
pub(super) async fn run(
    settings: Settings,
    signals: Signals,
    hangups: Hangups,
    format: Format,
) -> Result<(), Error> {
    assemble::require_servers(&settings, "beat")?;
    assemble::play(settings, "beat", Purpose::Enqueue, signals, async |ground, stop| {
        keep(ground, hangups, stop, format).await
    })
    .await
}

async fn keep(
    ground: &Ground,
    hangups: Hangups,
    stop: CancellationToken,
    format: Format,
) -> Result<(), Error> {
    let timekeeper = Timekeeper::new(ground)?;
    let listen = ground.settings.beat.listen;
    let status = timekeeper.status();
    let readiness = Arc::new(move || readiness(&status));
    let probe = Probe::bind(listen, "beat.listen", readiness, ground.metrics.clone()).await?;
    let shown = json!({
        "probe": probe.as_ref().map(Probe::url),
        "timetable": timekeeper.file(),
        "schedules": timekeeper.schedules(),
    });
    report::one(format, &["probe", "timetable", "schedules"], &shown)?;
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
