//! What can go wrong between a request and its confirmation.
//!
//! Guards that a repetition is safe: every error that leaves the task's fate open carries the id
//! under which it was tried.

use std::fmt;

use leveret_common::broker::PublishError;
use leveret_common::id::TaskId;

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The field, as it is called in the HTTP body.
    pub field: String,
    /// What is wrong with it and how to mend it.
    pub why: String,
}

impl Problem {
    /// Creates a problem.
    #[must_use]
    pub fn new(field: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { field: field.into(), why: why.to_string() }
    }
}

/// Everything that is wrong with one request; at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, Problem { field, why }) in self.0.iter().enumerate() {
            let gap = if place == 0 { "" } else { "; " };
            write!(f, "{gap}{field}: {why}")?;
        }
        Ok(())
    }
}

/// Tells why a task is not known to be accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The request is wrong; nothing was sent.
    #[error("failed to enqueue: {0}")]
    Invalid(Problems),
    /// The args are over the limit; nothing was sent.
    #[error(
        "failed to enqueue: the args have {size} bytes; the limit is {limit} (limits.payload): \
         store them elsewhere and send a reference"
    )]
    TooLarge {
        /// Bytes of the args.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The key, or the id, belongs to an accepted task with another kind or other args; nothing
    /// was sent.
    #[error(
        "failed to enqueue: the {by} was used before, for task {id} with another kind or other \
         args; use a new {by}, or send exactly what was sent first"
    )]
    KeyConflict {
        /// The task that has it.
        id: TaskId,
        /// `key` or `id`.
        by: &'static str,
    },
    /// The broker did not confirm it. Repeating the request with this id is always safe.
    #[error("failed to enqueue task {id}: {source}")]
    Publish {
        /// The id under which it was tried.
        id: TaskId,
        /// What the broker said.
        #[source]
        source: PublishError,
    },
}

impl EnqueueError {
    /// Tells whether the same request may succeed later. Repeat it with the id of
    /// [`EnqueueError::Publish`], so that it cannot be doubled.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Publish { source, .. } => source.retryable(),
            Self::Invalid(_) | Self::TooLarge { .. } | Self::KeyConflict { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_what_the_broker_may_still_take_is_retryable() {
        let publish = |source| EnqueueError::Publish { id: TaskId::mint(), source };
        let unknown = PublishError::Unknown { within: Duration::from_secs(1), why: "x".into() };
        assert!(publish(unknown).retryable());
        assert!(publish(PublishError::Blocked("memory".into())).retryable());
        assert!(!publish(PublishError::Unroutable("mail.high".into())).retryable());
        assert!(!EnqueueError::TooLarge { size: 2, limit: 1 }.retryable());
    }

    #[test]
    fn all_problems_are_told_in_one_sentence() {
        let problems = Problems(vec![Problem::new("kind", "is empty"), Problem::new("at", "no")]);
        let error = EnqueueError::Invalid(problems);
        assert_eq!(error.to_string(), "failed to enqueue: kind: is empty; at: no");
    }
}
