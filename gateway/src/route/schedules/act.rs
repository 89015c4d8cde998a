//! The routes of what is done to one schedule: pause, resume, run now, backfill.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leveret_beat::timetable::Range;
use leveret_common::clock::Millis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::dead::NoOrders;
use super::super::queues::{self, PauseOrders};
use super::super::{Door, Name, tasks};
use super::look::instant;
use super::schedule;
use crate::answer::{BackfilledAnswer, ExtentAnswer, PutInAnswer, ScheduleAnswer};
use crate::openapi::name;
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};

/// Pause a schedule
///
/// Wherever it comes from. The first pause stays. What falls into a pause is not caught up with.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/pause",
    tag = "schedules",
    operation_id = "pauseSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<PauseOrders>),
    responses(
        (status = 200, description = "It is paused", body = ScheduleAnswer),
    ),
)]
pub(in super::super) async fn pause(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ScheduleAnswer>, Problem> {
    parameters.only(&[])?;
    let (name, by) = (schedule(&name)?, actor(&headers)?);
    let why = queues::why(&door, &headers, body).await?;
    Ok(Json(door.operations.pause_schedule(&name, &by, why.as_deref()).await?.into()))
}

/// A schedule that was resumed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ResumedSchedule)]
pub(in super::super) struct ResumedAnswer {
    #[serde(flatten)]
    schedule: ScheduleAnswer,
    /// Whether it was paused before.
    was_paused: bool,
}

/// Resume a schedule
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/resume",
    tag = "schedules",
    operation_id = "resumeSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (status = 200, description = "It is not paused", body = ResumedAnswer),
    ),
)]
pub(in super::super) async fn resume(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ResumedAnswer>, Problem> {
    parameters.only(&[])?;
    let (name, by) = (schedule(&name)?, actor(&headers)?);
    let NoOrders {} = orders(&door, &headers, body, 0).await?;
    let (view, was_paused) = door.operations.resume_schedule(&name).await?;
    tracing::info!(schedule = %name, by, was_paused, "schedule resumed");
    Ok(Json(ResumedAnswer { schedule: view.into(), was_paused }))
}

/// Put a task of a schedule in now
///
/// Beside the timetable, and whatever a pause or `overlap` says. With a key it can be repeated.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/run",
    tag = "schedules",
    operation_id = "runSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("Idempotency-Key" = Option<name::HeaderKey>, Header, description = "The same key puts one task in"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (
            status = 200,
            description = "The key put a task in before, and the answer is about it",
            body = PutInAnswer,
            headers(("Location" = String, description = "Where to ask for the task")),
        ),
        (
            status = 202,
            description = "The task was accepted",
            body = PutInAnswer,
            headers(("Location" = String, description = "Where to ask for the task")),
        ),
    ),
)]
pub(in super::super) async fn run(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let (name, by) = (schedule(&name)?, actor(&headers)?);
    let NoOrders {} = orders(&door, &headers, body, 0).await?;
    let put = door.operations.run_schedule(&name, tasks::key(&headers)?, &by).await?;
    let status = if put.is_repeated { StatusCode::OK } else { StatusCode::ACCEPTED };
    let mut response = (status, Json(PutInAnswer::from(&put))).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/tasks/{}", put.task)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Which range, both ends included.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = BackfillSchedule)]
struct BackfillOrders {
    /// Its first instant.
    #[schema(value_type = name::AnyInstant, required = true)]
    from: Option<String>,
    /// Its last instant, neither before `from` nor in the future; now where it is left out.
    #[schema(value_type = Option<name::AnyInstant>)]
    to: Option<String>,
    /// Only say what lies in it.
    dry_run: bool,
}

/// Put in the tasks of a range
///
/// Of all occurrences in it, whether or not they were put in when they were due; at most 1,000 at once. With the same key
/// nothing is put in twice.
#[utoipa::path(
    post,
    path = "/v1/schedules/{name}/backfill",
    tag = "schedules",
    operation_id = "backfillSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("Idempotency-Key" = Option<name::HeaderKey>, Header, description = "Makes it safe to ask again, and to go on"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = BackfillOrders),
    responses(
        (status = 200, description = "With `dry_run`: what lies in the range", body = ExtentAnswer),
        (status = 202, description = "The tasks were accepted", body = BackfilledAnswer),
    ),
)]
pub(in super::super) async fn backfill(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let (name, by) = (schedule(&name)?, actor(&headers)?);
    let key = tasks::key(&headers)?;
    let BackfillOrders { from, to, dry_run } = orders(&door, &headers, body, 0).await?;
    let Some(from) = from else {
        return Err(wrong("from", "it is missing; it is the first instant of the range"));
    };
    let to = match to {
        Some(to) => instant("to", &to)?,
        None => door.operations.now(),
    };
    // What is due at the first instant counts.
    let from = Millis(instant("from", &from)?.0.saturating_sub(1));
    let range = Range { from, to };
    if dry_run {
        let extent = door.operations.extent(&name, range).await?;
        return Ok(Json(ExtentAnswer::from(extent)).into_response());
    }
    let done = door.operations.backfill_schedule(&name, range, key, &by).await?;
    tracing::info!(schedule = %name, by, count = done.tasks.len(), "schedule backfilled");
    Ok((StatusCode::ACCEPTED, Json(BackfilledAnswer::from(done))).into_response())
}
