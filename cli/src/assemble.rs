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
use leveret_common::telemetry::{LogLines, LoggingError, Metrics, MetricsError, setup_logging};
use leveret_gateway::operations::Known;
use leveret_gateway::{Bound, Gateway, Tokens};
use leveret_outbox::relay::{self, Address, Relay};
use leveret_producer::{Options, Producer};
use leveret_worker::{Registry, Worker};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::Level;

use crate::error::Error;
use crate::kinds;
use crate::notify::{self, Pulse};
use crate::probe::Probe;
use crate::report::Format;
use crate::signals::Signals;

/// How often recorded samples are folded into their buckets.
const UPKEEP: Duration = Duration::from_secs(5);

/// What a role is given.
pub(crate) struct Given {
    pub(crate) settings: Settings,
    /// The handlers of the program that this process is; none in the command `leveret`.
    pub(crate) own: Registry,
    pub(crate) format: Format,
}

/// What every role stands on.
pub(crate) struct Ground {
    pub(crate) settings: Settings,
    pub(crate) own: Registry,
    pub(crate) format: Format,
    pub(crate) backend: Backend,
    /// Nothing where the program collects metrics its own way.
    pub(crate) metrics: Option<Metrics>,
    spawner: Spawner,
}

impl Ground {
    /// Sets up telemetry and opens the backend.
    ///
    /// # Cancel safety
    /// Dropped, nothing is left open, but logging and metrics stay set up.
    async fn open(given: Given, role: &str, purpose: Purpose) -> Result<Self, Error> {
        let Given { settings, own, format } = given;
        set_up_logging(&settings.log)?;
        let metrics = install_metrics()?;
        let spawner = Spawner::new();
        let name = format!("leveret {role}");
        let clock = Arc::new(SystemClock);
        let backend = Backend::open_to(purpose, &settings, &name, clock, &spawner).await?;
        if let Some(metrics) = metrics.clone() {
            spawner.spawn(keep_up(metrics, spawner.shutdown_signal()));
        }
        Ok(Self { settings, own, format, backend, metrics, spawner })
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
            known: self.known(),
            ..leveret_gateway::Config::default()
        };
        let producer =
            Producer::new(self.backend.clone(), self.options_with_shapes("leveret-gateway")?);
        let mut gateway = Gateway::new(producer, config);
        if let Some(metrics) = self.metrics.clone() {
            gateway = gateway.with_metrics(Arc::new(move || metrics.render()));
        }
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
            enqueue: self.options_with_shapes("leveret-worker")?,
        };
        Ok(Worker::new(self.backend.clone(), registry, config)?)
    }

    /// Returns how tasks are put in by `name`: where the types of the program's args say that its
    /// kinds go, they go whoever puts them in.
    pub(crate) fn options(&self, name: &str) -> Options {
        let mut options = options(&self.settings, name);
        options.lanes.extend(self.own.lanes().clone());
        options
    }

    /// The same, for those who look at args before they put them in.
    fn options_with_shapes(&self, name: &str) -> Result<Options, Error> {
        let mut shapes = kinds::shapes(&self.settings)?;
        shapes.extend(self.own.shapes());
        Ok(Options { shapes, ..self.options(name) })
    }

    fn known(&self) -> Known {
        let mut known = known(&self.settings);
        let own = self.own.names().filter_map(|name| self.own.find(name));
        known.timeouts.extend(own.map(|kind| (kind.name.clone(), kind.timeout)));
        known
    }

    /// Opens the outbox, where one is configured, and creates its relay.
    ///
    /// # Cancel safety
    /// Dropped, nothing is taken.
    pub(crate) async fn relay(&self) -> Result<Option<Relay>, Error> {
        let Some(address) = outbox(&self.settings)? else { return Ok(None) };
        let options = self.options_with_shapes("leveret-relay")?;
        let producer = Producer::new(self.backend.clone(), options);
        let settings = &self.settings.relay;
        let config = relay::Config {
            batch: settings.batch,
            poll: settings.poll,
            kept: self.settings.outbox.kept,
        };
        Ok(Some(Relay::open(address, producer, config, &self.spawner).await?))
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

    /// Has a service manager told of the role, where there is one, until the answer is dropped. `stop`
    /// begins a drain, which takes `grace` at most.
    #[must_use = "dropped, nothing more is told"]
    pub(crate) fn keep_told(
        &self,
        pulse: Pulse,
        grace: Duration,
        stop: &CancellationToken,
    ) -> DropGuard {
        let over = CancellationToken::new();
        drop(self.spawner.spawn(notify::keep_told(pulse, grace, stop.clone(), over.clone())));
        over.drop_guard()
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
            door.ended("answer probes").await?;
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
    given: Given,
    role: &str,
    purpose: Purpose,
    signals: Signals,
    part: impl AsyncFnOnce(&Ground, CancellationToken) -> Result<(), Error>,
) -> Result<(), Error> {
    let stop = CancellationToken::new();
    let whole = async {
        let ground = Ground::open(given, role, purpose).await?;
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

/// Returns where the outbox is, where one is configured.
pub(crate) fn outbox(settings: &Settings) -> Result<Option<Address>, Error> {
    let parsed = settings.outbox.url.as_ref().map(|url| url.expose().parse());
    Ok(parsed.transpose()?)
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

/// A program may have its own way to log, which stays.
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
    match setup_logging(level, lines) {
        Ok(()) | Err(LoggingError::Twice) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Has metrics collected; nothing where the program has its own way to do it, which stays.
fn install_metrics() -> Result<Option<Metrics>, MetricsError> {
    match Metrics::install() {
        Ok(metrics) => Ok(Some(metrics)),
        Err(error) if error.is_second() => Ok(None),
        Err(error) => Err(error),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_logs_and_counts_its_own_way_keeps_it() {
        let settings = LogSettings { level: LogLevel::Error, ..Settings::default().log };
        set_up_logging(&settings).unwrap();
        set_up_logging(&settings).unwrap();
        install_metrics().unwrap();
        assert!(install_metrics().unwrap().is_none());
    }
}
