//! An answer of many lines, as it comes.
//!
//! Guards that a line is bounded, and that a broken connection is told apart from the end.

use bytes::{Bytes, BytesMut};
use reqwest::Response;

use super::{Operation, alien, lost};
use crate::error::Error;

/// Longest line: a message of 16 MiB as JSON, each byte of it escaped.
const LONGEST: usize = 128 << 20;

/// The lines of one answer.
pub(crate) struct Answers {
    operation: Operation,
    url: String,
    response: Response,
    buffer: BytesMut,
    /// How much of the buffer holds no line's end.
    searched: usize,
    is_over: bool,
}

impl Answers {
    pub(super) fn new(operation: Operation, url: String, response: Response) -> Self {
        let buffer = BytesMut::new();
        Self { operation, url, response, buffer, searched: 0, is_over: false }
    }

    /// Returns the next line that is not blank, without its end; nothing after the last one.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if let Some(line) = self.buffered() {
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            if self.is_over {
                return Ok(None);
            }
            if self.buffer.len() > LONGEST {
                let why = "a line without an end";
                return Err(alien(&self.operation, &self.url, why));
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|error| lost(&self.operation, &self.url, &error))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => self.is_over = true,
            }
        }
    }

    /// Creates the failure of an answer that is no JSON.
    pub(crate) fn alien(&self, line: &[u8]) -> Error {
        alien(&self.operation, &self.url, &String::from_utf8_lossy(line))
    }

    /// Returns what the answer is about.
    pub(crate) fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Takes a whole line off the buffer; at the end, what is left counts as one.
    fn buffered(&mut self) -> Option<Bytes> {
        let found = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n');
        let taken = match found {
            Some(at) => self.searched + at + 1,
            None if self.is_over && !self.buffer.is_empty() => self.buffer.len(),
            None => {
                self.searched = self.buffer.len();
                return None;
            }
        };
        self.searched = 0;
        let mut line = self.buffer.split_to(taken);
        line.truncate(line.trim_ascii_end().len());
        Some(line.freeze())
    }
}
