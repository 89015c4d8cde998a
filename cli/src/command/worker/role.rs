//! `leveret worker`: one process of the fleet, with the kinds of the configuration.

use leveret_common::config::Settings;
use leveret_worker::probe::Probe;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Ground};
use crate::error::Error;
use crate::report::{self, Format};
use crate::signals::Signals;

/// Performs tasks until a signal, then drains.
///
/// # Cancel safety
/// Dropped, running tasks are cut and run again elsewhere.
pub(super) async fn run(settings: Settings, signals: Signals, format: Format) -> Result<(), Error> {
    assemble::require_servers(&settings, "worker")?;
    let stop = CancellationToken::new();
    signals.run(serve(settings, stop.clone(), format), &stop).await
}

async fn serve(settings: Settings, stop: CancellationToken, format: Format) -> Result<(), Error> {
    let ground = Ground::open(settings, "worker").await?;
    let ended = perform(&ground, stop, format).await;
    ground.close().await;
    ended
}

async fn perform(ground: &Ground, stop: CancellationToken, format: Format) -> Result<(), Error> {
    let settings = &ground.settings;
    let registry = assemble::programs(settings)?;
    if registry.names().next().is_none() {
        report::narrate(
            "no kinds are configured: every task would wait for a worker that knows it; bind \
             programs in leveret.toml: [kinds.\"text.words\"] exec = [\"wc\", \"-w\"]",
        );
    }
    let kinds: Vec<String> = registry.names().map(ToString::to_string).collect();
    let queues: Vec<String> = settings.worker.queues.iter().map(ToString::to_string).collect();
    let worker = ground.worker(registry, settings.worker.queues.clone())?;
    let probe = match settings.worker.listen {
        Some(address) => {
            let metrics = ground.metrics.clone();
            Some(Probe::bind(address, worker.status(), move || metrics.render()).await?)
        }
        None => None,
    };
    let url = match &probe {
        Some(probe) => Value::from(format!("http://{}", probe.local_addr()?)),
        None => Value::Null,
    };
    let shown = json!({ "probe": url, "kinds": kinds, "queues": queues });
    report::one(format, &["probe", "kinds", "queues"], &shown)?;
    // The probe answers during the drain too: readiness is red then, liveness green.
    let drained = CancellationToken::new();
    let probe = probe.map(|probe| ground.start(probe.run(drained.clone()), drained.clone()));
    let ended = ground.start(worker.run(stop.clone()), stop).ended("run the worker").await;
    drained.cancel();
    if let Some(probe) = probe {
        probe.ended("answer probes").await??;
    }
    Ok(ended??)
}
