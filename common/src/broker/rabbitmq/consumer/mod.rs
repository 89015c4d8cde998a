//! The consumer of one place: its own channel, made anew with each generation.
//!
//! A background task ([`driver`]) moves deliveries from the channel to a buffer that holds no more
//! than the prefetch; the methods here only take from it and settle. Guards that a receipt of an
//! older generation never reaches the server, where its tag would name another delivery, and that
//! no delivery is settled twice: the server closes the channel for that.

mod driver;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use self::driver::Driver;
use super::RabbitMq;
use super::connection::REQUEST_DEADLINE;
use crate::broker::{BrokerError, Consumer, Delivery, Place, Receipt, Settle, SettleError};

/// How long a delivery may take to be settled on the socket.
const SETTLE_DEADLINE: Duration = REQUEST_DEADLINE;

/// A channel that consumes, or did until it was stopped.
struct Session {
    generation: u64,
    channel: Channel,
    /// False once stopped; what was handed out can still be settled.
    consuming: bool,
    /// Tags that were handed out and are not settled.
    held: HashSet<u64>,
}

impl Session {
    fn is_open(&self) -> bool {
        self.channel.status().connected()
    }

    fn holds(&self, receipt: Receipt) -> bool {
        self.generation == receipt.generation && self.held.contains(&receipt.tag)
    }
}

#[derive(Default)]
struct Inner {
    /// Absent while the connection is made again.
    session: Option<Session>,
    buffer: VecDeque<Delivery>,
    /// Nothing more comes.
    ended: bool,
}

/// What the methods and the background task share.
struct Shared {
    inner: Mutex<Inner>,
    arrived: Notify,
    /// Asks the task to take nothing new.
    stop: CancellationToken,
    /// Says that it takes nothing new, and that the rest is returned.
    stopped: CancellationToken,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A consumer of one place.
pub(super) struct PlaceConsumer {
    shared: Arc<Shared>,
    /// Ends the background task, which closes the channel.
    _close: DropGuard,
}

impl PlaceConsumer {
    /// Declares the place and begins to consume it.
    pub(super) async fn start(
        broker: &RabbitMq,
        place: &Place,
        prefetch: u16,
    ) -> Result<Self, BrokerError> {
        let shared = Arc::new(Shared {
            inner: Mutex::default(),
            arrived: Notify::new(),
            stop: CancellationToken::new(),
            stopped: CancellationToken::new(),
        });
        let close = broker.consumers.stop.token().child_token();
        let mut driver = Driver::new(broker, place, prefetch, shared.clone(), close.clone());
        let stream = driver.open_first().await?;
        // The net below the foreign door hangs where tasks are taken. A walk through dead letters
        // takes none, and would only hang it up and take it down again each time.
        let lease = matches!(place, Place::Lane(_)).then(|| broker.sweeping.lease(broker));
        broker.consumers.tasks.spawn(driver.run(stream, lease));
        Ok(Self { shared, _close: close.drop_guard() })
    }
}

#[async_trait]
impl Consumer for PlaceConsumer {
    async fn next(&self, most: usize) -> Vec<Delivery> {
        loop {
            // Registered before the look, so that an arrival between the two is not missed.
            let arrived = self.shared.arrived.notified();
            {
                let mut inner = self.shared.lock();
                let count = inner.buffer.len().min(most);
                if count > 0 {
                    return inner.buffer.drain(..count).collect();
                }
                if inner.ended || most == 0 {
                    return Vec::new();
                }
            }
            arrived.await;
        }
    }

    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>> {
        let claimed: Vec<Option<Channel>> = {
            let mut inner = self.shared.lock();
            let mut claim = |receipt: &Receipt| {
                let session = inner.session.as_mut().filter(|session| session.holds(*receipt))?;
                session.held.remove(&receipt.tag);
                Some(session.channel.clone())
            };
            batch.iter().map(|(receipt, _)| claim(receipt)).collect()
        };
        // All are written before the first is waited for.
        let settles = batch.iter().zip(claimed).map(|((receipt, how), channel)| async move {
            let channel = channel.ok_or(SettleError::Gone)?;
            settle_on(&channel, receipt.tag, *how).await.map_err(|_| SettleError::Gone)
        });
        match timeout(SETTLE_DEADLINE, join_all(settles)).await {
            Ok(results) => results,
            Err(_) => vec![Err(SettleError::Gone); batch.len()],
        }
    }

    fn holds(&self, receipt: Receipt) -> bool {
        let inner = self.shared.lock();
        inner.session.as_ref().is_some_and(|session| session.is_open() && session.holds(receipt))
    }

    fn is_consuming(&self) -> bool {
        let inner = self.shared.lock();
        inner.session.as_ref().is_some_and(|session| session.consuming && session.is_open())
    }

    async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.stopped.cancelled().await;
    }
}

/// Writes one ack or return. It bypasses lapin's `Acker`, which takes four hops for the same.
async fn settle_on(channel: &Channel, tag: u64, how: Settle) -> lapin::Result<()> {
    match how {
        Settle::Ack => channel.basic_ack(tag, BasicAckOptions { multiple: false }).await,
        Settle::Return => {
            let options = BasicNackOptions { multiple: false, requeue: true };
            channel.basic_nack(tag, options).await
        }
    }
}
