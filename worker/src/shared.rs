//! What the parts of one worker share, and how each of them insists on an answer.
//!
//! Store and broker may be away for a while. [`Shared::ask`] and [`Shared::publish`] repeat, with
//! growing pauses, until they have an answer or waiting makes no sense any more; so no step of a
//! journey has a retry loop of its own.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use leveret_common::backend::Backend;
use leveret_common::broker::{Consumer, Destination, Publish, Receipt, Settle};
use leveret_common::desk::letter;
use leveret_common::id::Owner;
use leveret_common::sabotage::{Break, breaks};
use leveret_common::spawn::Spawner;
use leveret_common::store::{Letter, Notice, StoreError};
use leveret_common::telemetry::names::field;
use leveret_producer::Producer;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config::Config;
use crate::contact::Contact;
use crate::control::Controls;
use crate::fetch::Arrived;
use crate::fetch::buffer::Buffer;
use crate::fetch::picker::Picker;
use crate::handler::Registry;
use crate::lanes::Lanes;
use crate::settle::holdings::Holdings;
use crate::slot::Slots;
use crate::status::Status;

/// What the parts of one worker share.
pub struct Shared {
    /// The seams.
    pub backend: Backend,
    /// Puts in what handlers enqueue.
    pub producer: Producer,
    /// The settings.
    pub config: Config,
    /// The kinds.
    pub registry: Registry,
    /// This incarnation.
    pub owner: Owner,
    /// The claims held.
    pub holdings: Holdings,
    /// What operators ask for.
    pub controls: Arc<Controls>,
    /// The lanes.
    pub lanes: Arc<Lanes>,
    /// The contact with the store.
    pub contact: Contact,
    /// What waits for a slot.
    pub buffer: Buffer,
    /// What the probe says.
    pub status: Arc<Status>,
    /// The slots.
    pub slots: Slots,
    /// Where handlers run: a runtime of their own, so that one that blocks stops no heartbeat.
    pub handlers: Spawner,
    /// Cancelled when a drain begins: take nothing new.
    pub stop: CancellationToken,
    /// Cancelled when the drain's grace is over: let go of what runs.
    pub over: CancellationToken,
    /// Cancelled a little later, when what was let go of should have been recorded: give up.
    pub gone: CancellationToken,
    /// Cancelled when the worker is no more: everything ends where it is, as if it was killed.
    pub dropped: CancellationToken,
}

/// What came of asking the store.
#[derive(Debug)]
pub enum Asked<T> {
    /// It answered.
    Answered(T),
    /// What it holds cannot be read, and will not be by itself.
    Unreadable,
    /// The worker stops first.
    Over,
}

/// How long to wait before an entry that could not be read is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The pauses between tries: 100 ms doubling to 2 s, with jitter, for ever.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(2))
        .with_jitter()
        .without_max_times()
        .build()
}

impl Shared {
    /// Creates what a new incarnation of a worker shares; its handlers run in `handlers`.
    #[must_use]
    pub(crate) fn new(
        backend: Backend,
        registry: Registry,
        config: Config,
        handlers: Spawner,
    ) -> Self {
        let lanes = Arc::new(Lanes::new(&config.queues, &config.classes));
        let controls = Arc::new(Controls::new(config.slots));
        Self {
            status: Arc::new(Status::new(Arc::clone(&lanes), Arc::clone(&controls))),
            lanes,
            controls,
            buffer: Buffer::new(Picker::new(&config.classes, config.strict)),
            slots: Slots::new(config.slots),
            handlers,
            producer: Producer::new(backend.clone(), config.enqueue.clone()),
            backend,
            registry,
            config,
            owner: Owner::mint(),
            holdings: Holdings::default(),
            contact: Contact::default(),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            gone: CancellationToken::new(),
            dropped: CancellationToken::new(),
        }
    }

    /// Starts a part of the worker in `group`; it is dropped when the worker is.
    pub fn spawn(&self, group: &Spawner, part: impl Future<Output = ()> + Send + 'static) {
        let dropped = self.dropped.clone();
        group.spawn(async move {
            tokio::select! {
                // Not a step more: it would be told that its handler has ended.
                biased;
                () = dropped.cancelled() => {}
                () = part => {}
            }
        });
    }

    /// Repeats a request to the store until it is answered, or `until` is cancelled.
    ///
    /// # Cancel safety
    /// As the request's.
    pub async fn ask<T, F>(&self, until: &CancellationToken, request: impl Fn() -> F) -> Asked<T>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        for pause in pauses() {
            match request().await.map(|mut answers| answers.pop()) {
                Ok(Some(answer)) => return Asked::Answered(answer),
                Ok(None) => return Asked::Unreadable,
                Err(error) if !error.retryable() => {
                    error!({ field::ERROR } = %error, "store holds what cannot be read");
                    return Asked::Unreadable;
                }
                Err(error) => warn!({ field::ERROR } = %error, "store does not answer, repeating"),
            }
            tokio::select! {
                () = until.cancelled() => return Asked::Over,
                () = tokio::time::sleep(pause) => {}
            }
        }
        Asked::Over
    }

    /// Repeats a request that records an outcome until it is answered; nothing when the drain
    /// is over first. What cannot be read is asked for again too: the outcome is kept until
    /// somebody has mended the store.
    ///
    /// # Cancel safety
    /// As the request's.
    pub async fn insist<T, F>(&self, request: impl Fn() -> F) -> Option<T>
    where
        F: Future<Output = Result<Vec<T>, StoreError>>,
    {
        loop {
            match self.ask(&self.gone, &request).await {
                Asked::Answered(answer) => return Some(answer),
                Asked::Over => return None,
                Asked::Unreadable => tokio::select! {
                    () = self.gone.cancelled() => return None,
                    () = tokio::time::sleep(LOOK_AGAIN) => {}
                },
            }
        }
    }

    /// Publishes until all is confirmed; false when `until` is cancelled first.
    ///
    /// # Cancel safety
    /// Dropped, some may have been published: publish all again.
    pub async fn publish(&self, until: &CancellationToken, mut batch: Vec<Publish>) -> bool {
        for pause in pauses() {
            let answers = self.backend.broker.publish(&batch).await;
            let mut left = Vec::new();
            for (publish, answer) in batch.into_iter().zip(answers) {
                let Err(error) = answer else { continue };
                if error.retryable() {
                    warn!({ field::ERROR } = %error, "publish is not confirmed, repeating");
                } else {
                    error!({ field::ERROR } = %error, "publish is refused, repeating");
                }
                left.push(publish);
            }
            if left.is_empty() {
                return true;
            }
            batch = left;
            tokio::select! {
                () = until.cancelled() => return false,
                () = tokio::time::sleep(pause) => {}
            }
        }
        false
    }

    /// Settles a delivery; one whose connection is gone comes again by itself.
    ///
    /// # Cancel safety
    /// Dropped, the delivery may or may not have been settled.
    pub async fn settle(&self, arrived: &Arrived, settle: Settle) {
        let _gone = arrived.consumer.settle(&[(arrived.receipt, settle)]).await;
    }

    /// Returns deliveries to their lanes, those of one consumer together.
    ///
    /// # Cancel safety
    /// Dropped, some may not have been returned.
    pub async fn hand_back(&self, arrived: Vec<Arrived>) {
        type Batch = Vec<(Receipt, Settle)>;
        let mut of_consumer: Vec<(Arc<dyn Consumer>, Batch)> = Vec::new();
        for Arrived { consumer, receipt, .. } in arrived {
            let entry = (receipt, Settle::Return);
            match of_consumer.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &consumer)) {
                Some((_, batch)) => batch.push(entry),
                None => of_consumer.push((consumer, vec![entry])),
            }
        }
        for (consumer, batch) in of_consumer {
            let _gone = consumer.settle(&batch).await;
        }
    }

    /// Publishes a copy for elsewhere or later, and acks the delivery once that is confirmed.
    ///
    /// # Cancel safety
    /// Dropped, the delivery stays unsettled.
    pub async fn move_on(&self, arrived: &Arrived, copy: Publish) {
        if breaks(Break::ParkWithoutPublish) || self.publish(&self.gone, vec![copy]).await {
            leveret_common::failpoint::pass("park.confirmed");
            self.settle(arrived, Settle::Ack).await;
        }
    }

    /// Describes the dead letters among messages that are to be published.
    #[must_use]
    pub fn letters_in(&self, batch: &[Publish]) -> Vec<Letter> {
        let now = self.backend.clock.now();
        let described = batch.iter().filter_map(|publish| match &publish.to {
            Destination::Dead(queue) => {
                Some(letter::describe(&self.backend.namespace, queue, &publish.wire, now, now))
            }
            Destination::Lane(_) | Destination::Delay { .. } => None,
        });
        described.collect()
    }

    /// Tells a sender that waits elsewhere what became of its task. Best effort, and once: no task
    /// waits for it.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been told.
    pub async fn notify(&self, notice: Option<Notice>) {
        let Some(notice) = notice else { return };
        if let Err(error) = self.backend.records.notify(&[notice]).await {
            warn!({ field::ERROR } = %error, "a sender is not told what became of its task");
        }
    }

    /// Lists dead letters that are confirmed. Best effort: what is missing in the list is mended
    /// by a walk of the queue.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been listed.
    pub async fn list_letters(&self, letters: Vec<Letter>) {
        if letters.is_empty() {
            return;
        }
        if let Err(error) = self.backend.letters.describe(&letters).await {
            warn!({ field::ERROR } = %error, "the list of dead letters lags behind");
        }
    }
}
