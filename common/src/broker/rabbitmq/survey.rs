//! Counts what rests in queues, and who consumes them, without touching either.
//!
//! The protocol has one question for it, the passive declare, and answers for a queue that does not
//! exist by closing the channel. So all questions share one channel, and a missing queue costs a
//! new one. Nothing is remembered: a queue that another process declares a moment later is counted.
//! Guards that a busy queue is not taken for an empty one.

use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Channel, ErrorKind, Queue};
use tokio::time::{Instant, timeout_at};

use super::connection::REQUEST_DEADLINE;
use super::supervisor::{Link, Supervisor};
use super::topology::Topology;
use super::translate::short;
use crate::broker::{BrokerError, Place, Survey};

/// A server that waits for a quorum queue's leader gives up after 250 ms, and then says that the
/// queue has no messages and no consumers (`rabbit_quorum_queue:stat/2`, 3.10 to 4.3). So nothing
/// that took nearly as long is believed.
const DOUBTED_AFTER: Duration = Duration::from_millis(200);

/// Answers in the order of `places`, all of them within one deadline.
pub(super) async fn survey(
    topology: &Topology,
    consuming: &Supervisor,
    places: &[Place],
) -> Result<Vec<Survey>, BrokerError> {
    let until = Instant::now() + REQUEST_DEADLINE;
    let link = consuming.link(until).await.map_err(fail)?;
    let mut surveys = Vec::with_capacity(places.len());
    let queues = places.iter().map(|place| topology.queue_of(place));
    let asked = timeout_at(until, ask(&link, queues, &mut surveys)).await;
    match asked {
        Ok(asked) => asked.map(|()| surveys),
        Err(_) => Err(fail(format!(
            "the broker told of {} of {} queues within {REQUEST_DEADLINE:?}",
            surveys.len(),
            places.len()
        ))),
    }
}

async fn ask(
    link: &Link,
    queues: impl Iterator<Item = String>,
    surveys: &mut Vec<Survey>,
) -> Result<(), BrokerError> {
    let mut open = None;
    for queue in queues {
        let channel = match open.take() {
            Some(channel) => channel,
            None => link.connection.channel().await.map_err(fail)?,
        };
        match count(&channel, &queue).await {
            Ok(found) => {
                let depth = u64::from(found.message_count());
                // How old it is only the message knows, and to look at it is to take it out.
                surveys.push(Survey { depth, consumers: found.consumer_count(), oldest: None });
                open = Some(channel);
            }
            Err(error) => match error.kind() {
                ErrorKind::ProtocolError(said) if said.get_id() == 404 => {
                    surveys.push(Survey::default());
                }
                _ => return Err(fail(format!("queue {queue}: {error}"))),
            },
        }
    }
    Ok(())
}

/// Asks until the answer can be believed; the caller has a deadline.
async fn count(channel: &Channel, queue: &str) -> lapin::Result<Queue> {
    loop {
        let asked = Instant::now();
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let found = channel.queue_declare(short(queue), passive, FieldTable::default()).await?;
        let is_nothing = found.message_count() == 0 && found.consumer_count() == 0;
        if !is_nothing || asked.elapsed() < DOUBTED_AFTER {
            return Ok(found);
        }
    }
}

fn fail(why: String) -> BrokerError {
    BrokerError::Operation { operation: "count messages", why, source: None }
}
