//! Lines of a file or of stdin, gathered into chunks that fit into one request.
//!
//! Not what a line means: the gateway answers for each. Guards: a chunk is bounded in lines and in
//! bytes, and a line that trickles in is sent on without waiting for a full chunk.

use std::path::Path;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::time::timeout;

use super::input;
use crate::error::Error;

/// About most bytes of one request.
const CHUNK_BYTES: usize = 4 << 20;
/// How long a chunk is left open for lines that are still on their way.
const LINGER: Duration = Duration::from_millis(50);

/// How lines are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most lines of a chunk.
    pub(crate) lines: usize,
    /// Most bytes of a line.
    pub(crate) line_bytes: usize,
}

/// Reads chunks of lines.
pub(super) struct Lines {
    name: String,
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    limits: Limits,
    last: Option<fn(&[u8]) -> bool>,
    is_whole: bool,
    partial: BytesMut,
    number: u64,
    /// What ended the reading behind the lines that were returned last.
    failed: Option<Error>,
}

/// Lines that go together.
#[derive(Default)]
pub(super) struct Chunk {
    /// The number of each line in its file, from 1.
    pub(super) numbers: Vec<u64>,
    /// Where each line ends.
    ends: Vec<usize>,
    bytes: BytesMut,
}

impl Chunk {
    /// Returns the lines as one body.
    pub(super) fn body(&self) -> Bytes {
        Bytes::copy_from_slice(&self.bytes)
    }

    /// Splits off the lines from the one at `place` on.
    pub(super) fn split_off(&mut self, place: usize) -> Self {
        let at = if place == 0 { 0 } else { self.ends[place - 1] };
        let ends = self.ends.split_off(place).into_iter().map(|end| end - at).collect();
        Self { numbers: self.numbers.split_off(place), ends, bytes: self.bytes.split_off(at) }
    }

    fn is_full(&self, most: usize) -> bool {
        self.numbers.len() >= most || self.bytes.len() >= CHUNK_BYTES
    }

    fn take(&mut self, (number, line): (u64, BytesMut)) {
        self.numbers.push(number);
        self.bytes.extend_from_slice(line.trim_ascii_end());
        self.bytes.extend_from_slice(b"\n");
        self.ends.push(self.bytes.len());
    }
}

impl Lines {
    /// Opens a file; `-` is stdin.
    ///
    /// # Cancel safety
    /// Nothing was read yet.
    pub(super) async fn open(
        file: &Path,
        limits: Limits,
        last: Option<fn(&[u8]) -> bool>,
    ) -> Result<Self, Error> {
        let opened = input::open(file).await?;
        Ok(Self { last, ..Self::new(input::shown(file), Box::new(opened), limits) })
    }

    fn new(name: String, from: Box<dyn AsyncRead + Send + Unpin>, limits: Limits) -> Self {
        let reader = BufReader::with_capacity(64 << 10, from);
        let partial = BytesMut::new();
        let (last, is_whole, number, failed) = (None, false, 0, None);
        Self { name, reader, limits, last, is_whole, partial, number, failed }
    }

    /// Tells whether the line was met that says so.
    pub(super) const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns at most so many lines at once from now on.
    pub(super) fn limit(&mut self, lines: usize) {
        self.limits.lines = lines.clamp(1, self.limits.lines);
    }

    /// Returns the next lines that are not blank; nothing at the end. A line that cannot be read is
    /// told after those before it.
    ///
    /// # Cancel safety
    /// Dropped, lines are lost.
    pub(super) async fn chunk(&mut self) -> Result<Option<Chunk>, Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let Some(first) = self.next().await? else { return Ok(None) };
        let mut chunk = Chunk::default();
        chunk.take(first);
        while !chunk.is_full(self.limits.lines) {
            match timeout(LINGER, self.next()).await {
                Ok(Ok(Some(line))) => chunk.take(line),
                Ok(Ok(None)) | Err(_) => break,
                Ok(Err(error)) => {
                    self.failed = Some(error);
                    break;
                }
            }
        }
        Ok(Some(chunk))
    }

    /// Returns the next line that is not blank.
    ///
    /// # Cancel safety
    /// Dropped, nothing is lost: what was read of a line is kept for the next call.
    async fn next(&mut self) -> Result<Option<(u64, BytesMut)>, Error> {
        loop {
            let read = self.reader.fill_buf().await;
            let read = read.map_err(|error| Error::unreadable(&self.name, &error))?;
            let is_end = read.is_empty();
            let end = read.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(read.len(), |end| end + 1);
            self.partial.extend_from_slice(&read[..taken]);
            self.reader.consume(taken);
            let longest = self.limits.line_bytes;
            if self.partial.len() > longest {
                return Err(Error::Argument {
                    what: format!("{}, line {}", self.name, self.number + 1),
                    why: format!(
                        "it has more than {longest} bytes; store the data elsewhere and send a reference"
                    ),
                });
            }
            if end.is_none() && !is_end {
                continue;
            }
            let line = self.partial.split();
            self.number += 1;
            if self.last.is_some_and(|is_last| is_last(&line)) {
                self.is_whole = true;
            } else if !line.trim_ascii().is_empty() {
                return Ok(Some((self.number, line)));
            }
            if is_end {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { lines: 1_000, line_bytes: 1 << 20 };

    fn lines(text: &str) -> Lines {
        let text = std::io::Cursor::new(text.to_owned());
        Lines::new("test".to_owned(), Box::new(text), LIMITS)
    }

    #[tokio::test]
    async fn blank_lines_are_left_out_and_the_others_keep_their_numbers() {
        let mut lines = lines("{\"a\":1}\r\n\n  \n{\"b\":2}");
        let chunk = lines.chunk().await.unwrap().unwrap();
        assert_eq!(chunk.numbers, [1, 4]);
        assert_eq!(chunk.body(), "{\"a\":1}\n{\"b\":2}\n");
        assert!(lines.chunk().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_chunk_is_bounded() {
        let mut lines = lines(&"x\n".repeat(2_500));
        let mut sizes = Vec::new();
        while let Some(chunk) = lines.chunk().await.unwrap() {
            sizes.push(chunk.numbers.len());
            lines.limit(400);
        }
        assert_eq!(sizes, [1_000, 400, 400, 400, 300]);
    }

    #[tokio::test]
    async fn a_chunk_is_split_between_two_lines() {
        let mut chunk = lines("a\nbb\n\nccc\nd\n").chunk().await.unwrap().unwrap();
        let mut rest = chunk.split_off(1);
        let last = rest.split_off(2);
        assert_eq!((chunk.numbers.as_slice(), &chunk.body()[..]), (&[1][..], &b"a\n"[..]));
        assert_eq!((rest.numbers.as_slice(), &rest.body()[..]), (&[2, 4][..], &b"bb\nccc\n"[..]));
        assert_eq!((last.numbers.as_slice(), &last.body()[..]), (&[5][..], &b"d\n"[..]));
    }

    #[tokio::test]
    async fn lines_before_one_that_is_too_long_are_returned_first() {
        let mut lines = lines(&format!("a\n\nb\n{}\nc\n", "x".repeat(LIMITS.line_bytes)));
        let chunk = lines.chunk().await.unwrap().unwrap();
        assert_eq!(chunk.numbers, [1, 3]);
        let error = lines.chunk().await.map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("test, line 4"), "{error}");
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let mut lines = lines(&"x".repeat(LIMITS.line_bytes + 1));
        assert!(lines.chunk().await.is_err());
    }
}
