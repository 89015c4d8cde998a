//! The routes of queues: list, show, pause, resume.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use leveret_common::name::QueueName;
use serde::{Deserialize, Serialize};

use super::dead::NoOrders;
use super::{Door, Name};
use crate::answer::{PauseAnswer, QueueAnswer};
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};

/// Longest reason of a pause, in bytes.
const MAX_WHY: usize = 1_024;

#[derive(Debug, Serialize)]
pub(super) struct QueuesAnswer {
    queues: Vec<QueueAnswer>,
}

/// `GET /v1/queues`.
pub(super) async fn list(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<QueuesAnswer>, Problem> {
    parameters.only(&[])?;
    let queues = door.operations.queues().await?.into_iter().map(QueueAnswer::from).collect();
    Ok(Json(QueuesAnswer { queues }))
}

/// `GET /v1/queues/{queue}`.
pub(super) async fn show(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<QueueAnswer>, Problem> {
    parameters.only(&[])?;
    Ok(Json(door.operations.queue(&queue(&name)?).await?.into()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PauseOrders {
    why: Option<String>,
}

/// What is said of a queue that was paused or resumed.
#[derive(Debug, Serialize)]
pub(super) struct PausedAnswer {
    queue: QueueName,
    paused: Option<PauseAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    was_paused: Option<bool>,
}

/// `POST /v1/queues/{queue}/pause`.
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

/// `POST /v1/queues/{queue}/resume`.
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
