//! Drives one delivery's [`Journey`] against the seams, a named step at a time.
//!
//! Each step does one thing and reports what happened; what comes next is the journey's decision
//! alone. A step that gets no answer because the drain is over ends here: the delivery stays
//! unsettled and comes again by itself. The steps are in three files: [`claiming`] gets the right
//! to run, [`running`] uses it, [`finishing`] makes the outcome safe.

mod claiming;
mod finishing;
mod running;

use std::sync::Arc;
use std::time::Duration;

use leveret_common::broker::Settle;
use leveret_common::clock::Millis;
use leveret_common::failpoint;
use leveret_common::id::Token;
use tokio::sync::OwnedSemaphorePermit;

use super::holdings::HoldGuard;
use super::journey::{Event, Journey, Step};
use crate::fetch::Arrived;
use crate::handler::Kind;
use crate::shared::Shared;
use crate::slot::Slot;

/// Settles one delivery in the slot of `permit`.
///
/// # Cancel safety
/// Dropped, the delivery stays unsettled and the claim ends with the heartbeat.
pub async fn settle(shared: Arc<Shared>, arrived: Arrived, permit: OwnedSemaphorePermit) {
    let kind = shared.registry.find(&arrived.envelope.kind);
    let slot = Slot::new(&shared.slots, permit);
    Pipeline { shared: &shared, arrived: &arrived, kind, slot, guard: None, started: None }
        .run()
        .await;
}

struct Pipeline<'a> {
    shared: &'a Shared,
    arrived: &'a Arrived,
    kind: Option<Arc<Kind>>,
    slot: Slot<'a>,
    guard: Option<HoldGuard<'a>>,
    /// When the handler began.
    started: Option<Millis>,
}

impl Pipeline<'_> {
    async fn run(mut self) {
        failpoint::pass("settle.delivered");
        let mut journey = Journey::new(self.shared.owner, self.arrived.envelope.order);
        let mut step = journey.on(Event::Delivered, self.arrived.connected(), Token::draw());
        while step != Step::End {
            let Some(event) = self.perform(step).await else { return };
            step = journey.on(event, self.arrived.connected(), Token::draw());
        }
    }

    /// Does one step; nothing when the worker ends first.
    async fn perform(&mut self, step: Step) -> Option<Event> {
        match step {
            Step::Claim(token) => self.claim(token).await,
            Step::Judge { hold, age } => self.judge(hold, age).await,
            Step::TakeOver { token, expected, orphan } => {
                self.take_over(token, expected, orphan).await
            }
            Step::Park => self.park("busy").await,
            Step::Start { claimed } => self.start(claimed).await,
            Step::Decide { hold, decision } => self.decide(hold, decision).await,
            Step::Publish { order, decision } => self.publish(order, &decision).await,
            Step::Mark { hold, order, marking, decision } => {
                self.mark(hold, order, marking, decision).await
            }
            Step::Ack => {
                self.guard = None;
                self.shared.settle(self.arrived, Settle::Ack).await;
                failpoint::pass("settle.acked");
                Some(Event::Acked)
            }
            Step::End => None,
        }
    }

    fn kind_label(&self) -> String {
        // Only registered kinds become label values: foreign text must not grow the metrics.
        self.kind.as_ref().map_or_else(|| "unknown".to_owned(), |kind| kind.name.to_string())
    }

    fn max_attempts(&self) -> u32 {
        let policy = self.kind.as_ref().map_or(1, |kind| kind.retry.max_attempts);
        self.arrived.envelope.fixed.max_attempts.unwrap_or(policy)
    }

    fn timeout(&self) -> Duration {
        let usual = self.kind.as_ref().map_or(Duration::ZERO, |kind| kind.timeout);
        self.arrived.envelope.fixed.timeout.unwrap_or(usual)
    }

    /// Time limit plus retention (rule T1).
    fn running_ttl(&self) -> Duration {
        self.timeout() + self.shared.config.soft_grace + self.shared.config.retention
    }
}
