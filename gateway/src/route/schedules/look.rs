//! The routes of what comes of schedules and what came of them, and of the beats that see to it.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::{Door, Name};
use super::schedule;
use crate::answer::{BeatAnswer, ComingAnswer, OccurrenceAnswer};
use crate::openapi::name;
use crate::problem::Problem;
use crate::request::{Parameters, wrong};

/// How many instants are foretold where nothing is said, and at most.
const USUAL_NUMBER: usize = 5;
const MOST_FORETOLD: usize = 1_000;

/// Foretell when a schedule is due
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}/next",
    tag = "schedules",
    operation_id = "listUpcoming",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
        ("n" = Option<name::Foretold>, Query, description = "How many instants; 5 where it is left out"),
        ("from" = Option<name::AnyInstant>, Query, description = "From when on, that instant included; what is due after now where it is left out"),
    ),
    responses(
        (status = 200, description = "The instants", body = ComingAnswer),
    ),
)]
pub(in super::super) async fn next(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<ComingAnswer>, Problem> {
    parameters.only(&["n", "from"])?;
    let name = schedule(&name)?;
    let number = parameters.read::<usize>("n")?.unwrap_or(USUAL_NUMBER);
    if !(1..=MOST_FORETOLD).contains(&number) {
        let why = format!("it is {number}; it must be within 1 and {MOST_FORETOLD}");
        return Err(wrong("n", why));
    }
    let from = parameters.text("from").map(|text| instant("from", text)).transpose()?;
    // What is due at that very instant counts.
    let behind = from.map(|from| Millis(from.0.saturating_sub(1)));
    let coming = door.operations.coming(&name, behind, number).await?;
    Ok(Json(ComingAnswer::new(name, coming)))
}

/// The last occurrences of a schedule.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Occurrences)]
pub(in super::super) struct OccurrencesAnswer {
    #[schema(value_type = name::ScheduleName)]
    name: ScheduleName,
    occurrences: Vec<OccurrenceAnswer>,
}

/// List what became of a schedule
///
/// Its last 20 occurrences, the newest first.
#[utoipa::path(
    get,
    path = "/v1/schedules/{name}/occurrences",
    tag = "schedules",
    operation_id = "listOccurrences",
    params(
        ("name" = name::ScheduleName, Path, description = "The schedule"),
    ),
    responses(
        (status = 200, description = "The occurrences", body = OccurrencesAnswer),
    ),
)]
pub(in super::super) async fn occurrences(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<OccurrencesAnswer>, Problem> {
    parameters.only(&[])?;
    let name = schedule(&name)?;
    let seen = door.operations.occurrences(&name).await?;
    let occurrences = seen.into_iter().map(OccurrenceAnswer::from).collect();
    Ok(Json(OccurrencesAnswer { name, occurrences }))
}

/// All living beats.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Beats)]
pub(in super::super) struct BeatsAnswer {
    beats: Vec<BeatAnswer>,
}

/// List beats
///
/// Those processes that put in what is due; the one that leads first.
#[utoipa::path(
    get,
    path = "/v1/beats",
    tag = "schedules",
    operation_id = "listBeats",
    responses(
        (status = 200, description = "All living beats", body = BeatsAnswer),
    ),
)]
pub(in super::super) async fn beats(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<BeatsAnswer>, Problem> {
    parameters.only(&[])?;
    let beats = door.operations.beats().await?.into_iter().map(BeatAnswer::from).collect();
    Ok(Json(BeatsAnswer { beats }))
}

/// Reads an instant of a request.
pub(super) fn instant(field: &str, text: &str) -> Result<Millis, Problem> {
    let read = DateTime::parse_from_rfc3339(text).ok();
    let millis = read.and_then(|at| u64::try_from(at.timestamp_millis()).ok());
    millis.map(Millis).ok_or_else(|| {
        let why = "it is not an instant; write RFC 3339 with an offset, such as \
                   2027-01-31T08:00:00Z (in a path, + is %2B)";
        wrong(field, why)
    })
}
