//! The routes of what is done to one schedule: pause, resume, run now, backfill.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use leveret_beat::timetable::Range;
use leveret_common::clock::Millis;
use serde::{Deserialize, Serialize};

use super::super::dead::NoOrders;
use super::super::{Door, Name, queues, tasks};
use super::look::instant;
use super::schedule;
use crate::answer::{BackfilledAnswer, ExtentAnswer, PutInAnswer, ScheduleAnswer};
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};

/// `POST /v1/schedules/{name}/pause`.
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

/// What is said of a schedule that was resumed.
#[derive(Debug, Serialize)]
pub(in super::super) struct ResumedAnswer {
    #[serde(flatten)]
    schedule: ScheduleAnswer,
    was_paused: bool,
}

/// `POST /v1/schedules/{name}/resume`.
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

/// `POST /v1/schedules/{name}/run`.
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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct BackfillOrders {
    from: Option<String>,
    to: Option<String>,
    dry_run: bool,
}

/// `POST /v1/schedules/{name}/backfill`.
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
