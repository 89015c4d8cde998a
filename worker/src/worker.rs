//! One worker: starts its parts in order, waits for the stop, drains in order.

use std::sync::Arc;
use std::time::Duration;

use leveret_beat::timetable::TimetableError;
use leveret_common::backend::Backend;
use leveret_common::desk::Keeper;
use leveret_common::spawn::Spawner;
use leveret_common::store::WorkerInfo;
use leveret_common::telemetry::names::{self, field};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::control;
use crate::fetch::intake;
use crate::handler::{IntoRegistry, Registry, RegistryError};
use crate::heartbeat;
use crate::schedules;
use crate::settle::pipeline;
use crate::shared::Shared;
use crate::status::Status;

/// After the grace: how long released tasks may take to be given back.
const LET_GO_WITHIN: Duration = Duration::from_secs(3);
/// How often to look for deliveries that have waited too long.
const LOOK_FOR_STALE: Duration = Duration::from_secs(5);
/// How long to wait before another try to reach the store for the first time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Performs tasks until it is told to stop.
///
/// Made with [`new`](Self::new), run with [`run`](Self::run); [`status`](Self::status) is for probes, and taken
/// before. The front page of `leveret` has a whole example.
pub struct Worker {
    shared: Arc<Shared>,
    /// The handlers' own threads; taken at the end of a run.
    runtime: HandlerRuntime,
}

/// Tells why a worker cannot run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The system gives no threads.
    #[error("failed to start the threads that run handlers: {0}")]
    Threads(#[source] std::io::Error),
    /// Kinds that the program performs are wrong.
    #[error(transparent)]
    Kinds(RegistryError),
    /// Schedules that the program declares are wrong.
    #[error("failed to declare schedules: {0}")]
    Schedules(#[source] TimetableError),
}

impl Worker {
    /// Creates a worker of these kinds on `backend`.
    ///
    /// # Errors
    /// When the threads for handlers cannot be started, or when a kind or a declared schedule is
    /// wrong.
    pub fn new(
        backend: Backend,
        kinds: impl IntoRegistry,
        config: Config,
    ) -> Result<Self, WorkerError> {
        let registry = kinds.into_registry().map_err(WorkerError::Kinds)?;
        let runtime = HandlerRuntime::start()?;
        let shared = Shared::new(backend, registry, config, Spawner::on(runtime.handle()));
        schedules::check(&shared.registry, &shared.producer).map_err(WorkerError::Schedules)?;
        Ok(Self { shared: Arc::new(shared), runtime })
    }

    /// Returns what probes ask.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.shared.status)
    }

    /// Runs until `stop` is cancelled or an operator asks it to stop, then drains: takes nothing
    /// new, returns what was not started, lets running tasks finish within the grace, releases the
    /// rest.
    ///
    /// # Errors
    /// None so far: store and broker may be away as long as they like.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: nothing is lost, running tasks run again elsewhere.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        names::describe();
        let Self { shared, runtime } = self;
        // Whatever was started here ends with this, wherever it is.
        let _dropped = shared.dropped.clone().drop_guard();
        // An operator's stop is for this worker, not for whoever else the caller's is for.
        let stop = stop.child_token();
        let end = CancellationToken::new();
        let (beats, keepers, intakes, sorters, slots) =
            (Spawner::new(), Spawner::new(), Spawner::new(), Spawner::new(), Spawner::new());
        let info = heartbeat::introduce(&shared);
        if !enter(&shared, &info, &stop).await {
            return Ok(());
        }
        shared.spawn(&beats, heartbeat::run(Arc::clone(&shared), info, end.clone()));
        shared.spawn(&beats, control::run(Arc::clone(&shared), stop.clone(), end.clone()));
        let keeper = Keeper::new(shared.backend.clone(), shared.config.queues.clone());
        shared.spawn(&keepers, keeper.run(shared.stop.clone()));
        shared.spawn(&keepers, schedules::run(Arc::clone(&shared)));
        for lane in shared.lanes.names() {
            let intake = intake::run(Arc::clone(&shared), lane.clone(), sorters.clone());
            shared.spawn(&intakes, intake);
        }
        shared.spawn(&intakes, return_stale(Arc::clone(&shared)));
        info!({ field::OWNER } = %shared.owner, { field::COUNT } = shared.config.slots, "worker runs");
        warn_of_unserved(&shared.registry, &shared.config);

        dispatch(&shared, &slots, &stop).await;

        info!({ field::OWNER } = %shared.owner, "worker drains");
        shared.status.drain();
        shared.stop.cancel();
        intakes.drained().await;
        shared.hand_back(shared.buffer.drain()).await;
        if timeout(shared.config.grace, slots.drained()).await.is_err() {
            info!("grace is over, running tasks are released");
        }
        shared.over.cancel();
        let rest = async { tokio::join!(slots.drained(), sorters.drained(), keepers.drained()) };
        if timeout(LET_GO_WITHIN, rest).await.is_err() {
            warn!("some tasks did not let go; they run again elsewhere");
        }
        shared.gone.cancel();
        end.cancel();
        beats.drained().await;
        let leave = shared.backend.fleet.leave(shared.owner);
        if !matches!(timeout(heartbeat::LEAVE_WITHIN, leave).await, Ok(Ok(()))) {
            info!("heartbeat is left to end by itself");
        }
        drop(runtime);
        info!("worker has drained");
        Ok(())
    }
}

/// Writes the first heartbeat (no claim before it, rule L3), and reads which queues are paused;
/// false when the worker is stopped first.
async fn enter(shared: &Shared, info: &WorkerInfo, stop: &CancellationToken) -> bool {
    loop {
        let entered = async {
            heartbeat::renew(shared, info).await?;
            control::read_pauses(shared).await
        };
        match entered.await {
            Ok(()) => return true,
            Err(error) => warn!({ field::ERROR } = %error, "store does not let the worker in"),
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(AGAIN_AFTER) => {}
        }
    }
}

/// Tells of kinds whose tasks go by themselves where this worker does not look.
fn warn_of_unserved(registry: &Registry, config: &Config) {
    for queue in registry.queues().iter().filter(|queue| !config.queues.contains(queue)) {
        let queue = queue.as_str();
        warn!(queue, "a kind's tasks go to a queue that this worker does not serve");
    }
}

/// Returns what has waited too long for a slot: another worker may be free, and the broker would
/// close a channel that holds a delivery beyond its `consumer_timeout`.
async fn return_stale(shared: Arc<Shared>) {
    loop {
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_FOR_STALE) => {}
        }
        shared.hand_back(shared.buffer.drain_stale(shared.config.stale_after())).await;
    }
}

/// Gives each free slot the delivery whose turn it is, until `stop`.
async fn dispatch(shared: &Arc<Shared>, slots: &Spawner, stop: &CancellationToken) {
    loop {
        // No permit is held while nothing is there: a suspect may be waiting for all of them.
        let next = async {
            shared.buffer.filled().await;
            shared.slots.take().await
        };
        let permit = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            permit = next => permit,
        };
        if let Some(arrived) = shared.buffer.take() {
            shared.spawn(slots, pipeline::settle(Arc::clone(shared), arrived, permit));
        }
    }
}

/// Threads on which handlers run, so that one that blocks them stops no heartbeat and no ack.
struct HandlerRuntime(Option<Runtime>);

impl HandlerRuntime {
    fn start() -> Result<Self, WorkerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("leveret-handler")
            .enable_all()
            .build()
            .map_err(WorkerError::Threads)?;
        Ok(Self(Some(runtime)))
    }

    fn handle(&self) -> tokio::runtime::Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            None => tokio::runtime::Handle::current(),
        }
    }
}

impl Drop for HandlerRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // Does not wait: a handler that never ends must not hold up the end of the process.
            runtime.shutdown_background();
        }
    }
}
