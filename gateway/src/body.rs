//! One body as a whole, within a limit and a time.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, HeaderValue, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::problem::{Problem, Sort};

/// What is thrown away of a refused body, and for how long. A client that still sends would have
/// its connection reset under it, and never see the answer.
const DISCARDED: usize = 16 << 20;
const DISCARDING: Duration = Duration::from_secs(2);

/// Reads a body of at most `limit` bytes; each piece may take `idle` to come.
pub(crate) async fn whole(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    idle: Duration,
) -> Result<Bytes, Problem> {
    let mut pieces = body.into_data_stream();
    if announced(headers).is_some_and(|bytes| bytes > limit) {
        discard(&mut pieces).await;
        return Err(too_large(limit));
    }
    let mut read = BytesMut::new();
    loop {
        match timeout(idle, pieces.next()).await {
            Ok(Some(Ok(piece))) if read.len() + piece.len() > limit => {
                discard(&mut pieces).await;
                return Err(too_large(limit));
            }
            Ok(Some(Ok(piece))) => read.extend_from_slice(&piece),
            Ok(Some(Err(error))) => return Err(broken(&error)),
            Ok(None) => return Ok(read.freeze()),
            Err(_) => return Err(slow(idle)),
        }
    }
}

/// Returns the length that the client announced.
pub(crate) fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH).map(HeaderValue::to_str)?.ok()?.parse().ok()
}

/// Reads on for a while without keeping anything.
pub(crate) async fn discard(pieces: &mut BodyDataStream) {
    let deadline = Instant::now() + DISCARDING;
    let mut left = DISCARDED;
    while let Ok(Some(Ok(piece))) = timeout_at(deadline, pieces.next()).await {
        left = left.saturating_sub(piece.len());
        if left == 0 {
            return;
        }
    }
}

/// Says that a body is over `limit`.
pub(crate) fn too_large(limit: usize) -> Problem {
    let detail = format!(
        "the body is over the limit of {limit} bytes here (limits.payload for one task, \
         gateway.max_body for many); send less at once"
    );
    Problem::new(Sort::TOO_LARGE, detail)
}

/// Says that nothing came for `idle`.
pub(crate) fn slow(idle: Duration) -> Problem {
    Problem::new(Sort::SLOW_BODY, format!("nothing of the body arrived for {idle:?}"))
}

/// Says that the body ended before its end.
pub(crate) fn broken(error: &axum::Error) -> Problem {
    Problem::new(Sort::INVALID_REQUEST, format!("failed to read the body: {error}"))
}
