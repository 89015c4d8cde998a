//! The routes of workers: list, show, and what they are asked to do.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use leveret_common::id::Owner;
use leveret_common::store::{Heartbeat, Signal};
use serde::{Deserialize, Serialize};

use super::dead::NoOrders;
use super::{Door, Name};
use crate::answer::WorkerAnswer;
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};

/// Most slots that a worker can be asked to have, as for `worker.slots`.
const MOST_SLOTS: u32 = 4_096;

#[derive(Debug, Serialize)]
pub(super) struct WorkersAnswer {
    workers: Vec<WorkerAnswer>,
}

/// `GET /v1/workers`.
pub(super) async fn list(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<WorkersAnswer>, Problem> {
    parameters.only(&[])?;
    let workers = door.operations.workers().await?;
    Ok(Json(WorkersAnswer { workers: answers(&door, workers) }))
}

/// `GET /v1/workers/{worker}`: one, or those of `all` as a list.
pub(super) async fn show(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let workers = door.operations.workers_called(&name).await?;
    let mut workers = answers(&door, workers);
    match workers.pop() {
        Some(worker) if workers.is_empty() && name != "all" => Ok(Json(worker).into_response()),
        last => {
            workers.extend(last);
            Ok(Json(WorkersAnswer { workers }).into_response())
        }
    }
}

fn answers(door: &Door, workers: Vec<Heartbeat>) -> Vec<WorkerAnswer> {
    let answer = |worker: Heartbeat| {
        let age = door.operations.age_of(&worker);
        WorkerAnswer::new(worker, age)
    };
    workers.into_iter().map(answer).collect()
}

/// `POST /v1/workers/{worker}/quiet`.
pub(super) async fn quiet(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    plain(&door, &name, &parameters, &headers, body, Signal::Quiet).await
}

/// `POST /v1/workers/{worker}/resume`.
pub(super) async fn resume(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    plain(&door, &name, &parameters, &headers, body, Signal::Resume).await
}

/// `POST /v1/workers/{worker}/stop`.
pub(super) async fn stop(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    plain(&door, &name, &parameters, &headers, body, Signal::Stop).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ResizeOrders {
    slots: Option<u32>,
}

/// `POST /v1/workers/{worker}/resize`.
pub(super) async fn resize(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let ResizeOrders { slots } = orders(&door, &headers, body, 0).await?;
    match slots {
        Some(slots @ 1..=MOST_SLOTS) => ask(&door, &name, &headers, Signal::Resize { slots }).await,
        _ => Err(wrong("slots", format!("write a whole number within 1 and {MOST_SLOTS}"))),
    }
}

async fn plain(
    door: &Door,
    name: &str,
    parameters: &Parameters,
    headers: &HeaderMap,
    body: Body,
    signal: Signal,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let NoOrders {} = orders(door, headers, body, 0).await?;
    ask(door, name, headers, signal).await
}

#[derive(Debug, Serialize)]
struct AskedAnswer {
    workers: Vec<Owner>,
}

async fn ask(
    door: &Door,
    name: &str,
    headers: &HeaderMap,
    signal: Signal,
) -> Result<Response, Problem> {
    let by = actor(headers)?;
    let workers = door.operations.ask_workers(name, signal.clone()).await?;
    tracing::info!(by, ?signal, count = workers.len(), "workers were asked");
    Ok((StatusCode::ACCEPTED, Json(AskedAnswer { workers })).into_response())
}
