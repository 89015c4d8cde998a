//! One worker: starts its parts in order, waits for the stop, drains in order.

use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::id::Owner;
use leveret_common::name::Lane;
use leveret_common::spawn::Spawner;
use leveret_common::telemetry::names::{self, field};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, STALE_AFTER};
use crate::contact::Contact;
use crate::fetch::buffer::Buffer;
use crate::fetch::intake;
use crate::fetch::picker::Picker;
use crate::handler::Registry;
use crate::heartbeat;
use crate::settle::holdings::Holdings;
use crate::settle::pipeline;
use crate::shared::Shared;
use crate::slot::Slots;
use crate::status::Status;

/// After the grace: how long released tasks may take to be given back.
const LET_GO_WITHIN: Duration = Duration::from_secs(3);
/// How often to look for deliveries that have waited too long.
const LOOK_FOR_STALE: Duration = Duration::from_secs(5);
/// How long to wait before another try to write the first heartbeat.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Performs tasks until it is told to stop.
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
}

impl Worker {
    /// Creates a worker of these kinds on `backend`.
    ///
    /// # Errors
    /// When the threads for handlers cannot be started.
    pub fn new(backend: Backend, registry: Registry, config: Config) -> Result<Self, WorkerError> {
        let runtime = HandlerRuntime::start()?;
        let shared = Shared {
            buffer: Buffer::new(Picker::new(&config.classes, config.strict)),
            slots: Slots::new(config.slots),
            handlers: Spawner::on(runtime.handle()),
            backend,
            registry,
            config,
            owner: Owner::mint(),
            holdings: Holdings::default(),
            contact: Contact::default(),
            status: Arc::default(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
        };
        Ok(Self { shared: Arc::new(shared), runtime })
    }

    /// Returns what probes ask.
    #[must_use]
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.shared.status)
    }

    /// Runs until `stop` is cancelled, then drains: takes nothing new, returns what was not
    /// started, lets running tasks finish within the grace, releases the rest.
    ///
    /// # Errors
    /// None so far: store and broker may be away as long as they like.
    ///
    /// # Cancel safety
    /// Dropped, it ends as if it was killed: nothing is lost, running tasks run again elsewhere.
    pub async fn run(self, stop: CancellationToken) -> Result<(), WorkerError> {
        names::describe();
        let Self { shared, runtime } = self;
        let end = CancellationToken::new();
        let (beats, intakes, sorters, slots) =
            (Spawner::new(), Spawner::new(), Spawner::new(), Spawner::new());
        let info = heartbeat::introduce(&shared);
        // No claim before the first heartbeat (rule L3).
        while let Err(error) = heartbeat::renew(&shared, &info).await {
            warn!({ field::ERROR } = %error, "first heartbeat is not written");
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(AGAIN_AFTER) => {}
            }
        }
        beats.spawn(heartbeat::run(Arc::clone(&shared), info, end.clone()));
        take_in(&shared, &intakes, &sorters);
        intakes.spawn(return_stale(Arc::clone(&shared)));
        info!({ field::OWNER } = %shared.owner, { field::COUNT } = shared.config.slots, "worker runs");

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
        let rest = async { tokio::join!(slots.drained(), sorters.drained()) };
        if timeout(LET_GO_WITHIN, rest).await.is_err() {
            warn!("some tasks did not let go; they run again elsewhere");
        }
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

fn take_in(shared: &Arc<Shared>, intakes: &Spawner, sorters: &Spawner) {
    let lanes: Vec<Lane> = shared
        .config
        .queues
        .iter()
        .flat_map(|queue| {
            shared.config.classes.iter().map(|(class, _)| Lane::new(queue.clone(), *class))
        })
        .collect();
    let prefetch = shared.config.prefetch();
    shared.status.expect_lanes(lanes.len());
    for (index, lane) in lanes.into_iter().enumerate() {
        let intake = intake::run(Arc::clone(shared), lane, index, prefetch, sorters.clone());
        intakes.spawn(intake);
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
        shared.hand_back(shared.buffer.drain_stale(STALE_AFTER)).await;
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
        let Some(permit) = permit else { return };
        if let Some(arrived) = shared.buffer.take() {
            slots.spawn(pipeline::settle(Arc::clone(shared), arrived, permit));
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
