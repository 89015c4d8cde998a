//! The routes that carry dead letters out and in, one line each.

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use leveret_common::id::TaskId;
use serde::Serialize;
use tokio::sync::mpsc;
use utoipa::ToSchema;

use super::Door;
use crate::body;
use crate::lines::{Limits, Lines, Next};
use crate::media::{self, Media};
use crate::openapi::fleet::ExportedLetterLine;
use crate::openapi::name;
use crate::operations::Operations;
use crate::operations::dead::{Imported, Line};
use crate::problem::{self, Problem, Sort};
use crate::request::Parameters;
use crate::stream::{Feed, Gone, respond, written};

/// How many letters wait to be written.
const WAITING: usize = 4;
/// Most letters, and about most bytes, that are put back together.
const GROUP: usize = 200;
const GROUP_BYTES: usize = 4 << 20;

#[derive(Serialize)]
struct ExportEnd {
    finished: bool,
    exported: u64,
}

/// Carry dead letters out
///
/// Walks the queues and keeps the letters. Without its last line an export is not whole.
#[utoipa::path(
    get,
    path = "/v1/dead/export",
    tag = "dead letters",
    operation_id = "exportDeadLetters",
    params(
        ("filter" = Option<name::Filter>, Query, description = "Which letters are meant; all where it is left out"),
    ),
    responses(
        (
            status = 200,
            description = "A letter a line, and at the end how many there were",
            body = ExportedLetterLine,
            content_type = "application/x-ndjson",
        ),
    ),
)]
pub(super) async fn export(
    State(door): State<Door>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    parameters.only(&["filter"])?;
    let filter = parameters.filter()?;
    door.operations.can_walk().await?;
    let operations = door.operations.clone();
    respond(&door, |feed, stop| async move {
        let (out, mut letters) = mpsc::channel(WAITING);
        let walking = async {
            let exported = operations.export_letters(&filter, &out, &stop).await;
            drop(out);
            exported
        };
        let writing = async {
            let mut letters = std::pin::pin!(&mut letters);
            while let Some(letter) = letters.recv().await {
                if feed.line(&letter).await.is_err() {
                    letters.close();
                    return;
                }
            }
        };
        let (exported, ()) = tokio::join!(walking, writing);
        let _: Result<(), Gone> = match exported {
            Ok(exported) => feed.line(&ExportEnd { finished: true, exported }).await,
            Err(error) => feed.refuse(error.into()).await,
        };
    })
    .await
}

/// What became of one line of an import: the dead letter, or the problem with it.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportedLetterLine)]
struct ImportedLine {
    /// Which line it was, from 1.
    #[schema(minimum = 1)]
    line: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::TaskId>)]
    id: Option<TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<problem::Document>)]
    error: Option<Problem>,
}

/// Carry dead letters in
///
/// Takes the lines of an export and puts each letter among the dead letters of its queue. A letter that is imported twice
/// is listed once.
#[utoipa::path(
    post,
    path = "/v1/dead/import",
    tag = "dead letters",
    operation_id = "importDeadLetters",
    request_body(content = ExportedLetterLine, content_type = "application/x-ndjson"),
    responses(
        (
            status = 200,
            description = "What became of each line",
            body = ImportedLine,
            content_type = "application/x-ndjson",
        ),
    ),
)]
pub(super) async fn import(
    State(door): State<Door>,
    parameters: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    parameters.only(&[])?;
    if media::read(&headers)? != Media::Lines {
        let detail = "send Content-Type: application/x-ndjson, one line of an export each";
        return Err(Problem::new(Sort::MEDIA_TYPE, detail));
    }
    // A line holds a whole message, each byte of it escaped at worst.
    let most = door.config.max_body;
    let limits = Limits { line: most, whole: most, idle: door.config.idle_timeout };
    let mut pieces = body.into_data_stream();
    if body::announced(&headers).is_some_and(|bytes| bytes > limits.whole) {
        body::discard(&mut pieces).await;
        return Ok(body::too_large(limits.whole).into_response());
    }
    if let Err(error) = door.operations.can_walk().await {
        body::discard(&mut pieces).await;
        return Err(error.into());
    }
    let lines = Lines::new(pieces, limits);
    let operations = door.operations.clone();
    let left = door.config.max_batch;
    respond(&door, |feed, _| async move {
        let mut import = Import { lines, operations, left, most: left };
        // A client that is gone ends it; what was put back until then stays.
        let _: Result<(), Gone> = import.run(&feed).await;
        import.lines.discard().await;
    })
    .await
}

struct Import {
    lines: Lines,
    operations: Operations,
    /// How many letters may still come.
    left: usize,
    most: usize,
}

/// Letters to be put back together, and the lines that they stand in.
#[derive(Default)]
struct Group {
    numbers: Vec<usize>,
    letters: Vec<Imported>,
    /// Answers that are known already.
    refused: Vec<(usize, Problem)>,
    bytes: usize,
    is_last: bool,
}

impl Import {
    async fn run(&mut self, feed: &Feed) -> Result<(), Gone> {
        loop {
            let group = self.gather().await;
            let is_last = group.is_last;
            let lines = put_back(&self.operations.clone(), group).await;
            if !lines.is_empty() || is_last {
                feed.lines(lines).await?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    async fn gather(&mut self) -> Group {
        let mut group = Group::default();
        while !group.is_last && group.numbers.len() < GROUP && group.bytes < GROUP_BYTES {
            let next = self.lines.next().await;
            self.take(&mut group, next);
        }
        group
    }

    fn take(&mut self, group: &mut Group, next: Next) {
        let (number, json) = match next {
            Next::Line(number, json) => (number, json),
            Next::LongLine(number) => {
                let detail = "the line is longer than a message can be";
                group.refused.push((number, Problem::new(Sort::TOO_LARGE, detail)));
                return;
            }
            Next::Broken(number, problem) => {
                group.refused.push((number, problem));
                group.is_last = true;
                return;
            }
            Next::End => {
                group.is_last = true;
                return;
            }
        };
        match Line::read(&json) {
            Ok(Line::End) => {}
            Ok(Line::Letter(_)) if self.left == 0 => {
                let detail = format!(
                    "there are more than {} letters (gateway.max_batch); this line and those after \
                     it were not read: send them in another request",
                    self.most
                );
                group.refused.push((number, Problem::new(Sort::TOO_LARGE, detail)));
                group.is_last = true;
            }
            Ok(Line::Letter(letter)) => {
                self.left -= 1;
                group.bytes += json.len();
                group.numbers.push(number);
                group.letters.push(*letter);
            }
            Err(error) => group.refused.push((number, error.into())),
        }
    }
}

/// Puts a group back and writes its result lines, in the order of the lines.
async fn put_back(operations: &Operations, group: Group) -> Bytes {
    let put = operations.import_letters(group.letters).await;
    let put = group.numbers.into_iter().zip(put).map(|(line, put)| match put {
        Ok(id) => ImportedLine { line, id: Some(id), error: None },
        Err(error) => ImportedLine { line, id: None, error: Some(error.into()) },
    });
    let refused = group.refused.into_iter().map(|(line, problem)| ImportedLine {
        line,
        id: None,
        error: Some(problem),
    });
    let mut answers: Vec<ImportedLine> = put.chain(refused).collect();
    answers.sort_by_key(|answer| answer.line);
    let lines: Vec<Bytes> = answers.iter().map(written).collect();
    lines.concat().into()
}
