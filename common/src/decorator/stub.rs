//! The smallest backend that the decorators' tests need: it remembers what reached it.
//!
//! It keeps no promise of the seams; backends are tested by the suites.

mod schedules;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::broker::{
    Broker, BrokerError, Consumer, Delivery, Place, Publish, PublishError, Receipt, Settle,
    SettleError, Survey,
};
use crate::clock::Millis;
use crate::envelope::{Order, Wire};
use crate::id::{Fence, Owner, TaskId, Token};
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover, Toll,
};
use crate::store::{Advance, Ledger, Position, StoreError, StoreErrorKind};

pub(super) fn message(number: usize) -> Wire {
    Wire { body: Bytes::from(number.to_string()), ..Wire::default() }
}

pub(super) fn claim() -> Claim {
    Claim {
        id: TaskId::mint(),
        order: Order::FIRST,
        owner: Owner::mint(),
        token: Token::draw(),
        expires_at: None,
        max_crashes: 3,
        ttl: Duration::from_secs(1),
    }
}

pub(super) fn advance() -> Advance {
    let to = Position { seq: 1, epoch: 1, through: Millis(0), queued: None, previous: None };
    let name = "report".parse().unwrap();
    Advance { name, expected: None, to, occurrences: Vec::new() }
}

/// What reached the stub.
#[derive(Debug, Default, Clone)]
pub(super) struct Stub(Arc<State>);

#[derive(Debug, Default)]
struct State {
    published: Mutex<Vec<Wire>>,
    settled: Mutex<Vec<Receipt>>,
    claimed: Mutex<HashSet<TaskId>>,
    moved: Mutex<Vec<Advance>>,
    refused: Mutex<HashSet<usize>>,
    stopped: AtomicBool,
    store_down: AtomicBool,
}

impl Stub {
    /// Refuses the message at this place of each batch.
    pub(super) fn refuse_publish(&self, at: usize) {
        self.0.refused.lock().unwrap().insert(at);
    }

    pub(super) fn refuse_store(&self) {
        self.0.store_down.store(true, Ordering::SeqCst);
    }

    pub(super) fn published(&self) -> usize {
        self.0.published.lock().unwrap().len()
    }

    pub(super) fn settled(&self) -> usize {
        self.0.settled.lock().unwrap().len()
    }

    pub(super) fn moved(&self) -> usize {
        self.0.moved.lock().unwrap().len()
    }

    pub(super) fn claimed(&self) -> usize {
        self.0.claimed.lock().unwrap().len()
    }
}

#[async_trait]
impl Broker for Stub {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let refused = self.0.refused.lock().unwrap();
        let take = |(at, message): (usize, &Publish)| {
            if refused.contains(&at) {
                return Err(PublishError::Rejected("a test".to_owned()));
            }
            self.0.published.lock().unwrap().push(message.wire.clone());
            Ok(())
        };
        batch.iter().enumerate().map(take).collect()
    }

    async fn consume(&self, _: &Place, _: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        Ok(Arc::new(self.clone()))
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        let survey = Survey { depth: self.published() as u64, ..Survey::default() };
        Ok(places.iter().map(|_| survey).collect())
    }

    async fn check(&self) -> Result<(), BrokerError> {
        Ok(())
    }

    async fn close(&self) {}
}

#[async_trait]
impl Consumer for Stub {
    async fn next(&self, most: usize) -> Vec<Delivery> {
        let published = self.0.published.lock().unwrap();
        let hand_out = |(tag, wire): (u64, &Wire)| Delivery {
            receipt: Receipt { generation: 1, tag },
            wire: wire.clone(),
            redelivered: false,
        };
        (1..).zip(published.iter().take(most)).map(hand_out).collect()
    }

    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>> {
        self.0.settled.lock().unwrap().extend(batch.iter().map(|(receipt, _)| *receipt));
        batch.iter().map(|_| Ok(())).collect()
    }

    fn holds(&self, receipt: Receipt) -> bool {
        receipt.generation == 1
    }

    fn is_consuming(&self) -> bool {
        !self.0.stopped.load(Ordering::SeqCst)
    }

    async fn stop(&self) {
        self.0.stopped.store(true, Ordering::SeqCst);
    }
}

#[async_trait]
impl Ledger for Stub {
    async fn claim(&self, batch: &[Claim]) -> Result<Vec<Answer>, StoreError> {
        let mut claimed = self.0.claimed.lock().unwrap();
        let answer = |ask: &Claim| match claimed.insert(ask.id) {
            true => Answer::Claimed { fence: Fence(1), toll: Toll::default() },
            false => Answer::Stale,
        };
        Ok(batch.iter().map(answer).collect())
    }

    async fn take_over(&self, batch: &[Takeover]) -> Result<Vec<Answer>, StoreError> {
        Ok(batch.iter().map(|_| Answer::Again).collect())
    }

    async fn decide(&self, batch: &[Decide]) -> Result<Vec<Ruling>, StoreError> {
        Ok(batch.iter().map(|_| Ruling::Accepted).collect())
    }

    async fn mark(&self, batch: &[Mark]) -> Result<Vec<Ruling>, StoreError> {
        Ok(batch.iter().map(|_| Ruling::Accepted).collect())
    }

    async fn release(&self, batch: &[Release]) -> Result<Vec<Ruling>, StoreError> {
        Ok(batch.iter().map(|_| Ruling::Accepted).collect())
    }

    async fn reassert(&self, _: &[Held]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn cancel(&self, batch: &[Cancel]) -> Result<Vec<Cancelling>, StoreError> {
        Ok(batch.iter().map(|_| Cancelling::Cancelled).collect())
    }

    async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Option<Entry>>, StoreError> {
        Ok(ids.iter().map(|_| None).collect())
    }

    async fn check(&self) -> Result<(), StoreError> {
        if !self.0.store_down.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(StoreError {
            operation: "check",
            endpoint: "stub".to_owned(),
            kind: StoreErrorKind::Unavailable,
            why: "a test".to_owned(),
            source: None,
        })
    }
}
