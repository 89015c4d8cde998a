//! What people are told of an attempt: notes for the records, best effort.

use std::time::Duration;

use leveret_common::envelope::Order;
use leveret_common::ledger::{Decision, Outcome};
use leveret_common::store::{AttemptNote, News, Notice};
use leveret_common::telemetry::names::{self, label};
use metrics::counter;

use super::Pipeline;
use crate::fetch::Arrived;

impl Pipeline<'_> {
    /// Records that the task was not started in time: its entry ends before its record does, and
    /// it would look queued then.
    pub(super) async fn note_expired(&self) {
        self.note_end("expired", None).await;
        self.tell(News::Expired).await;
    }

    /// Records that the attempt ended because somebody cancelled the task; `decision` is what would
    /// have become of it otherwise, where the handler was started.
    pub(super) async fn note_cancelled(&self, decision: Option<Decision>) {
        counter!(names::ATTEMPTS, label::KIND => self.kind_label(), label::OUTCOME => "cancelled")
            .increment(1);
        self.note_end("cancelled", decision).await;
        self.tell(News::Cancelled).await;
    }

    /// Tells a sender that waits elsewhere what became of its task.
    pub(super) async fn tell(&self, news: News) {
        let fixed = &self.arrived.envelope.fixed;
        let Some(to) = fixed.reply_to.clone() else { return };
        let at = self.shared.backend.clock.now();
        self.shared.notify(Some(Notice { to, at, news, ttl: fixed.result_ttl })).await;
    }

    async fn note_end(&self, outcome: &str, decision: Option<Decision>) {
        let outcome = outcome.to_owned();
        let empty = Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() };
        let note = self.note(self.arrived.envelope.order, decision.unwrap_or(empty));
        let note = AttemptNote { outcome, next_at: None, reason: None, ..note };
        // Best effort, like all records.
        let _unanswered = self.shared.backend.records.attempted(&[note]).await;
    }

    pub(super) fn note(&self, order: Order, decision: Decision) -> AttemptNote {
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
}

/// Returns what a sender that waits elsewhere is told of an outcome, if anything.
pub(super) fn news(outcome: &Outcome) -> Option<News> {
    match outcome {
        Outcome::Done { result } => Some(News::Done(result.clone())),
        Outcome::Retry { failure, .. } => Some(News::Retrying(failure.clone())),
        Outcome::Dead { failure, .. } => Some(News::Dead(failure.clone())),
        Outcome::Snooze { .. } => None,
    }
}
