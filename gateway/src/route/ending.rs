//! The routes of a task's end: cancel it, explain where it is.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use leveret_common::clock::Millis;
use leveret_common::id::{Owner, TaskId};
use leveret_common::store::TaskState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tasks::wait_for;
use super::{Door, Name};
use crate::openapi::name;
use crate::operations::explain::Explanation;
use crate::operations::{Cancelled, OperationError, time};
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders};

/// How to cancel.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = CancelTask)]
struct CancelOrders {
    /// Also an id that nobody knows.
    force: bool,
}

/// What became of a cancel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cancelled)]
struct CancelAnswer {
    #[schema(value_type = name::TaskId)]
    id: TaskId,
    /// `cancelled`, or `cancelling` where it runs.
    state: &'static str,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Owner>)]
    worker: Option<Owner>,
    /// How long it holds, where nobody knew the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    until: Option<String>,
}

/// Cancel a task
///
/// A task that waits will not run. The handler of one that runs is told within about a second, and the task ends as
/// cancelled unless it succeeds first. A wipe of the store forgets a cancel.
#[utoipa::path(
    post,
    path = "/v1/tasks/{id}/cancel",
    tag = "tasks",
    operation_id = "cancelTask",
    params(
        ("id" = name::SendersId, Path, description = "The task: its id, or what its sender calls it"),
        ("force" = Option<bool>, Query, description = "Also an id that nobody knows: its message may still come"),
        ("wait" = Option<name::Wait>, Query, description = "How long to wait for the end of the task: at most 60 s"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<CancelOrders>),
    responses(
        (status = 200, description = "Recorded: whatever message of it comes, it will not run", body = CancelAnswer),
        (status = 202, description = "It runs, and its worker was told", body = CancelAnswer),
    ),
)]
pub(super) async fn cancel(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&["force", "wait"])?;
    let wait = super::tasks::wait(&parameters)?;
    let by = actor(&headers)?;
    let orders: CancelOrders = orders(&door, &headers, body, 0).await?;
    let force = orders.force || parameters.switch("force")?;
    let cancelled = |id, until: Option<Millis>| {
        let until = until.map(time::text);
        Json(CancelAnswer { id, state: "cancelled", worker: None, until }).into_response()
    };
    let (id, worker) = match door.operations.cancel(&name, force, &by).await? {
        Cancelled::Recorded { id, until } => return Ok(cancelled(id, until)),
        Cancelled::Asked { id, worker } => (id, worker),
    };
    if wait > Duration::ZERO {
        match wait_for(&door, &name, wait).await?.state {
            TaskState::Cancelled => return Ok(cancelled(id, None)),
            state if state.is_final() => {
                return Err(OperationError::AlreadyOver { id, state }.into());
            }
            _ => {}
        }
    }
    let asked = CancelAnswer { id, state: "cancelling", worker: Some(worker), until: None };
    Ok((StatusCode::ACCEPTED, Json(asked)).into_response())
}

/// Explain where a task is
///
/// Where it is, why it does not run, and what to do about it. Every id is explained, known or not; a broker that is away
/// is part of the answer.
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}/explain",
    tag = "tasks",
    operation_id = "explainTask",
    params(
        ("id" = name::SendersId, Path, description = "The task: its id, or what its sender calls it"),
    ),
    responses(
        (status = 200, description = "Where the task is, and why", body = Explanation),
    ),
)]
pub(super) async fn explain(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<Explanation>, Problem> {
    parameters.only(&[])?;
    Ok(Json(door.operations.explain(&name).await?))
}
