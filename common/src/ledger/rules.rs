//! The transitions of an entry, one function each, without clock or I/O.
//!
//! Each takes the entry as it stands and the ledger's time in µs, and returns what to answer and
//! what to do with the entry. `store/redis/lua/` mirrors these functions line by line; the store
//! suite compares both under random requests. Change a rule only together with the property test
//! of the worker, which looks for lost tasks and second runs.

use std::time::Duration;

use super::{
    Answer, Cancel, Cancelling, Claim, Decide, Decision, Ending, Entry, Failure, Held, Hold, Mark,
    Marking, Outcome, Release, Ruling, Running, Settled, Takeover, Toll, Waiting,
};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::Fence;
use crate::sabotage::{Break, breaks};

/// What becomes of the entry.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Nothing.
    Keep,
    /// It is replaced, and kept for this long.
    Put(Entry, Duration),
    /// It is replaced, and kept as long as before.
    Amend(Entry),
    /// It is replaced, and kept as long as before or for this long, whichever ends later.
    Prolong(Entry, Duration),
}

/// Claims (rules C1, C6, C7).
#[must_use]
pub fn claim(entry: Option<&Entry>, ask: &Claim, now: u64) -> (Answer, Change) {
    match entry {
        None => fresh(ask, Fence(0), Toll::default(), now),
        Some(Entry::Settled(settled)) if ask.order.replay <= settled.replay => {
            (Answer::Settled(settled.ending), Change::Keep)
        }
        Some(Entry::Settled(_)) => fresh(ask, Fence(0), Toll::default(), now),
        Some(Entry::Waiting(waiting)) => {
            if ask.order < waiting.order && !breaks(Break::StaleOrderIgnored) {
                return (Answer::Stale, Change::Keep);
            }
            let toll = carried(waiting.toll, waiting.order, ask.order);
            fresh(ask, waiting.fence, toll, now)
        }
        Some(Entry::Running(held) | Entry::Finishing(held, _)) => {
            if ask.order < held.order || breaks(Break::BareSetnx) {
                return (Answer::Stale, Change::Keep);
            }
            let running = matches!(entry, Some(Entry::Running(_)));
            if running && held.hold.owner == ask.owner && held.token == ask.token {
                return again(ask, held, None, now);
            }
            let age = Duration::from_micros(now.saturating_sub(held.claimed_at));
            (Answer::Busy { hold: held.hold, age }, Change::Keep)
        }
    }
}

/// Takes over (rules C2, C3, C4, C7, P1, P3).
#[must_use]
pub fn take_over(entry: Option<&Entry>, ask: &Takeover, now: u64) -> (Answer, Change) {
    let claim = &ask.claim;
    let (held, decision) = match entry {
        Some(Entry::Running(held)) => (held, None),
        Some(Entry::Finishing(held, decision)) => (held, Some(decision)),
        None | Some(Entry::Waiting(_) | Entry::Settled(_)) => return (Answer::Again, Change::Keep),
    };
    if held.hold.owner == claim.owner && held.token == claim.token {
        return again(claim, held, decision, now);
    }
    if held.hold != ask.expected && !breaks(Break::TakeoverWithoutFence) {
        return (Answer::Again, Change::Keep);
    }
    if let Some(decision) = decision
        && !(breaks(Break::ExpiryFirst) && is_expired(claim, now))
    {
        return resume(claim, held.hold.fence, held.order, held.toll, decision.clone(), now);
    }
    // What an operator replayed meanwhile was not cancelled with it, and must not be acked for it.
    if held.cancel && claim.order.replay <= held.order.replay {
        return settle(claim, held.order.replay, Ending::Cancelled);
    }
    if claim.order > held.order {
        // The dead owner's attempt was left behind by a newer message: no crash (C3).
        let toll = carried(held.toll, held.order, claim.order);
        return fresh(claim, held.hold.fence, toll, now);
    }
    let mut toll = held.toll;
    if !ask.orphan && !breaks(Break::CrashNotCharged) {
        toll.crashes = toll.crashes.saturating_add(1);
        toll.charged = held.hold.fence;
    }
    fresh(claim, held.hold.fence, toll, now)
}

/// Records an outcome (rules C5 and P3). A cancelled task's failure is not decided any more.
#[must_use]
pub fn decide(entry: Option<&Entry>, ask: &Decide, now: u64) -> (Ruling, Change) {
    let accept = |held: Running| {
        let entry = Entry::Finishing(held, ask.decision.clone());
        (Ruling::Accepted, Change::Put(entry, ask.ttl))
    };
    match entry {
        None => accept(Running {
            hold: ask.hold,
            token: crate::id::Token(0),
            claimed_at: now,
            order: ask.order,
            toll: Toll::default(),
            cancel: false,
        }),
        Some(Entry::Running(held)) if held.hold == ask.hold => {
            if held.cancel && !matches!(ask.decision.outcome, Outcome::Done { .. }) {
                let settled = Settled { replay: held.order.replay, ending: Ending::Cancelled };
                return (Ruling::Cancelled, Change::Put(Entry::Settled(settled), ask.ttl));
            }
            accept(*held)
        }
        // The reply to this decision was lost: what was decided first stands.
        Some(Entry::Finishing(held, _)) if held.hold == ask.hold => {
            (Ruling::Accepted, Change::Keep)
        }
        Some(other) => (Ruling::Refused, give_back(other, ask.hold)),
    }
}

/// Records that an outcome is published (rule C5).
///
/// *Done* without follow-ups is marked without a decision before it: there is nothing to publish.
#[must_use]
pub fn mark(entry: Option<&Entry>, ask: &Mark) -> (Ruling, Change) {
    let toll = match entry {
        None => Toll::default(),
        Some(Entry::Finishing(held, _)) if held.hold == ask.hold => held.toll,
        Some(Entry::Running(held)) if held.hold == ask.hold && ask.marking == Marking::Done => {
            held.toll
        }
        Some(other) => return (Ruling::Refused, give_back(other, ask.hold)),
    };
    let settled = |ending| Entry::Settled(Settled { replay: ask.order.replay, ending });
    let entry = match ask.marking {
        Marking::Done => settled(Ending::Done),
        Marking::Dead(reason) => settled(Ending::Dead(reason)),
        Marking::Waiting => {
            Entry::Waiting(Waiting { order: ask.order.next_attempt(), fence: ask.hold.fence, toll })
        }
    };
    (Ruling::Accepted, Change::Put(entry, ask.ttl))
}

/// Gives a claim back: the same message is awaited again, and the start is not counted.
#[must_use]
pub fn release(entry: Option<&Entry>, ask: &Release) -> (Ruling, Change) {
    match entry {
        None => (Ruling::Accepted, Change::Keep),
        Some(Entry::Running(held)) if held.hold == ask.hold => {
            if held.cancel {
                let settled = Settled { replay: held.order.replay, ending: Ending::Cancelled };
                return (Ruling::Cancelled, Change::Put(Entry::Settled(settled), ask.ttl));
            }
            let mut toll = held.toll;
            toll.starts = toll.starts.saturating_sub(1);
            let waiting = Waiting { order: held.order, fence: held.hold.fence, toll };
            (Ruling::Accepted, Change::Put(Entry::Waiting(waiting), ask.ttl))
        }
        Some(other) => (Ruling::Refused, give_back(other, ask.hold)),
    }
}

/// Writes a claim again after a reset, where nothing is there (rule L5).
#[must_use]
pub fn reassert(entry: Option<&Entry>, ask: &Held, now: u64) -> Change {
    if entry.is_some() {
        return Change::Keep;
    }
    let running = Running {
        hold: ask.hold,
        token: ask.token,
        claimed_at: now,
        order: ask.order,
        toll: ask.toll,
        cancel: false,
    };
    Change::Put(Entry::Running(running), ask.ttl)
}

/// Cancels a task that nobody runs, and leaves word for the holder of one that runs (rule K1).
///
/// Whoever is told that the task is cancelled relies on it for as long as was asked: a message
/// may rest in a paused queue for longer than the entry was to be kept before.
#[must_use]
pub fn cancel(entry: Option<&Entry>, ask: &Cancel) -> (Cancelling, Change) {
    let cancelled = |replay| Entry::Settled(Settled { replay, ending: Ending::Cancelled });
    match entry {
        None => (Cancelling::Cancelled, Change::Put(cancelled(ask.replay), ask.ttl)),
        Some(Entry::Waiting(waiting)) => {
            let replay = waiting.order.replay.max(ask.replay);
            (Cancelling::Cancelled, Change::Prolong(cancelled(replay), ask.ttl))
        }
        Some(Entry::Running(held)) => {
            let flagged = Running { cancel: true, ..*held };
            (Cancelling::Asked(held.hold), Change::Amend(Entry::Running(flagged)))
        }
        Some(Entry::Finishing(..)) => (Cancelling::TooLate, Change::Keep),
        // An operator's replay of it waits in its lane.
        Some(Entry::Settled(settled)) if settled.replay < ask.replay => {
            (Cancelling::Cancelled, Change::Prolong(cancelled(ask.replay), ask.ttl))
        }
        Some(Entry::Settled(settled)) if settled.ending == Ending::Cancelled => {
            let change = Change::Prolong(Entry::Settled(*settled), ask.ttl);
            (Cancelling::Over(Ending::Cancelled), change)
        }
        Some(Entry::Settled(settled)) => (Cancelling::Over(settled.ending), Change::Keep),
    }
}

/// Ends in *expired*, *poison* or *claimed*, in that order: the tail of C1 and of a takeover.
fn fresh(ask: &Claim, last: Fence, mut toll: Toll, now: u64) -> (Answer, Change) {
    if is_expired(ask, now) {
        return settle(ask, ask.order.replay, Ending::Expired);
    }
    if toll.crashes >= ask.max_crashes {
        let failure = Failure {
            class: "crash".to_owned(),
            message: format!("{} workers died while they ran this task", toll.crashes),
            at: Millis(now / 1_000),
        };
        let outcome = Outcome::Dead { reason: DeadReason::Poison, failure };
        let decision = Decision { outcome, follow_ups: Vec::new() };
        return resume(ask, last, ask.order, toll, decision, now);
    }
    toll.starts = toll.starts.saturating_add(1);
    let fence = next_fence(last, now);
    let running = claimed(ask, fence, ask.order, toll, now);
    (Answer::Claimed { fence, toll }, Change::Put(Entry::Running(running), ask.ttl))
}

fn is_expired(ask: &Claim, now: u64) -> bool {
    ask.expires_at.is_some_and(|at| at.0.saturating_mul(1_000) <= now)
}

fn resume(
    ask: &Claim,
    last: Fence,
    order: Order,
    toll: Toll,
    decision: Decision,
    now: u64,
) -> (Answer, Change) {
    let fence = next_fence(last, now);
    let held = claimed(ask, fence, order, toll, now);
    let answer = Answer::Resume { fence, order, decision: decision.clone() };
    (answer, Change::Put(Entry::Finishing(held, decision), ask.ttl))
}

fn claimed(ask: &Claim, fence: Fence, order: Order, toll: Toll, now: u64) -> Running {
    Running {
        hold: Hold { owner: ask.owner, fence },
        token: ask.token,
        claimed_at: now,
        order,
        toll,
        cancel: false,
    }
}

fn settle(ask: &Claim, replay: u32, ending: Ending) -> (Answer, Change) {
    let entry = Entry::Settled(Settled { replay, ending });
    (Answer::Settled(ending), Change::Put(entry, ask.ttl))
}

/// The reply to this very request was lost: it gets its claim again (C7).
///
/// Under a new fence, because somebody may have judged the old one to be an orphan meanwhile: his
/// takeover expects the old fence and now fails, where it would have robbed a running task.
fn again(ask: &Claim, held: &Running, decision: Option<&Decision>, now: u64) -> (Answer, Change) {
    if let Some(decision) = decision {
        return resume(ask, held.hold.fence, held.order, held.toll, decision.clone(), now);
    }
    let fence = next_fence(held.hold.fence, now);
    let hold = Hold { fence, ..held.hold };
    let running = Running { hold, claimed_at: now, ..*held };
    let answer = Answer::Claimed { fence, toll: held.toll };
    (answer, Change::Put(Entry::Running(running), ask.ttl))
}

/// A fence never repeats, not even after a wipe: at least the ledger's time in µs (C6).
fn next_fence(last: Fence, now: u64) -> Fence {
    Fence(last.0.saturating_add(1).max(if breaks(Break::FenceRestarts) { 0 } else { now }))
}

/// The toll belongs to one replay: a fresh start owes nothing.
fn carried(toll: Toll, from: Order, to: Order) -> Toll {
    if from.replay == to.replay { toll } else { Toll::default() }
}

/// The refused owner lives: it was paused, not crashed, so its charge goes back (P3).
fn give_back(entry: &Entry, hold: Hold) -> Change {
    let returned = |toll: &Toll| {
        (toll.charged == hold.fence && toll.crashes > 0).then(|| Toll {
            crashes: toll.crashes - 1,
            charged: Fence(0),
            ..*toll
        })
    };
    match entry {
        Entry::Running(held) => match returned(&held.toll) {
            Some(toll) => Change::Amend(Entry::Running(Running { toll, ..*held })),
            None => Change::Keep,
        },
        Entry::Waiting(waiting) => match returned(&waiting.toll) {
            Some(toll) => Change::Amend(Entry::Waiting(Waiting { toll, ..*waiting })),
            None => Change::Keep,
        },
        Entry::Finishing(..) | Entry::Settled(_) => Change::Keep,
    }
}
