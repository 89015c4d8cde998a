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

/// Most lines, and about most bytes, of one request.
const CHUNK: usize = 1_000;
const CHUNK_BYTES: usize = 4 << 20;
/// Longest line: the largest payload that can be configured is 8 MiB.
const LONGEST: usize = 9 << 20;
/// How long a chunk is left open for lines that are still on their way.
const LINGER: Duration = Duration::from_millis(50);

/// Reads chunks of lines.
pub(super) struct Lines {
    name: String,
    reader: BufReader<Box<dyn AsyncRead + Send + Unpin>>,
    partial: BytesMut,
    number: u64,
}

/// Lines that go together.
#[derive(Default)]
pub(super) struct Chunk {
    /// The number of each line in its file, from 1.
    pub(super) numbers: Vec<u64>,
    bytes: BytesMut,
}

impl Chunk {
    /// Returns the lines as one body.
    pub(super) fn body(&mut self) -> Bytes {
        self.bytes.split().freeze()
    }

    fn is_full(&self) -> bool {
        self.numbers.len() >= CHUNK || self.bytes.len() >= CHUNK_BYTES
    }

    fn take(&mut self, (number, line): (u64, BytesMut)) {
        self.numbers.push(number);
        self.bytes.extend_from_slice(line.trim_ascii_end());
        self.bytes.extend_from_slice(b"\n");
    }
}

impl Lines {
    /// Opens a file; `-` is stdin.
    ///
    /// # Cancel safety
    /// Nothing was read yet.
    pub(super) async fn open(file: &Path) -> Result<Self, Error> {
        Ok(Self::new(input::shown(file), Box::new(input::open(file).await?)))
    }

    fn new(name: String, from: Box<dyn AsyncRead + Send + Unpin>) -> Self {
        let reader = BufReader::with_capacity(64 << 10, from);
        Self { name, reader, partial: BytesMut::new(), number: 0 }
    }

    /// Returns the next lines that are not blank; nothing at the end.
    ///
    /// # Cancel safety
    /// Dropped, lines are lost.
    pub(super) async fn chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let Some(first) = self.next().await? else { return Ok(None) };
        let mut chunk = Chunk::default();
        chunk.take(first);
        while !chunk.is_full() {
            match timeout(LINGER, self.next()).await {
                Ok(Ok(Some(line))) => chunk.take(line),
                Ok(Ok(None)) | Err(_) => break,
                Ok(Err(error)) => return Err(error),
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
            if self.partial.len() > LONGEST {
                return Err(Error::Argument {
                    what: format!("{}, line {}", self.name, self.number + 1),
                    why: format!(
                        "it has more than {LONGEST} bytes; store the data elsewhere and send a reference"
                    ),
                });
            }
            if end.is_none() && !is_end {
                continue;
            }
            let line = self.partial.split();
            self.number += 1;
            if !line.trim_ascii().is_empty() {
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

    fn lines(text: &str) -> Lines {
        Lines::new("test".to_owned(), Box::new(std::io::Cursor::new(text.to_owned())))
    }

    #[tokio::test]
    async fn blank_lines_are_left_out_and_the_others_keep_their_numbers() {
        let mut lines = lines("{\"a\":1}\r\n\n  \n{\"b\":2}");
        let mut chunk = lines.chunk().await.unwrap().unwrap();
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
        }
        assert_eq!(sizes, [1_000, 1_000, 500]);
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let mut lines = lines(&"x".repeat(LONGEST + 1));
        assert!(lines.chunk().await.is_err());
    }
}
