//! How a handler says what becomes of a task that it could not complete.

use std::time::Duration;

/// What becomes of a task whose handler did not succeed.
///
/// Any error converts with `?` into a failure of class `error`, retried by the kind's policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskError {
    /// It failed: the kind's retry policy decides.
    Failed {
        /// The error class, which the policy's rules may name.
        class: String,
        /// The message, with its causes.
        message: String,
    },
    /// It failed, and comes again after exactly this wait, attempts permitting.
    RetryIn {
        /// How long to wait.
        after: Duration,
        /// The error class.
        class: String,
        /// The message.
        message: String,
    },
    /// It must not be tried again.
    Dead {
        /// The error class.
        class: String,
        /// The message.
        message: String,
    },
    /// It did not fail; it comes again after this wait, and no attempt is used up.
    Snooze {
        /// How long to wait.
        after: Duration,
    },
}

impl TaskError {
    /// Creates a failure of `class`.
    pub fn failed(class: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failed { class: class.into(), message: message.into() }
    }

    /// Creates a failure that is retried after exactly `after`.
    pub fn retry_in(after: Duration, message: impl Into<String>) -> Self {
        Self::RetryIn { after, class: "error".to_owned(), message: message.into() }
    }

    /// Creates a failure that must not be tried again.
    pub fn dead(message: impl Into<String>) -> Self {
        Self::Dead { class: "error".to_owned(), message: message.into() }
    }

    /// Asks to come again later without having failed.
    #[must_use]
    pub const fn snooze(after: Duration) -> Self {
        Self::Snooze { after }
    }
}

/// `TaskError` is no `std::error::Error` itself, so that this conversion can exist.
impl<E: std::error::Error> From<E> for TaskError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            let text = next.to_string();
            // Many errors repeat their source in their own text.
            if !message.contains(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = next.source();
        }
        Self::failed("error", message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to send")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn a_converted_error_keeps_its_causes() {
        let convert = || -> Result<(), TaskError> {
            Err(Outer(std::io::Error::other("connection refused")))?;
            Ok(())
        };
        let expected = TaskError::failed("error", "failed to send: connection refused");
        assert_eq!(convert(), Err(expected));
    }
}
