//! Drives one delivery's [`Journey`] against the seams, a named step at a time.
//!
//! Each step does one thing and reports what happened; what comes next is the journey's decision
//! alone. A step that gets no answer because the drain is over ends here: the delivery stays
//! unsettled and comes again by itself. The steps are in five files: `claiming` gets the right
//! to run, `detaching` makes a long run safe, `running` performs it, `finishing` makes the
//! outcome safe, `noting` tells people.

mod claiming;
mod detaching;
mod finishing;
mod noting;
mod running;

use std::sync::Arc;
use std::time::Duration;

use leveret_common::broker::Settle;
use leveret_common::clock::Millis;
use leveret_common::failpoint;
use leveret_common::id::Token;

use super::holdings::HoldGuard;
use super::journey::{Event, Journey, Length, Step};
use crate::fetch::Arrived;
use crate::handler::Kind;
use crate::sabotage;
use crate::shared::Shared;
use crate::slot::{Permit, Slot};

/// Settles one delivery in the slot of `permit`.
///
/// # Cancel safety
/// Dropped, the delivery stays unsettled and the claim ends with the heartbeat.
pub async fn settle(shared: Arc<Shared>, arrived: Arrived, permit: Permit) {
    let kind = shared.registry.find(&arrived.envelope.kind);
    let slot = Slot::new(&shared.slots, permit);
    let pipeline = Pipeline {
        shared: &shared,
        arrived: &arrived,
        kind,
        slot,
        guard: None,
        is_detached: false,
        started: None,
    };
    pipeline.run().await;
}

struct Pipeline<'a> {
    shared: &'a Shared,
    arrived: &'a Arrived,
    kind: Option<Arc<Kind>>,
    slot: Slot<'a>,
    guard: Option<HoldGuard<'a>>,
    /// The delivery is acked, and a parked copy stands for it.
    is_detached: bool,
    /// When the handler began.
    started: Option<Millis>,
}

impl Pipeline<'_> {
    async fn run(mut self) {
        failpoint::pass("settle.delivered");
        let mut journey =
            Journey::new(self.shared.owner, self.arrived.envelope.order, self.length());
        let mut step = journey.on(Event::Delivered, self.arrived.connected(), Token::draw());
        while step != Step::End {
            let Some(event) = self.perform(step).await else { return };
            step = journey.on(event, self.arrived.connected(), Token::draw());
        }
    }

    /// Does one step; nothing when the worker ends first.
    async fn perform(&mut self, step: Step) -> Option<Event> {
        sabotage::ack_early(self.shared, self.arrived, &step).await;
        match step {
            Step::Claim(token) => self.claim(token).await,
            Step::Judge { hold, age } => self.judge(hold, age).await,
            Step::TakeOver { token, expected, orphan } => {
                self.take_over(token, expected, orphan).await
            }
            Step::Park { holder_lives } => self.park("busy", holder_lives).await,
            Step::Detach { claimed } => self.detach(claimed).await,
            Step::LetGo => self.let_go().await,
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

    /// Snoozes included, as in the number of the attempt.
    fn max_attempts(&self) -> u32 {
        let policy = self.kind.as_ref().map_or(1, |kind| kind.retry.max_attempts);
        let envelope = &self.arrived.envelope;
        let most = envelope.fixed.max_attempts.unwrap_or(policy);
        most.saturating_add(envelope.moving.snoozes)
    }

    fn timeout(&self) -> Duration {
        let usual = self.kind.as_ref().map_or(Duration::ZERO, |kind| kind.timeout);
        self.arrived.envelope.fixed.timeout.unwrap_or(usual)
    }

    /// Tells whether the broker would lose patience with the delivery before the task is over.
    fn length(&self) -> Length {
        // A kind that nobody here knows ends at once.
        let is_long = self.kind.is_some() && self.shared.config.is_long(self.timeout());
        if is_long { Length::Long } else { Length::Short }
    }

    /// Time limit plus retention (rule T1).
    fn running_ttl(&self) -> Duration {
        let retention = self.shared.config.retention_of(self.length());
        self.timeout().saturating_add(self.shared.config.soft_grace).saturating_add(retention)
    }
}
