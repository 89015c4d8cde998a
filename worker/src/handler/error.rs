//! How a handler says what becomes of a task that it could not complete.

use std::any::Any;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use leveret_common::duration;

/// What becomes of a task whose handler did not succeed.
///
/// Any error converts with `?` into a failure of class `error`, retried by the kind's policy.
///
/// # Examples
/// ```
/// use anyhow::Context;
/// use leveret_worker::TaskError;
///
/// fn parse(text: &str) -> anyhow::Result<u64> {
///     // It will not become a number by being tried again.
///     text.parse().with_context(|| TaskError::dead(format!("{text:?} is no number")))
/// }
///
/// fn double(text: &str) -> Result<u64, TaskError> {
///     Ok(parse(text)? * 2)
/// }
///
/// assert!(matches!(double("seven"), Err(TaskError::Dead { .. })));
/// ```
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

    /// Creates a failure of class `error` that is retried after exactly `after`, attempts permitting.
    pub fn retry_in(after: Duration, message: impl Into<String>) -> Self {
        Self::RetryIn { after, class: "error".to_owned(), message: message.into() }
    }

    /// Creates a failure of class `error` that must not be tried again: the task is a dead letter, whatever
    /// its policy says.
    pub fn dead(message: impl Into<String>) -> Self {
        Self::Dead { class: "error".to_owned(), message: message.into() }
    }

    /// Sets the error class, which the policy's rules may name; a snooze has none.
    #[must_use]
    pub fn of_class(mut self, name: impl Into<String>) -> Self {
        match &mut self {
            Self::Failed { class, .. } | Self::RetryIn { class, .. } | Self::Dead { class, .. } => {
                *class = name.into();
            }
            Self::Snooze { .. } => {}
        }
        self
    }

    /// Asks to come again later without having failed.
    #[must_use]
    pub const fn snooze(after: Duration) -> Self {
        Self::Snooze { after }
    }
}

impl fmt::Display for TaskError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { message, .. }
            | Self::RetryIn { message, .. }
            | Self::Dead { message, .. } => to.write_str(message),
            Self::Snooze { after } => {
                write!(to, "it comes again after {}", duration::format(*after))
            }
        }
    }
}

/// `TaskError` is no `std::error::Error` itself, so that this conversion can exist: `?` takes
/// whatever can be boxed as an error, which includes `anyhow::Error` and text.
///
/// A `TaskError` that went through `anyhow`, with whatever context, is itself again: its class and
/// what it asks for stay, and its message gains the context.
impl<E> From<E> for TaskError
where
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    fn from(error: E) -> Self {
        // Looked at before it is boxed: the box would not tell any more what is inside.
        match (&error as &dyn Any).downcast_ref::<anyhow::Error>() {
            Some(error) => of_anyhow(error),
            None => Self::failed("error", with_causes(&*error.into())),
        }
    }
}

/// For `?` in functions that answer with `anyhow::Result`.
impl From<TaskError> for anyhow::Error {
    fn from(error: TaskError) -> Self {
        Self::msg(error)
    }
}

fn of_anyhow(error: &anyhow::Error) -> TaskError {
    let message = with_causes(error.as_ref());
    match error.downcast_ref::<TaskError>().cloned() {
        None => TaskError::failed("error", message),
        Some(TaskError::Failed { class, .. }) => TaskError::Failed { class, message },
        Some(TaskError::RetryIn { after, class, .. }) => {
            TaskError::RetryIn { after, class, message }
        }
        Some(TaskError::Dead { class, .. }) => TaskError::Dead { class, message },
        Some(TaskError::Snooze { after }) => TaskError::Snooze { after },
    }
}

fn with_causes(error: &(dyn Error + 'static)) -> String {
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
    message
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to send")]
    struct Outer(#[source] std::io::Error);

    fn refused() -> Outer {
        Outer(std::io::Error::other("connection refused"))
    }

    #[test]
    fn a_converted_error_keeps_its_causes() {
        let convert = || -> Result<(), TaskError> { Err(refused())? };
        let expected = TaskError::failed("error", "failed to send: connection refused");
        assert_eq!(convert(), Err(expected));
    }

    #[test]
    fn text_and_anyhow_convert_like_any_error() {
        let text = || -> Result<(), TaskError> { Err("no address")? };
        assert_eq!(text(), Err(TaskError::failed("error", "no address")));
        let anyhow = || -> Result<(), TaskError> {
            Err::<(), _>(refused()).context("welcome of user 7")?;
            Ok(())
        };
        let expected = "welcome of user 7: failed to send: connection refused";
        assert_eq!(anyhow(), Err(TaskError::failed("error", expected)));
    }

    #[test]
    fn a_task_error_is_itself_again_after_a_trip_through_anyhow() {
        let wait = Duration::from_secs(5);
        let trip = |error: TaskError| -> TaskError {
            let inner = || -> anyhow::Result<()> { Err(error.clone())? };
            inner().context("order 7").context("receipts").unwrap_err().into()
        };
        let dead = TaskError::dead("no address").of_class("bad-address");
        let expected = TaskError::dead("receipts: order 7: no address").of_class("bad-address");
        assert_eq!(trip(dead), expected);
        let expected = TaskError::retry_in(wait, "receipts: order 7: busy");
        assert_eq!(trip(TaskError::retry_in(wait, "busy")), expected);
        let expected = TaskError::failed("refused", "receipts: order 7: 550");
        assert_eq!(trip(TaskError::failed("refused", "550")), expected);
        assert_eq!(trip(TaskError::snooze(wait)), TaskError::snooze(wait));
    }

    #[test]
    fn a_task_error_can_be_the_context_of_another_error() {
        let error = Err::<(), _>(refused()).context(TaskError::dead("no such host")).unwrap_err();
        let expected = TaskError::dead("no such host: failed to send: connection refused");
        assert_eq!(TaskError::from(error), expected);
    }

    #[test]
    fn a_snooze_has_no_class() {
        let snooze = TaskError::snooze(Duration::from_secs(90));
        assert_eq!(snooze.to_string(), "it comes again after 90s");
        assert_eq!(snooze.clone().of_class("x"), snooze);
    }
}
