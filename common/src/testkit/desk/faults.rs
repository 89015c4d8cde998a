//! Promises about a walk that goes wrong: nothing is lost, and at most what was in hand is doubled.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::{
    DeskUnderTest, OVER_A_HANDFUL, id, keep_all, many, number, numbers, queue, replay_all, terms,
};
use crate::backend::Backend;
use crate::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError, Survey};
use crate::decorator::{Faults, Faulty, LedgerCall, Moment};
use crate::desk::{Desk, DeskError, Plan, Verdict};
use crate::envelope::header;
use crate::id::{Owner, Token};
use crate::ledger::{Answer, Claim, Ending, Marking};
use crate::store::StoreErrorKind;

impl DeskUnderTest {
    fn faulty(&self, faults: &Arc<Faults>) -> Desk {
        Desk::new(Backend {
            broker: Arc::new(Faulty::new(Arc::clone(&self.backend.broker), Arc::clone(faults))),
            ledger: Arc::new(Faulty::new(Arc::clone(&self.backend.ledger), Arc::clone(faults))),
            ..self.backend.clone()
        })
    }

    /// Runs what is in `mail.high` as workers do, and returns how often each number ran.
    async fn run_all(&self, count: usize) -> BTreeMap<usize, u32> {
        let mut runs = BTreeMap::new();
        for wire in self.tasks("mail.high", count).await {
            let replay = wire.number(header::REPLAY).unwrap_or(0);
            let order = super::order(u32::try_from(replay).expect("a small number"), 1);
            let ask = Claim {
                id: id(&wire),
                order,
                owner: Owner::mint(),
                token: Token::draw(),
                expires_at: None,
                max_crashes: 3,
                ttl: super::LONG,
            };
            let answers = self.backend.ledger.claim(std::slice::from_ref(&ask)).await;
            match answers.expect("the store answers").remove(0) {
                Answer::Claimed { fence, .. } => {
                    *runs.entry(number(&wire)).or_default() += 1;
                    let hold = crate::ledger::Hold { owner: ask.owner, fence };
                    self.marked(ask.id, Some(hold), order, Marking::Done).await;
                }
                Answer::Settled(Ending::Done) => {}
                other => panic!("{other:?}"),
            }
        }
        runs
    }

    /// Waits until at least so many messages rest in a lane, and counts them.
    async fn settled_in(&self, lane: &str, least: usize) -> usize {
        let place = Place::Lane(super::lane(lane));
        let depth = async || {
            let surveyed = self.backend.broker.survey(std::slice::from_ref(&place)).await;
            usize::try_from(surveyed.expect("it is surveyed")[0].depth).expect("a small number")
        };
        super::eventually(super::SOON, "they rest", async || depth().await >= least).await;
        tokio::time::sleep(super::QUIET).await;
        depth().await
    }

    /// Waits until no letter is in anybody's hand any more, and counts those there.
    async fn settled_depth(&self, least: usize) -> usize {
        super::eventually(super::SOON, "what was in hand is back", || async {
            self.depth().await >= least
        })
        .await;
        tokio::time::sleep(super::QUIET).await;
        self.depth().await
    }
}

fn once_each(count: usize) -> BTreeMap<usize, u32> {
    (0..count).map(|n| (n, 1)).collect()
}

pub(super) async fn a_refused_publish_loses_no_letter(under: DeskUnderTest) {
    let sent = many(OVER_A_HANDFUL);
    under.bury(&sent).await;
    let faults = Faults::scripted();
    faults.fail_publish(2, Moment::Before, || PublishError::Blocked("memory".to_owned()));
    let walked = under.faulty(&faults).walk(&queue(), &mut replay_all(), &terms()).await;
    let Err(DeskError::Publish { source, .. }) = walked else { panic!("{walked:?}") };
    assert!(matches!(source, PublishError::Blocked(_)));
    assert_eq!(faults.struck(), 1);
    // The first handful went, the second is where it was; the next walk takes it.
    let left = under.settled_depth(1).await;
    assert!(left < OVER_A_HANDFUL, "the first handful was replayed");
    let walked = under.walk(left, &mut replay_all()).await;
    assert_eq!(walked.replayed, left as u64);
    let started = under.tasks("mail.high", OVER_A_HANDFUL).await;
    assert_eq!(numbers(&started), (0..OVER_A_HANDFUL).collect::<Vec<_>>());
    under.lists(&[]).await;
    under.rest_at(0).await;
}

pub(super) async fn an_unknown_publish_loses_no_letter_and_runs_no_replay_twice(
    under: DeskUnderTest,
) {
    let sent = many(20);
    under.bury(&sent).await;
    let faults = Faults::scripted();
    let unknown =
        || PublishError::Unknown { within: std::time::Duration::ZERO, why: "a test".to_owned() };
    faults.fail_publish(1, Moment::After, unknown);
    let mut plan = replay_all();
    let walked = under.faulty(&faults).walk(&queue(), &mut plan, &terms()).await;
    assert!(matches!(walked, Err(DeskError::Publish { .. })), "{walked:?}");
    let in_hand = plan.asked.len();
    assert!(in_hand > 0);
    // Each was published, and nobody knows: the letters stay and are replayed again, as the same
    // replay of the same task.
    let walked = under.walk(20, &mut replay_all()).await;
    assert_eq!(walked.replayed, 20);
    assert_eq!(under.run_all(20 + in_hand).await, once_each(20));
    under.rest_at(0).await;
}

pub(super) async fn a_lost_ack_loses_no_letter_and_is_told(under: DeskUnderTest) {
    let sent = many(10);
    under.bury(&sent).await;
    let faults = Faults::scripted();
    faults.fail_settle(1, Moment::Before);
    let walked = under.faulty(&faults).walk(&queue(), &mut replay_all(), &terms()).await;
    assert!(matches!(walked, Err(DeskError::Interrupted { total: 10, .. })), "{walked:?}");
    assert_eq!(faults.struck(), 1);
    // The letters in hand are still there, and so are their replays.
    under.rest_at(10).await;
    let walked = under.walk(10, &mut replay_all()).await;
    assert_eq!(walked.replayed, 10);
    let started = under.settled_in("mail.high", 11).await;
    assert_eq!(under.run_all(started).await, once_each(10));
    under.lists(&[]).await;
    under.rest_at(0).await;
}

pub(super) async fn a_discard_whose_ack_is_lost_is_not_done(under: DeskUnderTest) {
    let sent = many(10);
    under.bury(&sent).await;
    let faults = Faults::scripted();
    faults.fail_settle(1, Moment::Before);
    let mut discard = super::By::new(|_| Verdict::Discard);
    let walked = under.faulty(&faults).walk(&queue(), &mut discard, &terms()).await;
    assert!(matches!(walked, Err(DeskError::Interrupted { .. })), "{walked:?}");
    assert_eq!(faults.struck(), 1);
    under.rest_at(10).await;
    under.lists(&sent).await;
    let ids: Vec<_> = sent.iter().map(id).collect();
    let records = under.backend.records.find(&ids).await.expect("the store answers");
    assert!(records.iter().all(|record| record.acts.is_empty()), "nobody discarded them");
    let mut discard = super::By::new(|_| Verdict::Discard);
    assert_eq!(under.walk(10, &mut discard).await.discarded, 10);
    under.rest_at(0).await;
    under.lists(&[]).await;
}

pub(super) async fn a_store_that_does_not_answer_ends_the_walk_and_loses_nothing(
    under: DeskUnderTest,
) {
    let sent = many(10);
    under.bury(&sent).await;
    let faults = Faults::scripted();
    faults.fail_ledger(LedgerCall::Entries, 1, Moment::Before, StoreErrorKind::Unavailable);
    let mut plan = replay_all();
    let walked = under.faulty(&faults).walk(&queue(), &mut plan, &terms()).await;
    assert!(matches!(walked, Err(DeskError::Store(_))), "{walked:?}");
    assert!(plan.asked.is_empty(), "nothing is decided without the ledger");
    under.lists(&sent).await;
    under.rest_at(10).await;
    assert_eq!(numbers(&under.letters(10).await), (0..10).collect::<Vec<_>>());
}

/// A broker that never answers a publish, and says when one was made.
struct Stalling {
    inner: Arc<dyn Broker>,
    moment: Moment,
    reached: Arc<Notify>,
    made: Arc<AtomicUsize>,
}

#[async_trait]
impl Broker for Stalling {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        if self.moment == Moment::After {
            for answer in self.inner.publish(batch).await {
                answer.expect("it is published");
            }
        }
        self.made.store(batch.len(), Ordering::SeqCst);
        self.reached.notify_one();
        pending().await
    }

    async fn consume(&self, at: &Place, prefetch: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.inner.consume(at, prefetch).await
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

/// Begins a walk and drops it at its first publish; returns of how many messages that was.
async fn drop_at_publish(under: &DeskUnderTest, moment: Moment, plan: &mut dyn Plan) -> usize {
    let (reached, made) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let inner = Arc::clone(&under.backend.broker);
    let broker = Stalling { inner, moment, reached: Arc::clone(&reached), made: Arc::clone(&made) };
    let broker = Arc::new(broker);
    let desk = Desk::new(Backend { broker, ..under.backend.clone() });
    let (queue, terms) = (queue(), terms());
    let dropped = tokio::time::timeout(super::SOON, async {
        tokio::select! {
            walked = desk.walk(&queue, plan, &terms) => panic!("it ended: {walked:?}"),
            () = reached.notified() => {}
        }
    });
    dropped.await.expect("the walk publishes");
    made.load(Ordering::SeqCst)
}

pub(super) async fn a_walk_dropped_before_its_publish_loses_nothing(under: DeskUnderTest) {
    let sent = many(12);
    under.bury(&sent).await;
    assert!(drop_at_publish(&under, Moment::Before, &mut replay_all()).await > 0);
    under.rest_at(12).await;
    under.lists(&sent).await;
    // Its lease ends by itself; until then others are told that somebody walks.
    let walked = under.desk().walk(&queue(), &mut keep_all(), &terms()).await;
    assert!(super::is_busy(&walked), "{walked:?}");
    let walker = Desk::new(under.without_leases());
    let walked = walker.walk(&queue(), &mut replay_all(), &terms()).await.expect("it walks");
    assert_eq!(walked.replayed, 12);
    assert_eq!(under.run_all(12).await, once_each(12));
}

pub(super) async fn a_walk_dropped_after_its_publish_doubles_at_most_what_was_in_hand(
    under: DeskUnderTest,
) {
    let sent = many(12);
    under.bury(&sent).await;
    let in_hand = drop_at_publish(&under, Moment::After, &mut keep_all()).await;
    let rest = under.settled_depth(12 + in_hand).await;
    assert_eq!(rest, 12 + in_hand, "what was in hand is there twice, and nothing a third time");
    // Whoever comes next sees a double as what it is: the same letter.
    let walker = Desk::new(under.without_leases());
    let walked = walker.walk(&queue(), &mut keep_all(), &terms()).await.expect("it walks");
    assert_eq!(walked.kept, rest as u64);
    under.lists(&sent).await;
    under.rest_at(rest).await;
    let walked = walker.walk(&queue(), &mut replay_all(), &terms()).await.expect("it walks");
    assert_eq!(walked.replayed, rest as u64);
    under.rest_at(0).await;
    assert_eq!(under.run_all(rest).await, once_each(12), "a doubled replay runs once");
}
