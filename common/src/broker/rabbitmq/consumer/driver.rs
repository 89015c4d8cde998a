//! The background task of one consumer: consumes, and begins anew when the channel is lost.
//!
//! Taking and settling is [`super::PlaceConsumer`]'s matter. Guards that what the buffer holds
//! belongs to the present channel: a delivery of a lost one comes again by itself, and handing out
//! the old copy as well would only start a task that cannot be settled.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use futures_util::future::join_all;
use futures_util::stream::{ReadyChunks, StreamExt};
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::field::{DisplayValue, display};

use super::{SETTLE_DEADLINE, Session, Shared, settle_on};
use crate::broker::rabbitmq::RabbitMq;
use crate::broker::rabbitmq::connection::{REQUEST_DEADLINE, request};
use crate::broker::rabbitmq::declare::Declarer;
use crate::broker::rabbitmq::supervisor::Supervisor;
use crate::broker::rabbitmq::sweeper::Lease;
use crate::broker::rabbitmq::topology::Unit;
use crate::broker::rabbitmq::translate::{short, to_wire};
use crate::broker::{BrokerError, Delivery, Place, Receipt, Settle};
use crate::name::{Lane, QueueName};

/// Most deliveries moved to the buffer at a time.
const CHUNK: usize = 64;
/// Shortest and longest wait before the next try to consume on a working connection.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How long the goodbye of a channel that does not answer is waited for.
const GOODBYE: Duration = Duration::from_millis(100);

/// The deliveries of one channel.
pub(super) type Stream = Pin<Box<ReadyChunks<lapin::Consumer>>>;

/// Why the stream is not read any more.
enum End {
    Lost(String),
    Stop,
    Close,
}

/// Runs one consumer.
pub(super) struct Driver {
    place: Place,
    prefetch: u16,
    queue: String,
    client_name: String,
    declarer: Arc<Declarer>,
    consuming: Arc<Supervisor>,
    shared: Arc<Shared>,
    close: CancellationToken,
    generation: u64,
}

impl Driver {
    pub(super) fn new(
        broker: &RabbitMq,
        place: &Place,
        prefetch: u16,
        shared: Arc<Shared>,
        close: CancellationToken,
    ) -> Self {
        Self {
            place: place.clone(),
            prefetch,
            queue: broker.topology.queue_of(place),
            client_name: broker.client_name.clone(),
            declarer: broker.declarer.clone(),
            consuming: broker.consuming.clone(),
            shared,
            close,
            generation: 0,
        }
    }

    /// As [`Self::open`], and tries again while the connection is just being lost.
    pub(super) async fn open_first(&mut self) -> Result<Stream, BrokerError> {
        let until = Instant::now() + REQUEST_DEADLINE;
        loop {
            match self.open().await {
                Err(BrokerError::Operation { .. })
                    if Instant::now() < until && !self.close.is_cancelled() => {}
                result => return result,
            }
            tokio::time::sleep(BACKOFF.0).await;
        }
    }

    /// Declares the place and consumes it on a new channel: the next generation.
    async fn open(&mut self) -> Result<Stream, BrokerError> {
        let until = Instant::now() + REQUEST_DEADLINE;
        self.declarer.ensure(&Unit::all_of(&self.place), until).await?;
        let operation = "consume";
        let fail = |why| BrokerError::Operation { operation, why, source: None };
        let link = self.consuming.link(until).await.map_err(fail)?;
        let channel = link.connection.channel().await.map_err(fail)?;
        // Per consumer, never global: that closes the connection on a quorum queue.
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        request(operation, qos).await?;
        self.generation += 1;
        let tag = self.tag();
        let (options, table) = (BasicConsumeOptions::default(), FieldTable::default());
        let consume = channel.basic_consume(short(&self.queue), short(&tag), options, table);
        let stream = match request(operation, consume).await {
            Ok(stream) => stream,
            Err(error) => {
                // The server may still come to it, and would hand out tasks to a channel that nobody reads.
                let _ = timeout(GOODBYE, channel.close(200, "given up".into())).await;
                return Err(error);
            }
        };
        self.shared.lock().session = Some(Session {
            generation: self.generation,
            channel,
            consuming: true,
            held: std::collections::HashSet::new(),
        });
        Ok(Box::pin(stream.ready_chunks(CHUNK)))
    }

    /// Names the consumer on the server.
    fn tag(&self) -> String {
        let place = match &self.place {
            Place::Lane(lane) => lane.to_string(),
            Place::Dead(queue) => format!("dead.{queue}"),
        };
        format!("{place}.{}.{}", self.generation, self.client_name)
    }

    /// Consumes until the consumer is dropped or the broker closed; holds `lease` while it does.
    pub(super) async fn run(mut self, mut stream: Stream, lease: Option<Lease>) {
        loop {
            let end = self.pump(&mut stream).await;
            let end = match end {
                End::Lost(why) => {
                    self.lost(&why);
                    self.again(&mut stream).await
                }
                other => Some(other),
            };
            match end {
                None => {}
                Some(End::Stop) => {
                    drop(lease);
                    self.stop(stream).await;
                    self.close.cancelled().await;
                    return self.closed().await;
                }
                Some(End::Close | End::Lost(_)) => return self.closed().await,
            }
        }
    }

    /// Moves deliveries to the buffer until there is a reason to end.
    async fn pump(&self, stream: &mut Stream) -> End {
        loop {
            let chunk = tokio::select! {
                biased;
                () = self.close.cancelled() => return End::Close,
                () = self.shared.stop.cancelled() => return End::Stop,
                chunk = stream.next() => chunk,
            };
            let Some(chunk) = chunk else {
                return End::Lost("the server cancelled the consumer".to_owned());
            };
            let mut inner = self.shared.lock();
            let inner = &mut *inner;
            for delivery in chunk {
                let delivery = match delivery {
                    Ok(delivery) => self.read(delivery),
                    Err(error) => return End::Lost(error.to_string()),
                };
                if let Some(session) = &mut inner.session {
                    session.held.insert(delivery.receipt.tag);
                }
                inner.buffer.push_back(delivery);
            }
            self.shared.arrived.notify_waiters();
        }
    }

    fn read(&self, delivery: lapin::message::Delivery) -> Delivery {
        Delivery {
            receipt: Receipt { generation: self.generation, tag: delivery.delivery_tag },
            wire: to_wire(&delivery.properties, delivery.data),
            redelivered: delivery.redelivered,
        }
    }

    /// Names the place for a log line: its queue, and its lane where it is one.
    fn named(&self) -> (DisplayValue<&QueueName>, Option<DisplayValue<&Lane>>) {
        match &self.place {
            Place::Lane(lane) => (display(&lane.queue), Some(display(lane))),
            Place::Dead(queue) => (display(queue), None),
        }
    }

    fn lost(&self, why: &str) {
        {
            let mut inner = self.shared.lock();
            inner.session = None;
            inner.buffer.clear();
        }
        // Whatever ended it, what we declared may be gone too.
        self.declarer.forget();
        let (queue, lane) = self.named();
        tracing::warn!(queue, lane, generation = self.generation, error = why, "lost a consumer");
    }

    /// Tries until it consumes again; an answer is a reason to end instead.
    async fn again(&mut self, stream: &mut Stream) -> Option<End> {
        let (shortest, longest) = BACKOFF;
        let mut waits = ExponentialBuilder::default()
            .with_min_delay(shortest)
            .with_max_delay(longest)
            .with_jitter()
            .without_max_times()
            .build();
        let (close, stop) = (self.close.clone(), self.shared.stop.clone());
        loop {
            let opened = tokio::select! {
                biased;
                () = close.cancelled() => return Some(End::Close),
                () = stop.cancelled() => return Some(End::Stop),
                opened = self.open() => opened,
            };
            match opened {
                Ok(opened) => {
                    let (queue, lane) = self.named();
                    let generation = self.generation;
                    tracing::info!(queue, lane, generation, "consuming again");
                    *stream = opened;
                    return None;
                }
                Err(error) => {
                    let (queue, lane) = self.named();
                    tracing::warn!(queue, lane, error = %error, "failed to consume");
                    self.declarer.forget();
                }
            }
            let wait = waits.next().unwrap_or(longest).min(longest);
            tokio::select! {
                () = close.cancelled() => return Some(End::Close),
                () = stop.cancelled() => return Some(End::Stop),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Cancels the consumer and returns what was not handed out.
    async fn stop(&self, mut stream: Stream) {
        let (mut rest, channel) = {
            let mut inner = self.shared.lock();
            inner.ended = true;
            let rest: Vec<u64> = inner.buffer.drain(..).map(|kept| kept.receipt.tag).collect();
            let channel = inner.session.as_mut().map(|session| {
                session.consuming = false;
                session.channel.clone()
            });
            (rest, channel)
        };
        self.shared.arrived.notify_waiters();
        if let Some(channel) = channel {
            let tag = self.tag();
            // First the cancel: what is returned before it would come straight back to us.
            let cancel = channel.basic_cancel(short(&tag), BasicCancelOptions::default());
            let drained = async {
                if request("stop consuming", cancel).await.is_err() {
                    return;
                }
                while let Some(chunk) = stream.next().await {
                    rest.extend(chunk.into_iter().flatten().map(|delivery| delivery.delivery_tag));
                }
            };
            // Without an answer the connection is as good as lost, and all come back by that.
            let _ = timeout(SETTLE_DEADLINE, drained).await;
            if let Some(session) = &mut self.shared.lock().session {
                session.held.retain(|tag| !rest.contains(tag));
            }
            let returns = rest.iter().map(|tag| settle_on(&channel, *tag, Settle::Return));
            let _ = timeout(SETTLE_DEADLINE, join_all(returns)).await;
        }
        self.shared.stopped.cancel();
    }

    /// Closes the channel: what is unsettled returns to the lane.
    async fn closed(&self) {
        let session = {
            let mut inner = self.shared.lock();
            inner.ended = true;
            inner.buffer.clear();
            inner.session.take()
        };
        self.shared.arrived.notify_waiters();
        if let Some(Session { channel, .. }) = session {
            // A channel that cannot be closed is closed with its connection.
            let _ = request("close a channel", channel.close(200, "closed".into())).await;
        }
        self.shared.stopped.cancel();
    }
}
