//! `leveret worker`: one process of the fleet, with the kinds of the configuration and of the program
//! that it is part of.

use std::sync::Arc;

use leveret_common::backend::Purpose;
use leveret_common::config::settings::WorkerSettings;
use leveret_common::name::QueueName;
use leveret_common::store::WorkerState;
use leveret_worker::{Registry, Status};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Given, Ground};
use crate::error::Error;
use crate::kinds;
use crate::notify::Pulse;
use crate::probe::{Probe, Readiness};
use crate::report;
use crate::signals::Signals;

/// Performs tasks until a signal, then drains.
///
/// # Cancel safety
/// Dropped, running tasks are cut and run again elsewhere.
pub(crate) async fn run(given: Given, signals: Signals) -> Result<(), Error> {
    assemble::require_servers(&given.settings, "worker")?;
    assemble::play(given, "worker", Purpose::Any, signals, async |ground, stop| {
        perform(ground, stop).await
    })
    .await
}

async fn perform(ground: &Ground, stop: CancellationToken) -> Result<(), Error> {
    let settings = &ground.settings;
    let registry = kinds::all(settings, &ground.own)?;
    if registry.names().next().is_none() {
        report::narrate(
            "no kinds are configured: every task would wait for a worker that knows it; bind \
             programs in leveret.toml: [kinds.\"text.words\"] exec = [\"wc\", \"-w\"]",
        );
    }
    let kinds: Vec<String> = registry.names().map(ToString::to_string).collect();
    let queues = queues(&settings.worker, &ground.own);
    let named: Vec<String> = queues.iter().map(ToString::to_string).collect();
    let worker = ground.worker(registry, queues)?;
    let status = worker.status();
    let readiness: Readiness = Arc::new(move || readiness(&status));
    let listen = settings.worker.listen;
    let probe =
        Probe::bind(listen, "worker.listen", readiness.clone(), ground.metrics.clone()).await?;
    let url = probe.as_ref().map(Probe::url);
    let shown = json!({ "probe": url, "kinds": kinds, "queues": named });
    report::one(ground.format, &["probe", "kinds", "queues"], &shown)?;
    let pulse = Pulse::of(probe.as_ref().map(Probe::address), readiness)?;
    let _told = ground.keep_told(pulse, settings.worker.grace, &stop);
    ground.probed(probe, worker.run(stop.clone()), stop, "run the worker").await??;
    Ok(())
}

/// Returns the queues that the settings name; where they name none but the usual one, those of the
/// program's kinds, too.
fn queues(settings: &WorkerSettings, own: &Registry) -> Vec<QueueName> {
    let mut queues = settings.queues.clone();
    if queues == [QueueName::default()] {
        queues.extend(own.queues().into_iter().filter(|queue| *queue != QueueName::default()));
    }
    queues
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
