//! The routes of schedules: list, create, show, replace, delete.
//!
//! `act` has what is done to one of them beside that, `look` what comes and what came, `many` what
//! is done to all of them. `export`, `import` and `plan` stand in a path where others have a name; no
//! schedule can be called so.

pub(super) mod act;
pub(super) mod look;
pub(super) mod many;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use leveret_beat::definition;
use leveret_common::filter::Filter;
use leveret_common::name::ScheduleName;
use leveret_producer::Problem as FieldProblem;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::batch::BESIDE_ARGS;
use super::dead::NoOrders;
use super::{Door, Name};
use crate::answer::{ScheduleAnswer, SchedulesAnswer};
use crate::body;
use crate::media::{self, Media};
use crate::openapi::name;
use crate::openapi::written::{NewSchedule, ScheduleDefinition};
use crate::operations::OperationError;
use crate::operations::schedules::{Origin, Wish};
use crate::problem::{Problem, Sort};
use crate::request::{Parameters, actor, orders, wrong};

/// How many schedules a page has where nothing is said, and at most.
const USUAL_PAGE: usize = 50;
const MOST_LISTED: usize = 1_000;

/// List schedules
///
/// By name. A request looks at about 10,000 schedules: a page with few of them and a `next` means that the rest did not
/// match so far.
#[utoipa::path(
    get,
    path = "/v1/schedules",
    tag = "schedules",
    operation_id = "listSchedules",
    params(
        ("source" = Option<name::SourceName>, Query, description = "Only those that come from there"),
        ("paused" = Option<bool>, Query, description = "Only those that are paused, or that are not"),
        ("kind" = Option<name::Kinds>, Query, description = "Only those of such kinds"),
        ("name" = Option<name::ScheduleName>, Query, description = "Only those whose names begin so"),
        ("limit" = Option<name::Limit>, Query, description = "How many at most; 50 where it is left out"),
        ("cursor" = Option<name::ScheduleName>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of schedules", body = SchedulesAnswer),
    ),
)]
pub(super) async fn list(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<SchedulesAnswer>, Problem> {
    parameters.only(&["source", "paused", "kind", "name", "limit", "cursor"])?;
    let limit = parameters.read::<usize>("limit")?.unwrap_or(USUAL_PAGE);
    if !(1..=MOST_LISTED).contains(&limit) {
        let why = format!("it is {limit}; it must be within 1 and {MOST_LISTED}");
        return Err(wrong("limit", why));
    }
    let paused = match parameters.text("paused") {
        None => None,
        Some(_) => Some(parameters.switch("paused")?),
    };
    let wish = Wish {
        source: parameters.read::<Origin>("source")?,
        paused,
        kind: kind(&parameters)?,
        prefix: parameters.read::<ScheduleName>("name")?,
    };
    let behind = match parameters.text("cursor").map(str::parse::<ScheduleName>) {
        None => None,
        Some(Ok(name)) => Some(name),
        Some(Err(_)) => {
            let why = "it is none that `next` of an earlier page held; leave it out to begin anew";
            return Err(wrong("cursor", why));
        }
    };
    Ok(Json(door.operations.schedules(&wish, behind.as_ref(), limit).await?.into()))
}

/// Reads the kind as a filter's term.
fn kind(parameters: &Parameters) -> Result<Filter, Problem> {
    let Some(text) = parameters.text("kind") else { return Ok(Filter::default()) };
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '*' | ',');
    let filter = format!("kind:{text}").parse::<Filter>();
    match filter {
        Ok(filter) if text.chars().all(is_fine) => Ok(filter),
        _ => Err(wrong("kind", "write a kind, or several with * and commas: report.*,email.send")),
    }
}

/// A schedule that was created.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CreatedSchedule)]
struct CreatedAnswer {
    #[serde(flatten)]
    schedule: ScheduleAnswer,
    /// Whether it was there before and says the same; left out where it was not.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

/// Create a schedule
///
/// Its name is its key. What is due from now on counts.
#[utoipa::path(
    post,
    path = "/v1/schedules",
    tag = "schedules",
    operation_id = "createSchedule",
    params(
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = NewSchedule),
    responses(
        (
            status = 200,
            description = "It was made over the API before, and says the same",
            body = CreatedAnswer,
            headers(("Location" = String, description = "Where to ask for the schedule")),
        ),
        (
            status = 201,
            description = "The schedule was created",
            body = CreatedAnswer,
            headers(("Location" = String, description = "Where to ask for the schedule")),
        ),
    ),
)]
pub(super) async fn create(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let by = actor(&headers)?;
    let json = document(&door, &headers, body).await?;
    let read = definition::read_named(&json).map_err(|wrong| invalid(wrong, &json))?;
    let definition::Named { name, definition } = read;
    let created = door.operations.create_schedule(&name, definition, &by).await;
    let (view, repeated) = created.map_err(|error| refused(error, &json))?;
    let revision = view.entry.revision;
    tracing::info!(schedule = %name, by, revision, repeated, "schedule created");
    let status = if repeated { StatusCode::OK } else { StatusCode::CREATED };
    let answer = CreatedAnswer { schedule: view.into(), repeated };
    let mut response = (status, Json(answer)).into_response();
    if let Ok(location) = HeaderValue::try_from(format!("/v1/schedules/{name}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Show a schedule
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}",
    tag = "schedules",
    operation_id = "getSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
    ),
    responses(
        (status = 200, description = "The schedule", body = ScheduleAnswer),
    ),
)]
pub(super) async fn show(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<ScheduleAnswer>, Problem> {
    parameters.only(&[])?;
    let view = door.operations.schedule(&schedule(&name)?).await?;
    Ok(Json(view.into()))
}

/// Replace what a schedule says
///
/// All of it. One that is paused stays paused; where its times change, what was missed of the old ones is not caught up
/// with. Only what was made over the API: a file or a program would say it again.
#[utoipa::path(
    put,
    path = "/v1/schedules/{name}",
    tag = "schedules",
    operation_id = "replaceSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("revision" = Option<name::Revision>, Query, description = "Nothing is done unless the schedule is at this revision"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = ScheduleDefinition),
    responses(
        (status = 200, description = "The schedule as it is now", body = ScheduleAnswer),
    ),
)]
pub(super) async fn replace(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ScheduleAnswer>, Problem> {
    parameters.only(&["revision"])?;
    let (name, by) = (schedule(&name)?, actor(&headers)?);
    let expected = parameters.read::<u32>("revision")?;
    let json = document(&door, &headers, body).await?;
    let definition = definition::read(&json).map_err(|wrong| invalid(wrong, &json))?;
    let replaced = door.operations.replace_schedule(&name, definition, expected).await;
    let view = replaced.map_err(|error| refused(error, &json))?;
    tracing::info!(schedule = %name, by, revision = view.entry.revision, "schedule changed");
    Ok(Json(view.into()))
}

/// A schedule that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedSchedule)]
pub(super) struct DeletedAnswer {
    #[schema(value_type = name::ScheduleName)]
    name: ScheduleName,
    deleted: bool,
}

/// Delete a schedule
///
/// Its occurrences are forgotten, tasks that were put in stay. Only what was made over the API.
#[utoipa::path(
    delete,
    path = "/v1/schedules/{name}",
    tag = "schedules",
    operation_id = "deleteSchedule",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("revision" = Option<name::Revision>, Query, description = "Nothing is done unless the schedule is at this revision"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    responses(
        (status = 200, description = "It is gone", body = DeletedAnswer),
    ),
)]
pub(super) async fn delete(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<DeletedAnswer>, Problem> {
    parameters.only(&["revision"])?;
    let (name, by) = (schedule(&name)?, actor(&headers)?);
    let expected = parameters.read::<u32>("revision")?;
    let NoOrders {} = orders(&door, &headers, body, 0).await?;
    door.operations.delete_schedule(&name, expected).await?;
    tracing::info!(schedule = %name, by, "schedule deleted");
    Ok(Json(DeletedAnswer { name, deleted: true }))
}

fn schedule(name: &str) -> Result<ScheduleName, Problem> {
    name.parse().map_err(|error| wrong("schedule", error))
}

/// Reads the body that says what a schedule says.
async fn document(door: &Door, headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    if media::read(headers)? != Media::Json {
        let detail = "send Content-Type: application/json; many schedules go to \
                      /v1/schedules/import";
        return Err(Problem::new(Sort::MEDIA_TYPE, detail));
    }
    let limit = door.config.max_body.min(door.operations.payload_limit() + BESIDE_ARGS);
    body::whole(headers, body, limit, door.config.idle_timeout).await
}

/// Says what is wrong with the schedule that `json` says.
fn invalid(errors: Vec<FieldProblem>, json: &[u8]) -> Problem {
    /// As much of it as an expression's mistakes are about.
    #[derive(Deserialize)]
    struct When {
        when: String,
    }
    let when = serde_json::from_slice::<When>(json).ok();
    Problem::of_schedule(errors, when.as_ref().map(|When { when }| when.as_str()))
}

/// Says why nothing was done with the schedule that `json` says.
fn refused(error: OperationError, json: &[u8]) -> Problem {
    match error.into_flaws() {
        Ok(flaws) => invalid(flaws, json),
        Err(error) => error.into(),
    }
}
