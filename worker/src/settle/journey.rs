//! The order of steps in which a delivery is settled, as a pure state machine.
//!
//! [`Journey`] is told what happened and says what to do next; the driver in [`super::pipeline`]
//! does it. Nothing here waits, publishes or reads a clock, so the property test beside it can
//! drive many journeys of one task through crashes, pauses and wipes. The order is the whole
//! safety of Leveret: the ledger decides before anything is published, publishing precedes the
//! mark, the mark precedes the ack, and a refused owner claims again instead of acking.
//!
//! A task that runs longer than the broker lets a delivery be held runs *detached*: before it
//! starts, a copy of its message is parked and confirmed, and only then the delivery is acked. The
//! copy is a dead-man's switch: it comes back while the task runs and is parked again, or finds the
//! owner dead and is the redelivery. So nothing new is begun for the delivery itself any more.

use leveret_common::envelope::Order;
use leveret_common::id::{Fence, Owner, Token};
use leveret_common::ledger::{Answer, Decision, Hold, Marking, Outcome, Ruling, Toll};
use leveret_common::sabotage::{Break, breaks};
use leveret_common::store::Liveness;
use std::time::Duration;

/// What is to be done next for a delivery.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Claim the task with this token.
    Claim(Token),
    /// Find out whether the holder that stands in the way lives.
    Judge {
        /// Who holds the task.
        hold: Hold,
        /// For how long, by the ledger's time.
        age: Duration,
    },
    /// Take the task over with this token.
    TakeOver {
        /// Marks the request.
        token: Token,
        /// Who must still hold it.
        expected: Hold,
        /// Whether the holder is an orphaned claim: no crash is charged.
        orphan: bool,
    },
    /// Publish the delivery's copy for later, then report [`Event::Parked`].
    Park {
        /// Whether the holder was seen to live: a detached task is looked at again after a while.
        holder_lives: bool,
    },
    /// Publish the delivery's copy as a dead-man's switch, then report [`Event::Parked`].
    Detach {
        /// The claim that the task will run under.
        claimed: Claimed,
    },
    /// Ack the delivery and keep the claim: the parked copy stands for the task from now on.
    LetGo,
    /// Run the handler under this claim.
    Start {
        /// The claim.
        claimed: Claimed,
    },
    /// Record the outcome before anything of it is published.
    Decide {
        /// Under which claim.
        hold: Hold,
        /// What was decided.
        decision: Decision,
    },
    /// Publish what the outcome says.
    Publish {
        /// The order that was decided; not always the delivery's.
        order: Order,
        /// What was decided.
        decision: Decision,
    },
    /// Record that the outcome is published.
    Mark {
        /// Under which claim.
        hold: Hold,
        /// The order that was decided.
        order: Order,
        /// What to remember.
        marking: Marking,
        /// What was decided, for the records.
        decision: Decision,
    },
    /// Ack the delivery.
    Ack,
    /// Nothing: the delivery is settled, or comes again by itself.
    End,
}

/// A valid claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// Who may finish it.
    pub hold: Hold,
    /// The request that made it.
    pub token: Token,
    /// What the task has cost so far, this start included.
    pub toll: Toll,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The delivery is in hand.
    Delivered,
    /// The ledger answered a claim or a takeover.
    Answered(Answer),
    /// The holder was judged. `Dead` only where this worker may take over (rule L4).
    Judged(Liveness),
    /// Before the start, the worker found its own heartbeat too old (rule L6).
    Lapsed,
    /// The attempt ended with this outcome.
    Ended(Decision),
    /// The ledger ruled on a decision or a mark.
    Ruled(Ruling),
    /// Everything to publish is confirmed.
    Published,
    /// The copy for later is confirmed.
    Parked,
    /// The delivery is acked, or its connection is gone.
    Acked,
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Fresh,
    Claiming(Token),
    Judging(Hold),
    Parking,
    Detaching(Claimed),
    LettingGo(Claimed),
    Running(Claimed),
    Deciding(Hold, Decision),
    Publishing { hold: Hold, order: Order, decision: Decision, resumed: bool },
    Marking { resumed: bool },
    Acking,
    Over,
}

/// One delivery on its way to being settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Journey {
    owner: Owner,
    order: Order,
    length: Length,
    /// The delivery is acked although its task is not over: a parked copy stands for it.
    is_detached: bool,
    phase: Phase,
}

/// How long a task may run, as far as the broker is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// The delivery can be held until the task is over.
    Short,
    /// It cannot: the task runs detached.
    Long,
}

impl Journey {
    /// Creates the journey of a delivery of `order` in the hands of `owner`.
    #[must_use]
    pub const fn new(owner: Owner, order: Order, length: Length) -> Self {
        Self { owner, order, length, is_detached: false, phase: Phase::Fresh }
    }

    /// Tells what to do after `event`.
    ///
    /// `connected` says whether the delivery can still be settled. When it cannot, the broker
    /// hands the task out again, so nothing new is begun for it; what runs is still finished. So
    /// it is for a detached task, whose copy comes again.
    /// `token` is used where a new request to the ledger begins.
    pub fn on(&mut self, event: Event, connected: bool, token: Token) -> Step {
        let connected = connected && !self.is_detached;
        let phase = std::mem::replace(&mut self.phase, Phase::Over);
        match (phase, event) {
            (Phase::Fresh, Event::Delivered) => self.claim(connected, token),
            (Phase::Claiming(asked), Event::Answered(answer)) => {
                self.answered(answer, asked, connected, token)
            }
            (Phase::Judging(hold), Event::Judged(liveness)) => {
                self.judged(hold, liveness, connected, token)
            }
            (Phase::Parking, Event::Parked) => self.ack(),
            (Phase::Detaching(claimed), Event::Parked) => {
                self.phase = Phase::LettingGo(claimed);
                Step::LetGo
            }
            (Phase::LettingGo(claimed), Event::Acked) => {
                self.is_detached = true;
                self.start(claimed)
            }
            (Phase::Detaching(_) | Phase::Running(_), Event::Lapsed) => {
                self.claim(connected, token)
            }
            (Phase::Running(claimed), Event::Ended(decision)) => self.ended(claimed, decision),
            (Phase::Deciding(hold, decision), Event::Ruled(ruling)) => match ruling {
                Ruling::Accepted => self.publish(hold, self.order, decision, false),
                Ruling::Cancelled => self.ack(),
                Ruling::Refused if breaks(Break::RefusalAcked) => self.ack(),
                Ruling::Refused => self.claim(connected, token),
            },
            (Phase::Publishing { hold, order, decision, resumed }, Event::Published) => {
                self.phase = Phase::Marking { resumed };
                Step::Mark { hold, order, marking: marking(&decision.outcome), decision }
            }
            (
                Phase::Marking { resumed: false },
                Event::Ruled(Ruling::Accepted | Ruling::Cancelled),
            ) => self.ack(),
            // What was resumed may not have been this delivery's own attempt: ask again (C4). A
            // refusal is no reason to ack either.
            (Phase::Marking { .. }, Event::Ruled(_)) => self.claim(connected, token),
            (Phase::Acking, Event::Acked) => Step::End,
            // An event that does not belong to the phase ends the journey unsettled: the broker
            // hands the delivery out again, which is always safe.
            _ => Step::End,
        }
    }

    fn answered(&mut self, answer: Answer, asked: Token, connected: bool, token: Token) -> Step {
        match answer {
            Answer::Claimed { fence, toll } => {
                let claimed = Claimed { hold: self.hold(fence), token: asked, toll };
                match self.length {
                    Length::Short => self.start(claimed),
                    Length::Long => {
                        self.phase = Phase::Detaching(claimed);
                        Step::Detach { claimed }
                    }
                }
            }
            Answer::Resume { fence, order, decision } => {
                let order = if breaks(Break::ResumedAsDelivered) { self.order } else { order };
                self.publish(self.hold(fence), order, decision, true)
            }
            Answer::Busy { hold, age } => {
                self.phase = Phase::Judging(hold);
                Step::Judge { hold, age }
            }
            Answer::Settled(_) | Answer::Stale => self.ack(),
            Answer::Again => self.claim(connected, token),
        }
    }

    fn judged(&mut self, hold: Hold, liveness: Liveness, connected: bool, token: Token) -> Step {
        if !connected {
            return Step::End;
        }
        let orphan = match liveness {
            Liveness::Alive | Liveness::Unsure => {
                self.phase = Phase::Parking;
                return Step::Park { holder_lives: liveness == Liveness::Alive };
            }
            Liveness::Orphaned => true,
            Liveness::Dead => false,
        };
        self.phase = Phase::Claiming(token);
        Step::TakeOver { token, expected: hold, orphan }
    }

    fn start(&mut self, claimed: Claimed) -> Step {
        self.phase = Phase::Running(claimed);
        Step::Start { claimed }
    }

    fn ended(&mut self, claimed: Claimed, decision: Decision) -> Step {
        let nothing_to_publish =
            matches!(decision.outcome, Outcome::Done { .. }) && decision.follow_ups.is_empty();
        if nothing_to_publish {
            self.phase = Phase::Marking { resumed: false };
            return Step::Mark {
                hold: claimed.hold,
                order: self.order,
                marking: Marking::Done,
                decision,
            };
        }
        self.phase = Phase::Deciding(claimed.hold, decision.clone());
        Step::Decide { hold: claimed.hold, decision }
    }

    fn publish(&mut self, hold: Hold, order: Order, decision: Decision, resumed: bool) -> Step {
        self.phase = Phase::Publishing { hold, order, decision: decision.clone(), resumed };
        Step::Publish { order, decision }
    }

    fn claim(&mut self, connected: bool, token: Token) -> Step {
        if !connected {
            return Step::End;
        }
        self.phase = Phase::Claiming(token);
        Step::Claim(token)
    }

    fn ack(&mut self) -> Step {
        if self.is_detached {
            return Step::End;
        }
        self.phase = Phase::Acking;
        Step::Ack
    }

    const fn hold(&self, fence: Fence) -> Hold {
        Hold { owner: self.owner, fence }
    }
}

const fn marking(outcome: &Outcome) -> Marking {
    match outcome {
        Outcome::Done { .. } => Marking::Done,
        Outcome::Retry { .. } | Outcome::Snooze { .. } => Marking::Waiting,
        Outcome::Dead { reason, .. } => Marking::Dead(*reason),
    }
}
