//! One walk through the dead letters of a queue (rules R1 to R3).
//!
//! Each letter is taken, its copy is published (to a lane, or to the tail of the same queue) and
//! confirmed, and only then is it acked. A walk takes at most as many letters as there were at its
//! start, so what it put at the tail is not met again. It runs under a lease; a second walker that
//! comes in through a lost lease may double letters, which costs a place in the list and no run.
//! A walk that ends without an error met every letter of its start, or was told to end before.

mod notes;
mod round;
#[cfg(test)]
mod safety;
mod standing;

use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use self::round::Walk;
use crate::backend::Backend;
use crate::broker::{BrokerError, Place, PublishError, Settle};
use crate::envelope::Wire;
use crate::id::{Owner, TaskId};
use crate::name::{Lane, QueueName};
use crate::store::{Lease, Letter, StoreError};

/// How long the right to walk a queue outlives its holder.
const LEASE_TTL: Duration = Duration::from_secs(30);

/// What becomes of a letter.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// It stays.
    Keep,
    /// Its task starts anew, in its own lane or in another.
    Replay(Option<Lane>),
    /// It is taken away.
    Discard,
    /// An edited copy is enqueued instead of it.
    Replace(Box<Replacement>),
}

/// The edited copy of a dead task.
#[derive(Debug, Clone, PartialEq)]
pub struct Replacement {
    /// Its own id.
    pub id: TaskId,
    /// Where it goes.
    pub lane: Lane,
    /// What it is.
    pub wire: Wire,
}

/// Decides on letters, one at a time.
#[async_trait]
pub trait Plan: Send {
    /// Says what becomes of a letter.
    fn decide(&mut self, letter: &Letter, wire: &Wire) -> Verdict;

    /// Tells whether enough was done: what is left of the queue is not touched.
    fn is_over(&self) -> bool {
        false
    }

    /// Tells whether a letter whose task went on without it and ended is decided on all the same;
    /// a replay of it then begins above the one that ended.
    fn insists(&self, _: &Letter) -> bool {
        false
    }

    /// Says how long ago a task must have been claimed for its holder to be looked after, where the
    /// broker moved its message here: one that is gone never ends it. Nobody is where absent. Only
    /// who has heard from the store for a while may ask for it (rule L4).
    fn looks_after_holders(&self) -> Option<Duration> {
        None
    }

    /// Is told how far the walk is, after each handful. The walk waits meanwhile and keeps its
    /// lease.
    ///
    /// # Cancel safety
    /// Nothing is in hand.
    async fn walked(&mut self, _: &Walked) {}
}

/// How far a walk is, or was in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Walked {
    /// Letters in the queue at the start.
    pub total: u64,
    /// Letters that were taken in hand.
    pub taken: u64,
    /// Of those: put at the tail again.
    pub kept: u64,
    /// Of those kept: not listed, because their replay is on its way or their task runs.
    #[serde(default)]
    pub hidden: u64,
    /// Given a fresh start.
    pub replayed: u64,
    /// Taken away.
    pub discarded: u64,
    /// Replaced by an edited copy.
    pub replaced: u64,
    /// Not started when the broker moved them here, and sent back to their lanes.
    pub returned: u64,
    /// Left over from a replay that is over, and taken away.
    pub superseded: u64,
    /// Could not be published, and left where they were.
    pub failed: u64,
}

/// Tells why a walk did not happen, or ended early. What was done until then stays done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeskError {
    /// Somebody else walks this queue.
    #[error("the dead letters of {queue} are being walked by somebody else; try again in a moment")]
    Busy {
        /// The queue.
        queue: QueueName,
    },
    /// The lease was lost on the way.
    #[error("the right to walk the dead letters of {queue} was lost; begin again")]
    LeaseLost {
        /// The queue.
        queue: QueueName,
    },
    /// The broker handed nothing out any more, or took back what was in hand.
    #[error(
        "the walk through the dead letters of {queue} broke off after {taken} of {total}: {why}; what \
         was done until then stays done: see whether the broker runs, and begin again"
    )]
    Interrupted {
        /// The queue.
        queue: QueueName,
        /// Letters that were taken in hand.
        taken: u64,
        /// Letters that there were at the start.
        total: u64,
        /// What happened.
        why: &'static str,
    },
    /// A letter could not be moved.
    #[error("failed to move a dead letter of {queue}: {source}")]
    Publish {
        /// The queue.
        queue: QueueName,
        /// What the broker said.
        #[source]
        source: PublishError,
    },
    /// The broker.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a walk goes.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Who ordered it.
    pub by: String,
    /// Most letters replayed, replaced or discarded per second; as many as can be where absent.
    pub rate: Option<f64>,
    /// Cancelled to end the walk after the handful at hand.
    pub stop: CancellationToken,
}

/// The dead-letter desk of one backend.
#[derive(Clone)]
pub struct Desk {
    backend: Backend,
    lease_ttl: Duration,
}

impl Desk {
    /// Creates the desk.
    #[must_use]
    pub const fn new(backend: Backend) -> Self {
        Self { backend, lease_ttl: LEASE_TTL }
    }

    /// Holds leases of this length, instead of 30 s.
    #[must_use]
    pub const fn lease_ttl(mut self, ttl: Duration) -> Self {
        self.lease_ttl = ttl;
        self
    }

    /// Walks the dead letters of `queue` once and does with each what `plan` says.
    ///
    /// The letters that died after the walk began are left alone, and so are those whose replay is
    /// on its way: the plan does not see them.
    ///
    /// # Errors
    /// [`DeskError`]. What was done until then stays done.
    ///
    /// # Cancel safety
    /// Dropped, letters in hand return to the queue; some may then be there twice. The lease ends
    /// by itself after its length.
    pub async fn walk(
        &self,
        queue: &QueueName,
        plan: &mut dyn Plan,
        terms: &Terms,
    ) -> Result<Walked, DeskError> {
        let name = format!("dead/{queue}");
        let lease = self.backend.leases.acquire(&name, Owner::mint(), self.lease_ttl).await?;
        let Some(lease) = lease else { return Err(DeskError::Busy { queue: queue.clone() }) };
        let walked = self.walk_under(queue, plan, terms, &lease).await;
        if let Err(error) = self.backend.leases.give_back(&lease).await {
            tracing::debug!(%error, "a lease is left to end by itself");
        }
        walked
    }

    async fn walk_under(
        &self,
        queue: &QueueName,
        plan: &mut dyn Plan,
        terms: &Terms,
        lease: &Lease,
    ) -> Result<Walked, DeskError> {
        let place = Place::Dead(queue.clone());
        let began = self.backend.clock.now();
        let surveyed = self.backend.broker.survey(std::slice::from_ref(&place)).await?;
        let total = surveyed.first().map_or(0, |survey| survey.depth);
        let mut walk = Walk::new(self, queue, terms, lease, (began, total));
        if total == 0 {
            walk.forget_the_gone().await;
            return Ok(walk.walked);
        }
        let consumer = self.backend.broker.consume(&place, walk.prefetch()).await?;
        let ended = walk.run(&consumer, plan).await;
        consumer.stop().await;
        // Only now: the broker would hand them out again at once.
        let left: Vec<_> = walk.left.drain(..).map(|left| (left, Settle::Return)).collect();
        let _gone = consumer.settle(&left).await;
        walk.put_back().await;
        if ended? {
            walk.forget_the_gone().await;
        }
        Ok(walk.walked)
    }
}
