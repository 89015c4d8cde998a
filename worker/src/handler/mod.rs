//! Handlers: the code that performs a kind.
//!
//! [`Handler`] is the one trait; an async fn becomes a handler through [`from_fn`], a program
//! through [`exec`]. What a handler's answer means for the task is decided in [`crate::execute`].

mod error;
pub mod exec;
mod registry;

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use leveret_common::envelope::Order;
use leveret_common::id::{Fence, TaskId};
use leveret_common::ledger::FollowUp;
use leveret_common::name::{KindName, Lane};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

pub use self::error::TaskError;
pub use self::registry::{Kind, Registry, RegistryError};

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
    /// How many attempts there may be.
    pub max_attempts: u32,
    /// Grows with each claim: hand it to outside systems that can refuse an older one.
    pub fence: Fence,
    /// How many workers have died with this task so far.
    pub crashes: u32,
    /// Tells the handler to stop: its time is over, or the worker drains.
    pub cancel: CancellationToken,
}

/// What a handler answers when it succeeds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reply {
    /// The result: JSON text, at most [`MAX_RESULT`] bytes; absent and `null` are the same.
    pub result: Option<String>,
    /// Tasks to enqueue exactly once as part of this success.
    pub follow_ups: Vec<FollowUp>,
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
/// Args that do not fit the type are a failure of class `args`.
pub fn from_fn<F, A, R, Fut>(function: F) -> Arc<dyn Handler>
where
    F: Fn(A, Execution) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, TaskError>> + Send + 'static,
    A: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
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
    R: Serialize + Send + 'static,
{
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        let args = serde_json::from_slice(&execution.args)
            .map_err(|error| TaskError::failed("args", format!("the args do not fit: {error}")))?;
        let value = (self.function)(args, execution).await?;
        let json = serde_json::to_string(&value)
            .map_err(|error| TaskError::failed("result", format!("no JSON of it: {error}")))?;
        Ok(Reply { result: (json != "null").then_some(json), follow_ups: Vec::new() })
    }
}

/// The built-in kind `demo.echo`: answers with its args.
#[must_use]
pub fn echo() -> Arc<dyn Handler> {
    from_fn(|args: serde_json::Value, _| async move { Ok(args) })
}
