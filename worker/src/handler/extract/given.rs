//! What each attempt has to offer a handler.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use leveret_common::id::{Fence, TaskId};
use leveret_common::name::KindName;
use leveret_producer::Enqueuer;
use tokio_util::sync::CancellationToken;

use super::Extract;
use crate::handler::{Batched, Execution, Occurrence, TaskError};

/// Which attempt this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Its number; 1 is the first. A snooze counts as one, and adds one to `max`.
    pub number: u32,
    /// How many attempts there may be, as far as no rule of the policy or word of the handler decides
    /// otherwise.
    pub max: u32,
    /// How often an operator has given the task a fresh start.
    pub replay: u32,
}

impl Attempt {
    /// Tells whether a failure of this attempt is the end of the task.
    #[must_use]
    pub const fn is_last(self) -> bool {
        self.number >= self.max
    }
}

/// The tags of the task.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags(pub Arc<BTreeMap<String, String>>);

impl Deref for Tags {
    type Target = BTreeMap<String, String>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// Asks the handler to stop: its time is over, somebody cancelled the task, or the worker drains.
///
/// A handler that stops then may answer as it likes; a success still counts. After a grace it is
/// dropped: [`soft_grace`](crate::Config::soft_grace) after its time limit or a cancel,
/// [`grace`](crate::Config::grace) after a drain began.
///
/// # Examples
/// ```
/// use leveret_worker::TaskError;
/// use leveret_worker::handler::Cancel;
///
/// async fn shrink(pictures: Vec<String>, cancel: Cancel) -> Result<usize, TaskError> {
///     for (done, _picture) in pictures.iter().enumerate() {
///         if cancel.is_asked() {
///             return Err(TaskError::failed("interrupted", format!("after {done} pictures")));
///         }
///         // … one picture …
///     }
///     Ok(pictures.len())
/// }
/// # drop(leveret_worker::Handlers::new().handle_as("pictures.shrink", shrink));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Cancel(pub CancellationToken);

impl Cancel {
    /// Tells whether it is asked to stop. For handlers that block, between two pieces of work.
    #[must_use]
    pub fn is_asked(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is asked to stop.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost.
    pub async fn asked(&self) {
        self.0.cancelled().await;
    }
}

/// Writes an extractor of what each execution has.
macro_rules! given {
    ($($(#[$doc:meta])* $name:ty, |$execution:ident| $given:expr;)*) => {$(
        $(#[$doc])*
        impl<S: Sync> Extract<S> for $name {
            async fn extract($execution: &Execution, _: &S) -> Result<Self, TaskError> {
                Ok($given)
            }
        }
    )*};
}

given! {
    Attempt, |execution| Self {
        number: execution.order.attempt,
        max: execution.max_attempts,
        replay: execution.order.replay,
    };
    TaskId, |execution| execution.id;
    /// The name that the task carries, which may be an alias.
    KindName, |execution| execution.kind.clone();
    Tags, |execution| Self(Arc::clone(&execution.tags));
    Cancel, |execution| Self(execution.cancel.clone());
    Fence, |execution| execution.fence;
    /// Enqueues on behalf of the attempt.
    Enqueuer, |execution| execution.enqueuer.clone();
    Option<Occurrence>, |execution| execution.occurrence.clone();
    /// All of it.
    Execution, |execution| execution.clone();
}

impl<S: Sync> Extract<S, Batched> for Batched {
    async fn extract(batch: &Batched, _: &S) -> Result<Self, TaskError> {
        Ok(batch.clone())
    }
}

/// Asks once nobody waits for the batch's answer any more, or all of its tasks are asked to stop.
impl<S: Sync> Extract<S, Batched> for Cancel {
    async fn extract(batch: &Batched, _: &S) -> Result<Self, TaskError> {
        Ok(batch.cancel.clone())
    }
}
