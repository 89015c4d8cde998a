//! The producer client: checks, publishes, and answers once the broker has the task safe.
//!
//! One task here, many in [`super::bulk`], questions in [`super::find`]. Nothing is repeated by
//! itself: whoever called decides, with the id that the error carries.

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::Arc;

use leveret_common::backend::Backend;
use leveret_common::clock::Millis;
use leveret_common::id::{InvalidId, TaskId};
use leveret_common::name::{KindName, Lane, QueueName};
use leveret_common::shape::Shapes;
use leveret_common::store::TaskState;
use serde::Serialize;

use crate::draft::{Draft, Rules};
use crate::error::EnqueueError;
use crate::follow_up::Enqueuer;
use crate::labels::QueueLabels;
use crate::request::Request;

/// What a producer is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Most bytes of a task's args (`limits.payload`); 1 MiB.
    pub payload_limit: usize,
    /// Whether each accepted task is recorded, so that it can be asked for before a worker has
    /// it and a repetition is recognised (`records.enqueue`); true.
    pub record: bool,
    /// Where tasks of a kind go that name no queue or no class (`kinds.*.queue`, `kinds.*.class`);
    /// a kind that is not listed goes to `default.normal`.
    pub lanes: BTreeMap<KindName, Lane>,
    /// The shapes that args must have (`kinds.*.schema`); a kind that is not listed takes any.
    pub shapes: Shapes,
    /// Who enqueues, as tasks carry it in `app_id`; `producer`.
    pub name: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            payload_limit: 1 << 20,
            record: true,
            lanes: BTreeMap::new(),
            shapes: Shapes::default(),
            name: "producer".to_owned(),
        }
    }
}

/// A task that the broker has safe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub id: TaskId,
    /// Where it was put.
    pub lane: Lane,
    /// `queued` or `delayed`; where the request was a repetition, what the first one is now.
    pub state: TaskState,
    /// Whether the task had been accepted before, and nothing was published now.
    pub repeated: bool,
    /// When it is due, if later.
    pub not_before: Option<Millis>,
}

/// Puts tasks in. Cheap to clone; clones share everything.
///
/// Made with [`new`](Self::new). [`enqueue`](Self::enqueue) puts in a task whose args have a type,
/// [`task`](Self::task) one of a kind that is named, [`enqueue_all`](Self::enqueue_all) many;
/// [`check`](Self::check) sends nothing. [`find`](Self::find) and [`wait`](Self::wait) ask what became of
/// one, [`cancel`](Self::cancel) stops it.
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Backend,
    options: Options,
    labels: QueueLabels,
}

impl Producer {
    /// Creates a producer.
    #[must_use]
    pub fn new(backend: Backend, options: Options) -> Self {
        let labels = QueueLabels::new(options.lanes.values().map(|lane| lane.queue.clone()));
        Self { shared: Arc::new(Shared { backend, options, labels }) }
    }

    /// Begins to enqueue a task of `kind`; awaiting it sends it, as with [`enqueue`](Self::enqueue).
    pub fn task(&self, kind: impl Into<String>, args: &(impl Serialize + ?Sized)) -> Enqueue<'_> {
        self.enqueue(Request::new(kind, args))
    }

    /// Begins to enqueue a [`Task`](crate::Task), or what a [`Request`] asks for; awaiting it sends
    /// it, and answers once the broker has it safe. [`Enqueue`] says what can be added before, and
    /// what to do where no answer comes.
    pub fn enqueue(&self, task: impl Into<Request>) -> Enqueue<'_> {
        Enqueue { sender: Sender::Producer(self), request: task.into() }
    }

    /// Checks `request` without sending anything.
    ///
    /// # Errors
    /// [`EnqueueError::Invalid`] with all problems, or [`EnqueueError::TooLarge`].
    pub fn check(&self, request: Request) -> Result<(), EnqueueError> {
        self.draft(request).map(drop)
    }

    /// Returns the id of the task that its sender calls `text`: a UUID, or the sender's own text.
    ///
    /// # Errors
    /// When the text is empty, longer than 128 bytes, or holds control characters.
    pub fn id_of(&self, text: &str) -> Result<TaskId, InvalidId> {
        TaskId::foreign(&self.backend().namespace, text).map(|(id, _)| id)
    }

    /// Returns what the producer works on.
    #[must_use]
    pub fn backend(&self) -> &Backend {
        &self.shared.backend
    }

    /// Returns what the producer was told.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Returns the queue's label in metrics.
    pub(crate) fn label_of(&self, queue: &QueueName) -> String {
        self.shared.labels.of(queue)
    }

    pub(crate) fn draft(&self, request: Request) -> Result<Draft, EnqueueError> {
        let (backend, options) = (self.backend(), self.options());
        // A kind that is no name is refused with all else that is wrong.
        let kind = request.kind.parse().ok();
        let request = request.in_lane(kind.and_then(|kind: KindName| options.lanes.get(&kind)));
        let rules = Rules {
            namespace: &backend.namespace,
            now: backend.clock.now(),
            payload_limit: options.payload_limit,
            producer: &options.name,
            shapes: &options.shapes,
        };
        Draft::new(request, &rules)
    }
}

/// An enqueue that begins when it is awaited.
///
/// # Errors
/// Awaited, it answers [`EnqueueError`].
///
/// # Cancel safety
/// Dropped while it is awaited, the task may or may not have been accepted: repeat it with the
/// same key or id. One that has neither may then be doubled.
#[must_use = "nothing is enqueued until this is awaited"]
pub struct Enqueue<'a> {
    pub(crate) sender: Sender<'a>,
    pub(crate) request: Request,
}

/// Who enqueues: a program, or an attempt of a task.
pub(crate) enum Sender<'a> {
    Producer(&'a Producer),
    Attempt(&'a Enqueuer),
}

impl<'a> IntoFuture for Enqueue<'a> {
    type Output = Result<Accepted, EnqueueError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            match self.sender {
                Sender::Producer(producer) => {
                    producer.send_one(producer.draft(self.request)?).await
                }
                Sender::Attempt(enqueuer) => enqueuer.send(self.request).await,
            }
        })
    }
}
