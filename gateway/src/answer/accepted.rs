//! Of tasks that were put in.

use leveret_common::id::TaskId;
use leveret_producer::Accepted;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::name;
use crate::operations::time::text as time;
use crate::problem::{self, Problem};

/// A task that was accepted: the broker has it safe.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Accepted)]
pub(crate) struct AcceptedAnswer {
    #[schema(value_type = name::TaskId)]
    id: TaskId,
    #[schema(value_type = name::State)]
    state: &'static str,
    #[schema(value_type = name::QueueName)]
    queue: String,
    #[schema(value_type = name::Class)]
    class: &'static str,
    /// Before when it does not start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    next_at: Option<String>,
    /// Whether the key or id was accepted before; left out where it was not. The answer is about the
    /// first task then.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

impl From<&Accepted> for AcceptedAnswer {
    fn from(accepted: &Accepted) -> Self {
        Self {
            id: accepted.id,
            state: accepted.state.as_str(),
            queue: accepted.lane.queue.to_string(),
            class: accepted.lane.class.as_str(),
            next_at: accepted.not_before.map(time),
            repeated: accepted.repeated,
        }
    }
}

/// What became of one line: the accepted task, or the problem with it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EnqueuedLine)]
pub(crate) struct LineAnswer {
    /// Which line it was, from 1.
    #[schema(minimum = 1)]
    pub(crate) line: usize,
    #[serde(flatten)]
    pub(crate) accepted: Option<AcceptedAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<problem::Document>)]
    pub(crate) error: Option<Problem>,
}
