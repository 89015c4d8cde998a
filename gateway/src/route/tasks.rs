//! The routes of tasks: put one or many in, ask for one.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leveret_common::duration;
use leveret_common::store::TaskView;
use leveret_producer::{Problem as FieldProblem, Submission};

use super::batch::{self, BESIDE_ARGS};
use super::{Door, Name};
use crate::answer::{AcceptedAnswer, LineAnswer, TaskAnswer};
use crate::body;
use crate::media::{self, Media};
use crate::openapi::name;
use crate::openapi::written::NewTask;
use crate::problem::{Problem, Sort};
use crate::request::{Parameters, wrong};

const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The longest wait that `?wait=` can ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);
/// What is left of a request's time for everything but the wait; at most half of it.
const TIME_TO_ANSWER: Duration = Duration::from_secs(5);

/// Put tasks in
///
/// Success means that the broker has the task safe. Where it is not known whether it has (`unconfirmed`), repeat the
/// request with the same id or key: it is one task.
///
/// With `application/x-ndjson`, one task a line, at most `gateway.max_batch` (10,000): a result line comes for each, in
/// order and as they are done. A bad line stops no other.
#[utoipa::path(
    post,
    path = "/v1/tasks",
    tag = "tasks",
    operation_id = "enqueueTasks",
    params(
        ("Idempotency-Key" = Option<name::HeaderKey>, Header, description = "The same as `key`; for one task only"),
    ),
    request_body(
        description = "A task, or one a line",
        content((NewTask = "application/json"), (NewTask = "application/x-ndjson")),
    ),
    responses(
        (
            status = 200,
            description = "The key or id was accepted before, and the answer is about the first task; or, for lines, \
                           what became of each",
            content((AcceptedAnswer = "application/json"), (LineAnswer = "application/x-ndjson")),
            headers(("Location" = String, description = "Where to ask for the task")),
        ),
        (
            status = 202,
            description = "The task was accepted",
            body = AcceptedAnswer,
            headers(("Location" = String, description = "Where to ask for the task")),
        ),
    ),
)]
pub(super) async fn put_in(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let media = media::read(&headers)?;
    let key = key(&headers)?;
    match media {
        Media::Json => put_one_in(&door, &headers, body, key).await,
        Media::Lines if key.is_some() => {
            let why = "it stands for one task; in a batch give each line its own \"key\"";
            let flaw = FieldProblem::new("Idempotency-Key", why);
            Err(Problem::invalid(Sort::INVALID_REQUEST, vec![flaw]))
        }
        Media::Lines => Ok(batch::respond(&door, &headers, body).await),
    }
}

async fn put_one_in(
    door: &Door,
    headers: &HeaderMap,
    body: Body,
    key: Option<&str>,
) -> Result<Response, Problem> {
    let limit = door.config.max_body.min(door.operations.payload_limit() + BESIDE_ARGS);
    let json = body::whole(headers, body, limit, door.config.idle_timeout).await?;
    let submission = Submission::read(&json, key)
        .map_err(|why| Problem::new(Sort::INVALID_TASK, format!("the body is wrong: {why}")))?;
    let accepted = door.operations.enqueue(submission).await?;
    let status = if accepted.repeated { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = (status, Json(AcceptedAnswer::from(&accepted))).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/tasks/{}", accepted.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Ask for a task
///
/// Where it stands, its result, its last attempts. With `wait`, the answer comes when the task is over, or with where it
/// stands when the time is up.
#[utoipa::path(
    get,
    path = "/v1/tasks/{id}",
    tag = "tasks",
    operation_id = "getTask",
    params(
        ("id" = name::SendersId, Path, description = "The task: its id, or what its sender calls it"),
        ("wait" = Option<name::Wait>, Query, description = "How long to wait for the end of the task: at most 60 s"),
    ),
    responses(
        (status = 200, description = "What is known of the task", body = TaskAnswer),
    ),
)]
pub(super) async fn ask_for(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<TaskAnswer>, Problem> {
    parameters.only(&["wait"])?;
    let wait = wait(&parameters)?;
    Ok(Json(wait_for(&door, &name, wait).await?.into()))
}

/// Waits for a task's end, as long as the request may take, and tells where it stands then.
pub(super) async fn wait_for(door: &Door, name: &str, wait: Duration) -> Result<TaskView, Problem> {
    // The answer has to be written before the request's own time is over.
    let whole = door.config.request_timeout;
    let wait = wait.min(whole - TIME_TO_ANSWER.min(whole / 2));
    let ending = door.spawner.shutdown_signal();
    let found = tokio::select! {
        found = door.operations.task(name, wait) => found,
        // A wait must not hold up the end: it is answered with where the task stands now.
        () = ending.cancelled() => door.operations.task(name, Duration::ZERO).await,
    };
    Ok(found?)
}

/// Reads the header `Idempotency-Key`.
pub(super) fn key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let key = match (keys.next(), keys.next()) {
        (None, _) => return Ok(None),
        (Some(key), None) => key.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    key.map(Some).ok_or_else(|| {
        let flaw = FieldProblem::new("Idempotency-Key", "send it once, in visible ASCII");
        Problem::invalid(Sort::INVALID_REQUEST, vec![flaw])
    })
}

/// Reads how long to wait.
pub(super) fn wait(parameters: &Parameters) -> Result<Duration, Problem> {
    let Some(text) = parameters.text("wait") else { return Ok(Duration::ZERO) };
    match duration::parse(text) {
        Ok(wait) if wait <= MAX_WAIT => Ok(wait),
        Ok(_) => Err(wrong("wait", "it is longer than 60s, the longest wait; ask again")),
        Err(error) => Err(wrong("wait", error)),
    }
}
