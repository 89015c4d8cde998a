//! The routes of what comes of schedules and what came of them, and of the beats that see to it.

use axum::Json;
use axum::extract::State;
use chrono::DateTime;
use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use serde::Serialize;

use super::super::{Door, Name};
use super::schedule;
use crate::answer::{BeatAnswer, ComingAnswer, OccurrenceAnswer};
use crate::problem::Problem;
use crate::request::{Parameters, wrong};

/// How many instants are foretold where nothing is said, and at most.
const USUAL_NUMBER: usize = 5;
const MOST_FORETOLD: usize = 1_000;

/// `GET /v1/schedules/{name}/next`.
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

#[derive(Debug, Serialize)]
pub(in super::super) struct OccurrencesAnswer {
    name: ScheduleName,
    occurrences: Vec<OccurrenceAnswer>,
}

/// `GET /v1/schedules/{name}/occurrences`.
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

#[derive(Debug, Serialize)]
pub(in super::super) struct BeatsAnswer {
    beats: Vec<BeatAnswer>,
}

/// `GET /v1/beats`.
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
