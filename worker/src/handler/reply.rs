//! What a handler answers when it succeeds: a result, and tasks that follow from it.

use leveret_producer::Request;
use serde::Serialize;

use super::TaskError;

/// What a handler answers when it succeeds.
///
/// Its follow-ups are enqueued if, and only if, this success is recorded, and once however often
/// the task is run: they are part of the outcome. At most 100 with 1 MiB of args together go with
/// one success; [`Execution::enqueue`](super::Execution::enqueue) takes any number. The example of
/// [`from_fn`](super::from_fn) has one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// The result: JSON text, at most [`MAX_RESULT`](super::MAX_RESULT) bytes; absent and `null`
    /// are the same.
    pub result: Option<String>,
    /// Tasks to enqueue as part of this success.
    pub follow_ups: Vec<Request>,
}

impl Reply {
    /// Creates a reply with `result` written as JSON; [`Reply::default`] has none.
    ///
    /// # Errors
    /// A failure of class `result`, where `result` cannot be written as JSON.
    pub fn new(result: &(impl Serialize + ?Sized)) -> Result<Self, TaskError> {
        let json = serde_json::to_string(result)
            .map_err(|error| TaskError::failed("result", format!("no JSON of it: {error}")))?;
        Ok(Self { result: (json != "null").then_some(json), follow_ups: Vec::new() })
    }

    /// Adds a task to enqueue as part of this success. What an enqueue would refuse is a failure
    /// of class `follow-ups`, and none of them is enqueued then.
    ///
    /// Unless it is named by key or id, its id derives from the parent, the kind, the args and how
    /// many like it there are before it; so two alike are two tasks, and the same reply given again
    /// is the same tasks. A delay counts from the end of the attempt.
    #[must_use]
    pub fn follow_up(mut self, task: impl Into<Request>) -> Self {
        self.follow_ups.push(task.into());
        self
    }
}

/// What a handler may succeed with: anything that can be written as JSON, or a [`Reply`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a task",
    label = "neither `Serialize` nor a `Reply`",
    note = "a result is anything that can be written as JSON, `()` where there is none, or a `Reply`, which carries follow-ups too"
)]
pub trait IntoReply {
    /// Makes the reply.
    ///
    /// # Errors
    /// A failure of class `result`, where there is no JSON of it.
    fn into_reply(self) -> Result<Reply, TaskError>;
}

impl<T: Serialize> IntoReply for T {
    fn into_reply(self) -> Result<Reply, TaskError> {
        Reply::new(&self)
    }
}

impl IntoReply for Reply {
    fn into_reply(self) -> Result<Reply, TaskError> {
        Ok(self)
    }
}

/// What a handler may answer with: a `Result` of a reply or of what became of the task instead.
#[diagnostic::on_unimplemented(
    message = "a handler answers with a `Result`, and not with `{Self}`",
    label = "no `Result<impl IntoReply, impl Into<TaskError>>`",
    note = "a handler that cannot fail answers with `Ok::<_, TaskError>(…)`"
)]
pub trait Answer {
    /// Makes the answer.
    ///
    /// # Errors
    /// What the handler said, or a failure of class `result`, where there is no JSON of its success.
    fn into_answer(self) -> Result<Reply, TaskError>;
}

impl<R: IntoReply, E: Into<TaskError>> Answer for Result<R, E> {
    fn into_answer(self) -> Result<Reply, TaskError> {
        self.map_err(Into::into)?.into_reply()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_a_result_and_a_unit_is_none() {
        assert_eq!(7.into_reply().unwrap().result.as_deref(), Some("7"));
        assert_eq!(().into_reply().unwrap(), Reply::default());
    }

    #[test]
    fn a_reply_carries_its_follow_ups_in_order() {
        let (first, second) = (Request::new("a", &1), Request::new("b", &2));
        let reply = Reply::default().follow_up(first.clone()).follow_up(second.clone());
        assert_eq!(reply.into_reply().unwrap().follow_ups, [first, second]);
    }

    #[test]
    fn what_json_cannot_hold_is_a_failure_that_says_so() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let failed = map.into_reply().unwrap_err();
        assert!(matches!(failed, TaskError::Failed { class, .. } if class == "result"));
    }
}
