//! Makes chosen calls fail, as a bad network or a sick server would.
//!
//! A fault strikes either before the call is applied (it never arrived) or after (its answer was
//! lost): the two look alike to a caller, and telling them apart wrongly is how tasks are lost or
//! run twice. For tests only, in one process; killing processes is the failpoints' matter.

mod schedules;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::broker::{
    Broker, BrokerError, Consumer, Delivery, Place, Publish, PublishError, Receipt, Settle,
    SettleError, Survey,
};
use crate::id::TaskId;
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover,
};
use crate::store::{Ledger, StoreError, StoreErrorKind};

/// When a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The call is not applied.
    Before,
    /// The call is applied and its answer lost.
    After,
}

/// A call to the ledger that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LedgerCall {
    /// `claim`.
    Claim,
    /// `take_over`.
    TakeOver,
    /// `decide`.
    Decide,
    /// `mark`.
    Mark,
    /// `release`.
    Release,
    /// `reassert`.
    Reassert,
    /// `cancel`.
    Cancel,
    /// `entries`.
    Entries,
    /// `check`.
    Check,
}

/// A call to the timetable that can be made to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScheduleCall {
    /// `page`.
    Page,
    /// `read`.
    Read,
    /// `change`.
    Change,
    /// `advance`.
    Advance,
    /// `restore`.
    Restore,
    /// `note`.
    Note,
    /// `occurrences`.
    Occurrences,
    /// `changes`.
    Changes,
    /// `announce`.
    Announce,
    /// `beats`.
    Beats,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Call {
    Publish,
    Settle,
    Ledger(LedgerCall),
    Schedules(ScheduleCall),
}

#[derive(Debug, Clone, Copy)]
enum Error {
    Publish(fn() -> PublishError),
    Gone,
    Store(StoreErrorKind),
}

/// Which calls fail: those of a script, or a share of all, the same for the same seed.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    made: HashMap<Call, u64>,
    script: HashMap<(Call, u64), (Moment, Error)>,
    /// Of how many calls one fails, and the generator's state.
    dice: Option<(u64, u64)>,
    struck: u64,
}

impl Faults {
    /// Creates an empty script: nothing fails yet.
    #[must_use]
    pub fn scripted() -> Arc<Self> {
        Arc::default()
    }

    /// Makes one of `one_in` calls fail, before or after, the same ones for the same `seed`.
    #[must_use]
    pub fn seeded(seed: u64, one_in: u64) -> Arc<Self> {
        // The generator never leaves zero, so that seed is moved.
        let dice = Some((one_in.max(1), seed | 1 << 63));
        Arc::new(Self { state: Mutex::new(State { dice, ..State::default() }) })
    }

    /// Makes the `nth` publish (1 is the first from the start) fail as a whole.
    pub fn fail_publish(&self, nth: u64, moment: Moment, error: fn() -> PublishError) {
        self.put(Call::Publish, nth, moment, Error::Publish(error));
    }

    /// Makes the `nth` settle, counted over all consumers, fail as a whole.
    pub fn fail_settle(&self, nth: u64, moment: Moment) {
        self.put(Call::Settle, nth, moment, Error::Gone);
    }

    /// Makes the `nth` call of this sort to the ledger fail.
    pub fn fail_ledger(&self, call: LedgerCall, nth: u64, moment: Moment, kind: StoreErrorKind) {
        self.put(Call::Ledger(call), nth, moment, Error::Store(kind));
    }

    /// Makes the `nth` call of this sort to the timetable fail.
    pub fn fail_schedules(
        &self,
        call: ScheduleCall,
        nth: u64,
        moment: Moment,
        kind: StoreErrorKind,
    ) {
        self.put(Call::Schedules(call), nth, moment, Error::Store(kind));
    }

    /// Returns how many faults have struck, so that a test can insist that some did.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.lock().struck
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is counted up in one step; a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, call: Call, nth: u64, moment: Moment, error: Error) {
        self.lock().script.insert((call, nth), (moment, error));
    }

    fn strikes(&self, call: Call) -> Option<(Moment, Error)> {
        let mut state = self.lock();
        let made = state.made.entry(call).or_default();
        *made += 1;
        let nth = *made;
        let scripted = state.script.remove(&(call, nth));
        let fault = scripted.or_else(|| state.dice.as_mut().and_then(|dice| rolled(dice, call)));
        state.struck += u64::from(fault.is_some());
        fault
    }
}

fn rolled(dice: &mut (u64, u64), call: Call) -> Option<(Moment, Error)> {
    let (one_in, state) = dice;
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let roll = *state >> 11;
    if roll % *one_in != 0 {
        return None;
    }
    let moment = if (roll / *one_in) % 2 == 0 { Moment::Before } else { Moment::After };
    let error = match (call, moment) {
        (Call::Publish, Moment::Before) => Error::Publish(|| PublishError::Unavailable(why())),
        (Call::Publish, Moment::After) => {
            Error::Publish(|| PublishError::Unknown { within: Duration::ZERO, why: why() })
        }
        (Call::Settle, _) => Error::Gone,
        (Call::Ledger(_) | Call::Schedules(_), Moment::Before) => {
            Error::Store(StoreErrorKind::Unavailable)
        }
        (Call::Ledger(_) | Call::Schedules(_), Moment::After) => {
            Error::Store(StoreErrorKind::Timeout)
        }
    };
    Some((moment, error))
}

fn why() -> String {
    "an injected fault".to_owned()
}

/// A seam of which chosen calls fail.
#[derive(Debug)]
pub struct Faulty<B: ?Sized> {
    faults: Arc<Faults>,
    inner: Arc<B>,
}

impl<B: ?Sized> Faulty<B> {
    /// Puts the decorator around `inner`; several may share one set of faults.
    #[must_use]
    pub const fn new(inner: Arc<B>, faults: Arc<Faults>) -> Self {
        Self { faults, inner }
    }
}

#[async_trait]
impl<B: Broker + ?Sized> Broker for Faulty<B> {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let Some((moment, Error::Publish(error))) = self.faults.strikes(Call::Publish) else {
            return self.inner.publish(batch).await;
        };
        if moment == Moment::After {
            self.inner.publish(batch).await;
        }
        batch.iter().map(|_| Err(error())).collect()
    }

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        let inner = self.inner.consume(place, prefetch).await?;
        Ok(Arc::new(FaultyConsumer { faults: Arc::clone(&self.faults), inner }))
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        self.inner.survey(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

struct FaultyConsumer {
    faults: Arc<Faults>,
    inner: Arc<dyn Consumer>,
}

#[async_trait]
impl Consumer for FaultyConsumer {
    async fn next(&self, most: usize) -> Vec<Delivery> {
        self.inner.next(most).await
    }

    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>> {
        let Some((moment, _)) = self.faults.strikes(Call::Settle) else {
            return self.inner.settle(batch).await;
        };
        if moment == Moment::After {
            self.inner.settle(batch).await;
        }
        batch.iter().map(|_| Err(SettleError::Gone)).collect()
    }

    fn holds(&self, receipt: Receipt) -> bool {
        self.inner.holds(receipt)
    }

    fn is_consuming(&self) -> bool {
        self.inner.is_consuming()
    }

    async fn stop(&self) {
        self.inner.stop().await;
    }
}

impl<B: ?Sized> Faulty<B> {
    async fn ledger<T>(
        &self,
        call: LedgerCall,
        operation: &'static str,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.stored(Call::Ledger(call), operation, inner).await
    }

    async fn stored<T>(
        &self,
        call: Call,
        operation: &'static str,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let Some((moment, Error::Store(kind))) = self.faults.strikes(call) else {
            return inner.await;
        };
        if moment == Moment::After {
            inner.await?;
        }
        let endpoint = "a test".to_owned();
        Err(StoreError { operation, endpoint, kind, why: why(), source: None })
    }
}

#[async_trait]
impl<B: Ledger + ?Sized> Ledger for Faulty<B> {
    async fn claim(&self, batch: &[Claim]) -> Result<Vec<Answer>, StoreError> {
        self.ledger(LedgerCall::Claim, "claim", self.inner.claim(batch)).await
    }

    async fn take_over(&self, batch: &[Takeover]) -> Result<Vec<Answer>, StoreError> {
        self.ledger(LedgerCall::TakeOver, "take over", self.inner.take_over(batch)).await
    }

    async fn decide(&self, batch: &[Decide]) -> Result<Vec<Ruling>, StoreError> {
        self.ledger(LedgerCall::Decide, "decide", self.inner.decide(batch)).await
    }

    async fn mark(&self, batch: &[Mark]) -> Result<Vec<Ruling>, StoreError> {
        self.ledger(LedgerCall::Mark, "mark", self.inner.mark(batch)).await
    }

    async fn release(&self, batch: &[Release]) -> Result<Vec<Ruling>, StoreError> {
        self.ledger(LedgerCall::Release, "release", self.inner.release(batch)).await
    }

    async fn reassert(&self, batch: &[Held]) -> Result<(), StoreError> {
        self.ledger(LedgerCall::Reassert, "reassert", self.inner.reassert(batch)).await
    }

    async fn cancel(&self, batch: &[Cancel]) -> Result<Vec<Cancelling>, StoreError> {
        self.ledger(LedgerCall::Cancel, "cancel", self.inner.cancel(batch)).await
    }

    async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.ledger(LedgerCall::Entries, "read entries", self.inner.entries(ids)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.ledger(LedgerCall::Check, "check", self.inner.check()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::Destination;
    use crate::decorator::stub::{Stub, advance, claim, message};
    use crate::store::{Advanced, Schedules};

    fn batch() -> Vec<Publish> {
        let to = Destination::Lane("mail".parse().unwrap());
        (0..2).map(|n| Publish { to: to.clone(), wire: message(n) }).collect()
    }

    #[tokio::test]
    async fn a_publish_fails_before_it_is_applied_or_after_and_only_the_chosen_one() {
        let (stub, faults) = (Stub::default(), Faults::scripted());
        faults.fail_publish(2, Moment::Before, || PublishError::Blocked("memory".to_owned()));
        faults.fail_publish(3, Moment::After, || PublishError::Rejected("full".to_owned()));
        let broker = Faulty::<dyn Broker>::new(Arc::new(stub.clone()), faults.clone());
        let mut reached = Vec::new();
        for _ in 0..4 {
            let answers = broker.publish(&batch()).await;
            assert_eq!(answers.len(), 2);
            let said = answers[1].as_ref().err().map(PublishError::outcome);
            reached.push((said, stub.published()));
        }
        assert_eq!(reached, [(None, 2), (Some("blocked"), 2), (Some("rejected"), 4), (None, 6)]);
        assert_eq!(faults.struck(), 2);
    }

    #[tokio::test]
    async fn a_settle_fails_before_it_is_applied_or_after() {
        let (stub, faults) = (Stub::default(), Faults::scripted());
        faults.fail_settle(1, Moment::Before);
        faults.fail_settle(2, Moment::After);
        let broker = Faulty::<dyn Broker>::new(Arc::new(stub.clone()), faults);
        let consumer = broker.consume(&Place::Lane("mail".parse().unwrap()), 1).await.unwrap();
        let receipt = Receipt { generation: 1, tag: 1 };
        let mut reached = Vec::new();
        for _ in 0..3 {
            let answers = consumer.settle(&[(receipt, Settle::Ack)]).await;
            reached.push((answers[0].is_ok(), stub.settled()));
        }
        assert_eq!(reached, [(false, 0), (false, 1), (true, 2)]);
    }

    #[tokio::test]
    async fn a_claim_is_applied_and_its_answer_lost_or_never_arrives() {
        let (stub, faults) = (Stub::default(), Faults::scripted());
        faults.fail_ledger(LedgerCall::Claim, 1, Moment::Before, StoreErrorKind::Refused);
        faults.fail_ledger(LedgerCall::Claim, 2, Moment::After, StoreErrorKind::Timeout);
        let ledger = Faulty::<dyn Ledger>::new(Arc::new(stub.clone()), faults);
        let asks = [claim()];
        let error = ledger.claim(&asks).await.unwrap_err();
        assert_eq!((error.kind, stub.claimed()), (StoreErrorKind::Refused, 0));
        let error = ledger.claim(&asks).await.unwrap_err();
        assert_eq!((error.kind, stub.claimed()), (StoreErrorKind::Timeout, 1));
        assert_eq!(ledger.claim(&asks).await.unwrap(), [Answer::Stale]);
        ledger.check().await.unwrap();
    }

    #[tokio::test]
    async fn a_move_is_made_and_its_answer_lost_or_never_arrives() {
        let (stub, faults) = (Stub::default(), Faults::scripted());
        let (before, after) = (Moment::Before, Moment::After);
        faults.fail_schedules(ScheduleCall::Advance, 1, before, StoreErrorKind::Unavailable);
        faults.fail_schedules(ScheduleCall::Advance, 2, after, StoreErrorKind::Timeout);
        faults.fail_schedules(ScheduleCall::Changes, 1, before, StoreErrorKind::Timeout);
        let timetable = Faulty::<dyn Schedules>::new(Arc::new(stub.clone()), faults.clone());
        let asks = [advance()];
        let error = timetable.advance(&asks).await.unwrap_err();
        assert_eq!((error.kind, stub.moved()), (StoreErrorKind::Unavailable, 0));
        let error = timetable.advance(&asks).await.unwrap_err();
        assert_eq!((error.kind, stub.moved()), (StoreErrorKind::Timeout, 1));
        assert_eq!(timetable.advance(&asks).await.unwrap(), [Advanced::Moved]);
        assert_eq!(timetable.changes(None).await.unwrap_err().kind, StoreErrorKind::Timeout);
        assert_eq!(timetable.changes(None).await.unwrap().version, 2);
        assert_eq!(timetable.page(None, 1).await.unwrap(), []);
        assert_eq!(faults.struck(), 3);
    }

    #[tokio::test]
    async fn seeded_faults_are_the_same_for_the_same_seed_and_about_as_many_as_asked() {
        let run = async |seed| {
            let faults = Faults::seeded(seed, 5);
            let ledger = Faulty::<dyn Ledger>::new(Arc::new(Stub::default()), faults.clone());
            let mut failed = Vec::new();
            for at in 0..500 {
                if ledger.claim(&[claim()]).await.is_err() {
                    failed.push(at);
                }
            }
            assert_eq!(faults.struck(), failed.len() as u64);
            failed
        };
        let first = run(7).await;
        assert_eq!(first, run(7).await);
        assert_ne!(first, run(8).await);
        assert!((60..140).contains(&first.len()), "{} of 500", first.len());
    }
}
