//! From an outcome to its mark: decided, published, recorded, in this order.

use std::time::Duration;

use leveret_common::envelope::Order;
use leveret_common::failpoint;
use leveret_common::ledger::{Decide, Decision, Hold, Mark, Marking, Outcome};
use leveret_common::store::AttemptNote;
use leveret_common::telemetry::names::{self, field, label};
use metrics::counter;
use tracing::debug;

use super::Pipeline;
use crate::fetch::Arrived;
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
        let ask = [Decide { id: envelope.id, hold, order: envelope.order, decision, ttl }];
        let ledger = &self.shared.backend.ledger;
        let ruling = self.shared.insist(|| ledger.decide(&ask)).await?;
        self.decided();
        failpoint::pass("settle.decided");
        Some(Event::Ruled(ruling))
    }

    pub(super) async fn publish(&mut self, order: Order, decision: &Decision) -> Option<Event> {
        let Arrived { envelope, lane, .. } = self.arrived;
        let batch = publishes::of(decision, envelope, lane, order, self.max_attempts());
        if !self.shared.publish(&self.shared.over, batch).await {
            return None;
        }
        failpoint::pass("settle.confirmed");
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
        let notes = [self.note(order, decision)];
        let id = self.arrived.envelope.id;
        let ask = [Mark { id, hold, order, marking, ttl }];
        let Shared { backend, over, .. } = self.shared;
        // A history that cannot be read must not keep the task from ending.
        let noted = self
            .shared
            .ask(over, || async { backend.records.attempted(&notes).await.map(|()| vec![()]) });
        if matches!(noted.await, Asked::Over) {
            return None;
        }
        let ruling = self.shared.insist(|| backend.ledger.mark(&ask)).await?;
        failpoint::pass("settle.marked");
        counter!(names::ATTEMPTS, label::KIND => self.kind_label(), label::OUTCOME => outcome)
            .increment(1);
        debug!({ field::TASK } = %id, { field::OUTCOME } = outcome, "attempt is settled");
        self.guard = None;
        Some(Event::Ruled(ruling))
    }

    /// Records that the task was not started in time: its entry ends before its record does, and
    /// it would look queued then.
    pub(super) async fn note_expired(&self) {
        let order = self.arrived.envelope.order;
        let empty = Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() };
        let note = AttemptNote { outcome: "expired".to_owned(), ..self.note(order, empty) };
        // Best effort, like all records.
        let _unanswered = self.shared.backend.records.attempted(&[note]).await;
    }

    fn note(&self, order: Order, decision: Decision) -> AttemptNote {
        let Arrived { envelope, lane, .. } = self.arrived;
        let outcome = decision.outcome.as_str().to_owned();
        let result_ttl = envelope.fixed.result_ttl;
        let (result, next_at, reason, failure) = match decision.outcome {
            Outcome::Done { result } => {
                (result.filter(|_| result_ttl != Some(Duration::ZERO)), None, None, None)
            }
            Outcome::Retry { not_before, failure } => (None, Some(not_before), None, Some(failure)),
            Outcome::Snooze { not_before } => (None, Some(not_before), None, None),
            Outcome::Dead { reason, failure } => (None, None, Some(reason), Some(failure)),
        };
        AttemptNote {
            id: envelope.id,
            kind: envelope.kind.clone(),
            lane: lane.clone(),
            order,
            worker: self.shared.owner.to_string(),
            started_at: self.started,
            ended_at: self.shared.backend.clock.now(),
            outcome,
            next_at,
            reason,
            failure,
            result,
            result_ttl,
        }
    }

    /// Delay plus retention (rule T1).
    fn outcome_ttl(&self, outcome: &Outcome) -> Duration {
        let retention = self.shared.config.retention;
        match outcome {
            Outcome::Done { .. } | Outcome::Dead { .. } => retention,
            Outcome::Retry { not_before, .. } | Outcome::Snooze { not_before } => {
                not_before.since(self.shared.backend.clock.now()) + retention
            }
        }
    }
}
