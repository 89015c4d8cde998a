//! The rounds of a walk: a handful is taken, decided on, published, acked and noted.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::standing::{Standing, standing};
use super::{Desk, DeskError, Plan, Replacement, Terms, Verdict, Walked};
use crate::backend::Backend;
use crate::broker::{
    Consumer, Delivery, Destination, Place, Publish, PublishError, Receipt, Settle,
};
use crate::clock::Millis;
use crate::desk::{entries, letter};
use crate::envelope::naturalise;
use crate::failpoint;
use crate::id::TaskId;
use crate::ledger::Entry;
use crate::name::QueueName;
use crate::sabotage::{Break, breaks};
use crate::store::{Lease, Letter, Liveness, Suspect};

/// Most letters in hand at a time: what a crash may double, and how many bodies are in memory at
/// once, however large they are.
const IN_HAND: u16 = 16;
/// Letters that are prefetched beyond those.
const IN_RESERVE: u16 = 8;
/// A broker that hands out nothing for so long is asked whether anything is left.
const QUIET: Duration = Duration::from_secs(3);
/// How often it is waited for so long.
const PATIENCE: u32 = 2;
/// How often it is looked whether what was prefetched is back.
const LOOK: Duration = Duration::from_millis(20);

/// Returns how many letters are held at a time: few where a rate spreads them over time.
fn handful(total: u64, rate: Option<f64>) -> u16 {
    let most = u16::try_from(total).unwrap_or(u16::MAX).min(IN_HAND);
    match rate {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        Some(rate) => most.min(rate.clamp(1.0, f64::from(IN_HAND)) as u16),
        None => most,
    }
}

/// A walk under way.
pub(super) struct Walk<'a> {
    pub(super) backend: &'a Backend,
    pub(super) queue: &'a QueueName,
    pub(super) terms: &'a Terms,
    pub(super) began: Millis,
    pub(super) walked: Walked,
    /// In hand, and to be left where they were.
    pub(super) left: Vec<Receipt>,
    lease: &'a Lease,
    lease_ttl: Duration,
    renewed: Instant,
    started: Instant,
    /// The connection that the first letter came over.
    generation: Option<u64>,
}

/// What is done with one letter: its copies are published, then the note is made.
pub(super) struct Step {
    receipt: Receipt,
    pub(super) letter: Letter,
    copy: Option<Publish>,
    pub(super) deed: Deed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Described, and put at the tail.
    Keep,
    /// Put at the tail without a description: its replay is on its way, or its task runs.
    Hide,
    Replay(u32),
    Discard,
    Replace(TaskId),
    SendBack,
    Supersede,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        desk: &'a Desk,
        queue: &'a QueueName,
        terms: &'a Terms,
        lease: &'a Lease,
        (began, total): (Millis, u64),
    ) -> Self {
        Self {
            backend: &desk.backend,
            queue,
            terms,
            began,
            walked: Walked { total, ..Walked::default() },
            left: Vec::new(),
            lease,
            lease_ttl: desk.lease_ttl,
            renewed: Instant::now(),
            started: Instant::now(),
            generation: None,
        }
    }

    /// Returns how many letters the broker may hand out before the first is settled.
    pub(super) fn prefetch(&self) -> u16 {
        let total = u16::try_from(self.walked.total).unwrap_or(u16::MAX);
        handful(self.walked.total, self.terms.rate).saturating_add(IN_RESERVE).min(total)
    }

    /// Walks; true when every letter of the start was taken in hand and moved, false when enough
    /// was done or somebody else took the rest.
    pub(super) async fn run(
        &mut self,
        consumer: &Arc<dyn Consumer>,
        plan: &mut dyn Plan,
    ) -> Result<bool, DeskError> {
        while self.walked.taken < self.walked.total {
            if plan.is_over() || self.terms.stop.is_cancelled() {
                return Ok(false);
            }
            self.keep_lease().await?;
            let left = self.walked.total - self.walked.taken;
            let most = usize::from(handful(left, self.terms.rate));
            let batch = self.next(consumer, most).await?;
            if batch.is_empty() {
                return Ok(false);
            }
            failpoint::pass("walk.taken");
            self.walked.taken += batch.len() as u64;
            let steps = self.decide(batch, plan).await?;
            self.take(consumer, steps).await?;
            self.tell(plan).await?;
            self.pace().await?;
        }
        Ok(true)
    }

    /// Waits until the broker counts what this walk has left in the queue.
    ///
    /// It counts what nobody holds, and what was prefetched comes back a moment after it was returned. The next walk
    /// would be shorter by that, and forget the descriptions of letters that it did not meet. Where somebody else
    /// takes letters away, the time is up.
    pub(super) async fn put_back(&self) {
        let Walked { total, replayed, discarded, replaced, returned, superseded, .. } = self.walked;
        let gone = replayed + discarded + replaced + returned + superseded;
        let place = Place::Dead(self.queue.clone());
        let counted = async {
            loop {
                let surveyed = self.backend.broker.survey(std::slice::from_ref(&place)).await;
                let depth = surveyed.map(|found| found.first().map_or(0, |survey| survey.depth));
                if depth.is_ok_and(|depth| depth >= total.saturating_sub(gone)) {
                    return;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        if timeout(QUIET, counted).await.is_err() {
            tracing::info!(queue = %self.queue, "fewer letters are back than were walked");
        }
    }

    /// Takes letters in hand; none where none are left.
    async fn next(
        &mut self,
        consumer: &Arc<dyn Consumer>,
        most: usize,
    ) -> Result<Vec<Delivery>, DeskError> {
        let place = Place::Dead(self.queue.clone());
        for _ in 0..PATIENCE {
            if let Ok(batch) = timeout(QUIET, consumer.next(most)).await {
                let Some(first) = batch.first() else {
                    return Err(self.interrupted("its consumer was closed"));
                };
                let generation = *self.generation.get_or_insert(first.receipt.generation);
                // Acks that were on their way may be lost with the connection, so nobody knows
                // which letters were met.
                if batch.iter().any(|delivery| delivery.receipt.generation != generation) {
                    return Err(self.interrupted("the connection to the broker was lost"));
                }
                return Ok(batch);
            }
            let surveyed = self.backend.broker.survey(std::slice::from_ref(&place)).await?;
            if surveyed.first().is_none_or(|survey| survey.depth == 0) {
                return Ok(Vec::new());
            }
        }
        Err(self.interrupted("the broker holds more letters and hands none out"))
    }

    fn interrupted(&self, why: &'static str) -> DeskError {
        let Walked { taken, total, .. } = self.walked;
        DeskError::Interrupted { queue: self.queue.clone(), taken, total, why }
    }

    async fn decide(
        &self,
        batch: Vec<Delivery>,
        plan: &mut dyn Plan,
    ) -> Result<Vec<Step>, DeskError> {
        let now = self.backend.clock.now();
        let namespace = &self.backend.namespace;
        let described: Vec<(Delivery, Letter)> = batch
            .into_iter()
            .map(|mut delivery| {
                // What the broker moved here is as its sender wrote it, and a copy of it has headers
                // of ours alone.
                if letter::is_stray(&delivery.wire) {
                    delivery.wire = naturalise(namespace, delivery.wire);
                }
                let letter =
                    letter::describe(namespace, self.queue, &delivery.wire, self.began, now);
                (delivery, letter)
            })
            .collect();
        let ids: Vec<TaskId> = described.iter().map(|(_, letter)| letter.id).collect();
        let entries = entries::read(&*self.backend.ledger, &ids).await?;
        let mut found = Vec::with_capacity(described.len());
        for ((delivery, letter), entry) in described.into_iter().zip(entries) {
            let standing = match entry {
                Ok(entry) => {
                    let least = plan.looks_after_holders();
                    let is_gone = self.holder_is_gone(&delivery, &letter, entry.as_ref(), least);
                    let standing =
                        standing(&letter, &delivery.wire, entry.as_ref(), is_gone.await?);
                    (standing, entry)
                }
                Err(error) => {
                    tracing::warn!(
                        task = %letter.id, queue = %self.queue, %error,
                        "a dead letter is left alone: the ledger's entry of its task cannot be read"
                    );
                    (Standing::Untouchable, None)
                }
            };
            found.push((delivery, letter, standing));
        }
        let mut steps = Vec::with_capacity(found.len());
        for (delivery, letter, (standing, entry)) in found {
            steps.push(self.decide_one(delivery, letter, standing, entry.as_ref(), plan));
        }
        Ok(steps)
    }

    /// Tells whether the broker moved a message here that somebody held who is dead. Nobody takes
    /// its entry over any more, because the message is not in its lane.
    async fn holder_is_gone(
        &self,
        delivery: &Delivery,
        letter: &Letter,
        entry: Option<&Entry>,
        least: Option<Duration>,
    ) -> Result<bool, DeskError> {
        let (Some(Entry::Running(held) | Entry::Finishing(held, _)), Some(least)) = (entry, least)
        else {
            return Ok(false);
        };
        if !letter::is_stray(&delivery.wire) {
            return Ok(false);
        }
        let now = self.backend.clock.now().0.saturating_mul(1_000);
        let age = Duration::from_micros(now.saturating_sub(held.claimed_at));
        // A desk has no heartbeat of its own: any that is there shows that heartbeats are kept.
        let Some(reader) = self.backend.fleet.workers().await?.first().map(|beat| beat.owner)
        else {
            return Ok(false);
        };
        let suspect = Suspect { id: letter.id, hold: held.hold, age };
        let judged = self.backend.fleet.judge(reader, &[suspect], least).await?;
        Ok(judged == [Liveness::Dead])
    }

    fn decide_one(
        &self,
        delivery: Delivery,
        mut letter: Letter,
        mut standing: Standing,
        entry: Option<&Entry>,
        plan: &mut dyn Plan,
    ) -> Step {
        let Delivery { receipt, wire, .. } = delivery;
        let (namespace, now) = (&self.backend.namespace, self.backend.clock.now());
        let is_stray = letter::is_stray(&wire);
        let keep = || Some(letter::keep(&wire, self.queue, now));
        let hold = || Some(letter::hold(&wire, self.queue, namespace));
        let origin = || letter::origin(&wire, namespace, self.queue);
        if let (Standing::Superseded, Some(Entry::Settled(over))) = (standing, entry)
            && plan.insists(&letter)
        {
            letter.order.replay = letter.order.replay.max(over.replay);
            standing = Standing::Dead;
        }
        let (deed, copy) = match standing {
            Standing::Superseded => (Deed::Supersede, None),
            Standing::OnItsWay | Standing::Untouchable if is_stray => (Deed::Hide, hold()),
            Standing::OnItsWay => (Deed::Hide, keep()),
            Standing::Untouchable => (Deed::Keep, keep()),
            Standing::NeverStarted | Standing::Owed => {
                (Deed::SendBack, Some(letter::send_back(&wire, origin())))
            }
            Standing::Unexplained => {
                (Deed::Keep, Some(letter::explain(&wire, self.queue, &origin(), now)))
            }
            // It died after this walk began (rule R3).
            Standing::Dead if letter.died_at > self.began => (Deed::Keep, keep()),
            Standing::Dead if plan.is_over() => (Deed::Keep, keep()),
            Standing::Dead => match plan.decide(&letter, &wire) {
                Verdict::Keep => (Deed::Keep, keep()),
                Verdict::Discard => (Deed::Discard, None),
                Verdict::Replay(lane) => {
                    let lane = lane.unwrap_or_else(origin);
                    let replay = letter.order.replay.saturating_add(1);
                    (Deed::Replay(replay), Some(letter::replay(&wire, lane, replay)))
                }
                Verdict::Replace(with) => {
                    let Replacement { id, lane, wire } = *with;
                    (Deed::Replace(id), Some(Publish { to: Destination::Lane(lane), wire }))
                }
            },
        };
        let letter = match (&copy, deed) {
            // What is at the tail now is what is described.
            (Some(copy), Deed::Keep) => {
                letter::describe(namespace, self.queue, &copy.wire, letter.died_at, now)
            }
            _ => letter,
        };
        Step { receipt, letter, copy, deed }
    }

    /// Publishes, then acks what was confirmed, then takes notes. The order is the promise.
    async fn take(
        &mut self,
        consumer: &Arc<dyn Consumer>,
        steps: Vec<Step>,
    ) -> Result<(), DeskError> {
        let copies: Vec<Publish> = steps.iter().filter_map(|step| step.copy.clone()).collect();
        let mut answers = self.backend.broker.publish(&copies).await.into_iter();
        failpoint::pass("walk.confirmed");
        let mut refused = None;
        let (mut moved, mut settles) = (Vec::new(), Vec::new());
        for step in steps {
            let confirmed = match &step.copy {
                Some(_) => answers.next().unwrap_or_else(|| {
                    Err(PublishError::Unavailable("the broker gave no answer".to_owned()))
                }),
                None => Ok(()),
            };
            match confirmed.or_else(|why| {
                if breaks(Break::LetterAckedUnconfirmed) { Ok(()) } else { Err(why) }
            }) {
                Ok(()) => {
                    settles.push((step.receipt, Settle::Ack));
                    moved.push(step);
                }
                Err(error) => {
                    self.walked.failed += 1;
                    refused = refused.or(Some(error));
                    self.left.push(step.receipt);
                }
            }
        }
        let settled = consumer.settle(&settles).await;
        failpoint::pass("walk.acked");
        let all = settles.len();
        // A letter whose ack is lost is still there. Where its copy is safe, the deed is done and
        // the letter is there twice; where there is no copy, nothing was done with it.
        let ended: Vec<Step> = moved
            .into_iter()
            .zip(&settled)
            .filter(|(step, acked)| step.copy.is_some() || acked.is_ok())
            .map(|(step, _)| step)
            .collect();
        self.count(&ended);
        self.note(&ended).await;
        if let Some(source) = refused {
            return Err(DeskError::Publish { queue: self.queue.clone(), source });
        }
        if settled.iter().filter(|acked| acked.is_ok()).count() < all {
            return Err(self.interrupted("the broker took back what was in hand"));
        }
        Ok(())
    }

    fn count(&mut self, ended: &[Step]) {
        let walked = &mut self.walked;
        for step in ended {
            walked.hidden += u64::from(step.deed == Deed::Hide);
            let number = match step.deed {
                Deed::Keep | Deed::Hide => &mut walked.kept,
                Deed::Replay(_) => &mut walked.replayed,
                Deed::Discard => &mut walked.discarded,
                Deed::Replace(_) => &mut walked.replaced,
                Deed::SendBack => &mut walked.returned,
                Deed::Supersede => &mut walked.superseded,
            };
            *number += 1;
        }
    }

    /// Tells the plan how far it is, and keeps the lease however long that takes.
    async fn tell(&mut self, plan: &mut dyn Plan) -> Result<(), DeskError> {
        let walked = self.walked;
        let mut told = plan.walked(&walked);
        while timeout(self.lease_ttl / 6, &mut told).await.is_err() {
            self.keep_lease().await?;
        }
        Ok(())
    }

    /// Waits where a rate is given, and keeps the lease meanwhile.
    async fn pace(&mut self) -> Result<(), DeskError> {
        let Some(rate) = self.terms.rate else { return Ok(()) };
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52 letters")]
        let moved = (self.walked.replayed + self.walked.replaced + self.walked.discarded) as f64;
        let due = Duration::try_from_secs_f64(moved / rate.max(f64::MIN_POSITIVE));
        let due = self.started + due.unwrap_or(Duration::MAX).min(Duration::from_secs(86_400));
        while Instant::now() < due && !self.terms.stop.is_cancelled() {
            let wait = (due - Instant::now()).min(self.lease_ttl / 6);
            tokio::select! {
                () = self.terms.stop.cancelled() => {}
                () = tokio::time::sleep(wait) => {}
            }
            self.keep_lease().await?;
        }
        Ok(())
    }

    async fn keep_lease(&mut self) -> Result<(), DeskError> {
        if self.renewed.elapsed() < self.lease_ttl / 3 {
            return Ok(());
        }
        let begun = Instant::now();
        if !self.backend.leases.renew(self.lease, self.lease_ttl).await? {
            return Err(DeskError::LeaseLost { queue: self.queue.clone() });
        }
        self.renewed = begun;
        Ok(())
    }
}
