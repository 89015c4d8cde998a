//! A door into a broker of one's own, through which it is asked what it holds.
//!
//! `rabbitmqctl` starts an Erlang of its own for each question (350 ms of a core), and what it and
//! the management API say of a quorum queue is up to 5 s old. So one `rabbitmqctl eval` opens a
//! socket in the node's folder, which nobody else can enter, and each further question is an
//! expression that the broker evaluates, in half a millisecond. Guards that a broker which was
//! killed or frozen answers with an error, never with what it held before.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error::{Error, while_doing};

/// How long the broker may think about a question.
const PATIENCE: Duration = Duration::from_secs(20);
/// The longest answer, in bytes: some tens of thousands of queues.
const LONGEST: u32 = 64 << 20;

/// What `rabbitmqctl eval` evaluates to open the door.
pub(crate) const OPEN: &str = include_str!("door.erl");

/// Returns where the door of a broker is.
pub(crate) fn path(folder: &Path) -> PathBuf {
    folder.join("door")
}

/// Asks the broker to evaluate an expression; returns the value, as text where it is none.
/// Nothing where the door is not open.
pub(crate) async fn ask(folder: &Path, expression: &str) -> Result<Option<String>, Error> {
    let Ok(mut door) = UnixStream::connect(path(folder)).await else { return Ok(None) };
    let asked = timeout(PATIENCE, exchange(&mut door, expression)).await;
    let answer = asked.map_err(|_| unexpected("does not answer"))?;
    let answer = answer.map_err(while_doing("ask RabbitMQ"))?;
    let text = String::from_utf8_lossy(&answer);
    match text.split_at_checked(1) {
        Some(("+", value)) => Ok(Some(value.to_owned())),
        Some(("-", why)) => Err(unexpected(format!("refuses {expression}: {why}"))),
        _ => Err(unexpected(format!("answers {text:?}"))),
    }
}

async fn exchange(door: &mut UnixStream, expression: &str) -> std::io::Result<Vec<u8>> {
    let length = u32::try_from(expression.len()).map_err(std::io::Error::other)?;
    door.write_u32(length).await?;
    door.write_all(expression.as_bytes()).await?;
    let length = door.read_u32().await?;
    if length > LONGEST {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut answer = vec![0; usize::try_from(length).map_err(std::io::Error::other)?];
    door.read_exact(&mut answer).await?;
    Ok(answer)
}

fn unexpected(what: impl Into<String>) -> Error {
    Error::unexpected("RabbitMQ", what.into())
}
