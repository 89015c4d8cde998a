//! Handlers: the code that performs a kind.
//!
//! [`Handler`] is the one trait; an async fn becomes a handler through [`from_fn`], a program
//! through [`exec`]. What a handler's answer means for the task is decided in [`crate::execute`].

mod error;
pub mod exec;
mod outbox;
mod registry;
mod reply;

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::name::{KindName, Lane};
use leveret_producer::{Accepted, EnqueueError, Enqueuer, Request};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

pub use self::error::TaskError;
pub use self::registry::{Kind, Registry, RegistryError};
pub use self::reply::{IntoReply, Reply};

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
    /// The occurrence that the task is, where a schedule put it in.
    pub occurrence: Option<Occurrence>,
    /// Tells the handler to stop: its time is over, the task was cancelled, or the worker drains.
    pub cancel: CancellationToken,
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
    pub async fn enqueue(&self, request: Request) -> Result<Accepted, EnqueueError> {
        self.enqueuer.enqueue(request).await
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

/// Makes a handler of an async fn that takes the typed args and the [`Execution`].
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
        let args = serde_json::from_slice(&execution.args)
            .map_err(|error| TaskError::failed("args", format!("the args do not fit: {error}")))?;
        (self.function)(args, execution).await?.into_reply()
    }
}

/// The built-in kind `demo.echo`: answers with its args.
#[must_use]
pub fn echo() -> Arc<dyn Handler> {
    from_fn(|args: serde_json::Value, _| async move { Ok(args) })
}
