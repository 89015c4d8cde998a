//! A bare connection to any Redis, which speaks the protocol by hand: no client library in between
//! that would repeat, reconnect or hide what was answered.
//!
//! It blocks its thread until the answer is there; who must not wait so asks [`crate::Store::ask`].

use std::io::{BufRead, BufReader, Error as Failure, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::error::{Error, while_doing};

/// How long a server may think about an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing.
    Nil,
    /// A text.
    Text(String),
    /// A number.
    Number(i64),
    /// A refusal, such as `OOM command not allowed`.
    Error(String),
    /// Several.
    List(Vec<Self>),
}

impl Reply {
    /// Returns the text; nothing where it is none.
    #[must_use]
    pub fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Nil | Self::Number(_) | Self::Error(_) | Self::List(_) => None,
        }
    }

    /// Returns the number; nothing where it is none.
    #[must_use]
    pub const fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Nil | Self::Text(_) | Self::Error(_) | Self::List(_) => None,
        }
    }
}

impl Connection {
    /// Connects to `redis://host:port`, or `host:port`.
    ///
    /// # Errors
    /// When the server takes no connection.
    pub fn open(url: &str) -> Result<Self, Error> {
        let address = url.trim_start_matches("redis://");
        let address = address.split('/').next().unwrap_or_default();
        let open = || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Self(BufReader::new(stream)))
        };
        open().map_err(while_doing(format!("connect to Redis on {address}")))
    }

    /// Asks the server; a refusal is an answer too.
    ///
    /// # Errors
    /// When no answer comes, or one that is none. The connection is of no use any more then, and the
    /// command may have been performed.
    pub fn ask<W: AsRef<str>>(&mut self, words: &[W]) -> Result<Reply, Error> {
        let mut request = format!("*{}\r\n", words.len());
        for word in words.iter().map(AsRef::as_ref) {
            request += &format!("${}\r\n{word}\r\n", word.len());
        }
        let asked = self.0.get_mut().write_all(request.as_bytes());
        let command = words.first().map(AsRef::as_ref).unwrap_or_default();
        asked.and_then(|()| self.reply()).map_err(while_doing(format!("ask Redis {command}")))
    }

    fn reply(&mut self) -> Result<Reply, Failure> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let strange = || Failure::other(format!("it answers {line:?}"));
        let (sort, rest) = line.trim_end().split_at_checked(1).ok_or_else(strange)?;
        let number = || rest.parse::<i64>().map_err(|_| strange());
        // A negative length is that of nothing.
        let length = || number().map(|length| usize::try_from(length).ok());
        Ok(match sort {
            "+" => Reply::Text(rest.to_owned()),
            "-" => Reply::Error(rest.to_owned()),
            ":" => Reply::Number(number()?),
            "$" => length()?.map_or(Ok(Reply::Nil), |length| self.text(length))?,
            "*" => length()?.map_or(Ok(Reply::Nil), |length| self.list(length))?,
            _ => return Err(strange()),
        })
    }

    fn text(&mut self, length: usize) -> Result<Reply, Failure> {
        let mut bytes = vec![0; length + 2];
        self.0.read_exact(&mut bytes)?;
        bytes.truncate(length);
        Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn list(&mut self, length: usize) -> Result<Reply, Failure> {
        (0..length).map(|_| self.reply()).collect::<Result<_, _>>().map(Reply::List)
    }
}

/// Asks whoever listens at a port of this machine, over a connection of its own, without blocking.
pub(crate) async fn ask(server: &str, port: u16, words: &[&str]) -> Result<Reply, Error> {
    let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
    let asked = spawn_blocking(move || Connection::open(&format!("127.0.0.1:{port}"))?.ask(&words));
    asked.await.unwrap_or_else(|error| Err(Error::unexpected(server, error.to_string())))
}
