//! Makes a delay bucket in such a way that nobody sends a task to a queue that is not complete.
//!
//! RabbitMQ tells everybody but the one who makes a quorum queue that it is there before it has its `x-message-ttl`. A
//! message that comes first then never expires, and holds back all behind it for ever: only the head of a queue
//! expires. And a broker that is killed before it has written the queue down comes back with one that has lost
//! what it held, and never elects a leader. So the exchange in front of a bucket says that its queue is complete and
//! written down: it is made last, some time after the queue.
//!
//! One process makes a bucket at a time, by the right to an exclusive queue, which ends with its connection. Guards that
//! a queue is deleted only by who has that right, and only where there is no exchange: all that leads to the queue is
//! made under the right and on the same connection, so nothing can have come to it, or be on its way.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::protocol::{AMQPErrorKind, AMQPSoftError};
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind};
use tokio::time::sleep;

use super::super::supervisor::Link;
use super::super::topology::Part;
use super::super::translate::short;
use super::{DeclareError, declare_part, exists, explain};

/// How often it is looked whether another process has made the bucket.
const LOOK: Duration = Duration::from_millis(100);

/// What came of asking for the right to make a bucket.
enum Right {
    /// Held for as long as the connection lives, or until the queue of this channel is deleted.
    Held(Channel),
    /// Another connection has it.
    Taken,
    /// The user may not declare such queues, and so no bucket.
    Forbidden,
}

/// Makes a bucket whose exchange is not there, and gives the broker the time that it needs.
///
/// # Cancel safety
/// Not to be dropped before its end, but with the process or its connection: others would wait for its right in vain.
pub(super) async fn prepare(
    link: &Link,
    parts: &[Part],
    new_queue: Duration,
) -> Result<(), DeclareError> {
    let exchange = parts.iter().find(|part| matches!(part, Part::Exchange { .. }));
    let queue = parts.iter().find(|part| matches!(part, Part::Queue { .. }));
    let (Some(exchange), Some(queue @ Part::Queue { name, .. })) = (exchange, queue) else {
        return Ok(());
    };
    let right = format!("{name}.making");
    loop {
        if is_there(link, exchange).await? {
            return Ok(());
        }
        match ask_for(link, &right).await? {
            Right::Held(channel) => {
                let made = make(link, parts, exchange, queue, new_queue).await;
                // Where that fails, the connection is gone, and the right with it.
                let _ = channel.queue_delete(short(&right), QueueDeleteOptions::default()).await;
                return made;
            }
            Right::Taken => sleep(LOOK).await,
            // It is told when all of it is declared.
            Right::Forbidden => return Ok(()),
        }
    }
}

async fn ask_for(link: &Link, right: &str) -> Result<Right, DeclareError> {
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let error = match channel.queue_declare(short(right), options, FieldTable::default()).await {
        Ok(_) => return Ok(Right::Held(channel)),
        Err(error) => error,
    };
    match error.kind() {
        ErrorKind::ProtocolError(said) => match said.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => Ok(Right::Taken),
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => Ok(Right::Forbidden),
            _ => Err(DeclareError::Unavailable(error.to_string())),
        },
        _ => Err(DeclareError::Unavailable(error.to_string())),
    }
}

async fn make(
    link: &Link,
    parts: &[Part],
    exchange: &Part,
    queue: &Part,
    new_queue: Duration,
) -> Result<(), DeclareError> {
    // Who had the right before may have come to the end.
    if is_there(link, exchange).await? {
        return Ok(());
    }
    if is_there(link, queue).await? {
        leave_behind(link, queue).await?;
    }
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    declare_part(&channel, queue).await.map_err(|error| explain(queue, &error))?;
    sleep(new_queue).await;
    for part in parts.iter().filter(|part| !matches!(part, Part::Queue { .. })) {
        declare_part(&channel, part).await.map_err(|error| explain(part, &error))?;
    }
    // One that cannot be closed ends with its connection.
    let _ = channel.close(200, "made".into()).await;
    Ok(())
}

async fn is_there(link: &Link, part: &Part) -> Result<bool, DeclareError> {
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    let there = exists(&channel, part).await.map_err(|error| explain(part, &error))?;
    if there {
        let _ = channel.close(200, "asked".into()).await;
    }
    Ok(there)
}

/// Deletes a queue to which nothing leads: its broker may have forgotten to have a leader elected for it.
async fn leave_behind(link: &Link, part: &Part) -> Result<(), DeclareError> {
    let Part::Queue { name, .. } = part else { return Ok(()) };
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let found = channel.queue_declare(short(name), passive, FieldTable::default()).await;
    if found.map_err(|error| explain(part, &error))?.message_count() > 0 {
        // Put there by hand.
        return Ok(());
    }
    tracing::warn!(queue = %name, "making a delay queue anew that was left unfinished");
    let deleted = channel.queue_delete(short(name), QueueDeleteOptions::default()).await;
    deleted.map_err(|error| explain(part, &error))?;
    let _ = channel.close(200, "deleted".into()).await;
    Ok(())
}
