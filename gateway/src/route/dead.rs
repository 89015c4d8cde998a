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
use utoipa::ToSchema;

use super::{Door, Name};
use crate::answer::{GroupsAnswer, LetterAnswer, PageAnswer};
use crate::cursor;
use crate::openapi::name;
use crate::operations::dead::{By, Edit, MOST_LISTED, Outcome};
use crate::problem::Problem;
use crate::request::{Parameters, actor, orders, wrong};
use crate::stream::aside;

/// How many letters a page has where nothing is said.
const USUAL_PAGE: usize = 50;

/// List dead letters
///
/// The newest first, over all queues. A request looks at about 10,000 letters: a page with few of them and a `next` means
/// that the rest did not match so far.
#[utoipa::path(
    get,
    path = "/v1/dead",
    tag = "dead letters",
    operation_id = "listDeadLetters",
    params(
        ("filter" = Option<name::Filter>, Query, description = "Which letters are meant; all where it is left out"),
        ("limit" = Option<name::Limit>, Query, description = "How many at most; 50 where it is left out"),
        ("cursor" = Option<name::Cursor>, Query, description = "The `next` of the page before"),
    ),
    responses(
        (status = 200, description = "A page of dead letters", body = PageAnswer),
    ),
)]
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

/// Count dead letters in groups
///
/// By what they have in common, the largest group first. Looks at 100,000 letters at most.
#[utoipa::path(
    get,
    path = "/v1/dead/groups",
    tag = "dead letters",
    operation_id = "groupDeadLetters",
    params(
        ("by" = Option<name::Grouping>, Query, description = "What the letters of a group have in common; `reason` where it is left out"),
        ("filter" = Option<name::Filter>, Query, description = "Which letters are meant; all where it is left out"),
    ),
    responses(
        (status = 200, description = "The groups", body = GroupsAnswer),
    ),
)]
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

/// Show a dead letter
///
/// Its args are cut at 4 KiB, unless all of them are asked for.
#[utoipa::path(
    get,
    path = "/v1/dead/{id}",
    tag = "dead letters",
    operation_id = "getDeadLetter",
    params(
        ("id" = name::SendersId, Path, description = "The task: its id, or what its sender called it"),
        ("full" = Option<bool>, Query, description = "With all of its args: its queue is walked until it is met"),
    ),
    responses(
        (status = 200, description = "The letter", body = LetterAnswer),
    ),
)]
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

/// How to replay a dead letter; its own lane and its own args where nothing is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ReplayDeadLetter)]
struct ReplayOrders {
    /// Into which queue.
    #[schema(value_type = Option<name::QueueName>)]
    queue: Option<QueueName>,
    /// As how urgent.
    #[schema(value_type = Option<name::Class>)]
    class: Option<Class>,
    /// With other args, as a new task.
    #[schema(value_type = Option<Value>)]
    args: Option<Box<RawValue>>,
    /// Also where the task went on without the letter and ended.
    force: bool,
}

/// What is said of a letter that is gone.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GoneDeadLetter)]
struct GoneAnswer {
    /// The task; of an edited copy, the new one.
    #[schema(value_type = name::TaskId)]
    id: TaskId,
    /// Which replay begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<u32>,
    /// The dead task, where an edited copy was enqueued.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::TaskId>)]
    replaces: Option<TaskId>,
    /// `discarded`, where it was.
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

/// Replay a dead letter
///
/// The same task begins anew: next replay, first attempt, no expiry. With `args`, an edited copy is enqueued instead: a
/// new task that names the dead one; the same edit is the same task.
#[utoipa::path(
    post,
    path = "/v1/dead/{id}/replay",
    tag = "dead letters",
    operation_id = "replayDeadLetter",
    params(
        ("id" = name::SendersId, Path, description = "The task: its id, or what its sender called it"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<ReplayOrders>),
    responses(
        (status = 202, description = "The task begins anew, or its edited copy was enqueued", body = GoneAnswer),
    ),
)]
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

/// Discard a dead letter
///
/// Nothing brings it back; export it first.
#[utoipa::path(
    post,
    path = "/v1/dead/{id}/discard",
    tag = "dead letters",
    operation_id = "discardDeadLetter",
    params(
        ("id" = name::SendersId, Path, description = "The task: its id, or what its sender called it"),
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<NoOrders>),
    responses(
        (status = 200, description = "The letter is gone", body = GoneAnswer),
    ),
)]
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
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Nothing)]
pub(super) struct NoOrders {}
