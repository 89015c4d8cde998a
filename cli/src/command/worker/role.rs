//! `leveret worker`: one process of the fleet, with the kinds of the configuration.

use std::sync::Arc;

use leveret_common::backend::Purpose;
use leveret_common::config::Settings;
use leveret_common::name::QueueName;
use leveret_common::store::WorkerState;
use leveret_worker::Status;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Ground};
use crate::error::Error;
use crate::kinds;
use crate::probe::Probe;
use crate::report::{self, Format};
use crate::signals::Signals;

/// Performs tasks until a signal, then drains.
///
/// # Cancel safety
/// Dropped, running tasks are cut and run again elsewhere.
pub(super) async fn run(settings: Settings, signals: Signals, format: Format) -> Result<(), Error> {
    assemble::require_servers(&settings, "worker")?;
    assemble::play(settings, "worker", Purpose::Any, signals, async |ground, stop| {
        perform(ground, stop, format).await
    })
    .await
}

async fn perform(ground: &Ground, stop: CancellationToken, format: Format) -> Result<(), Error> {
    let settings = &ground.settings;
    let registry = kinds::bound(settings)?;
    if registry.names().next().is_none() {
        report::narrate(
            "no kinds are configured: every task would wait for a worker that knows it; bind \
             programs in leveret.toml: [kinds.\"text.words\"] exec = [\"wc\", \"-w\"]",
        );
    }
    let kinds: Vec<String> = registry.names().map(ToString::to_string).collect();
    let queues: Vec<String> = settings.worker.queues.iter().map(ToString::to_string).collect();
    let worker = ground.worker(registry, settings.worker.queues.clone())?;
    let status = worker.status();
    let readiness = Arc::new(move || readiness(&status));
    let probe =
        Probe::bind(settings.worker.listen, "worker.listen", readiness, ground.metrics.clone())
            .await?;
    let url = probe.as_ref().map(Probe::url);
    let shown = json!({ "probe": url, "kinds": kinds, "queues": queues });
    report::one(format, &["probe", "kinds", "queues"], &shown)?;
    ground.probed(probe, worker.run(stop.clone()), stop, "run the worker").await??;
    Ok(())
}

/// What `/readyz` answers: yes means that the worker takes tasks of every queue that is not paused.
fn readiness(status: &Status) -> Result<String, String> {
    match status.state() {
        WorkerState::Draining => return Err("draining".to_owned()),
        WorkerState::Quiet => {
            return Err(
                "quiet: somebody asked this worker to take no tasks, ask it to resume".to_owned()
            );
        }
        WorkerState::Running => {}
    }
    if !status.is_well() {
        return Err("store or broker are out of reach".to_owned());
    }
    let paused = status.paused();
    if paused.is_empty() {
        return Ok("ready".to_owned());
    }
    let names: Vec<&str> = paused.iter().map(QueueName::as_str).collect();
    Ok(format!("ready; paused queues: {}", names.join(", ")))
}
