//! Answers that go on for a while: lines of JSON, written by work that runs beside the response.
//!
//! The work begins before the answer does: what fails at once is answered with its own status.
//! When the client leaves, or the process stops, the work is asked to stop and ends what it has in
//! hand. The request's time limit does not count, because the answer has begun by then.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::problem::{Problem, Sort};
use crate::route::Door;

/// Most lines that wait to be read.
const WAITING: usize = 16;
/// How long the first line is waited for before the answer begins without it.
const FIRST: Duration = Duration::from_secs(1);

enum Item {
    Line(Bytes),
    Refused(Problem),
}

/// Where the work writes its lines.
pub(crate) struct Feed(mpsc::Sender<Item>);

/// Nobody reads any more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gone;

impl Feed {
    /// Writes a line, once there is room for it.
    pub(crate) async fn line(&self, line: &(impl Serialize + Sync)) -> Result<(), Gone> {
        self.0.send(Item::Line(written(line))).await.map_err(|_| Gone)
    }

    /// Writes lines that are written already.
    pub(crate) async fn lines(&self, lines: Bytes) -> Result<(), Gone> {
        self.0.send(Item::Line(lines)).await.map_err(|_| Gone)
    }

    /// Writes a problem: as the whole answer where nothing was written before, else as a line.
    pub(crate) async fn refuse(&self, problem: Problem) -> Result<(), Gone> {
        self.0.send(Item::Refused(problem)).await.map_err(|_| Gone)
    }
}

/// Starts `work` and answers with the lines it writes.
pub(crate) async fn respond<W>(
    door: &Door,
    work: impl FnOnce(Feed, CancellationToken) -> W,
) -> Result<Response, Problem>
where
    W: Future<Output = ()> + Send + 'static,
{
    let (sender, mut receiver) = mpsc::channel(WAITING);
    let stop = door.spawner.shutdown_signal().child_token();
    let work = work(Feed(sender.clone()), stop.clone());
    door.spawner.spawn(watch(work, sender, stop));
    let first = match timeout(FIRST, receiver.recv()).await {
        Ok(Some(Item::Refused(problem))) => return Err(problem),
        Ok(Some(Item::Line(line))) => Some(line),
        Ok(None) => return Err(Problem::new(Sort::INTERNAL, "the work ended without a word")),
        Err(_) => None,
    };
    let rest = stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|item| {
            Some(match item? {
                Item::Line(line) => line,
                Item::Refused(problem) => written(&Last { error: problem }),
            })
        })
    });
    let lines = futures_util::StreamExt::chain(stream::iter(first), rest);
    let lines = futures_util::StreamExt::map(lines, Ok::<_, Infallible>);
    let media = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, media)], Body::from_stream(lines)).into_response())
}

#[derive(Serialize)]
struct Last {
    error: Problem,
}

/// Runs the work, and asks it to stop when nobody reads any more.
async fn watch(
    work: impl Future<Output = ()>,
    sender: mpsc::Sender<Item>,
    stop: CancellationToken,
) {
    let mut work = std::pin::pin!(work);
    tokio::select! {
        () = work.as_mut() => return,
        () = sender.closed() => stop.cancel(),
    }
    work.await;
}

/// Runs work that must not be cut off in the middle beside the request, and waits for it. When the
/// request ends first, the work is asked to stop.
pub(crate) async fn aside<W, T>(
    door: &Door,
    work: impl FnOnce(CancellationToken) -> W,
) -> Result<T, Problem>
where
    W: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let stop = door.spawner.shutdown_signal().child_token();
    let _guard = stop.clone().drop_guard();
    let ended = door.spawner.spawn(work(stop)).await;
    ended.map_err(|error| Problem::new(Sort::INTERNAL, format!("the work broke off: {error}")))
}

/// Writes a line of JSON.
pub(crate) fn written(line: &impl Serialize) -> Bytes {
    // A struct of texts and numbers can always be written.
    let mut json = serde_json::to_vec(line).unwrap_or_default();
    json.push(b'\n');
    json.into()
}
