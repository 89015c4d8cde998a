//! The routes of dead letters: listed, counted, shown, and one at a time replayed or discarded.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use leveret_common::id::TaskId;
use leveret_common::name::{Class, QueueName};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Door, Name};
use crate::answer::{GroupsAnswer, LetterAnswer, PageAnswer};
use crate::cursor;
use crate::operations::dead::{By, Edit, MOST_LISTED, Outcome};
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};
use crate::stream::aside;

/// How many letters a page has where nothing is said.
const USUAL_PAGE: usize = 50;

/// `GET /v1/dead`.
pub(super) async fn list(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<PageAnswer>, Problem> {
    parameters.only(&["filter", "limit", "cursor"])?;
    let filter = parameters.filter()?;
    let limit = parameters.read::<usize>("limit")?.unwrap_or(USUAL_PAGE);
    if !(1..=MOST_LISTED).contains(&limit) {
        return Err(wrong(
            "limit",
            format!("it is {limit}; it must be within 1 and {MOST_LISTED}"),
        ));
    }
    let behind = match parameters.text("cursor") {
        None => None,
        Some(text) => {
            let why = "it is none that `next` of an earlier page held; leave it out to begin anew";
            Some(cursor::read(text).ok_or_else(|| wrong("cursor", why))?)
        }
    };
    Ok(Json(door.operations.letters(&filter, limit, behind).await?.into()))
}

/// `GET /v1/dead/groups`.
pub(super) async fn groups(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Json<GroupsAnswer>, Problem> {
    parameters.only(&["by", "filter"])?;
    let by = match parameters.text("by") {
        Some("kind") => By::Kind,
        Some("queue") => By::Queue,
        Some("reason") | None => By::Reason,
        Some("error-class") => By::ErrorClass,
        Some(_) => return Err(wrong("by", "write kind, queue, reason or error-class")),
    };
    let filter = parameters.filter()?;
    Ok(Json(door.operations.letter_groups(by, &filter).await?.into()))
}

/// `GET /v1/dead/{id}`.
pub(super) async fn show(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
) -> Result<Json<LetterAnswer>, Problem> {
    parameters.only(&["full"])?;
    let full = parameters.switch("full")?;
    if full {
        door.operations.can_walk().await?;
    }
    let operations = door.operations.clone();
    let shown =
        aside(&door, |stop| async move { operations.letter(&name, full, &stop).await }).await??;
    Ok(Json(shown.into()))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ReplayOrders {
    queue: Option<QueueName>,
    class: Option<Class>,
    args: Option<Box<RawValue>>,
    force: bool,
}

/// What is said of a letter that is gone.
#[derive(Debug, Serialize)]
struct GoneAnswer {
    id: TaskId,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replaces: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

impl From<Outcome> for GoneAnswer {
    fn from(outcome: Outcome) -> Self {
        let (id, replay, replaces, state) = match outcome {
            Outcome::Replayed { id, replay } => (id, Some(replay), None, None),
            Outcome::Replaced { id, replaces } => (id, None, Some(replaces), None),
            Outcome::Discarded { id } => (id, None, None, Some("discarded")),
        };
        Self { id, replay, replaces, state }
    }
}

/// `POST /v1/dead/{id}/replay`.
pub(super) async fn replay(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let by = actor(&headers)?;
    let beside = door.operations.payload_limit();
    let ReplayOrders { queue, class, args, force } = orders(&door, &headers, body, beside).await?;
    let args = args.map(|json| Bytes::from(json.get().to_owned()));
    let edit = Edit { queue, class, args, force };
    door.operations.can_walk().await?;
    let operations = door.operations.clone();
    let replayed =
        aside(
            &door,
            |stop| async move { operations.replay_letter(&name, &edit, &by, &stop).await },
        );
    let answer = Json(GoneAnswer::from(replayed.await??));
    Ok((StatusCode::ACCEPTED, answer).into_response())
}

/// `POST /v1/dead/{id}/discard`.
pub(super) async fn discard(
    State(door): State<Door>,
    Name(name): Name,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let by = actor(&headers)?;
    let NoOrders {} = orders(&door, &headers, body, 0).await?;
    door.operations.can_walk().await?;
    let operations = door.operations.clone();
    let discarded =
        aside(&door, |stop| async move { operations.discard_letter(&name, &by, &stop).await });
    Ok(Json(GoneAnswer::from(discarded.await??)).into_response())
}

/// The body of a request that has nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NoOrders {}
