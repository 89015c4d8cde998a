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

use super::tasks::wait_for;
use super::{Door, Name};
use crate::operations::explain::Explanation;
use crate::operations::{Cancelled, OperationError, time};
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CancelOrders {
    /// Also an id that nobody knows.
    force: bool,
}

/// What is said of a cancel.
#[derive(Debug, Serialize)]
struct CancelAnswer {
    id: TaskId,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<Owner>,
    /// How long it holds, where nobody knew the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// `POST /v1/tasks/{id}/cancel`.
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

/// `GET /v1/tasks/{id}/explain`.
pub(super) async fn explain(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<Explanation>, Problem> {
    parameters.only(&[])?;
    Ok(Json(door.operations.explain(&name).await?))
}
