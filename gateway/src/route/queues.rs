//! The routes of queues: list, show, pause, resume.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use leveret_common::name::QueueName;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::dead::NoOrders;
use super::{Door, Name};
use crate::answer::{PauseAnswer, QueueAnswer};
use crate::openapi::name;
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};

/// Longest reason of a pause, in bytes.
pub(crate) const MAX_WHY: usize = 1_024;

/// All queues.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queues)]
pub(super) struct QueuesAnswer {
    queues: Vec<QueueAnswer>,
}

/// List queues
///
/// Those that something was enqueued to, that a worker serves, that a configured kind names, whose dead letters are
/// listed, or that are paused.
#[utoipa::path(
    get,
    path = "/v1/queues",
    tag = "queues",
    operation_id = "listQueues",
    responses(
        (status = 200, description = "All queues", body = QueuesAnswer),
    ),
)]
pub(super) async fn list(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<QueuesAnswer>, Problem> {
    parameters.only(&[])?;
    let queues = door.operations.queues().await?.into_iter().map(QueueAnswer::from).collect();
    Ok(Json(QueuesAnswer { queues }))
}

/// Show a queue
///
/// With a lane for each class.
#[utoipa::path(
    get,
    path = "/v1/queues/{queue}",
    tag = "queues",
    operation_id = "getQueue",
    params(
        ("queue" = name::QueueName, Path, description = "The queue"),
    ),
    responses(
        (status = 200, description = "The queue", body = QueueAnswer),
    ),
)]
pub(super) async fn show(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<QueueAnswer>, Problem> {
    parameters.only(&[])?;
    Ok(Json(door.operations.queue(&queue(&name)?).await?.into()))
}

/// Why to pause.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = PauseReason)]
pub(super) struct PauseOrders {
    /// In one line.
    #[schema(value_type = Option<name::Why>)]
    why: Option<String>,
}

/// What is said of a queue that was paused or resumed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PausedQueue)]
pub(super) struct PausedAnswer {
    #[schema(value_type = name::QueueName)]
    queue: QueueName,
    /// Who paused it; `null` where nobody did.
    #[schema(required = true)]
    paused: Option<PauseAnswer>,
    /// Whether it was paused before it was resumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    was_paused: Option<bool>,
}

/// Pause a queue
///
/// For the whole fleet, workers that start later included, until somebody resumes it or the store is wiped. What runs goes
/// on. The first pause stays.
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/pause",
    tag = "queues",
    operation_id = "pauseQueue",
    params(
        ("queue" = name::QueueName, Path, description = "The queue"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<PauseOrders>),
    responses(
        (status = 200, description = "It is paused", body = PausedAnswer),
    ),
)]
pub(super) async fn pause(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PausedAnswer>, Problem> {
    parameters.only(&[])?;
    let (queue, by) = (queue(&name)?, actor(&headers)?);
    let why = why(&door, &headers, body).await?;
    let pause = door.operations.pause(&queue, &by, why).await?;
    Ok(Json(PausedAnswer { queue, paused: Some(PauseAnswer::from(&pause)), was_paused: None }))
}

/// Reads why something is paused.
pub(super) async fn why(
    door: &Door,
    headers: &HeaderMap,
    body: Body,
) -> Result<Option<String>, Problem> {
    let PauseOrders { why } = orders(door, headers, body, 0).await?;
    let why = why.filter(|why| !why.is_empty());
    let is_wrong = |why: &String| why.len() > MAX_WHY || why.chars().any(char::is_control);
    if why.as_ref().is_some_and(is_wrong) {
        return Err(wrong("why", format!("write one line of at most {MAX_WHY} bytes")));
    }
    Ok(why)
}

/// Resume a queue
#[utoipa::path(
    post,
    path = "/v1/queues/{queue}/resume",
    tag = "queues",
    operation_id = "resumeQueue",
    params(
        ("queue" = name::QueueName, Path, description = "The queue"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (status = 200, description = "It is not paused", body = PausedAnswer),
    ),
)]
pub(super) async fn resume(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PausedAnswer>, Problem> {
    parameters.only(&[])?;
    let (queue, by) = (queue(&name)?, actor(&headers)?);
    let NoOrders {} = orders(&door, &headers, body, 0).await?;
    let was_paused = door.operations.resume(&queue).await?;
    tracing::info!(queue = %queue, by, was_paused, "queue resumed");
    Ok(Json(PausedAnswer { queue, paused: None, was_paused: Some(was_paused) }))
}

fn queue(name: &str) -> Result<QueueName, Problem> {
    name.parse().map_err(|error| wrong("queue", error))
}
