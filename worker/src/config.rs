//! The settings of one worker. Every buffer and wait of this crate has its bound here.

use std::time::Duration;

use leveret_common::name::{Class, QueueName};
use leveret_producer::Options;

use crate::settle::journey::Length;

/// Settings of one worker: of each its default, and the key that sets it for a role of `leveret` or of a
/// program with its command line.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many tasks run at once, until somebody asks for another number (`worker.slots`); 16. Each
    /// lane prefetches at most as many.
    pub slots: usize,
    /// The queues it serves (`worker.queues`); `default`.
    pub queues: Vec<QueueName>,
    /// The classes it serves, each with its share (`worker.classes`, `worker.weights`); all, with 8, 4,
    /// 2 and 1.
    pub classes: Vec<(Class, u32)>,
    /// Whether a more urgent class always goes first, so that shares do not count, and a less urgent
    /// one may starve (`worker.picker`); false.
    pub strict: bool,
    /// How long running tasks may go on once a drain has begun (`worker.grace`); 25 s.
    pub grace: Duration,
    /// How often claims are renewed (`worker.heartbeat`); 5 s.
    pub heartbeat: Duration,
    /// How long claims live without renewal (`worker.heartbeat_ttl`); 15 s, and at least three
    /// heartbeats. Workers judge each other by it: give all of a namespace the same.
    pub heartbeat_ttl: Duration,
    /// How many crashes of its worker a task may cause before it is dead (`worker.max_crashes`); 3.
    pub max_crashes: u32,
    /// The time between a task's soft limit, at which its handler is asked to stop, and its hard one, at
    /// which it is dropped (`worker.soft_grace`); 5 s.
    pub soft_grace: Duration,
    /// How long the ledger remembers an outcome (`retention.done`); 1 h.
    pub retention: Duration,
    /// How long the broker lets a delivery be unsettled before it closes the channel: RabbitMQ's
    /// `consumer_timeout` (`broker.consumer_timeout`); 30 min.
    pub consumer_timeout: Duration,
    /// How tasks are put in that handlers enqueue.
    pub enqueue: Options,
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
            consumer_timeout: Duration::from_secs(1_800),
            enqueue: Options { name: "leveret-worker".to_owned(), ..Options::default() },
        }
    }
}

impl Config {
    /// Tells whether a task with this time limit runs detached: its delivery may have waited for a
    /// slot before, so it could not be held to the end with time to spare.
    #[must_use]
    pub fn is_long(&self, limit: Duration) -> bool {
        limit.saturating_add(self.soft_grace) > self.consumer_timeout / 2
    }

    /// Returns how long the copy of a detached task is parked (rule T1): long enough that its owner
    /// has given signs of life, short enough that a dead owner's task runs again soon.
    #[must_use]
    pub fn dead_man(&self) -> Duration {
        (self.heartbeat_ttl * 3).min(self.longest_park())
    }

    /// Returns how long a suspect of poison waits for its turn at a time. While it waits for all
    /// slots nothing else starts here, so not for as long as a neighbour may run.
    #[must_use]
    pub fn turn_wait(&self) -> Duration {
        self.dead_man()
    }

    /// Returns how long a suspect whose turn did not come is parked: so much longer than it waited
    /// that a neighbour which runs for hours costs the worker a fifth of its time at most. Together
    /// they are no longer than the retention, for which its crashes are remembered.
    #[must_use]
    pub fn turn_pause(&self) -> Duration {
        (self.turn_wait() * 4).min(self.longest_park())
    }

    /// Returns how long the outcome of a task is remembered.
    ///
    /// That of a detached task outlives a fleet that is stopped for days: when it is over, its copy
    /// is still parked, and nobody may be there for a while to see that it is settled.
    #[must_use]
    pub fn retention_of(&self, length: Length) -> Duration {
        match length {
            Length::Short => self.retention,
            Length::Long => self.retention.max(LONG_RETENTION),
        }
    }

    /// Returns how long a copy may be parked because its task is busy or its kind unknown: half the
    /// retention, so that it is back while the ledger still remembers how the task ended (rule T1).
    #[must_use]
    pub fn longest_park(&self) -> Duration {
        self.retention / 2
    }

    /// Returns how long a delivery may wait for a slot before it is returned: a third of
    /// [`consumer_timeout`](Self::consumer_timeout), so that a run can still begin in time.
    #[must_use]
    pub fn stale_after(&self) -> Duration {
        self.consumer_timeout / 3
    }
}

/// How long the outcome of a detached task is remembered at least.
const LONG_RETENTION: Duration = Duration::from_secs(7 * 86_400);
/// How long a kind nobody knows is parked before its task is dead: a deploy's time.
pub(crate) const DEPLOY_WINDOW: Duration = Duration::from_secs(600);
/// A wait this short is waited in the worker, without a slot.
pub(crate) const SHORT_WAIT: Duration = Duration::from_millis(250);
