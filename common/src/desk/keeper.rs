//! The keeper of dead letters: notices what the broker moved there by itself and what the list
//! does not know, and walks the queue to mend it.
//!
//! Runs beside every worker, for the queues it serves; the walk's lease sees to it that one of many
//! does the work. What a walk could not mend, such as a letter that is there twice, is remembered for
//! all of them, and no walk is made for it again until something has changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::walk::{Desk, DeskError, Plan, Terms, Verdict};
use crate::backend::Backend;
use crate::broker::Place;
use crate::envelope::Wire;
use crate::id::Owner;
use crate::name::QueueName;
use crate::store::{Lease, Letter};

/// How often the keeper looks.
const EVERY: Duration = Duration::from_secs(15);
/// How old a claim must be for its holder to be looked after: two heartbeats' time by default.
const GRACE: Duration = Duration::from_secs(30);
/// How long it is remembered that a queue is as it must be though its list is shorter: while it stays
/// as it is, only doubles can be the cause.
const SETTLED: Duration = Duration::from_secs(86_400);
/// As long at least where letters were hidden: what hides them ends without a sign.
const PENDING: Duration = Duration::from_secs(600);
/// And as many times as long as the walk took, so that a long queue is not walked all the time.
const PENDING_WALKS: u32 = 20;
/// How long the right to a walk for a state of the queue outlives its holder.
const CLAIMED: Duration = Duration::from_secs(60);

/// Looks after the dead letters of some queues.
pub struct Keeper {
    backend: Backend,
    desk: Desk,
    /// Whether count and list differed at the last look already: letters on their way to the list
    /// make them differ for a moment.
    queues: BTreeMap<QueueName, bool>,
    every: Duration,
    grace: Duration,
}

/// Looks at every letter and changes nothing: the walk itself mends.
struct Look {
    grace: Duration,
}

impl Plan for Look {
    fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
        Verdict::Keep
    }

    // Two looks in a row have reached the store: whoever lives has said so in between.
    fn looks_after_holders(&self) -> Option<Duration> {
        Some(self.grace)
    }
}

/// What a queue and its list looked like.
#[derive(Debug, Clone, Copy)]
struct State {
    depth: u64,
    listed: u64,
}

impl Keeper {
    /// Creates the keeper of `queues`.
    #[must_use]
    pub fn new(backend: Backend, queues: impl IntoIterator<Item = QueueName>) -> Self {
        let queues = queues.into_iter().map(|queue| (queue, false)).collect();
        Self { desk: Desk::new(backend.clone()), backend, queues, every: EVERY, grace: GRACE }
    }

    /// Looks so often, instead of every 15 s.
    #[must_use]
    pub const fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// Looks after holders of claims that are so old, instead of 30 s.
    #[must_use]
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Looks after the queues until `stop` is cancelled.
    ///
    /// # Cancel safety
    /// As [`Desk::walk`](super::Desk::walk).
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            // Not all keepers at once.
            let pause = self.every.mul_f64(0.75 + fastrand::f64() / 2.0);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            if let Err(error) = self.look(&stop).await {
                tracing::warn!(%error, "dead letters are looked after next time");
            }
        }
    }

    /// Looks at each queue once, and walks those whose list has been wrong since the last look.
    ///
    /// # Errors
    /// When broker or store do not answer; one queue's trouble is told after all were looked at.
    ///
    /// # Cancel safety
    /// As [`Desk::walk`](super::Desk::walk).
    pub async fn look(&mut self, stop: &CancellationToken) -> Result<(), DeskError> {
        let states = match self.states().await {
            Ok(states) => states,
            Err(error) => {
                // Whether somebody lives is only known after a while of unbroken contact.
                self.queues.values_mut().for_each(|differed| *differed = false);
                return Err(error);
            }
        };
        let mut first_error = None;
        for (queue, state) in states {
            let differs = state.depth != state.listed;
            let differed = self.queues.insert(queue.clone(), differs);
            if !differs || differed != Some(true) {
                continue;
            }
            if let Err(error) = self.mend(&queue, state, stop).await {
                tracing::warn!(%queue, %error, "the dead letters of a queue were not looked after");
                first_error = first_error.or(Some(error));
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn states(&self) -> Result<Vec<(QueueName, State)>, DeskError> {
        let queues: Vec<QueueName> = self.queues.keys().cloned().collect();
        let places: Vec<Place> = queues.iter().cloned().map(Place::Dead).collect();
        let listed = self.backend.letters.counts().await?;
        let surveys = self.backend.broker.survey(&places).await?;
        let state = |(queue, depth): (QueueName, u64)| {
            let listed = listed.get(&queue).copied().unwrap_or(0);
            (queue, State { depth, listed })
        };
        Ok(queues.into_iter().zip(surveys.into_iter().map(|s| s.depth)).map(state).collect())
    }

    /// Walks a queue, unless somebody did while it looked the same.
    async fn mend(
        &mut self,
        queue: &QueueName,
        state: State,
        stop: &CancellationToken,
    ) -> Result<(), DeskError> {
        let leases = &self.backend.leases;
        let name = format!("dead-state/{queue}/{}/{}", state.depth, state.listed);
        let holder = Owner::mint();
        let Some(claimed) = leases.acquire(&name, holder, CLAIMED).await? else { return Ok(()) };
        let rest = self.walk(queue, state, stop).await;
        match rest {
            // It may have taken longer than the right to it was held.
            Ok(Some(rest)) => {
                leases.acquire(&name, holder, rest).await?;
            }
            Ok(None) | Err(_) => self.give_back(&claimed).await,
        }
        self.queues.insert(queue.clone(), false);
        match rest {
            // Who walks it already mends it too.
            Err(DeskError::Busy { .. }) | Ok(_) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Walks a queue. Returns for how long no other walk is worth while, where it mended nothing.
    async fn walk(
        &self,
        queue: &QueueName,
        before: State,
        stop: &CancellationToken,
    ) -> Result<Option<Duration>, DeskError> {
        let terms = Terms { by: "leveret".to_owned(), rate: None, stop: stop.child_token() };
        let began = Instant::now();
        let mut look = Look { grace: self.grace };
        let walked = self.desk.walk(queue, &mut look, &terms).await?;
        let count = walked.returned + walked.superseded;
        if count > 0 {
            tracing::info!(%queue, count, "dead letters that were none are gone from their queue");
        }
        let listed = self.backend.letters.counts().await?.get(queue).copied().unwrap_or(0);
        if count > 0 || listed != before.listed || walked.taken < walked.total {
            return Ok(None);
        }
        let pending = PENDING.max(began.elapsed() * PENDING_WALKS);
        Ok(Some(if walked.hidden > 0 { pending } else { SETTLED }))
    }

    async fn give_back(&self, lease: &Lease) {
        if let Err(error) = self.backend.leases.give_back(lease).await {
            tracing::debug!(%error, "a lease is left to end by itself");
        }
    }
}
