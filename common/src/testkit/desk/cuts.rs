//! Promises about a walk whose broker goes away on the way, and about what it holds meanwhile.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::{By, DeskUnderTest, OVER_A_HANDFUL, is_busy, keep_all, many, numbers, queue, terms};
use crate::backend::Backend;
use crate::broker::{
    Broker, BrokerError, Consumer, Delivery, Place, Publish, PublishError, Receipt, Settle,
    SettleError, Survey,
};
use crate::desk::{Desk, DeskError, Plan, Verdict, Walked};
use crate::envelope::Wire;
use crate::store::Letter;

/// What goes wrong after the first handful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// The connection is lost and made again: acks that were written never arrived.
    Reconnect,
    /// Nothing is handed out any more.
    Silence,
}

/// A broker that goes away during a walk.
struct Leaving {
    inner: Arc<dyn Broker>,
    cut: Cut,
    /// What its consumers may hold.
    prefetch: Arc<AtomicU16>,
}

struct LeavingConsumer {
    inner: Arc<dyn Consumer>,
    cut: Cut,
    /// How many handfuls were settled.
    settled: AtomicU64,
}

#[async_trait]
impl Broker for Leaving {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        self.inner.publish(batch).await
    }

    async fn consume(&self, at: &Place, prefetch: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.prefetch.store(prefetch, Ordering::SeqCst);
        let inner = self.inner.consume(at, prefetch).await?;
        Ok(Arc::new(LeavingConsumer { inner, cut: self.cut, settled: AtomicU64::new(0) }))
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

impl LeavingConsumer {
    /// Connections that were made since the first.
    fn later(&self) -> u64 {
        let settled = self.settled.load(Ordering::SeqCst);
        if self.cut == Cut::Reconnect { settled.min(1) } else { 0 }
    }
}

#[async_trait]
impl Consumer for LeavingConsumer {
    async fn next(&self, most: usize) -> Vec<Delivery> {
        if self.cut == Cut::Silence && self.settled.load(Ordering::SeqCst) > 0 {
            return pending().await;
        }
        let mut batch = self.inner.next(most).await;
        for delivery in &mut batch {
            delivery.receipt.generation += self.later();
        }
        batch
    }

    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>> {
        let later = self.later();
        let is_lost =
            self.cut == Cut::Reconnect && self.settled.fetch_add(1, Ordering::SeqCst) == 0;
        if self.cut != Cut::Reconnect {
            self.settled.fetch_add(1, Ordering::SeqCst);
        }
        let inner: Vec<_> = batch
            .iter()
            .map(|(receipt, how)| {
                let generation = receipt.generation - later;
                let how = if is_lost { Settle::Return } else { *how };
                (Receipt { generation, ..*receipt }, how)
            })
            .collect();
        self.inner.settle(&inner).await
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

impl DeskUnderTest {
    fn leaving(&self, cut: Cut) -> (Desk, Arc<AtomicU16>) {
        let prefetch = Arc::new(AtomicU16::new(0));
        let inner = Arc::clone(&self.backend.broker);
        let broker = Arc::new(Leaving { inner, cut, prefetch: Arc::clone(&prefetch) });
        (Desk::new(Backend { broker, ..self.backend.clone() }), prefetch)
    }
}

pub(super) async fn a_connection_that_is_lost_on_the_way_ends_the_walk_and_nothing_is_forgotten(
    under: DeskUnderTest,
) {
    let sent = many(OVER_A_HANDFUL);
    under.bury(&sent).await;
    // All but the first handful are met: what is met twice must not stand for what is not met.
    let (desk, _) = under.leaving(Cut::Reconnect);
    let mut discard = By::new(|_| Verdict::Keep);
    let walked = desk.walk(&queue(), &mut discard, &terms()).await;
    let Err(DeskError::Interrupted { taken, total, .. }) = walked else { panic!("{walked:?}") };
    assert!(taken < total, "{taken} of {total}");
    under.lists(&sent).await;
    // The first handful is there twice, and the next walk meets all.
    let rest = OVER_A_HANDFUL + discard.asked.len();
    let mut plan = keep_all();
    assert_eq!(under.walk(rest, &mut plan).await.kept, rest as u64);
    plan.asked.sort_unstable();
    plan.asked.dedup();
    assert_eq!(plan.asked, (0..OVER_A_HANDFUL).collect::<Vec<_>>());
}

pub(super) async fn a_broker_that_hands_nothing_out_is_no_empty_queue(under: DeskUnderTest) {
    let sent = many(OVER_A_HANDFUL);
    under.bury(&sent).await;
    let (desk, _) = under.leaving(Cut::Silence);
    let walked = desk.walk(&queue(), &mut keep_all(), &terms()).await;
    let Err(DeskError::Interrupted { taken, total, .. }) = walked else { panic!("{walked:?}") };
    assert!(0 < taken && taken < total, "{taken} of {total}");
    under.rest_at(OVER_A_HANDFUL).await;
    under.lists(&sent).await;
    assert_eq!(
        numbers(&under.letters(OVER_A_HANDFUL).await),
        (0..OVER_A_HANDFUL).collect::<Vec<_>>()
    );
}

pub(super) async fn a_walk_holds_few_letters_at_a_time(under: DeskUnderTest) {
    // Each may be as large as a message can be, and a keeper walks beside every worker.
    under.bury(&many(OVER_A_HANDFUL)).await;
    let (desk, prefetch) = under.leaving(Cut::Nothing);
    desk.walk(&queue(), &mut keep_all(), &terms()).await.expect("it walks");
    let held = prefetch.load(Ordering::SeqCst);
    assert!((1..=32).contains(&held), "{held} letters are in memory at once");
}

pub(super) async fn a_plan_that_takes_its_time_does_not_cost_the_lease(under: DeskUnderTest) {
    /// Writes to somebody who reads slowly.
    struct Slow(u32);
    #[async_trait]
    impl Plan for Slow {
        fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
            Verdict::Keep
        }

        async fn walked(&mut self, _: &Walked) {
            self.0 += 1;
            if self.0 == 1 {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
    under.bury(&many(40)).await;
    let desk = under.desk().lease_ttl(Duration::from_secs(2));
    let other = async {
        tokio::time::sleep(Duration::from_secs(4)).await;
        under.desk().walk(&queue(), &mut keep_all(), &terms()).await
    };
    let (queue, terms) = (queue(), terms());
    let mut slow = Slow(0);
    let (walked, other) = tokio::join!(desk.walk(&queue, &mut slow, &terms), other);
    assert_eq!(walked.expect("it keeps its lease").kept, 40);
    assert!(is_busy(&other), "{other:?}");
}
