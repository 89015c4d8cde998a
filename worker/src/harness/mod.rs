//! A harness for the tests of programs: the whole product in memory, on a clock that the test moves.
//!
//! A [`Harness`] takes the handlers of a program, as a [`Worker`](crate::Worker) does. What is enqueued
//! goes through the embedded broker and store, and what is performed through the same steps as in a
//! worker: decode, claim, run, settle. So a test sees the promises of the product, and not those of a
//! mock. Nothing runs by itself: a task is performed when the test says so, on the test's own runtime.
//!
//! - [`new`](Harness::new) makes one, [`with_config`](Harness::with_config) one of other settings.
//! - [`producer`](Harness::producer) goes into the code under test; [`enqueue`](Harness::enqueue) is
//!   for the test itself.
//! - [`assert_enqueued`](Harness::assert_enqueued), [`refute_enqueued`](Harness::refute_enqueued) and
//!   [`enqueued`](Harness::enqueued) look at what waits.
//! - [`perform`](Harness::perform), [`perform_one`](Harness::perform_one),
//!   [`run_until_idle`](Harness::run_until_idle), [`run_everything`](Harness::run_everything) and
//!   [`run_until_over`](Harness::run_until_over) perform tasks, and tell what [became](Became) of them.
//! - [`advance`](Harness::advance) moves the clock: an hour until a retry takes no time.
//! - [`fail_next`](Harness::fail_next) and its neighbours have something go wrong.
//!
//! Harnesses share nothing, so tests run side by side. A test must not pause tokio's own time: the
//! store has threads of its own, for which a paused runtime does not wait. Time limits of attempts,
//! and how long a batch waits for its members, are real time.
//!
//! # Examples
//! ```
//! use std::time::Duration;
//!
//! use leveret_worker::harness::Harness;
//! use leveret_worker::{Handlers, Task, TaskError};
//!
//! #[derive(serde::Serialize, serde::Deserialize, Task)]
//! #[task(kind = "email.welcome", queue = "mail")]
//! struct Welcome { user_id: u64 }
//!
//! async fn welcome(args: Welcome) -> Result<String, TaskError> {
//!     Ok(format!("welcome, {}", args.user_id))
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut app = Harness::new(Handlers::new().handle(welcome));
//! app.enqueue(Welcome { user_id: 7 }).await.unwrap();
//! app.assert_enqueued::<Welcome>(|task| task.user_id == 7);
//!
//! app.fail_next::<Welcome>("connection refused");
//! assert!(app.perform_one().await.unwrap().became.is_retry());
//! assert!(app.perform_one().await.is_none(), "the retry is not due");
//!
//! app.advance(Duration::from_secs(3_600));
//! let performed = app.perform_one().await.unwrap();
//! assert_eq!(performed.became.result::<String>(), "welcome, 7");
//! # }
//! ```

mod asserting;
mod bench;
mod fail;
mod listing;
mod notes;
mod performed;
mod planning;
mod running;
mod script;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::clock::{Clock, ManualClock, Millis, SharedClock};
use leveret_common::duration::LONGEST;
use leveret_common::embedded::{self, Embedded};
use leveret_common::id::TaskId;
use leveret_common::name::Namespace;
use leveret_common::store::{Retention, TaskView};
use leveret_producer::{Enqueue, Producer, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::bench::Bench;
use self::fail::or_fail;
pub use self::listing::{Enqueued, Letter};
pub use self::performed::{Became, Performed, Summary};
use crate::config::Config;
use crate::handler::IntoRegistry;
use crate::schedules;

/// What the clock of a harness shows at first: 2030-01-01T00:00:00Z.
pub const BEGINNING: Millis = Millis(1_893_456_000_000);

/// How many attempts one call performs at most, unless the test says otherwise.
pub const MOST_ATTEMPTS: usize = 1_000;

/// How long records and results are kept, by the harness's clock: as by default.
const RETENTION: Retention =
    Retention { record: Duration::from_secs(86_400), result: Duration::from_secs(86_400) };
/// How many tasks run at once at most, see [`Harness::perform_at_once`].
const SLOTS: usize = 1_024;
/// The largest body that is moved at all, as everywhere.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// A program's handlers with all of Leveret around them, in memory; see the [module](self).
///
/// Its methods fail the test, by panicking, where the harness itself cannot go on. What becomes of
/// tasks is never a panic, but an answer.
pub struct Harness {
    bench: Bench,
    producer: Producer,
    /// How many attempts one call performs at most.
    most: usize,
}

impl Harness {
    /// Creates a harness of these handlers: a [`Handlers`](crate::Handlers), or a
    /// [`Registry`](crate::Registry).
    ///
    /// # Panics
    /// When a kind or a declared schedule is wrong, with all that is.
    #[must_use]
    #[track_caller]
    pub fn new(handlers: impl IntoRegistry) -> Self {
        Self::with_config(handlers, Config::default())
    }

    /// Creates a harness whose worker has these settings, as far as they have a meaning here:
    /// `max_crashes`, `retention` and `enqueue`. Every queue is served.
    ///
    /// # Panics
    /// As [`new`](Self::new).
    #[must_use]
    #[track_caller]
    pub fn with_config(handlers: impl IntoRegistry, config: Config) -> Self {
        let registry = or_fail(handlers.into_registry(), "take the handlers");
        let clock = Arc::new(ManualClock::at(BEGINNING));
        let (store, backend) = open(Arc::clone(&clock) as SharedClock);
        let mut queues = registry.queues();
        queues.extend(config.queues);
        queues.sort();
        queues.dedup();
        // Nothing goes on between two steps, neither heartbeats nor a broker's patience.
        let config = Config {
            slots: SLOTS,
            queues,
            heartbeat_ttl: LONGEST,
            consumer_timeout: LONGEST,
            ..config
        };
        let options = config.enqueue.clone();
        let bench = Bench::new((store, clock), backend, registry, config);
        let producer = Producer::new(bench.backend.clone(), options);
        or_fail(schedules::check(&bench.registry, &producer), "take the declared schedules");
        Self { bench, producer, most: MOST_ATTEMPTS }
    }

    /// Sets how many attempts one call performs at most: what goes on for longer is taken for a task
    /// that enqueues itself for ever, and fails the test. [`MOST_ATTEMPTS`] at first.
    #[must_use]
    pub fn at_most(self, attempts: usize) -> Self {
        Self { most: attempts, ..self }
    }

    /// Returns a producer for the code under test.
    #[must_use]
    pub fn producer(&self) -> Producer {
        self.producer.clone()
    }

    /// Returns the seams, for what has no method here.
    #[must_use]
    pub fn backend(&self) -> Backend {
        self.bench.backend.clone()
    }

    /// Returns the clock, for code under test that takes one.
    #[must_use]
    pub fn clock(&self) -> SharedClock {
        Arc::clone(&self.bench.clock) as SharedClock
    }

    /// Returns what the clock shows; [`BEGINNING`] at first.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.bench.clock.now()
    }

    /// Moves the clock forward. What is due by then is performed when the test says so.
    pub fn advance(&mut self, by: Duration) {
        self.bench.clock.advance(by);
        self.bench.store.poke();
    }

    /// Begins to enqueue a task, as [`Producer::enqueue`] does; awaiting it sends it.
    ///
    /// ```
    /// # use leveret_worker::harness::Harness;
    /// # use leveret_worker::Task;
    /// # #[derive(serde::Serialize, serde::Deserialize, Task)]
    /// # #[task(kind = "email.welcome")]
    /// # struct Welcome { user_id: u64 }
    /// # async fn example(app: &Harness) -> Result<(), Box<dyn std::error::Error>> {
    /// let hour = std::time::Duration::from_secs(3_600);
    /// app.enqueue(Welcome { user_id: 7 }).delay(hour).key("welcome-7").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn enqueue(&self, task: impl Into<Request>) -> Enqueue<'_> {
        self.producer.enqueue(task)
    }

    /// Begins to enqueue a task of the kind of this name, as [`Producer::task`] does.
    pub fn task(&self, kind: impl Into<String>, args: &(impl Serialize + ?Sized)) -> Enqueue<'_> {
        self.producer.task(kind, args)
    }

    /// Tells where a task stands; nothing where nobody knows it.
    ///
    /// # Panics
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn find(&self, id: TaskId) -> Option<TaskView> {
        or_fail(self.producer.find(id).await, "find the task")
    }

    /// Returns the result of a task; nothing where it has none (yet), or its retention is over.
    ///
    /// # Panics
    /// When the result is no `R`.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn result<R: DeserializeOwned>(&self, id: TaskId) -> Option<R> {
        let result = self.find(id).await?.result?;
        Some(or_fail(serde_json::from_str(&result), "read the result of the task"))
    }
}

fn open(clock: SharedClock) -> (Arc<Embedded>, Backend) {
    let config = embedded::Config {
        folder: PathBuf::new(),
        namespace: Namespace::default(),
        payload_limit: LARGEST_MESSAGE,
        retention: RETENTION,
    };
    let store = or_fail(Embedded::in_memory(config, Arc::clone(&clock)), "make its store");
    let backend = Backend {
        namespace: Namespace::default(),
        broker: Arc::clone(&store) as _,
        ledger: Arc::clone(&store) as _,
        records: Arc::clone(&store) as _,
        fleet: Arc::clone(&store) as _,
        leases: Arc::clone(&store) as _,
        signals: Arc::clone(&store) as _,
        letters: Arc::clone(&store) as _,
        schedules: Arc::clone(&store) as _,
        patients: Vec::new(),
        clock,
        retention: RETENTION,
    };
    (store, backend)
}
