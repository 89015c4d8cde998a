//! Makes a delay bucket in such a way that nobody sends a task to a queue that is not complete.
//!
//! RabbitMQ tells everybody but the one who makes a quorum queue that it is there before it has its `x-message-ttl`. A
//! message that comes first then never expires, and holds back all behind it for ever: only the head of a queue
//! expires. And a broker that is killed before it has written the queue down comes back with one that has lost
//! what it held, and never elects a leader. So the exchange in front of a bucket says that its queue is complete and
//! written down: it is made last, some time after the queue. Guards that a queue is deleted only where it has no
//! exchange after that time, so that nothing can have come to it, and holds nothing.

use std::time::Duration;

use lapin::options::{QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use tokio::time::sleep;

use super::super::supervisor::Link;
use super::super::topology::Part;
use super::super::translate::short;
use super::{DeclareError, declare_part, exists, explain};

/// Makes the queue of a bucket whose exchange is not there, and gives the broker the time that it needs.
pub(super) async fn prepare(
    link: &Link,
    parts: &[Part],
    new_queue: Duration,
) -> Result<(), DeclareError> {
    let exchange = parts.iter().find(|part| matches!(part, Part::Exchange { .. }));
    let queue = parts.iter().find(|part| matches!(part, Part::Queue { .. }));
    let (Some(exchange), Some(queue)) = (exchange, queue) else { return Ok(()) };
    if is_there(link, exchange).await? {
        return Ok(());
    }
    if is_there(link, queue).await? {
        // Somebody makes it now, or did not come to the end of it.
        sleep(new_queue).await;
        if is_there(link, exchange).await? {
            return Ok(());
        }
        leave_behind(link, queue).await?;
    }
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    match declare_part(&channel, queue).await.map_err(|error| explain(queue, &error)) {
        // Who may not is told so when all of it is declared.
        Err(DeclareError::Refused(refusal)) if refusal.is_forbidden => return Ok(()),
        other => other?,
    }
    sleep(new_queue).await;
    Ok(())
}

async fn is_there(link: &Link, part: &Part) -> Result<bool, DeclareError> {
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    let there = exists(&channel, part).await.map_err(|error| explain(part, &error))?;
    if there {
        // One that cannot be closed ends with its connection.
        let _ = channel.close(200, "asked".into()).await;
    }
    Ok(there)
}

/// Deletes an empty queue that nothing can come to: its broker may have forgotten to have a leader elected for it.
async fn leave_behind(link: &Link, part: &Part) -> Result<(), DeclareError> {
    let Part::Queue { name, .. } = part else { return Ok(()) };
    let channel = link.connection.channel().await.map_err(DeclareError::Unavailable)?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let found = channel.queue_declare(short(name), passive, FieldTable::default()).await;
    if found.map_err(|error| explain(part, &error))?.message_count() > 0 {
        return Ok(());
    }
    tracing::warn!(queue = %name, "making a delay queue anew that was left unfinished");
    match channel.queue_delete(short(name), QueueDeleteOptions::default()).await {
        Ok(_) => Ok(()),
        Err(error) => match explain(part, &error) {
            DeclareError::Refused(refusal) if refusal.is_forbidden => Ok(()),
            other => Err(other),
        },
    }
}
