//! From an outcome to its mark: decided, published, recorded, in this order.

use std::time::Duration;

use leveret_common::envelope::Order;
use leveret_common::failpoint;
use leveret_common::ledger::{Decide, Decision, Hold, Mark, Marking, Outcome, Ruling};
use leveret_common::telemetry::names::{self, field, label};
use metrics::counter;
use tracing::debug;

use super::Pipeline;
use super::noting::news;
use crate::fetch::Arrived;
use crate::sabotage;
use crate::settle::journey::Event;
use crate::settle::publishes;
use crate::shared::{Asked, Shared};

impl Pipeline<'_> {
    pub(super) fn decided(&self) {
        if let Some(guard) = &self.guard {
            guard.decided();
        }
    }

    pub(super) async fn decide(&mut self, hold: Hold, decision: Decision) -> Option<Event> {
        let Arrived { envelope, .. } = self.arrived;
        let ttl = self.outcome_ttl(&decision.outcome) + self.running_ttl();
        let order = envelope.order;
        let ask = [Decide { id: envelope.id, hold, order, decision, ttl }];
        let ledger = &self.shared.backend.ledger;
        let ruling = self.shared.insist(|| ledger.decide(&ask)).await?;
        self.decided();
        if ruling == Ruling::Cancelled {
            let [Decide { decision, .. }] = ask;
            self.note_cancelled(Some(decision)).await;
        }
        failpoint::pass("settle.decided");
        Some(Event::Ruled(ruling))
    }

    pub(super) async fn publish(&mut self, order: Order, decision: &Decision) -> Option<Event> {
        let Arrived { envelope, lane, .. } = self.arrived;
        let batch = publishes::of(decision, envelope, lane, order);
        let letters = self.shared.letters_in(&batch);
        let is_put_off = sabotage::publishes_after_ack(self.shared, self.arrived, decision, &batch);
        if !is_put_off && !self.shared.publish(&self.shared.gone, batch).await {
            return None;
        }
        failpoint::pass("settle.confirmed");
        self.shared.list_letters(letters).await;
        self.shared.producer.followed_up(&decision.follow_ups).await;
        Some(Event::Published)
    }

    /// Records the outcome for people, then marks it: who sees *done* finds the result.
    pub(super) async fn mark(
        &mut self,
        hold: Hold,
        order: Order,
        marking: Marking,
        decision: Decision,
    ) -> Option<Event> {
        let ttl = self.outcome_ttl(&decision.outcome);
        let outcome = decision.outcome.as_str();
        let news = self.arrived.envelope.fixed.reply_to.as_ref().and(news(&decision.outcome));
        let notes = [self.note(order, decision)];
        let id = self.arrived.envelope.id;
        let ask = [Mark { id, hold, order, marking, ttl }];
        let Shared { backend, gone, .. } = self.shared;
        // A history that cannot be read must not keep the task from ending.
        let noted = self
            .shared
            .ask(gone, || async { backend.records.attempted(&notes).await.map(|()| vec![()]) });
        if matches!(noted.await, Asked::Over) {
            return None;
        }
        if let Some(news) = news {
            self.tell(news).await;
        }
        let ruling = self.shared.insist(|| backend.ledger.mark(&ask)).await?;
        failpoint::pass("settle.marked");
        counter!(names::ATTEMPTS, label::KIND => self.kind_label(), label::OUTCOME => outcome)
            .increment(1);
        debug!({ field::TASK } = %id, { field::OUTCOME } = outcome, "attempt is settled");
        self.guard = None;
        Some(Event::Ruled(ruling))
    }

    /// Delay plus retention (rule T1).
    fn outcome_ttl(&self, outcome: &Outcome) -> Duration {
        let retention = self.shared.config.retention_of(self.length());
        match outcome {
            Outcome::Done { .. } | Outcome::Dead { .. } => retention,
            Outcome::Retry { not_before, .. } | Outcome::Snooze { not_before } => {
                not_before.since(self.shared.backend.clock.now()) + retention
            }
        }
    }
}
