//! The broker seam: moves messages, and knows nothing of what they mean.
//!
//! [`Broker`] publishes and opens consumers, a [`Consumer`] hands out deliveries of one place and
//! ends them. What is confirmed here is safe on disk; whether a task may run is the ledger's
//! matter ([`crate::ledger`]). Backends: `rabbitmq` below, and [`crate::embedded`].

mod error;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use self::error::{BrokerError, PublishError, SettleError};
use crate::clock::Millis;
use crate::envelope::Wire;
use crate::name::{Lane, QueueName};

/// Log targets of client libraries that print messages' bodies, or again what we say: to be turned off.
pub const TALKATIVE_TARGETS: &[&str] = &[
    #[cfg(feature = "rabbitmq")]
    rabbitmq::RETURNED_MESSAGES,
    #[cfg(feature = "rabbitmq")]
    rabbitmq::CLOSED_CHANNELS,
];

/// Where a message is to go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Destination {
    /// To a lane, at once.
    Lane(Lane),
    /// To a lane, after a wait. A backend may deliver early and never late on purpose: the
    /// receiver compares `lv-not-before` and parks again what is too early.
    Delay {
        /// The lane.
        lane: Lane,
        /// When it is due.
        until: Millis,
    },
    /// To the dead letters of a queue.
    Dead(QueueName),
}

/// A message and where it is to go.
#[derive(Debug, Clone)]
pub struct Publish {
    /// Where to.
    pub to: Destination,
    /// What.
    pub wire: Wire,
}

/// Somewhere messages rest, can be counted and taken from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A lane.
    Lane(Lane),
    /// The dead letters of a queue.
    Dead(QueueName),
}

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Survey {
    /// Messages that rest there; those handed out are not counted.
    pub depth: u64,
    /// Consumers of the place, in all processes.
    pub consumers: u32,
    /// When the message that rests there longest was enqueued, to the second. Absent where the
    /// place is empty, and where the backend cannot look without taking the message out.
    pub oldest: Option<Millis>,
}

/// Names one delivery to the consumer that handed it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Receipt {
    /// The connection's generation: a receipt of an older one is worth nothing.
    pub generation: u64,
    /// The delivery within its generation.
    pub tag: u64,
}

/// A message handed to a worker with the duty to end it.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// What to settle it with.
    pub receipt: Receipt,
    /// The message.
    pub wire: Wire,
    /// Whether the broker says that it was handed out before.
    pub redelivered: bool,
}

/// How a delivery ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settle {
    /// It is over: its outcome is safe elsewhere.
    Ack,
    /// It goes back to where it came from: nothing was done with it.
    Return,
}

/// Moves messages. All methods take slices: one is a slice of one.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Publishes each message and waits until the broker has it safe; declares what is missing.
    ///
    /// Answers in the order of `batch`, within the publish deadline of the config.
    ///
    /// # Cancel safety
    /// Dropped, the messages may or may not have been published: publish them again under the
    /// same ids.
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>>;

    /// Opens a consumer of `place` that holds at most `prefetch` (≥ 1) unsettled deliveries.
    ///
    /// # Errors
    /// When the broker cannot be reached, or has something else under the name of the place.
    ///
    /// # Cancel safety
    /// Dropped, no consumer stays behind.
    async fn consume(&self, place: &Place, prefetch: u16)
    -> Result<Arc<dyn Consumer>, BrokerError>;

    /// Looks at each place without touching what rests there; a place that was never used is
    /// empty.
    ///
    /// # Errors
    /// When the broker cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError>;

    /// Tells whether the broker is reachable and takes publishes.
    ///
    /// # Errors
    /// What keeps it from taking them.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn check(&self) -> Result<(), BrokerError>;

    /// Closes all connections; unsettled deliveries return to their lanes.
    ///
    /// # Cancel safety
    /// Dropped, connections close when the process ends.
    async fn close(&self);
}

/// Hands out the deliveries of one place. Lives through reconnects: each begins a new generation.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Waits for deliveries and hands out at least one, at most `most`; an empty answer means
    /// that the consumer was stopped.
    ///
    /// # Cancel safety
    /// Dropped, no delivery is lost: what was not handed out comes with the next call.
    async fn next(&self, most: usize) -> Vec<Delivery>;

    /// Ends each delivery; answers in the order of `batch`.
    ///
    /// # Cancel safety
    /// Dropped, a delivery may or may not have been settled; one that was not comes again.
    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>>;

    /// Tells whether `receipt` can still be settled: its generation is the present one.
    fn holds(&self, receipt: Receipt) -> bool;

    /// Tells whether the broker knows this consumer right now.
    fn is_consuming(&self) -> bool;

    /// Takes nothing new and returns what was not handed out; what was can still be settled.
    ///
    /// # Cancel safety
    /// Call again until it completes.
    async fn stop(&self);
}
