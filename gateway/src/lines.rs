//! Lines of a body as they arrive, within limits on one line, on the whole and on silence.
//!
//! Not what a line means: that is [`super::batch`]. A line over its limit is skipped without being
//! kept, and those after it are still read.

use std::time::Duration;

use axum::body::BodyDataStream;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::body;
use crate::problem::Problem;

/// What comes next.
pub(crate) enum Next {
    /// A line that is not blank.
    Line(usize, Bytes),
    /// A line that is over the limit.
    LongLine(usize),
    /// The body cannot be read on from this line.
    Broken(usize, Problem),
    /// The body is over.
    End,
}

/// The limits of a body of lines.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most bytes of one line.
    pub(crate) line: usize,
    /// Most bytes of all lines.
    pub(crate) whole: usize,
    /// Longest silence.
    pub(crate) idle: Duration,
}

/// Reads lines.
pub(crate) struct Lines {
    pieces: BodyDataStream,
    limits: Limits,
    /// What arrived and was not handed out.
    rest: BytesMut,
    /// How much of `rest` is known to hold no line's end.
    searched: usize,
    received: usize,
    /// The line that `rest` begins with, from 1.
    number: usize,
    /// Whether `rest` begins in the middle of a line that is skipped.
    skipping: bool,
    ended: bool,
}

impl Lines {
    pub(crate) fn new(pieces: BodyDataStream, limits: Limits) -> Self {
        Self {
            pieces,
            limits,
            rest: BytesMut::new(),
            searched: 0,
            received: 0,
            number: 1,
            skipping: false,
            ended: false,
        }
    }

    /// Waits for the next line.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost: what arrived comes with the next call.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.take() {
                return next;
            }
            if self.ended {
                return Next::End;
            }
            match timeout(self.limits.idle, self.pieces.next()).await {
                Ok(Some(Ok(piece))) => {
                    self.received += piece.len();
                    if self.received > self.limits.whole {
                        return self.broken(body::too_large(self.limits.whole));
                    }
                    self.rest.extend_from_slice(&piece);
                }
                Ok(Some(Err(error))) => return self.broken(body::broken(&error)),
                Ok(None) => self.ended = true,
                Err(_) => return self.broken(body::slow(self.limits.idle)),
            }
        }
    }

    /// Reads on for a while without keeping anything.
    pub(crate) async fn discard(&mut self) {
        body::discard(&mut self.pieces).await;
    }

    /// Takes a line out of what arrived; nothing where more has to come first.
    fn take(&mut self) -> Option<Next> {
        loop {
            let end = self.rest[self.searched..].iter().position(|byte| *byte == b'\n');
            let line = match end {
                Some(end) => self.rest.split_to(self.searched + end + 1),
                None if self.ended && !self.rest.is_empty() => self.rest.split(),
                None if self.rest.len() > self.limits.line => {
                    self.rest.clear();
                    self.searched = 0;
                    if !self.skipping {
                        self.skipping = true;
                        return Some(Next::LongLine(self.number));
                    }
                    return None;
                }
                None => {
                    self.searched = self.rest.len();
                    return None;
                }
            };
            self.searched = 0;
            let number = self.number;
            self.number += 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if line.len() > self.limits.line {
                return Some(Next::LongLine(number));
            }
            if !line.trim_ascii().is_empty() {
                return Some(Next::Line(number, line.freeze()));
            }
        }
    }

    fn broken(&mut self, problem: Problem) -> Next {
        self.ended = true;
        self.rest.clear();
        self.searched = 0;
        // A line that is skipped has had its answer.
        Next::Broken(self.number + usize::from(std::mem::take(&mut self.skipping)), problem)
    }
}

#[cfg(test)]
mod tests;
