//! Between a claim and its start: the turn of a suspect, and the dead-man's copy of a long task.

use leveret_common::broker::Settle;
use leveret_common::failpoint;
use leveret_common::ledger::{Hold, Release, Ruling};
use leveret_common::telemetry::names::{self, label};
use metrics::counter;
use tokio::time::timeout;

use super::Pipeline;
use crate::fetch::Arrived;
use crate::settle::journey::{Claimed, Event};
use crate::settle::publishes;
use crate::shared::{Asked, Shared};
use crate::slot::Need;

/// Whether a claimed task may start.
pub(super) enum Turn {
    /// It may.
    Now,
    /// The claim may be lost meanwhile, or was given back for the wait: ask again (rules L6, P2).
    Lapsed,
    /// Not here: the worker drains, its queue is paused or the task is cancelled.
    Elsewhere,
    /// Not now: the delivery is settled, and its copy comes later.
    Later,
}

impl Pipeline<'_> {
    /// Finds out whether a claimed task may start.
    pub(super) async fn turn(&mut self, claimed: Claimed) -> Turn {
        let Shared { contact, config, stop, .. } = self.shared;
        if stop.is_cancelled() {
            return Turn::Elsewhere;
        }
        let need = Need::of(claimed.toll, config.max_crashes);
        if !self.slot.fits(need) {
            return self.stand_by(claimed.hold, need).await;
        }
        if contact.lapsed(config.heartbeat_ttl) {
            // Claiming again before the store is heard from would only lapse again.
            while contact.lapsed(config.heartbeat_ttl) {
                tokio::select! {
                    () = stop.cancelled() => return Turn::Elsewhere,
                    () = tokio::time::sleep(config.heartbeat) => {}
                }
            }
            return Turn::Lapsed;
        }
        if self.is_called_off().await { Turn::Elsewhere } else { Turn::Now }
    }

    /// Waits for a suspect's turn without a claim: the worker may die with the suspect whose turn
    /// it is, and only what had started is charged for that (rule P2).
    ///
    /// Who waits for all slots keeps everybody else from starting. So the wait is short, and a copy
    /// comes back much later.
    async fn stand_by(&mut self, hold: Hold, need: Need) -> Turn {
        let Shared { backend, config, stop, .. } = self.shared;
        let Arrived { envelope, lane, .. } = self.arrived;
        let ask = [Release { id: envelope.id, hold, ttl: self.running_ttl() }];
        let ruling = self.shared.ask(stop, || backend.ledger.release(&ask)).await;
        self.guard = None;
        match ruling {
            Asked::Answered(Ruling::Cancelled) => {
                self.note_cancelled(None).await;
                return Turn::Lapsed;
            }
            // A claim that is not ours any more, or cannot be read, is found out when claimed again.
            Asked::Answered(Ruling::Accepted | Ruling::Refused) | Asked::Unreadable => {}
            Asked::Over => return Turn::Elsewhere,
        }
        // A delivery that is held for too long costs the lane its channel.
        let left = config.stale_after().saturating_sub(self.arrived.at.elapsed());
        tokio::select! {
            () = stop.cancelled() => return Turn::Elsewhere,
            waited = timeout(config.turn_wait().min(left), self.slot.wait(need)) => {
                if waited.is_ok() {
                    return Turn::Lapsed;
                }
            }
        }
        counter!(names::PARKS, label::CAUSE => "turn").increment(1);
        let until = backend.clock.now().after(config.turn_pause());
        self.shared.move_on(self.arrived, publishes::until(envelope, lane, until)).await;
        Turn::Later
    }

    /// Parks the copy that stands for the task while it runs.
    pub(super) async fn detach(&mut self, claimed: Claimed) -> Option<Event> {
        failpoint::pass("settle.claimed");
        match self.turn(claimed).await {
            Turn::Now => {}
            Turn::Lapsed => return Some(Event::Lapsed),
            Turn::Elsewhere => return self.release(claimed.hold).await,
            Turn::Later => return None,
        }
        counter!(names::PARKS, label::CAUSE => "detached").increment(1);
        let Arrived { envelope, lane, .. } = self.arrived;
        let until = self.shared.backend.clock.now().after(self.shared.config.dead_man());
        let copy = publishes::until(envelope, lane, until);
        if !self.shared.publish(&self.shared.stop, vec![copy]).await {
            return self.release(claimed.hold).await;
        }
        failpoint::pass("settle.parked-copy");
        if let Some(guard) = &self.guard {
            guard.detached();
        }
        Some(Event::Parked)
    }

    /// Acks the delivery of a task that is about to start; the claim stays.
    pub(super) async fn let_go(&mut self) -> Option<Event> {
        self.shared.settle(self.arrived, Settle::Ack).await;
        self.is_detached = true;
        failpoint::pass("settle.let-go");
        Some(Event::Acked)
    }

    /// Publishes a detached task for whoever is free: its parked copy comes only in a while, and
    /// is ignored then.
    pub(super) async fn give_back(&self) {
        let Arrived { envelope, lane, .. } = self.arrived;
        let copy = publishes::given_back(envelope, lane);
        // Not confirmed before the worker is gone, the parked copy is enough.
        if self.shared.publish(&self.shared.gone, vec![copy]).await {
            failpoint::pass("settle.given-back");
        }
    }
}
