//! The net below the foreign door: what no lane took goes to its lane, or to the dead letters.
//!
//! A foreign client may name a lane that nobody has declared; RabbitMQ puts such a message into the
//! queue `unrouted`. While this process consumes anything, a [`Sweeper`] takes it from there. What
//! the message means is for the worker that gets it. Guards that a message leaves `unrouted` only
//! after its copy was confirmed; one whose ack is lost goes to its lane twice.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::stream::{ReadyChunks, StreamExt};
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::RabbitMq;
use super::connection::{REQUEST_DEADLINE, request};
use super::outbox::Outbox;
use super::supervisor::Supervisor;
use super::topology::Unit;
use super::translate::{short, to_wire};
use crate::broker::{BrokerError, Destination, Publish, PublishError};
use crate::clock::Millis;
use crate::envelope::{DeadReason, HeaderValue, Wire, header, naturalise};
use crate::name::{Lane, Namespace, QueueName};

/// Most messages held at a time; it is a net, not a road.
const PREFETCH: u16 = 32;
/// Shortest and longest wait before what failed is tried again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));

/// Knows whether a sweeper runs.
#[derive(Default)]
pub(super) struct Sweeping(Mutex<Weak<DropGuard>>);

/// Keeps the sweeper running; the last one to be dropped ends it.
pub(super) struct Lease(#[expect(dead_code, reason = "held for its drop")] Arc<DropGuard>);

impl Sweeping {
    /// Starts the sweeper of `broker`, unless it runs.
    pub(super) fn lease(&self, broker: &RabbitMq) -> Lease {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.upgrade() {
            return Lease(running);
        }
        let stop = broker.consumers.stop.token().child_token();
        let sweeper = Sweeper {
            queue: broker.topology.unrouted_queue(),
            tag: format!("unrouted.{}", broker.client_name),
            // The door has taken the body already: whether it is too large, the worker decides.
            outbox: Outbox { payload_limit: usize::MAX, ..broker.outbox.clone() },
            consuming: broker.consuming.clone(),
        };
        broker.consumers.tasks.spawn(sweeper.run(stop.clone()));
        let guard = Arc::new(stop.drop_guard());
        *running = Arc::downgrade(&guard);
        Lease(guard)
    }
}

/// A consumer of `unrouted` on one channel.
struct Session {
    channel: Channel,
    stream: Pin<Box<ReadyChunks<lapin::Consumer>>>,
    /// What is taken and not acked, with where it goes.
    held: Vec<(u64, Publish)>,
}

struct Sweeper {
    queue: String,
    tag: String,
    outbox: Outbox,
    consuming: Arc<Supervisor>,
}

impl Sweeper {
    /// Sweeps until `stop`, on a new channel whenever one is lost.
    async fn run(self, stop: CancellationToken) {
        let mut pauses = pauses();
        while !stop.is_cancelled() {
            match self.open().await {
                Ok(mut session) => {
                    pauses = self::pauses();
                    let lost = self.sweep(&mut session, &stop).await;
                    // A channel that cannot be closed is closed with its connection.
                    let close = session.channel.close(200, "closed".into());
                    let _ = request("close a channel", close).await;
                    let Some(why) = lost else { return };
                    self.outbox.declarer.forget();
                    tracing::warn!(error = %why, "lost the consumer of unrouted messages");
                }
                Err(error) => {
                    tracing::warn!(error = %error, "failed to consume unrouted messages");
                    self.outbox.declarer.forget();
                }
            }
            let pause = sleep(pauses.next().unwrap_or(BACKOFF.1).min(BACKOFF.1));
            stop.run_until_cancelled(pause).await;
        }
    }

    async fn open(&self) -> Result<Session, BrokerError> {
        let until = Instant::now() + REQUEST_DEADLINE;
        self.outbox.declarer.ensure(&[Unit::Doors], until).await?;
        let operation = "consume";
        let fail = |why| BrokerError::Operation { operation, why, source: None };
        let link = self.consuming.link(until).await.map_err(fail)?;
        let channel = link.connection.channel().await.map_err(fail)?;
        request(operation, channel.basic_qos(PREFETCH, BasicQosOptions { global: false })).await?;
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consume = channel.basic_consume(short(&self.queue), short(&self.tag), options, table);
        let stream = request(operation, consume).await?;
        let stream = Box::pin(stream.ready_chunks(usize::from(PREFETCH)));
        Ok(Session { channel, stream, held: Vec::new() })
    }

    /// Moves messages until the channel is lost, and says why; nothing when stopped.
    async fn sweep(&self, session: &mut Session, stop: &CancellationToken) -> Option<String> {
        let mut pauses = pauses();
        let mut again = Instant::now();
        loop {
            let is_holding = !session.held.is_empty();
            let chunk = tokio::select! {
                biased;
                () = stop.cancelled() => return None,
                chunk = session.stream.next() => Some(chunk),
                () = sleep_until(again), if is_holding => None,
            };
            match chunk {
                None => {}
                Some(None) => return Some("the server cancelled the consumer".to_owned()),
                Some(Some(chunk)) => {
                    for delivery in chunk {
                        match delivery {
                            Ok(delivery) => {
                                session.held.push(onward(
                                    self.outbox.topology.namespace(),
                                    delivery,
                                    self.outbox.clock.now(),
                                ));
                            }
                            Err(error) => return Some(error.to_string()),
                        }
                    }
                }
            }
            if let Err(why) = self.move_on(session).await {
                return Some(why);
            }
            if session.held.is_empty() {
                pauses = self::pauses();
            } else {
                again = Instant::now() + pauses.next().unwrap_or(BACKOFF.1).min(BACKOFF.1);
            }
        }
    }

    /// Publishes all that is held, and acks what was confirmed; keeps the rest.
    async fn move_on(&self, session: &mut Session) -> Result<(), String> {
        let (tags, batch): (Vec<u64>, Vec<Publish>) =
            std::mem::take(&mut session.held).into_iter().unzip();
        let answers = self.outbox.publish(&batch).await;
        for ((tag, publish), answer) in tags.into_iter().zip(batch).zip(answers) {
            let error = match answer {
                Ok(()) => {
                    let ack = session.channel.basic_ack(tag, BasicAckOptions { multiple: false });
                    match timeout(REQUEST_DEADLINE, ack).await {
                        Ok(Ok(())) => continue,
                        Ok(Err(error)) => return Err(error.to_string()),
                        Err(_) => return Err("an ack could not be written in time".to_owned()),
                    }
                }
                Err(error) => error,
            };
            tracing::warn!(error = %error, "failed to move an unrouted message on");
            let publish = match &error {
                PublishError::TooLarge { .. } => {
                    too_large(publish, &error, self.outbox.clock.now())
                }
                _ => publish,
            };
            session.held.push((tag, publish));
        }
        Ok(())
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let (shortest, longest) = BACKOFF;
    ExponentialBuilder::default()
        .with_min_delay(shortest)
        .with_max_delay(longest)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Says where a message goes from here.
fn onward(namespace: &Namespace, delivery: Delivery, now: Millis) -> (u64, Publish) {
    let wire = to_wire(&delivery.properties, delivery.data);
    let key = delivery.routing_key.as_str();
    let publish = match key.parse::<Lane>() {
        // Its id, where it has none, is for the worker to give: the net changes nothing.
        Ok(lane) => Publish { to: Destination::Lane(lane), wire },
        Err(why) => {
            let why = format!(
                "the routing key {key:?} names no lane: {why}; publish to <queue>.<class>, such \
                 as \"mail.high\", or to <queue> for the class normal"
            );
            let death = Death { reason: DeadReason::Unroutable, why: &why, origin: key, at: now };
            // A letter keeps headers of ours alone.
            dead(QueueName::default(), naturalise(namespace, wire), &death)
        }
    };
    (delivery.delivery_tag, publish)
}

/// A message whose headers fit no frame of ours can rest only without them.
fn too_large(publish: Publish, error: &PublishError, now: Millis) -> Publish {
    let Publish { to, mut wire } = publish;
    wire.headers.clear();
    let (queue, origin) = match to {
        Destination::Lane(lane) | Destination::Delay { lane, .. } => {
            (lane.queue.clone(), lane.to_string())
        }
        Destination::Dead(queue) => (queue, String::new()),
    };
    let (why, reason) = (error.to_string(), DeadReason::TooLarge);
    dead(queue, wire, &Death { reason, why: &why, origin: &origin, at: now })
}

/// What a dead letter says of its end.
struct Death<'a> {
    reason: DeadReason,
    why: &'a str,
    origin: &'a str,
    at: Millis,
}

fn dead(queue: QueueName, mut wire: Wire, death: &Death<'_>) -> Publish {
    let Death { reason, why, origin, at } = *death;
    wire.keep_ours();
    wire.name_letter();
    let mut put = |name: &str, value: HeaderValue| {
        wire.headers.insert(name.to_owned(), value);
    };
    put(header::REASON, reason.as_str().into());
    put(header::ERROR, why.into());
    put(header::ERROR_CLASS, reason.as_str().into());
    // A routing key has at most 255 bytes, one less than the header may have.
    put(header::ORIGIN, origin.into());
    put(header::DEAD_AT, at.0.into());
    Publish { to: Destination::Dead(queue), wire }
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;
    use lapin::types::AMQPValue;

    use super::*;
    use crate::envelope::headers_size;

    fn delivery(key: &str, properties: BasicProperties) -> Delivery {
        let mut delivery = Delivery::mock(7, "acme.unrouted".into(), key.into(), false, Vec::new());
        delivery.properties = properties;
        delivery
    }

    #[test]
    fn a_lane_is_taken_from_the_key_and_the_message_is_left_as_it_is() {
        for (key, lane) in [("mail", "mail.normal"), ("mail.high", "mail.high")] {
            let (tag, publish) =
                onward(&Namespace::default(), delivery(key, BasicProperties::default()), Millis(9));
            assert_eq!(tag, 7);
            assert_eq!(publish.to, Destination::Lane(lane.parse().unwrap()));
            assert_eq!(publish.wire, Wire::default());
        }
    }

    #[test]
    fn a_key_that_is_no_lane_becomes_a_dead_letter_that_says_how_to_mend_it() {
        let mut table = FieldTable::default();
        table.insert("lv-key".into(), AMQPValue::LongString("k".into()));
        table.insert("other".into(), AMQPValue::LongString("o".into()));
        let given = BasicProperties::default().with_headers(table);
        let (_, publish) = onward(&Namespace::default(), delivery("mail.urgent", given), Millis(9));
        assert_eq!(publish.to, Destination::Dead("default".parse().unwrap()));
        let text = |name: &str| match publish.wire.headers.get(name) {
            Some(HeaderValue::Text(text)) => text.clone(),
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(text("lv-reason"), "unroutable");
        assert_eq!(text("lv-origin"), "mail.urgent");
        assert_eq!(text("lv-key"), "k");
        assert_eq!(publish.wire.headers["lv-dead-at"], HeaderValue::Int(9));
        assert!(!publish.wire.headers.contains_key("other"));
        let why = text("lv-error");
        assert!(why.contains("\"mail.urgent\"") && why.contains("use one of critical"), "{why}");
        publish.wire.message_id.unwrap().parse::<uuid::Uuid>().unwrap();
    }

    #[test]
    fn headers_that_fit_no_frame_are_left_out_of_the_dead_letter() {
        let mut wire = Wire::default();
        for n in 0..40 {
            let text = "x".repeat(8_000);
            wire.headers.insert(format!("lv-{n}"), HeaderValue::Text(text));
        }
        let publish =
            Publish { to: Destination::Lane("mail".parse().unwrap()), wire: wire.clone() };
        let error = PublishError::TooLarge { size: 2, limit: 1 };
        let death =
            Death { reason: DeadReason::Unroutable, why: "why", origin: "Mail", at: Millis(9) };
        let letters =
            [too_large(publish, &error, Millis(9)), dead("mail".parse().unwrap(), wire, &death)];
        for letter in letters {
            assert_eq!(letter.to, Destination::Dead("mail".parse().unwrap()));
            assert!(headers_size(&letter.wire.headers) < 1_024);
            assert_eq!(letter.wire.headers["lv-dead-at"], HeaderValue::Int(9));
        }
    }
}
