//! Handlers: the code that performs a kind.
//!
//! [`Handlers`] is how a program writes them down: async functions of typed args and
//! [extractors](Extract), with [state](State) and [layers](HandlerLayer). Below it, [`Handler`] is the
//! one trait that all become, also programs ([`exec`]), and a [`Registry`] what a worker looks them up
//! in. What a handler's answer means for the task is decided in [`crate::decide`].

mod args;
mod batch;
mod error;
pub mod exec;
mod extract;
mod function;
mod handlers;
mod layer;
mod notebook;
mod outbox;
mod output;
#[cfg(feature = "http")]
pub mod push;
mod registry;
mod reply;
pub(crate) mod shaped;
mod typed;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};
use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::name::{KindName, Lane};
use leveret_producer::{Accepted, EnqueueError, Enqueuer, Request};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use self::args::Reader;

pub use self::batch::{Batch, BatchAnswer, Batched};
pub use self::error::TaskError;
pub use self::extract::{
    Attempt, Cancel, Checkpoint, Extract, ExtractAll, FromRef, Progress, State, Tags,
};
pub use self::function::Function;
pub use self::handlers::{Handlers, IntoRegistry};
pub use self::layer::{HandlerLayer, Performer};
pub use self::notebook::{MAX_CHECKPOINT, Notebook};
pub use self::registry::{Kind, Registry, RegistryError};
pub use self::reply::{Answer, IntoReply, Reply};
pub use self::shaped::shaped;

/// Largest result that is kept, in bytes of JSON; a larger one is a failure of class `result`.
pub const MAX_RESULT: usize = 64 * 1024;

/// One attempt, as a handler sees it.
#[derive(Debug, Clone)]
pub struct Execution {
    /// The task.
    pub id: TaskId,
    /// What to do.
    pub kind: KindName,
    /// The lane it came from.
    pub lane: Lane,
    /// The args document: JSON.
    pub args: Bytes,
    /// Which attempt this is.
    pub order: Order,
    /// How many attempts there may be: one more with each snooze, as the number of the attempt
    /// counts snoozes too. A rule of the policy may allow another number for an error class.
    pub max_attempts: u32,
    /// Grows with each claim: hand it to outside systems that can refuse an older one.
    pub fence: Fence,
    /// How many workers have died with this task so far.
    pub crashes: u32,
    /// The tags it was enqueued with.
    pub tags: Arc<BTreeMap<String, String>>,
    /// The occurrence that the task is, where a schedule put it in.
    pub occurrence: Option<Occurrence>,
    /// The W3C trace context that it came with: `traceparent`, `tracestate`, `baggage`, those that
    /// are there.
    pub trace: BTreeMap<String, String>,
    /// Tells the handler to stop: its time is over, the task was cancelled, or the worker drains.
    pub cancel: CancellationToken,
    /// What the attempt says of itself, see [`Progress`] and [`Checkpoint`].
    pub notebook: Notebook,
    /// Enqueues on behalf of this attempt, see [`enqueue`](Self::enqueue).
    pub enqueuer: Enqueuer,
}

/// One instant of a schedule: what its task is about, whenever it is performed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// The schedule's name.
    pub schedule: String,
    /// The instant that the schedule names, without its jitter.
    pub due: Millis,
}

impl Occurrence {
    /// Writes the instant as programs and receivers are told it, in UTC.
    fn to_rfc3339(&self) -> String {
        let due = i64::try_from(self.due.0).ok().and_then(DateTime::from_timestamp_millis);
        due.unwrap_or(DateTime::UNIX_EPOCH).to_rfc3339_opts(SecondsFormat::AutoSi, true)
    }
}

impl Execution {
    /// Enqueues a task now, whatever becomes of this attempt: the way for more tasks than go with
    /// a success ([`Reply::follow_up`]), or for those that must not wait for it.
    ///
    /// Unless it is named by key or id, its id derives from this task, the kind, the args and how
    /// many like it were enqueued before: an attempt that is made again enqueues the same tasks.
    ///
    /// # Errors
    /// [`EnqueueError`]: the task is not known to be accepted.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not have been accepted.
    pub async fn enqueue(&self, task: impl Into<Request>) -> Result<Accepted, EnqueueError> {
        self.enqueuer.enqueue(task).await
    }
}

/// Performs a kind of task.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Performs one attempt.
    ///
    /// # Errors
    /// [`TaskError`] says what becomes of the task.
    ///
    /// # Cancel safety
    /// Dropped at the hard time limit and at the end of a drain's grace; what must be cleaned up
    /// then belongs into a `Drop`.
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError>;
}

/// Makes a handler of an async fn that takes the typed args and the [`Execution`], for a [`Registry`]
/// that is put together by hand.
///
/// It answers with anything that can be written as JSON, or with a [`Reply`], which carries
/// follow-ups too. Args that do not fit the type are a failure of class `args`.
///
/// ```
/// use leveret_producer::Request;
/// use leveret_worker::handler::{Execution, Reply, TaskError, from_fn};
///
/// #[derive(serde::Deserialize)]
/// struct Paid { order: u64 }
///
/// let handler = from_fn(|args: Paid, _execution: Execution| async move {
///     let receipt = format!("receipt of order {}", args.order);
///     // Enqueued exactly when this attempt succeeds, and once however often it is made.
///     let mail = Request::new("email.receipt", &receipt).queue("mail");
///     Ok::<_, TaskError>(Reply::new(&receipt)?.follow_up(mail))
/// });
/// ```
pub fn from_fn<F, A, R, Fut>(function: F) -> Arc<dyn Handler>
where
    F: Fn(A, Execution) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    A: DeserializeOwned + Send + 'static,
    R: IntoReply + Send + 'static,
{
    Arc::new(FnHandler { function, types: PhantomData })
}

struct FnHandler<F, A, R> {
    function: F,
    types: PhantomData<fn(A) -> R>,
}

#[async_trait]
impl<F, A, R, Fut> Handler for FnHandler<F, A, R>
where
    F: Fn(A, Execution) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    A: DeserializeOwned + Send + 'static,
    R: IntoReply + Send + 'static,
{
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        let args = Reader::OPEN.read(&execution.args)?;
        (self.function)(args, execution).await?.into_reply()
    }
}

/// The built-in kind `demo.echo`: answers with its args.
#[must_use]
pub fn echo() -> Arc<dyn Handler> {
    from_fn(|args: serde_json::Value, _| async move { Ok(args) })
}
