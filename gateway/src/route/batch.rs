//! Many tasks in one request: one per line, one result line for each, in order, as they are done.
//!
//! A bad line does not stop the others. The work runs beside the response: were it driven by the
//! client's reading, a client that reads only after it has sent everything would wait for us as we
//! wait for it. What is waiting to be read is bounded by `gateway.max_batch` result lines.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use leveret_producer::Submission;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Door;
use crate::answer::{AcceptedAnswer, LineAnswer};
use crate::body;
use crate::lines::{Limits, Lines, Next};
use crate::operations::Operations;
use crate::problem::{Problem, Sort};

/// Most tasks, and about most bytes, that are enqueued together.
const GROUP: usize = 500;
const GROUP_BYTES: usize = 4 << 20;
/// How long a group is left open for lines that are still on their way.
const LINGER: Duration = Duration::from_millis(5);
/// What a line may hold beside its args: tags take 16 KiB at most.
pub(crate) const BESIDE_ARGS: usize = 64 << 10;

/// Answers a body of lines.
pub(crate) async fn respond(door: &Door, headers: &HeaderMap, body: Body) -> Response {
    let limits = Limits {
        line: door.operations.payload_limit() + BESIDE_ARGS,
        whole: door.config.max_body,
        idle: door.config.idle_timeout,
    };
    let mut pieces = body.into_data_stream();
    if body::announced(headers).is_some_and(|bytes| bytes > limits.whole) {
        body::discard(&mut pieces).await;
        return body::too_large(limits.whole).into_response();
    }
    // Each send carries at least one line, so a send never waits.
    let (results, mut receiver) = mpsc::channel::<Bytes>(door.config.max_batch + 1);
    let batch = Batch {
        lines: Lines::new(pieces, limits),
        operations: door.operations.clone(),
        left: door.config.max_batch,
        most: door.config.max_batch,
    };
    door.spawner.spawn(batch.run(results));
    let written = stream::poll_fn(move |context| {
        receiver.poll_recv(context).map(|bytes| bytes.map(Ok::<_, Infallible>))
    });
    let media = HeaderValue::from_static("application/x-ndjson");
    ([(header::CONTENT_TYPE, media)], Body::from_stream(written)).into_response()
}

struct Batch {
    lines: Lines,
    operations: Operations,
    /// How many tasks may still come.
    left: usize,
    most: usize,
}

/// Lines to be enqueued together, with what is wrong with some already.
#[derive(Default)]
struct Group {
    numbers: Vec<usize>,
    submissions: Vec<Result<Submission, Problem>>,
    bytes: usize,
    /// Whether nothing comes after it.
    is_last: bool,
}

impl Group {
    /// Ends the batch at a line that cannot be taken.
    fn end(&mut self, number: usize, problem: Problem) {
        self.numbers.push(number);
        self.submissions.push(Err(problem));
        self.is_last = true;
    }
}

impl Batch {
    /// Enqueues group after group until the body is over or nobody listens any more.
    async fn run(mut self, results: mpsc::Sender<Bytes>) {
        loop {
            let group = self.gather().await;
            let is_last = group.is_last;
            if !group.numbers.is_empty() {
                let answers = self.operations.enqueue_all(group.submissions).await;
                let written = write(&group.numbers, answers);
                if results.send(written).await.is_err() {
                    tracing::debug!("the client of a batch left before its end");
                    return;
                }
            }
            if is_last {
                // Held until here: the answer ends with the sender, and a client that still
                // sends would then have its connection reset before it reads the last lines.
                self.lines.discard().await;
                return;
            }
        }
    }

    /// Waits for a first line and takes those that come with it.
    async fn gather(&mut self) -> Group {
        let mut group = Group::default();
        let first = self.lines.next().await;
        self.take(&mut group, first);
        while !group.is_last && group.numbers.len() < GROUP && group.bytes < GROUP_BYTES {
            match timeout(LINGER, self.lines.next()).await {
                Ok(next) => self.take(&mut group, next),
                Err(_) => break,
            }
        }
        group
    }

    fn take(&mut self, group: &mut Group, next: Next) {
        let (number, submission) = match next {
            Next::Line(number, line) => {
                group.bytes += line.len();
                let read = Submission::read(&line, None);
                (number, read.map_err(|why| Problem::new(Sort::INVALID_TASK, why)))
            }
            Next::LongLine(number) => {
                let limit = self.operations.payload_limit();
                let why = format!(
                    "the line is far over the limit of {limit} bytes for a task's args \
                     (limits.payload): store them elsewhere and send a reference"
                );
                (number, Err(Problem::new(Sort::TOO_LARGE, why)))
            }
            Next::Broken(number, problem) => return group.end(number, problem),
            Next::End => {
                group.is_last = true;
                return;
            }
        };
        if self.left == 0 {
            let why = format!(
                "there are more than {} tasks (gateway.max_batch); this line and those after it \
                 were not read: send them in another request",
                self.most
            );
            return group.end(number, Problem::new(Sort::TOO_LARGE, why));
        }
        self.left -= 1;
        group.numbers.push(number);
        group.submissions.push(submission);
    }
}

/// Writes a result line for each answer.
fn write(numbers: &[usize], answers: Vec<Result<leveret_producer::Accepted, Problem>>) -> Bytes {
    let mut written = Vec::with_capacity(numbers.len() * 128);
    for (line, answer) in numbers.iter().zip(answers) {
        let answer = match answer {
            Ok(accepted) => LineAnswer {
                line: *line,
                accepted: Some(AcceptedAnswer::from(&accepted)),
                error: None,
            },
            Err(problem) => LineAnswer { line: *line, accepted: None, error: Some(problem) },
        };
        // A struct of texts and numbers can always be written, and a Vec always takes it.
        let _ = serde_json::to_writer(&mut written, &answer);
        written.push(b'\n');
    }
    written.into()
}
