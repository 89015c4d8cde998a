//! Counts what rests in queues, and who consumes them, without touching either.
//!
//! The protocol has one question for it, the passive declare, and answers for a queue that does not
//! exist by closing the channel. So all questions share one channel, and a missing queue costs a
//! new one. Nothing is remembered: a queue that another process declares a moment later is counted.

use lapin::ErrorKind;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::{Instant, timeout_at};

use super::connection::REQUEST_DEADLINE;
use super::supervisor::{Link, Supervisor};
use super::topology::Topology;
use super::translate::short;
use crate::broker::{BrokerError, Place, Survey};

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
        let passive = QueueDeclareOptions { passive: true, ..Default::default() };
        let answer = channel.queue_declare(short(&queue), passive, FieldTable::default()).await;
        match answer {
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

fn fail(why: String) -> BrokerError {
    BrokerError::Operation { operation: "count messages", why, source: None }
}
