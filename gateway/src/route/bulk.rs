//! The routes of bulk verbs on dead letters: replay, discard, reindex, told as they go.
//!
//! A dry run answers from the index at once. Guards that nothing is done to all letters because a
//! filter was left out by accident.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use leveret_common::desk::Walked;
use leveret_common::name::{Class, QueueName};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Door;
use crate::answer::MatchingAnswer;
use crate::openapi::fleet::WalkLine;
use crate::openapi::name;
use crate::openapi::written::BulkDiscard;
use crate::operations::dead::{Bulk, Deed, Progress, Walks};
use crate::operations::{OperationError, Operations};
use crate::problem::{Problem, Sort};
use crate::request::{Parameters, actor, filter, orders, wrong};
use crate::stream::{Feed, Gone, respond};

/// How long nothing is written before the last line is written again: a client that is gone is
/// noticed, and one that waits sees that we live.
const SILENCE: Duration = Duration::from_secs(15);
/// How much progress waits to be told.
const WAITING: usize = 4;
/// The rates that can be asked for: one letter in about a quarter of an hour is slow enough.
const LEAST_RATE: f64 = 0.001;
const MOST_RATE: f64 = 1_000_000.0;

/// Which dead letters to replay, and how. Without a filter, `all` has to say that every one is meant.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ReplayDeadLetters, examples(json!({"filter": "reason:handler kind:email.*", "dry_run": true})))]
struct BulkOrders {
    /// Which letters.
    #[schema(value_type = Option<name::Filter>)]
    filter: Option<String>,
    /// Every letter.
    all: bool,
    /// Into which queue; its own where it is left out.
    #[schema(value_type = Option<name::QueueName>)]
    queue: Option<QueueName>,
    /// As how urgent; as it was where it is left out.
    #[schema(value_type = Option<name::Class>)]
    class: Option<Class>,
    /// How many a second.
    #[schema(minimum = 0.001, maximum = 1_000_000)]
    rate: Option<f64>,
    /// How many at most.
    #[schema(value_type = Option<name::Count>)]
    limit: Option<u64>,
    /// Only say what it would be about.
    dry_run: bool,
}

/// Which list of dead letters to write anew.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = ReindexDeadLetters)]
struct ReindexOrders {
    /// Of which queue; of all where it is left out.
    #[schema(value_type = Option<name::QueueName>)]
    queue: Option<QueueName>,
}

/// Replay many dead letters
///
/// Answers about two lines a second. The last one is `finished`, or has an `error`; without one of these the connection
/// broke. Close the connection to end it: what was done stays done. With `dry_run`, says what it would be about.
#[utoipa::path(
    post,
    path = "/v1/dead/replay",
    tag = "dead letters",
    operation_id = "replayDeadLetters",
    params(
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = BulkOrders),
    responses(
        (
            status = 200,
            description = "How far it is, line by line; or, with `dry_run`, what it would be about",
            content((MatchingAnswer = "application/json"), (WalkLine = "application/x-ndjson")),
        ),
    ),
)]
pub(super) async fn replay(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let orders: BulkOrders = orders(&door, &headers, body, 0).await?;
    let deed = Deed::Replay { queue: orders.queue.clone(), class: orders.class };
    in_bulk(&door, &headers, &orders, deed).await
}

/// Discard many dead letters
///
/// Nothing brings them back; export them first.
///
/// Answers about two lines a second. The last one is `finished`, or has an `error`; without one of these the connection
/// broke. Close the connection to end it: what was done stays done. With `dry_run`, says what it would be about.
#[utoipa::path(
    post,
    path = "/v1/dead/discard",
    tag = "dead letters",
    operation_id = "discardDeadLetters",
    params(
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = BulkDiscard),
    responses(
        (
            status = 200,
            description = "How far it is, line by line; or, with `dry_run`, what it would be about",
            content((MatchingAnswer = "application/json"), (WalkLine = "application/x-ndjson")),
        ),
    ),
)]
pub(super) async fn discard(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let orders: BulkOrders = orders(&door, &headers, body, 0).await?;
    for (name, is_there) in [("queue", orders.queue.is_some()), ("class", orders.class.is_some())] {
        if is_there {
            return Err(wrong(name, "it is for replays; to narrow down, use the filter"));
        }
    }
    in_bulk(&door, &headers, &orders, Deed::Discard).await
}

/// Write the list of dead letters anew
///
/// From the letters themselves, of one queue or of all. Answers as a replay of many does.
#[utoipa::path(
    post,
    path = "/v1/dead/reindex",
    tag = "dead letters",
    operation_id = "reindexDeadLetters",
    params(
        ("Leveret-By" = Option<name::Actor>, Header, description = "Who asks"),
    ),
    request_body(content = Option<ReindexOrders>),
    responses(
        (
            status = 200,
            description = "How far it is, line by line",
            body = WalkLine,
            content_type = "application/x-ndjson",
        ),
    ),
)]
pub(super) async fn reindex(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    let by = actor(&headers)?;
    let ReindexOrders { queue } = orders(&door, &headers, body, 0).await?;
    door.operations.can_walk().await?;
    let operations = door.operations.clone();
    respond(&door, |feed, stop| async move {
        let (progress, told) = mpsc::channel(WAITING);
        let walking = async {
            let walks = operations.reindex(queue.as_ref(), by, &progress, &stop).await;
            drop(progress);
            walks
        };
        let (walks, heard) = tokio::join!(walking, tell(&feed, told));
        if heard.is_ok() {
            let _ = end(&feed, walks, &stop).await;
        }
    })
    .await
}

async fn in_bulk(
    door: &Door,
    headers: &HeaderMap,
    orders: &BulkOrders,
    deed: Deed,
) -> Result<Response, Problem> {
    let by = actor(headers)?;
    let filter = filter(orders.filter.as_deref())?;
    if filter.is_empty() && !orders.all {
        let why = "it is empty; {\"all\": true} says that every dead letter is meant";
        return Err(wrong("filter", why));
    }
    if orders.rate.is_some_and(|rate| !(LEAST_RATE..=MOST_RATE).contains(&rate)) {
        return Err(wrong("rate", "write how many per second, within 0.001 and 1000000"));
    }
    if orders.dry_run {
        let found = door.operations.matching(&filter).await?;
        return Ok(Json(MatchingAnswer::from(found)).into_response());
    }
    door.operations.can_walk().await?;
    let bulk = Bulk { filter, deed, rate: orders.rate, limit: orders.limit, by };
    let operations = door.operations.clone();
    respond(door, |feed, stop| run(operations, bulk, feed, stop)).await
}

async fn run(operations: Operations, bulk: Bulk, feed: Feed, stop: CancellationToken) {
    let (progress, told) = mpsc::channel(WAITING);
    let walking = async {
        let walks = operations.walk(&bulk, &progress, &stop).await;
        drop(progress);
        walks
    };
    let (walks, heard) = tokio::join!(walking, tell(&feed, told));
    if heard.is_ok() {
        let _ = end(&feed, walks, &stop).await;
    }
}

#[derive(Serialize)]
struct WalkedLine {
    queue: QueueName,
    #[serde(skip_serializing_if = "Option::is_none")]
    walked: Option<Walked>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
}

#[derive(Serialize)]
struct LastLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Problem>,
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<Walked>,
}

/// Writes progress as it comes. A queue that is walked by somebody else is the whole answer where
/// nothing was done before.
async fn tell(feed: &Feed, mut told: mpsc::Receiver<Progress>) -> Result<(), Gone> {
    let mut last: Option<WalkedLine> = None;
    loop {
        let Progress { queue, walked } = match timeout(SILENCE, told.recv()).await {
            Ok(Some(progress)) => progress,
            Ok(None) => return Ok(()),
            Err(_) => {
                if let Some(line) = &last {
                    feed.line(line).await?;
                }
                continue;
            }
        };
        let line = match walked {
            Ok(walked) => WalkedLine { queue, walked: Some(walked), error: None },
            Err(error) if last.is_none() => {
                feed.refuse(error.into()).await?;
                return Err(Gone);
            }
            Err(error) => WalkedLine { queue, walked: None, error: Some(error.into()) },
        };
        feed.line(&line).await?;
        last = Some(line);
    }
}

/// Writes the last line.
async fn end(
    feed: &Feed,
    walks: Result<Walks, OperationError>,
    stop: &CancellationToken,
) -> Result<(), Gone> {
    let Walks { totals, passed_over } = match walks {
        Ok(walks) => walks,
        Err(error) => return feed.refuse(error.into()).await,
    };
    let error = match passed_over {
        _ if stop.is_cancelled() => Some(OperationError::Stopped.into()),
        0 => None,
        number => {
            let detail = format!(
                "{number} queues were passed over because somebody else walks them; begin again in \
                 a moment"
            );
            Some(Problem::new(Sort::DESK_BUSY, detail))
        }
    };
    let finished = error.is_none().then_some(true);
    feed.line(&LastLine { finished, error, totals: Some(totals) }).await
}
