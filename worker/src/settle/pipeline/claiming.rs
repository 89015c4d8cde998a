//! From a delivery to a claim, or to a reason to let it go.

use std::time::Duration;

use leveret_common::broker::Settle;
use leveret_common::envelope::Order;
use leveret_common::id::Token;
use leveret_common::ledger::{Answer, Claim, Ending, Hold, Takeover, Toll};
use leveret_common::store::{Liveness, News, Suspect};
use leveret_common::telemetry::names::{self, field, label};
use metrics::counter;
use tracing::info;

use super::Pipeline;
use crate::fetch::Arrived;
use crate::settle::custody::{Standing, verdict};
use crate::settle::journey::{Claimed, Event, Length};
use crate::settle::publishes::{self, Cause};
use crate::shared::{Asked, Shared};

impl Pipeline<'_> {
    pub(super) async fn claim(&mut self, token: Token) -> Option<Event> {
        self.guard = None;
        let asking = self.shared.holdings.ask(self.arrived.envelope.id);
        let ask = [self.ask_for(token)];
        let ledger = &self.shared.backend.ledger;
        let answer = self.shared.ask(&self.shared.stop, || ledger.claim(&ask)).await;
        let event = self.answered(answer, token).await;
        drop(asking);
        event
    }

    pub(super) async fn take_over(
        &mut self,
        token: Token,
        expected: Hold,
        orphan: bool,
    ) -> Option<Event> {
        info!({ field::TASK } = %self.arrived.envelope.id, { field::OWNER } = %expected.owner, "taking over");
        counter!(names::TAKEOVERS).increment(1);
        let asking = self.shared.holdings.ask(self.arrived.envelope.id);
        let ask = [Takeover { claim: self.ask_for(token), expected, orphan }];
        let ledger = &self.shared.backend.ledger;
        let answer = self.shared.ask(&self.shared.stop, || ledger.take_over(&ask)).await;
        let event = self.answered(answer, token).await;
        drop(asking);
        event
    }

    pub(super) async fn judge(&mut self, hold: Hold, age: Duration) -> Option<Event> {
        let Shared { backend, contact, config, owner, holdings, .. } = self.shared;
        let id = self.arrived.envelope.id;
        let mut observed = Liveness::Unsure;
        if hold.owner != *owner {
            let suspects = [Suspect { id, hold, age }];
            let ask = || backend.fleet.judge(*owner, &suspects, config.heartbeat_ttl);
            observed = match self.shared.ask(&self.shared.stop, ask).await {
                Asked::Answered(answer) => answer,
                Asked::Unreadable => return self.park("unreadable", false).await,
                Asked::Over => return self.hand_back().await,
            };
        }
        // Looked at after the answer: had the store been reset before it, contact is new now.
        let standing = Standing {
            owner: *owner,
            holds_it: holdings.may_hold(id, hold),
            settled_in: !backend.fleet.needs_grace() || contact.settled_in(config.heartbeat_ttl),
        };
        Some(Event::Judged(verdict(standing, hold, observed)))
    }

    pub(super) async fn park(&mut self, cause: &'static str, holder_lives: bool) -> Option<Event> {
        counter!(names::PARKS, label::CAUSE => cause).increment(1);
        let Arrived { envelope, lane, .. } = self.arrived;
        let Shared { backend, config, .. } = self.shared;
        let now = backend.clock.now();
        // A long task that runs is looked at again after a while, not each second for hours.
        let copy = if holder_lives && self.length() == Length::Long {
            publishes::until(envelope, lane, now.after(config.dead_man()))
        } else {
            // After a deploy's time, a task of an unknown kind is claimed to be ended.
            let cause = if self.kind.is_some() { Cause::Busy } else { Cause::Unknown };
            publishes::parked(envelope, lane, now, cause, config.longest_park())
        };
        self.shared.move_on(self.arrived, copy).await;
        None
    }

    fn ask_for(&self, token: Token) -> Claim {
        let envelope = &self.arrived.envelope;
        Claim {
            id: envelope.id,
            order: envelope.order,
            owner: self.shared.owner,
            token,
            expires_at: envelope.fixed.expires_at,
            max_crashes: self.shared.config.max_crashes,
            ttl: self.running_ttl(),
        }
    }

    async fn answered(&mut self, answer: Asked<Answer>, token: Token) -> Option<Event> {
        let answer = match answer {
            Asked::Answered(answer) => answer,
            Asked::Unreadable => return self.park("unreadable", false).await,
            Asked::Over => return self.hand_back().await,
        };
        let owner = self.shared.owner;
        match &answer {
            Answer::Claimed { fence, toll } => {
                let hold = Hold { owner, fence: *fence };
                self.hold(Claimed { hold, token, toll: *toll }, self.arrived.envelope.order);
            }
            Answer::Resume { fence, order, .. } => {
                let hold = Hold { owner, fence: *fence };
                self.hold(Claimed { hold, token, toll: Toll::default() }, *order);
                self.decided();
            }
            Answer::Settled(Ending::Expired) => self.note_expired().await,
            // Whoever cancelled it has recorded that; only a worker knows who waits for it.
            Answer::Settled(Ending::Cancelled) => self.tell(News::Cancelled).await,
            Answer::Busy { .. } | Answer::Settled(_) | Answer::Stale | Answer::Again => {}
        }
        Some(Event::Answered(answer))
    }

    fn hold(&mut self, claimed: Claimed, order: Order) {
        let ttl = self.running_ttl();
        self.guard = Some(self.shared.holdings.hold(self.arrived, claimed, order, ttl));
    }

    /// Returns the delivery: the worker stops before it has an answer.
    async fn hand_back(&self) -> Option<Event> {
        self.shared.settle(self.arrived, Settle::Return).await;
        None
    }
}
