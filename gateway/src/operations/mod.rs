//! What can be done here, without HTTP: enqueue, ask, wait, cancel, explain, look after dead
//! letters, queues, schedules and workers, diagnose.
//!
//! Routes translate requests into these calls and their answers back; a console and operator
//! commands without a gateway stand on the same calls. Guards that no call waits for a server
//! without a limit, and that whoever acts on a task is written down.

mod cancel;
pub mod dead;
pub mod doctor;
mod error;
pub mod explain;
mod look;
mod patient;
pub mod queues;
pub mod schedules;
mod tasks;
pub mod time;
pub mod workers;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::clock::Millis;
use leveret_common::desk::Desk;
use leveret_common::id::TaskId;
use leveret_common::name::KindName;
use leveret_common::store::{StoreError, StoreErrorKind};
use leveret_producer::{Problem, Producer};
use tokio::time::timeout;

pub use self::cancel::Cancelled;
pub use self::error::OperationError;
use self::look::Look;
use self::patient::Patient;

/// How long one call to the store may take.
const STORE_PATIENCE: Duration = Duration::from_millis(1_500);
/// How long one call to the broker may take, other than a publish.
const BROKER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a look at a server stands for those who only ask whether we are ready.
const READINESS_AGE: Duration = Duration::from_secs(1);
/// How long a look at the broker may take before something is asked of it, and how long the look
/// stands: so whoever needs a broker that is away learns it in under two seconds.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_AGE: Duration = Duration::from_millis(250);

/// What is configured elsewhere and matters to answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The time limit of each configured kind (`kinds.*.timeout`).
    pub timeouts: BTreeMap<KindName, Duration>,
    /// What the broker's `consumer_timeout` is set to (`broker.consumer_timeout`); 30 min.
    pub consumer_timeout: Duration,
    /// How long the ledger remembers how a task ended (`retention.done`); 1 h.
    pub done: Duration,
    /// How long a heartbeat outlives its last renewal (`worker.heartbeat_ttl`); 15 s.
    pub heartbeat_ttl: Duration,
    /// How long one look at broker and store may take; 2 s.
    pub check_timeout: Duration,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            timeouts: BTreeMap::new(),
            consumer_timeout: Duration::from_secs(1_800),
            done: Duration::from_secs(3_600),
            heartbeat_ttl: Duration::from_secs(15),
            check_timeout: Duration::from_secs(2),
        }
    }
}

/// The operations on one backend, made with [`new`](Self::new). Cheap to clone; clones share everything.
///
/// About one task: [`enqueue`](Self::enqueue), [`task`](Self::task), [`explain`](Self::explain),
/// [`cancel`](Self::cancel). About dead letters: [`letters`](Self::letters), [`letter`](Self::letter),
/// [`replay_letter`](Self::replay_letter), [`walk`](Self::walk). About queues: [`queues`](Self::queues),
/// [`pause`](Self::pause). About workers: [`workers`](Self::workers), [`ask_workers`](Self::ask_workers).
/// About schedules: [`schedules`](Self::schedules) and its neighbours. About all: [`doctor`](Self::doctor).
#[derive(Clone)]
pub struct Operations {
    shared: Arc<Shared>,
}

struct Shared {
    /// Enqueues with limited patience.
    producer: Producer,
    backend: Backend,
    desk: Desk,
    known: Known,
    /// Whether the broker takes publishes, and whether it tells what rests in its queues: it does
    /// while it blocks publishers.
    broker: Look,
    surveys: Look,
    ledger: Look,
}

impl Operations {
    /// Creates the operations on the producer's backend.
    #[must_use]
    pub fn new(producer: &Producer, known: Known) -> Self {
        let backend = producer.backend().clone();
        let broker = Arc::new(Patient::new(Arc::clone(&backend.broker)));
        let patient = Backend { broker, ..backend.clone() };
        let producer = Producer::new(patient, producer.options().clone());
        let desk = Desk::new(backend.clone());
        let [broker, surveys, ledger] = [(); 3].map(|()| Look::default());
        let shared = Shared { producer, backend, desk, known, broker, surveys, ledger };
        Self { shared: Arc::new(shared) }
    }

    /// Returns the most bytes of a task's args.
    #[must_use]
    pub fn payload_limit(&self) -> usize {
        self.shared.producer.options().payload_limit
    }

    /// Tells which of the servers behind cannot be used, and why. A look at a server stands for a
    /// second, however often this is asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn troubles(&self) -> Vec<Problem> {
        let Shared { backend, known, broker, ledger, .. } = &*self.shared;
        let limit = known.check_timeout;
        let (broker, ledger) = tokio::join!(
            broker.at(READINESS_AGE, limit, backend.broker.check()),
            ledger.at(READINESS_AGE, limit, backend.ledger.check()),
        );
        let found = [("broker", broker), ("ledger", ledger)].into_iter();
        found.filter_map(|(name, met)| Some(Problem::new(name, met.err()?))).collect()
    }

    /// Makes sure that letters can be moved: that the broker is there and takes publishes. To be
    /// asked before a walk, which would wait for the broker for much longer.
    ///
    /// # Errors
    /// [`OperationError::Away`], within about a second.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn can_walk(&self) -> Result<(), OperationError> {
        let check = self.backend().broker.check();
        self.shared.broker.at(LOOK_AGE, LOOK, check).await.map_err(OperationError::Away)
    }

    /// Returns the id of the task that its sender calls `text`.
    ///
    /// # Errors
    /// When the text is empty, longer than 128 bytes, or holds control characters.
    pub fn id_of(&self, text: &str) -> Result<TaskId, OperationError> {
        self.shared.producer.id_of(text).map_err(|error| OperationError::invalid("id", error))
    }

    fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    /// Returns the time, as everything here counts it.
    pub(crate) fn now(&self) -> Millis {
        self.backend().clock.now()
    }
}

/// Waits for the store, within its patience.
async fn stored<T>(
    operation: &'static str,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, OperationError> {
    match timeout(STORE_PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(OperationError::Late { operation, within: STORE_PATIENCE }),
    }
}

/// Waits for the store to change something, within its patience. Where no answer comes, it may be
/// done all the same.
async fn written<T>(
    operation: &'static str,
    asked: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, OperationError> {
    match timeout(STORE_PATIENCE, asked).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(unconfirmed(operation, error)),
        Err(_) => {
            let why = format!("no answer within {STORE_PATIENCE:?}");
            Err(OperationError::Unconfirmed { operation, why })
        }
    }
}

/// Says what is known where the store failed to say that it changed something.
fn unconfirmed(operation: &'static str, error: StoreError) -> OperationError {
    match error.kind {
        StoreErrorKind::Timeout | StoreErrorKind::Unavailable => {
            OperationError::Unconfirmed { operation, why: error.to_string() }
        }
        StoreErrorKind::Refused | StoreErrorKind::Corrupt => error.into(),
    }
}

/// Waits for the broker, within its patience.
async fn moved<T, E>(
    operation: &'static str,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, OperationError>
where
    OperationError: From<E>,
{
    match timeout(BROKER_PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(OperationError::Late { operation, within: BROKER_PATIENCE }),
    }
}
