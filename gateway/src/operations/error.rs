//! Why an operation was not done: what is known, on what, and how to mend it. No HTTP.

use std::fmt;
use std::time::Duration;

use leveret_beat::timetable::TimetableError;
use leveret_common::broker::{BrokerError, PublishError};
use leveret_common::desk::DeskError;
use leveret_common::filter::FilterError;
use leveret_common::id::TaskId;
use leveret_common::name::QueueName;
use leveret_common::store::{StoreError, TaskState};
use leveret_producer::{EnqueueError, Problem};

/// Tells why an operation was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OperationError {
    /// What was asked for is wrong; nothing was done.
    #[error("{}", told(.0))]
    Invalid(Vec<Problem>),
    /// The filter is wrong; nothing was done.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// Neither ledger nor records know the task.
    #[error(
        "nobody knows task {id}: either it was never accepted, or it is queued and its enqueue \
         was not recorded (records.enqueue is off, or the store was away), or it ended, or has \
         waited in its lane, for longer than tasks are remembered (retention.record, {kept})"
    )]
    UnknownTask {
        /// The task.
        id: TaskId,
        /// How long tasks are remembered.
        kept: String,
    },
    /// There is no such dead letter.
    #[error("there is no dead letter of task {id}: {why}")]
    UnknownLetter {
        /// The task.
        id: TaskId,
        /// What is known instead.
        why: String,
    },
    /// No living worker is called so.
    #[error("no living worker is called {text:?}: {why}")]
    UnknownWorker {
        /// What was asked for.
        text: String,
        /// Who lives.
        why: String,
    },
    /// Nothing was ever enqueued to the queue, and nobody serves it.
    #[error(
        "queue {0} is not known: nothing was enqueued to it, no worker serves it, no configured \
         kind names it, and it holds no dead letters"
    )]
    UnknownQueue(QueueName),
    /// The task's outcome is decided already.
    #[error(
        "it is too late to cancel task {id}: its outcome is decided and is being published; ask \
         for it to see how it ended"
    )]
    TooLate {
        /// The task.
        id: TaskId,
    },
    /// The task is over.
    #[error("task {id} is over already: it is {}", .state.as_str())]
    AlreadyOver {
        /// The task.
        id: TaskId,
        /// How it ended.
        state: TaskState,
    },
    /// A walk was ended before its end, because the process stops.
    #[error("the gateway stops; what was done until then stays done: begin again")]
    Stopped,
    /// A server behind did not answer in time, and nothing was to be changed.
    #[error("failed to {operation}: no answer within {within:?}; try again later")]
    Late {
        /// What was asked.
        operation: &'static str,
        /// How long was waited.
        within: Duration,
    },
    /// A server behind did not say whether it did what it was asked.
    #[error("it is not known whether it worked to {operation}: {why}; look, or do it again")]
    Unconfirmed {
        /// What was asked.
        operation: &'static str,
        /// What came instead of an answer.
        why: String,
    },
    /// The broker cannot be used right now, and was not asked.
    #[error("the broker cannot be used: {0}; nothing was done: try again later")]
    Away(String),
    /// The producer.
    #[error(transparent)]
    Enqueue(#[from] EnqueueError),
    /// A message could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The timetable.
    #[error(transparent)]
    Timetable(Box<TimetableError>),
    /// The desk of dead letters.
    #[error(transparent)]
    Desk(#[from] DeskError),
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TimetableError> for OperationError {
    fn from(error: TimetableError) -> Self {
        match error {
            TimetableError::Store(error) => Self::Store(error),
            other => Self::Timetable(Box::new(other)),
        }
    }
}

impl OperationError {
    /// Says that one field is wrong.
    #[must_use]
    pub fn invalid(field: &str, why: impl fmt::Display) -> Self {
        Self::Invalid(vec![Problem::new(field, why)])
    }

    /// Takes out everything that is wrong with the schedule that was given.
    ///
    /// # Errors
    /// The error itself, where that is not what it tells.
    pub(crate) fn into_flaws(self) -> Result<Vec<Problem>, Self> {
        match self {
            Self::Timetable(error) => match *error {
                TimetableError::Invalid(flaws) => Ok(flaws),
                other => Err(other.into()),
            },
            other => Err(other),
        }
    }
}

fn told(problems: &[Problem]) -> String {
    match problems {
        [Problem { field, why }] => format!("{field}: {why}"),
        many => format!("{} things are wrong with it, listed under errors", many.len()),
    }
}
