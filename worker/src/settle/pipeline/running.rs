//! From a claim to the end of an attempt.

use std::sync::Arc;
use std::time::Instant;

use leveret_common::broker::Settle;
use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Fixed};
use leveret_common::failpoint;
use leveret_common::ledger::{Cancel, Decision, Failure, Hold, Outcome, Release, Ruling};
use leveret_common::telemetry::names::{self, field, label};
use leveret_producer::Enqueuer;
use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Pipeline;
use super::detaching::Turn;
use crate::decide::{Success, decide};
use crate::execute::{Ended, Ends, Limits, execute};
use crate::fetch::Arrived;
use crate::handler::{Execution, Kind, Notebook, Occurrence, Reply, TaskError};
use crate::settle::holdings::HoldGuard;
use crate::settle::journey::{Claimed, Event};
use crate::shared::{Asked, Shared};

impl Pipeline<'_> {
    pub(super) async fn start(&mut self, claimed: Claimed) -> Option<Event> {
        if !self.is_detached {
            failpoint::pass("settle.claimed");
        }
        match self.turn(claimed).await {
            Turn::Now => {}
            Turn::Lapsed => return Some(Event::Lapsed),
            Turn::Elsewhere => return self.release(claimed.hold).await,
            Turn::Later => return None,
        }
        let now = self.shared.backend.clock.now();
        self.started = Some(now);
        let Some(kind) = self.kind.clone() else {
            return Some(Event::Ended(self.no_handler(now)));
        };
        // A new one for each attempt: it counts anew which of its tasks are alike.
        let enqueuer = Enqueuer::new(self.shared.producer.clone(), &self.arrived.envelope);
        let began = Instant::now();
        let cancelled = self.cancelled();
        let ended = self.execute(&kind, claimed, enqueuer.clone(), &cancelled).await;
        self.shared.lanes.ended(&self.arrived.lane);
        histogram!(names::ATTEMPT_SECONDS, label::KIND => kind.name.to_string())
            .record(began.elapsed().as_secs_f64());
        failpoint::pass("settle.ended");
        let answer = match ended {
            Ended::Released => None,
            Ended::Answered(Ok(reply)) => Some(succeed(reply, &enqueuer).await),
            Ended::Answered(Err(error)) => Some(Err(error)),
        };
        // A success counts although it was cancelled, also where a wipe has left no claim that
        // says so: a cancel would be recorded in its place.
        if cancelled.is_cancelled() && !matches!(answer, Some(Ok(_))) {
            self.repeat_cancel().await;
        }
        let Some(answer) = answer else { return self.release(claimed.hold).await };
        let (now, envelope) = (self.shared.backend.clock.now(), &self.arrived.envelope);
        Some(Event::Ended(decide(answer, envelope, &kind.retry, now, fastrand::f64())))
    }

    async fn execute(
        &self,
        kind: &Kind,
        claimed: Claimed,
        enqueuer: Enqueuer,
        cancelled: &CancellationToken,
    ) -> Ended {
        let Arrived { envelope, lane, .. } = self.arrived;
        debug!({ field::TASK } = %envelope.id, { field::KIND } = %envelope.kind,
            { field::ATTEMPT } = envelope.order.attempt, "attempt begins");
        if let Some(at) = envelope.fixed.enqueued_at {
            let due = envelope.moving.not_before.unwrap_or(at);
            histogram!(names::WAIT_SECONDS, label::QUEUE => lane.queue.to_string(),
                label::CLASS => lane.class.as_str())
            .record(self.shared.backend.clock.now().since(due).as_secs_f64());
        }
        let (fence, handlers) = (claimed.hold.fence, self.shared.handlers.clone());
        let execution = Execution {
            id: envelope.id,
            kind: envelope.kind.clone(),
            lane: lane.clone(),
            args: envelope.args.clone(),
            order: envelope.order,
            max_attempts: self.max_attempts(),
            fence,
            crashes: claimed.toll.crashes,
            tags: Arc::new(envelope.fixed.tags.clone()),
            occurrence: occurrence(&envelope.fixed),
            trace: envelope.fixed.trace.clone(),
            cancel: CancellationToken::new(),
            notebook: Notebook::new(
                &self.shared.backend,
                handlers,
                envelope.id,
                envelope.order,
                fence,
            ),
            enqueuer,
        };
        let limits = Limits { soft: self.timeout(), grace: self.shared.config.soft_grace };
        let handler = Arc::clone(&kind.handler);
        let ends = Ends { cancelled, over: &self.shared.over };
        execute(&self.shared.handlers, handler, execution, limits, ends).await
    }

    fn no_handler(&self, now: Millis) -> Decision {
        let kind = &self.arrived.envelope.kind;
        let message = format!("no worker of this queue had a handler for kind {kind}");
        let failure = Failure { class: "no-handler".to_owned(), message, at: now };
        let outcome = Outcome::Dead { reason: DeadReason::NoHandler, failure };
        Decision { outcome, follow_ups: Vec::new() }
    }

    /// Returns what is cancelled when somebody cancels the task.
    fn cancelled(&self) -> CancellationToken {
        self.guard.as_ref().map_or_else(CancellationToken::new, HoldGuard::cancel)
    }

    /// Tells whether a claimed task must not start: it was cancelled or its queue paused while the
    /// claim was made or its turn was awaited.
    pub(super) async fn is_called_off(&self) -> bool {
        if self.cancelled().is_cancelled() {
            self.repeat_cancel().await;
            return true;
        }
        !self.shared.controls.takes(&self.arrived.lane)
    }

    /// Tells the ledger again what it told us: a wipe since then has made it forget.
    async fn repeat_cancel(&self) {
        let envelope = &self.arrived.envelope;
        let replay = envelope.order.replay;
        let ttl = self.shared.config.retention_of(self.length());
        let ask = [Cancel { id: envelope.id, replay, ttl }];
        // One try: as a rule the entry says so already.
        if let Err(error) = self.shared.backend.ledger.cancel(&ask).await {
            info!({ field::TASK } = %envelope.id, { field::ERROR } = %error,
                "cancel is not repeated");
        }
    }

    /// Gives the claim back, so that the task runs elsewhere at no cost.
    pub(super) async fn release(&mut self, hold: Hold) -> Option<Event> {
        let id = self.arrived.envelope.id;
        let ttl = self.shared.config.retention_of(self.length());
        let ask = [Release { id, hold, ttl }];
        let Shared { backend, gone, .. } = self.shared;
        // Not answered, the claim ends with the heartbeat, at the price of a crash.
        let ruling = match self.shared.ask(gone, || backend.ledger.release(&ask)).await {
            Asked::Answered(ruling) => Some(ruling),
            Asked::Unreadable | Asked::Over => {
                info!({ field::TASK } = %id, "claim is not given back");
                None
            }
        };
        self.guard = None;
        if ruling == Some(Ruling::Cancelled) {
            self.note_cancelled(None).await;
            if !self.is_detached {
                self.shared.settle(self.arrived, Settle::Ack).await;
            }
            return None;
        }
        counter!(names::ATTEMPTS, label::KIND => self.kind_label(), label::OUTCOME => "released")
            .increment(1);
        if !self.is_detached {
            self.shared.settle(self.arrived, Settle::Return).await;
        } else if ruling == Some(Ruling::Accepted) {
            self.give_back().await;
        }
        None
    }
}

/// Makes the follow-ups of a success ready; what is wrong with them is a failure.
async fn succeed(reply: Reply, enqueuer: &Enqueuer) -> Result<Success, TaskError> {
    let Reply { result, follow_ups } = reply;
    if follow_ups.is_empty() {
        return Ok(Success { result, follow_ups: Vec::new() });
    }
    match enqueuer.prepare(follow_ups).await {
        Ok(follow_ups) => Ok(Success { result, follow_ups }),
        Err(error) => Err(TaskError::failed("follow-ups", error.to_string())),
    }
}

/// Returns the occurrence that a task is; one that somebody else's headers only half describe is
/// none.
fn occurrence(fixed: &Fixed) -> Option<Occurrence> {
    Some(Occurrence { schedule: fixed.schedule.clone()?, due: fixed.occurrence? })
}
