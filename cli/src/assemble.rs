//! From settings to parts: telemetry, backend, producer, gateway and worker, the same for every
//! role that has them.
//!
//! The choice of backend is [`Backend::open`]'s. What runs, and in which order it stops, is each
//! role's own matter.

use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::{Backend, Purpose};
use leveret_common::clock::SystemClock;
use leveret_common::config::choice::{LogFormat, LogLevel, Picker};
use leveret_common::config::settings::LogSettings;
use leveret_common::config::{KindSettings, Settings};
use leveret_common::name::{KindName, Lane, QueueName};
use leveret_common::spawn::Spawner;
use leveret_common::telemetry::{LogLines, Metrics, setup_logging};
use leveret_gateway::operations::Known;
use leveret_gateway::{Bound, Gateway, Tokens};
use leveret_producer::{Options, Producer};
use leveret_worker::{Registry, Worker};
use tokio_util::sync::CancellationToken;
use tracing::Level;

use crate::error::Error;
use crate::kinds;
use crate::probe::Probe;
use crate::signals::Signals;

/// How often recorded samples are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// What every role stands on.
pub(crate) struct Ground {
    pub(crate) settings: Settings,
    pub(crate) backend: Backend,
    pub(crate) metrics: Metrics,
    spawner: Spawner,
}

impl Ground {
    /// Sets up telemetry and opens the backend.
    ///
    /// # Cancel safety
    /// Dropped, nothing is left open, but logging and metrics stay set up.
    async fn open(settings: Settings, role: &str, purpose: Purpose) -> Result<Self, Error> {
        set_up_logging(&settings.log)?;
        let metrics = Metrics::install()?;
        let spawner = Spawner::new();
        let name = format!("leveret {role}");
        let clock = Arc::new(SystemClock);
        let backend = Backend::open_to(purpose, &settings, &name, clock, &spawner).await?;
        spawner.spawn(keep_up(metrics.clone(), spawner.shutdown_signal()));
        Ok(Self { settings, backend, metrics, spawner })
    }

    /// Takes the gateway's port. `is_worker_ready` is asked for `/readyz` where a worker runs in
    /// the same process.
    ///
    /// # Cancel safety
    /// Dropped, the port is free again.
    pub(crate) async fn bind_gateway(
        &self,
        is_worker_ready: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
    ) -> Result<Bound, Error> {
        let settings = &self.settings;
        let tokens = settings.gateway.token_file.as_deref().map(Tokens::read).transpose()?;
        let config = leveret_gateway::Config {
            listen: settings.gateway.listen,
            tokens,
            max_batch: as_usize(settings.gateway.max_batch),
            max_body: settings.gateway.max_body.as_usize(),
            request_timeout: settings.gateway.request_timeout,
            known: known(settings),
            ..leveret_gateway::Config::default()
        };
        let shapes = kinds::shapes(settings)?;
        let options = Options { shapes, ..options(settings, "leveret-gateway") };
        let metrics = self.metrics.clone();
        let mut gateway = Gateway::new(Producer::new(self.backend.clone(), options), config)
            .with_metrics(Arc::new(move || metrics.render()));
        if let Some(is_ready) = is_worker_ready {
            gateway = gateway.with_worker(is_ready);
        }
        Ok(gateway.bind().await?)
    }

    /// Creates a worker that serves `queues`.
    pub(crate) fn worker(
        &self,
        registry: Registry,
        queues: Vec<QueueName>,
    ) -> Result<Worker, Error> {
        let settings = &self.settings.worker;
        let shapes = kinds::shapes(&self.settings)?;
        let config = leveret_worker::Config {
            slots: as_usize(settings.slots),
            queues,
            classes: settings.classes.iter().copied().zip(settings.weights.clone()).collect(),
            strict: settings.picker == Picker::Strict,
            grace: settings.grace,
            heartbeat: settings.heartbeat,
            heartbeat_ttl: settings.heartbeat_ttl,
            max_crashes: settings.max_crashes,
            soft_grace: settings.soft_grace,
            retention: self.settings.retention.done,
            consumer_timeout: self.settings.broker.consumer_timeout,
            enqueue: Options { shapes, ..options(&self.settings, "leveret-worker") },
        };
        Ok(Worker::new(self.backend.clone(), registry, config)?)
    }

    /// Starts a part beside the role. However it ends, `stop` is cancelled then: a role without
    /// one of its parts would look alive and do nothing.
    pub(crate) fn start<P>(&self, part: P, stop: CancellationToken) -> Running<P::Output>
    where
        P: Future<Output: Send> + Send + 'static,
    {
        let guard = stop.drop_guard();
        Running(self.spawner.spawn(async move {
            let ended = part.await;
            drop(guard);
            ended
        }))
    }

    /// Runs a role's part, with its probe door open until the part has ended: during a drain
    /// readiness is red and liveness green.
    ///
    /// # Cancel safety
    /// Dropped, the part runs on, without anybody who stops it but `stop`.
    pub(crate) async fn probed<P>(
        &self,
        probe: Option<Probe>,
        part: P,
        stop: CancellationToken,
        operation: &'static str,
    ) -> Result<P::Output, Error>
    where
        P: Future<Output: Send> + Send + 'static,
    {
        let closing = CancellationToken::new();
        let door = probe.map(|probe| self.start(probe.run(closing.clone()), closing.clone()));
        let ended = self.start(part, stop).ended(operation).await;
        closing.cancel();
        if let Some(door) = door {
            door.ended("answer probes").await??;
        }
        ended
    }

    /// Closes the backend once nothing uses it any more.
    ///
    /// # Cancel safety
    /// Dropped, it is closed as by a crash, which loses nothing.
    async fn close(self) {
        self.backend.broker.close().await;
        self.spawner.drained().await;
    }
}

/// Plays a role until a signal: opens what it stands on, does its `part`, whose token the first signal
/// cancels, and closes all behind it.
///
/// # Cancel safety
/// As that of `part`; the backend is closed as by a crash, which loses nothing.
pub(crate) async fn play(
    settings: Settings,
    role: &str,
    purpose: Purpose,
    signals: Signals,
    part: impl AsyncFnOnce(&Ground, CancellationToken) -> Result<(), Error>,
) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let whole = async {
        let ground = Ground::open(settings, role, purpose).await?;
        let ended = part(&ground, stop.clone()).await;
        ground.close().await;
        ended
    };
    signals.run(whole, &stop).await
}

/// A part that was started.
pub(crate) struct Running<T>(tokio::task::JoinHandle<T>);

impl<T> Running<T> {
    /// Waits for the part's end.
    ///
    /// # Cancel safety
    /// Dropped, the part runs on.
    pub(crate) async fn ended(self, operation: &'static str) -> Result<T, Error> {
        self.0.await.map_err(|error| Error::System { operation, source: error.into() })
    }
}

/// Refuses a role that only makes sense beside others, where nothing is shared with them.
pub(crate) fn require_servers(settings: &Settings, role: &'static str) -> Result<(), Error> {
    match settings.broker.url {
        Some(_) => Ok(()),
        None => Err(Error::NeedsServers { role }),
    }
}

/// Returns what the gateway's answers need to know of the other roles.
pub(crate) fn known(settings: &Settings) -> Known {
    let limit = |(name, kind): (&KindName, &KindSettings)| {
        (name.clone(), kind.timeout.unwrap_or(settings.worker.timeout))
    };
    Known {
        timeouts: settings.kinds.iter().map(limit).collect(),
        consumer_timeout: settings.broker.consumer_timeout,
        done: settings.retention.done,
        heartbeat_ttl: settings.worker.heartbeat_ttl,
        ..Known::default()
    }
}

/// Returns how tasks are put in by `name`: the gateway for others, a worker for its handlers.
pub(crate) fn options(settings: &Settings, name: &str) -> Options {
    Options {
        payload_limit: settings.limits.payload.as_usize(),
        record: settings.records.enqueue,
        lanes: settings.kinds.iter().map(lane_of).collect(),
        name: name.to_owned(),
        ..Options::default()
    }
}

/// Returns where tasks of a kind go that name no queue or no class.
fn lane_of((name, kind): (&KindName, &KindSettings)) -> (KindName, Lane) {
    let queue = kind.queue.clone().unwrap_or_default();
    (name.clone(), Lane::new(queue, kind.class.unwrap_or_default()))
}

fn set_up_logging(settings: &LogSettings) -> Result<(), Error> {
    let level = match settings.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let lines = match settings.format {
        LogFormat::Auto | LogFormat::Text => LogLines::Text,
        LogFormat::Json => LogLines::Json,
    };
    Ok(setup_logging(level, lines)?)
}

async fn keep_up(metrics: Metrics, shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = ticks.tick() => metrics.upkeep(),
            () = shutdown.cancelled() => return,
        }
    }
}

/// On every machine that Leveret runs on, a `u32` fits.
fn as_usize(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
