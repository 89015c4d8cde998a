//! Of what people did to tasks.

use leveret_common::id::TaskId;
use leveret_common::store::{Act, Action};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::name;
use crate::operations::time::text as time;

/// What somebody did to a task.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Act)]
pub(super) struct ActAnswer {
    /// `cancelled`, `replayed`, `discarded` or `replaced`.
    #[schema(value_type = ActionName)]
    action: &'static str,
    /// In which replay.
    replay: u32,
    /// The edited copy, where it was replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::TaskId>)]
    with: Option<TaskId>,
    #[schema(value_type = name::Instant)]
    at: String,
    /// Who.
    by: String,
}

/// What can be done to a task.
#[derive(ToSchema)]
#[schema(as = Action, rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used")]
enum ActionName {
    Cancelled,
    Replayed,
    Discarded,
    Replaced,
}

impl From<&Act> for ActAnswer {
    fn from(act: &Act) -> Self {
        let (action, with) = match act.action {
            Action::Cancelled { .. } => ("cancelled", None),
            Action::Replayed { .. } => ("replayed", None),
            Action::Discarded { .. } => ("discarded", None),
            Action::Replaced { with, .. } => ("replaced", Some(with)),
        };
        let (replay, at) = (act.action.replay(), time(act.at));
        Self { action, replay, with, at, by: act.by.clone() }
    }
}
