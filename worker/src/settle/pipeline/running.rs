//! From a claim to the end of an attempt.

use std::sync::Arc;
use std::time::Instant;

use leveret_common::broker::Settle;
use leveret_common::clock::Millis;
use leveret_common::envelope::DeadReason;
use leveret_common::failpoint;
use leveret_common::ledger::{Decision, Failure, Hold, Outcome, Release};
use leveret_common::telemetry::names::{self, field, label};
use metrics::{counter, histogram};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use super::Pipeline;
use crate::decide::decide;
use crate::execute::{Ended, Limits, execute};
use crate::fetch::Arrived;
use crate::handler::{Execution, Kind};
use crate::settle::journey::{Claimed, Event};
use crate::shared::Shared;

impl Pipeline<'_> {
    pub(super) async fn start(&mut self, claimed: Claimed) -> Option<Event> {
        failpoint::pass("settle.claimed");
        let Shared { contact, config, stop, .. } = self.shared;
        // The wait for a suspect's turn may be long: look at the heartbeat after it.
        let began = Instant::now();
        let may_start = self.slot.fit(claimed.toll, config.max_crashes, stop).await;
        if !may_start {
            return self.release(claimed.hold).await;
        }
        if contact.lapsed(config.heartbeat_ttl) {
            // Claiming again before the store is heard from would only lapse again.
            while contact.lapsed(config.heartbeat_ttl) {
                tokio::select! {
                    () = stop.cancelled() => return self.release(claimed.hold).await,
                    () = tokio::time::sleep(config.heartbeat) => {}
                }
            }
            return Some(Event::Lapsed);
        }
        // The entry lives for the time limit plus the retention, counted from the claim.
        if began.elapsed() >= config.retention {
            return Some(Event::Lapsed);
        }
        let now = self.shared.backend.clock.now();
        self.started = Some(now);
        let Some(kind) = self.kind.clone() else {
            return Some(Event::Ended(self.no_handler(now)));
        };
        let began = Instant::now();
        let ended = self.execute(&kind, claimed).await;
        histogram!(names::ATTEMPT_SECONDS, label::KIND => kind.name.to_string())
            .record(began.elapsed().as_secs_f64());
        failpoint::pass("settle.ended");
        match ended {
            Ended::Released => self.release(claimed.hold).await,
            Ended::Answered(answer) => {
                let now = self.shared.backend.clock.now();
                let envelope = &self.arrived.envelope;
                Some(Event::Ended(decide(answer, envelope, &kind.retry, now, fastrand::f64())))
            }
        }
    }

    async fn execute(&self, kind: &Kind, claimed: Claimed) -> Ended {
        let Arrived { envelope, lane, .. } = self.arrived;
        debug!({ field::TASK } = %envelope.id, { field::KIND } = %envelope.kind,
            { field::ATTEMPT } = envelope.order.attempt, "attempt begins");
        if let Some(at) = envelope.fixed.enqueued_at {
            let due = envelope.moving.not_before.unwrap_or(at);
            histogram!(names::WAIT_SECONDS, label::QUEUE => lane.queue.to_string(),
                label::CLASS => lane.class.as_str())
            .record(self.shared.backend.clock.now().since(due).as_secs_f64());
        }
        let execution = Execution {
            id: envelope.id,
            kind: envelope.kind.clone(),
            lane: lane.clone(),
            args: envelope.args.clone(),
            order: envelope.order,
            max_attempts: self.max_attempts(),
            fence: claimed.hold.fence,
            crashes: claimed.toll.crashes,
            cancel: CancellationToken::new(),
        };
        let limits = Limits { soft: self.timeout(), grace: self.shared.config.soft_grace };
        let handler = Arc::clone(&kind.handler);
        execute(&self.shared.handlers, handler, execution, limits, &self.shared.over).await
    }

    fn no_handler(&self, now: Millis) -> Decision {
        let kind = &self.arrived.envelope.kind;
        let message = format!("no worker of this queue had a handler for kind {kind}");
        let failure = Failure { class: "no-handler".to_owned(), message, at: now };
        let outcome = Outcome::Dead { reason: DeadReason::NoHandler, failure };
        Decision { outcome, follow_ups: Vec::new() }
    }

    /// Gives the claim back, so that the task runs elsewhere at no cost.
    async fn release(&mut self, hold: Hold) -> Option<Event> {
        let id = self.arrived.envelope.id;
        counter!(names::ATTEMPTS, label::KIND => self.kind_label(), label::OUTCOME => "released")
            .increment(1);
        let ask = [Release { id, hold, ttl: self.shared.config.retention }];
        // One try: not answered, the claim ends with the heartbeat, at the price of a crash.
        if let Err(error) = self.shared.backend.ledger.release(&ask).await {
            info!({ field::TASK } = %id, { field::ERROR } = %error, "claim is not given back");
        }
        self.guard = None;
        self.shared.settle(self.arrived, Settle::Return).await;
        None
    }
}
