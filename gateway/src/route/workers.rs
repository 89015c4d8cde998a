//! The routes of workers: list, show, and what they are asked to do.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use leveret_common::id::Owner;
use leveret_common::store::{Heartbeat, Signal};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::dead::NoOrders;
use super::{Door, Name};
use crate::answer::WorkerAnswer;
use crate::openapi::name;
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};

/// Most slots that a worker can be asked to have, as for `worker.slots`.
pub(crate) const MOST_SLOTS: u32 = 4_096;

/// All workers that are meant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Workers)]
pub(super) struct WorkersAnswer {
    workers: Vec<WorkerAnswer>,
}

/// A worker, or several.
#[derive(ToSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its schema is used")]
enum WorkersShown {
    /// The one that is meant.
    One(Box<WorkerAnswer>),
    /// Those that are meant.
    Several(WorkersAnswer),
}

/// List workers
///
/// Everything that their heartbeats say.
#[utoipa::path(
    get,
    path = "/v1/workers",
    tag = "workers",
    operation_id = "listWorkers",
    responses(
        (status = 200, description = "All living workers", body = WorkersAnswer),
    ),
)]
pub(super) async fn list(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<WorkersAnswer>, Problem> {
    parameters.only(&[])?;
    let workers = door.operations.workers().await?;
    Ok(Json(WorkersAnswer { workers: answers(&door, workers) }))
}

/// Show a worker
///
/// One, or those that are meant by `all` as a list.
#[utoipa::path(
    get,
    path = "/v1/workers/{worker}",
    tag = "workers",
    operation_id = "getWorkers",
    params(
        ("worker" = name::WorkerText, Path, description = "The worker: its `owner`, a beginning of it that no other has, `host:pid`, or `all`"),
    ),
    responses(
        (status = 200, description = "The worker; or a list of workers, where several are meant", body = WorkersShown),
    ),
)]
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

/// Have workers take nothing new
///
/// What runs goes on.
///
/// The signal is left for them and taken within about a second; one that is not taken within a minute is lost.
#[utoipa::path(
    post,
    path = "/v1/workers/{worker}/quiet",
    tag = "workers",
    operation_id = "quietWorkers",
    params(
        ("worker" = name::WorkerText, Path, description = "The worker: its `owner`, a beginning of it that no other has, `host:pid`, or `all`"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (status = 202, description = "They were asked", body = AskedAnswer),
    ),
)]
pub(super) async fn quiet(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    plain(&door, &name, &parameters, &headers, body, Signal::Quiet).await
}

/// Have workers take tasks again
///
/// The signal is left for them and taken within about a second; one that is not taken within a minute is lost.
#[utoipa::path(
    post,
    path = "/v1/workers/{worker}/resume",
    tag = "workers",
    operation_id = "resumeWorkers",
    params(
        ("worker" = name::WorkerText, Path, description = "The worker: its `owner`, a beginning of it that no other has, `host:pid`, or `all`"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (status = 202, description = "They were asked", body = AskedAnswer),
    ),
)]
pub(super) async fn resume(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    plain(&door, &name, &parameters, &headers, body, Signal::Resume).await
}

/// Have workers end
///
/// They drain as at SIGTERM, and end.
///
/// The signal is left for them and taken within about a second; one that is not taken within a minute is lost.
#[utoipa::path(
    post,
    path = "/v1/workers/{worker}/stop",
    tag = "workers",
    operation_id = "stopWorkers",
    params(
        ("worker" = name::WorkerText, Path, description = "The worker: its `owner`, a beginning of it that no other has, `host:pid`, or `all`"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (status = 202, description = "They were asked", body = AskedAnswer),
    ),
)]
pub(super) async fn stop(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    plain(&door, &name, &parameters, &headers, body, Signal::Stop).await
}

/// How many slots a worker is to have.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ResizeWorkers)]
struct ResizeOrders {
    /// How many tasks it runs at once.
    #[schema(value_type = name::Slots, required = true)]
    slots: Option<u32>,
}

/// Have workers run so many tasks at once
///
/// The signal is left for them and taken within about a second; one that is not taken within a minute is lost.
#[utoipa::path(
    post,
    path = "/v1/workers/{worker}/resize",
    tag = "workers",
    operation_id = "resizeWorkers",
    params(
        ("worker" = name::WorkerText, Path, description = "The worker: its `owner`, a beginning of it that no other has, `host:pid`, or `all`"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = ResizeOrders),
    responses(
        (status = 202, description = "They were asked", body = AskedAnswer),
    ),
)]
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

/// The workers that were asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AskedWorkers)]
struct AskedAnswer {
    #[schema(value_type = Vec<name::Owner>)]
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
