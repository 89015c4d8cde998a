//! What a worker does at each step, and what comes of it.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Order};
use leveret_common::ledger::rules::{self, Change};
use leveret_common::ledger::{
    Answer, Claim, Decide, Decision, Ending, Entry, Failure, FollowUp, Hold, Mark, Outcome, Ruling,
    Settled, Takeover,
};
use leveret_common::store::{Liveness, Suspect, judge};

use super::world::World;
use super::{MAX_ATTEMPTS, MAX_CRASHES, Sabotage, TICK, TTL, TTL_TICKS};
use crate::settle::custody::{Standing, verdict};
use crate::settle::journey::{Claimed, Event, Length, Step};

impl World {
    /// Does the pending step of one journey; with `lost`, its reply does not arrive.
    pub(super) fn advance(&mut self, index: usize, pick: usize, lost: bool) {
        let worker = &self.workers[index];
        if worker.paused || worker.travels.is_empty() {
            return;
        }
        let at = pick % worker.travels.len();
        // No two requests are answered in the same moment: a fence may be nothing but that (C6).
        self.now += 1;
        let event = self.perform(index, at);
        let Some(event) = event else { return };
        let repeatable = matches!(
            self.workers[index].travels[at].step,
            Step::Claim(_)
                | Step::TakeOver { .. }
                | Step::Decide { .. }
                | Step::Publish { .. }
                | Step::Detach { .. }
        );
        if lost && repeatable {
            return;
        }
        self.tell(index, at, event);
    }

    fn tell(&mut self, index: usize, at: usize, event: Event) {
        let token = self.token();
        let sabotage = self.sabotage;
        let travel = &mut self.workers[index].travels[at];
        let refused = matches!(event, Event::Ruled(Ruling::Refused));
        let step = travel.journey.on(event, travel.connected, token);
        travel.step = step;
        travel.waits = false;
        match &travel.step {
            Step::Detach { claimed } | Step::Start { claimed } => {
                travel.held = Some(*claimed);
                travel.decided = false;
            }
            Step::LetGo => travel.detached = true,
            Step::Publish { .. } => travel.decided = true,
            Step::Claim(_) | Step::Ack | Step::End | Step::Park { .. } => {
                travel.held = None;
                travel.decided = false;
            }
            Step::Judge { .. }
            | Step::TakeOver { .. }
            | Step::Decide { .. }
            | Step::Mark { .. } => {}
        }
        if sabotage == Sabotage::AckRefused && refused {
            travel.step = Step::Ack;
        }
        if sabotage == Sabotage::CopyDroppedOnRefusal && refused && travel.detached {
            let order = travel.order;
            self.parked.retain(|(_, parked)| *parked != order);
        }
        let travel = &self.workers[index].travels[at];
        if travel.step == Step::End {
            let travel = self.workers[index].travels.remove(at);
            // A journey that ends with its delivery unsettled leaves it to the broker.
            if travel.connected {
                self.lane.push(travel.order);
            }
        }
    }

    fn perform(&mut self, index: usize, at: usize) -> Option<Event> {
        let (owner, order) = (self.workers[index].owner, self.workers[index].travels[at].order);
        let step = self.workers[index].travels[at].step.clone();
        let kept = self.kept();
        let claim = |token| Claim {
            id: self.id,
            order,
            owner,
            token,
            expires_at: self.expires_at.filter(|_| order.replay == 0),
            max_crashes: MAX_CRASHES,
            ttl: kept,
        };
        Some(match step {
            Step::Claim(token) => {
                let ask = claim(token);
                let (answer, change) = match self.expired_first(&ask) {
                    Some(settled) => settled,
                    None => rules::claim(self.entry.as_ref(), &ask, self.now),
                };
                self.answered(order, answer, change)
            }
            Step::TakeOver { token, expected, orphan } => {
                let ask = Takeover { claim: claim(token), expected, orphan };
                let entry = self.flagged_entry();
                let (answer, change) =
                    match self.expired_first(&ask.claim).or(self.flag_first(&ask)) {
                        Some(settled) => settled,
                        None => rules::take_over(entry.as_ref(), &ask, self.now),
                    };
                self.answered(order, answer, change)
            }
            Step::Judge { hold, age } => Event::Judged(self.judge(index, hold, age)),
            Step::Park { holder_lives } => {
                match (self.length, self.sabotage) {
                    (Length::Long, Sabotage::NotParkedAgain) if holder_lives => {}
                    (Length::Long, _) if holder_lives => self.park_dead_man(order),
                    (Length::Long | Length::Short, _) => self.delayed.push(order),
                }
                Event::Parked
            }
            // Its turn has come.
            Step::Detach { .. } | Step::Start { .. } if self.takes_its_turn(index, at) => {
                Event::Lapsed
            }
            Step::Detach { .. } if self.lapsed(index) => Event::Lapsed,
            Step::Detach { .. } => {
                let travel = &mut self.workers[index].travels[at];
                if self.sabotage == Sabotage::AckBeforeCopy && travel.connected {
                    travel.connected = false;
                    return None;
                }
                self.park_dead_man(order);
                Event::Parked
            }
            Step::LetGo => {
                self.workers[index].travels[at].connected = false;
                Event::Acked
            }
            Step::Start { claimed } => return self.run(index, at, claimed),
            Step::Decide { hold, decision } => {
                let is_done = matches!(decision.outcome, Outcome::Done { .. });
                let ask = Decide { id: self.id, hold, order, decision, ttl: kept };
                let entry = self.flagged_entry();
                let (ruling, change) = rules::decide(entry.as_ref(), &ask, self.now);
                self.apply(change);
                if is_done && ruling == Ruling::Accepted {
                    self.ghost.decided.insert(order.replay);
                }
                if self.sabotage == Sabotage::AckBeforePublish {
                    self.workers[index].travels[at].connected = false;
                }
                Event::Ruled(ruling)
            }
            Step::Publish { order, decision } => {
                self.publish(order, &decision);
                Event::Published
            }
            Step::Mark { hold, order, marking, .. } => {
                let ask = Mark { id: self.id, hold, order, marking, ttl: kept };
                let (ruling, change) = rules::mark(self.entry.as_ref(), &ask);
                self.apply(change);
                Event::Ruled(ruling)
            }
            Step::Ack => {
                self.workers[index].travels[at].connected = false;
                Event::Acked
            }
            Step::End => return None,
        })
    }

    fn answered(&mut self, order: Order, answer: Answer, change: Change) -> Event {
        self.apply(change);
        if let Answer::Claimed { toll, .. } = answer {
            self.ghost.granted(order, toll.crashes);
        }
        Event::Answered(answer)
    }

    /// A rule that is broken on purpose: expiry is looked at before anything else.
    fn expired_first(&self, ask: &Claim) -> Option<(Answer, Change)> {
        let is_expired = ask.expires_at.is_some_and(|at| at.0 * 1_000 <= self.now);
        let breaks = self.sabotage == Sabotage::ExpiryFirst && is_expired;
        breaks.then(|| settled(ask, ask.order.replay, Ending::Expired))
    }

    /// A rule that is broken on purpose: a flag is held against whatever message takes over.
    fn flag_first(&self, ask: &Takeover) -> Option<(Answer, Change)> {
        match &self.entry {
            Some(Entry::Running(held)) if held.cancel && held.hold == ask.expected => {
                let breaks = self.sabotage == Sabotage::FlagHitsReplays;
                breaks.then(|| settled(&ask.claim, held.order.replay, Ending::Cancelled))
            }
            _ => None,
        }
    }

    fn takes_its_turn(&mut self, index: usize, at: usize) -> bool {
        let travel = &mut self.workers[index].travels[at];
        travel.waits &= self.sabotage != Sabotage::WaitsWithClaim;
        travel.waits
    }

    fn judge(&self, index: usize, hold: Hold, age: Duration) -> Liveness {
        let worker = &self.workers[index];
        if self.sabotage == Sabotage::BareSetnx {
            return Liveness::Alive;
        }
        let suspect = Suspect { id: self.id, hold, age };
        let holder = self.beats.get(&hold.owner).map(|(beat, _)| beat);
        let reader_lives = self.beats.contains_key(&worker.owner);
        let standing = Standing {
            owner: worker.owner,
            holds_it: worker.travels.iter().any(|travel| {
                // As `Holdings::may_hold`: a claim that is asked for may be ours already.
                matches!(travel.step, Step::Claim(_) | Step::TakeOver { .. })
                    || travel.held.is_some_and(|claimed| claimed.hold == hold)
            }),
            settled_in: self.sabotage == Sabotage::NoGrace
                || self.now - worker.unbroken_since >= TTL_TICKS * TICK,
        };
        let no_age = if self.sabotage == Sabotage::NoGrace { TTL } else { age };
        let suspect = Suspect { age: no_age, ..suspect };
        verdict(standing, hold, judge(&suspect, holder, reader_lives, TTL))
    }

    fn lapsed(&self, index: usize) -> bool {
        self.now - self.workers[index].renewed_at >= TTL_TICKS * TICK
    }

    /// First call starts the handler, second ends it: a crash fits between.
    fn run(&mut self, index: usize, at: usize, claimed: Claimed) -> Option<Event> {
        let lapsed = self.lapsed(index);
        let travel = &mut self.workers[index].travels[at];
        let order = travel.order;
        if travel.running.is_none() {
            if lapsed {
                return Some(Event::Lapsed);
            }
            travel.running = Some(claimed);
            self.ghost.started(order, claimed.hold.owner, self.now);
            return None;
        }
        travel.running = None;
        let choice = self.outcomes[order.attempt as usize % self.outcomes.len()];
        let failure = Failure { class: "x".into(), message: "y".into(), at: Millis(0) };
        let follow_up = FollowUp {
            to: leveret_common::broker::Destination::Dead("f".parse().unwrap()),
            wire: leveret_common::envelope::Wire::default(),
        };
        let dead =
            Outcome::Dead { reason: DeadReason::AttemptsExhausted, failure: failure.clone() };
        let (outcome, follow_ups) = match choice % 4 {
            0 => (Outcome::Done { result: None }, vec![]),
            1 => (Outcome::Done { result: None }, vec![follow_up]),
            2 if order.attempt < MAX_ATTEMPTS => {
                (Outcome::Retry { not_before: Millis(0), failure }, vec![])
            }
            _ => (dead, vec![]),
        };
        if matches!(outcome, Outcome::Done { .. }) {
            self.ghost.completed.insert(order.replay);
            if !follow_ups.is_empty() {
                self.ghost.owed.insert(order.replay);
            }
        }
        Some(Event::Ended(Decision { outcome, follow_ups }))
    }

    fn publish(&mut self, order: Order, decision: &Decision) {
        match &decision.outcome {
            Outcome::Done { .. } => drop(self.ghost.sent.insert(order.replay)),
            Outcome::Retry { .. } | Outcome::Snooze { .. } => {
                self.delayed.push(order.next_attempt());
            }
            Outcome::Dead { .. } => {
                self.ghost.dead.push(order);
                self.letters.push(order);
            }
        }
    }
}

fn settled(ask: &Claim, replay: u32, ending: Ending) -> (Answer, Change) {
    let entry = Entry::Settled(Settled { replay, ending });
    (Answer::Settled(ending), Change::Put(entry, ask.ttl))
}
