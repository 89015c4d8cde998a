//! The settings of one worker. Every buffer and wait of this crate has its bound here.

use std::time::Duration;

use leveret_common::name::{Class, QueueName};

/// Settings of one worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many tasks run at once; each lane prefetches at most as many.
    pub slots: usize,
    /// The queues it serves.
    pub queues: Vec<QueueName>,
    /// The classes it serves, each with its share.
    pub classes: Vec<(Class, u32)>,
    /// Whether a more urgent class always goes first, so that shares do not count.
    pub strict: bool,
    /// How long running tasks may go on once a drain has begun.
    pub grace: Duration,
    /// How often claims are renewed.
    pub heartbeat: Duration,
    /// How long claims live without renewal; at least three heartbeats.
    pub heartbeat_ttl: Duration,
    /// How many crashes of its worker a task may cause before it is dead.
    pub max_crashes: u32,
    /// The time between a task's soft and hard limit.
    pub soft_grace: Duration,
    /// How long the ledger remembers an outcome.
    pub retention: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            slots: 16,
            queues: vec![QueueName::default()],
            classes: Class::ALL.into_iter().zip([8, 4, 2, 1]).collect(),
            strict: false,
            grace: Duration::from_secs(25),
            heartbeat: Duration::from_secs(5),
            heartbeat_ttl: Duration::from_secs(15),
            max_crashes: 3,
            soft_grace: Duration::from_secs(5),
            retention: Duration::from_secs(3_600),
        }
    }
}

impl Config {
    /// Returns how long a copy may be parked because its task is busy or its kind unknown: half the
    /// retention, so that it is back while the ledger still remembers how the task ended (rule T1).
    #[must_use]
    pub fn longest_park(&self) -> Duration {
        self.retention / 2
    }

    /// Returns how many deliveries each lane may prefetch: as many as there are slots, so that one
    /// busy lane alone can fill them all.
    #[must_use]
    pub fn prefetch(&self) -> u16 {
        u16::try_from(self.slots.max(1)).unwrap_or(u16::MAX)
    }
}

/// How long a kind nobody knows is parked before its task is dead: a deploy's time.
pub(crate) const DEPLOY_WINDOW: Duration = Duration::from_secs(600);
/// A wait this short is waited in the worker, without a slot.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(250);
/// A delivery that waited so long for a slot is returned: a third of RabbitMQ's default
/// `consumer_timeout` of 30 minutes.
pub(crate) const STALE_AFTER: Duration = Duration::from_secs(600);
