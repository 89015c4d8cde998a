//! Compares a ledger with the pure rules under random requests.
//!
//! Each request goes to the backend and to the functions of [`crate::ledger::rules`]; answers and
//! entries must be equal, field by field. The one thing the backend decides by itself, its own
//! time, is read back from the entry that it wrote.

use std::time::Duration;

use super::{LONG, StoreUnderTest, dead, done, failure, retry};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::{Fence, Owner, TaskId, Token};
use crate::ledger::rules::{self, Change};
use crate::ledger::{
    Answer, Cancel, Claim, Decide, Decision, Entry, Held, Hold, Mark, Marking, Outcome, Release,
    Ruling, Takeover, Toll,
};

/// Requests on one backend; enough to visit each branch many times.
const REQUESTS: usize = 1_500;
/// Few, so that requests meet.
const TASKS: usize = 3;

/// A small generator with a fixed seed: the same requests on every backend and every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.roll(from.len() as u64);
        &from[usize::try_from(at).expect("an index")]
    }

    fn small(&mut self, sides: u64) -> u32 {
        u32::try_from(self.roll(sides)).expect("a small number")
    }
}

/// What the rules say is kept, and who ever held the task.
struct Model {
    id: TaskId,
    entry: Option<Entry>,
    holds: Vec<Hold>,
    owners: Vec<Owner>,
}

impl Model {
    fn new() -> Self {
        let stranger = Hold { owner: Owner::mint(), fence: Fence(3) };
        let owners = (0..3).map(|_| Owner::mint()).collect();
        Self { id: TaskId::mint(), entry: None, holds: vec![stranger], owners }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Keep => {}
            Change::Put(entry, _) | Change::Amend(entry) | Change::Prolong(entry, _) => {
                self.entry = Some(entry);
            }
        }
        if let Some(Entry::Running(held) | Entry::Finishing(held, _)) = &self.entry
            && !self.holds.contains(&held.hold)
        {
            self.holds.push(held.hold);
        }
    }

    /// The present holder mostly, an older one sometimes.
    fn hold(&self, dice: &mut Dice) -> Hold {
        match &self.entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) if dice.roll(4) > 0 => held.hold,
            _ => *dice.pick(&self.holds),
        }
    }

    /// An order near the entry's own.
    fn order(&self, dice: &mut Dice) -> Order {
        let near = match &self.entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) => held.order,
            Some(Entry::Waiting(waiting)) => waiting.order,
            Some(Entry::Settled(settled)) => Order { replay: settled.replay + 1, attempt: 1 },
            None => Order::FIRST,
        };
        match dice.roll(10) {
            0 => Order { replay: near.replay.saturating_sub(1), attempt: 1 + dice.small(5) },
            1 => Order { replay: near.replay + 1, attempt: 1 },
            2 => Order { attempt: near.attempt.saturating_sub(1).max(1), ..near },
            3 => near.next_attempt(),
            _ => near,
        }
    }

    fn claim(&self, dice: &mut Dice) -> Claim {
        let repeated = match &self.entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) if dice.roll(4) == 0 => {
                Some((held.hold.owner, held.token))
            }
            _ => None,
        };
        let (owner, token) = repeated.unwrap_or((*dice.pick(&self.owners), Token::draw()));
        let expires_at = match dice.roll(12) {
            0 => Some(Millis(1_700_000_000_000)),
            1 => Some(Millis(7_258_118_400_000)),
            _ => None,
        };
        let max_crashes = 1 + dice.small(3);
        let (id, order) = (self.id, self.order(dice));
        Claim { id, order, owner, token, expires_at, max_crashes, ttl: LONG }
    }
}

fn outcome(dice: &mut Dice) -> Outcome {
    match dice.roll(4) {
        0 => done(),
        1 => dead(*dice.pick(&DeadReason::ALL)),
        2 => Outcome::Snooze { not_before: Millis(dice.roll(1 << 50)) },
        _ => retry("a b\n\"c\""),
    }
}

pub(super) async fn random_requests_are_answered_as_the_rules_say(under: StoreUnderTest) {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut models: Vec<_> = (0..TASKS).map(|_| Model::new()).collect();
    for at in 0..REQUESTS {
        let which = usize::try_from(dice.roll(TASKS as u64)).expect("an index");
        if dice.roll(40) == 0 {
            models[which] = Model::new();
        }
        let model = &mut models[which];
        let before = model.entry.clone();
        let request = request(&under, model, &mut dice).await;
        let kept = under.entry(model.id).await;
        assert_eq!(kept, model.entry, "entry after request {at}, {request}, on {before:?}");
    }
}

/// Makes one random request of the backend and of the model; returns what it was.
async fn request(under: &StoreUnderTest, model: &mut Model, dice: &mut Dice) -> String {
    let old = model.entry.clone();
    match dice.roll(15) {
        0..4 => {
            let ask = model.claim(dice);
            let answer = under.claim(&ask).await;
            let now = time(under, model.id).await;
            let (expected, change) = rules::claim(old.as_ref(), &ask, now);
            assert_eq!(ageless(answer), ageless(expected), "{ask:?} on {old:?}");
            model.apply(change);
            format!("{ask:?}")
        }
        4..7 => {
            let (expected, orphan) = (model.hold(dice), dice.roll(3) == 0);
            let ask = Takeover { claim: model.claim(dice), expected, orphan };
            let answer = under.take_over(&ask.claim, ask.expected, ask.orphan).await;
            let now = time(under, model.id).await;
            let (expected, change) = rules::take_over(old.as_ref(), &ask, now);
            assert_eq!(answer, expected, "{ask:?} on {old:?}");
            model.apply(change);
            format!("{ask:?}")
        }
        7..9 => {
            let decision = Decision { outcome: outcome(dice), follow_ups: Vec::new() };
            let (id, hold, order) = (model.id, model.hold(dice), model.order(dice));
            let ask = Decide { id, hold, order, decision, ttl: LONG };
            let ruling = under.decide(id, hold, order, ask.decision.outcome.clone()).await;
            let now = time(under, id).await;
            let (expected, change) = rules::decide(old.as_ref(), &ask, now);
            ruled(ruling, expected, &format!("{ask:?} on {old:?}"));
            model.apply(change);
            format!("{ask:?}")
        }
        9..11 => {
            let reason = *dice.pick(&DeadReason::ALL);
            let marking = *dice.pick(&[Marking::Done, Marking::Waiting, Marking::Dead(reason)]);
            let (id, hold, order) = (model.id, model.hold(dice), model.order(dice));
            let ask = Mark { id, hold, order, marking, ttl: LONG };
            let ruling = under.mark(id, hold, order, marking).await;
            let (expected, change) = rules::mark(old.as_ref(), &ask);
            ruled(ruling, expected, &format!("{ask:?} on {old:?}"));
            model.apply(change);
            format!("{ask:?}")
        }
        11..13 => {
            let ask = Cancel { id: model.id, replay: model.order(dice).replay, ttl: LONG };
            let said = under.cancel(ask.id, ask.replay).await;
            let (expected, change) = rules::cancel(old.as_ref(), &ask);
            assert_eq!(said, expected, "{ask:?} on {old:?}");
            model.apply(change);
            format!("{ask:?}")
        }
        _ if dice.roll(2) == 0 => {
            let ask = Release { id: model.id, hold: model.hold(dice), ttl: LONG };
            let ruling = under.release(ask.id, ask.hold).await;
            let (expected, change) = rules::release(old.as_ref(), &ask);
            ruled(ruling, expected, &format!("{ask:?} on {old:?}"));
            model.apply(change);
            format!("{ask:?}")
        }
        _ => {
            let ask = Held {
                id: model.id,
                hold: model.hold(dice),
                token: Token::draw(),
                order: model.order(dice),
                toll: Toll { starts: dice.small(9), crashes: dice.small(3), charged: Fence(3) },
                ttl: LONG,
            };
            under.reassert(ask.clone()).await;
            let now = time(under, ask.id).await;
            model.apply(rules::reassert(old.as_ref(), &ask, now));
            format!("{ask:?}")
        }
    }
}

/// The time at which the backend made the present claim: what it went by, if it made one just now.
/// An expiry long past or far away needs no exact time.
async fn time(under: &StoreUnderTest, id: TaskId) -> u64 {
    match under.entry(id).await {
        Some(Entry::Running(held) | Entry::Finishing(held, _)) => held.claimed_at,
        Some(Entry::Waiting(_) | Entry::Settled(_)) | None => failure("").at.0 * 1_000,
    }
}

/// The age is the backend's own matter; the cases of claims look at it.
fn ageless(answer: Answer) -> Answer {
    match answer {
        Answer::Busy { hold, .. } => Answer::Busy { hold, age: Duration::ZERO },
        other => other,
    }
}

fn ruled(ruling: Ruling, expected: Ruling, on: &str) {
    assert_eq!(ruling, expected, "{on}");
}
