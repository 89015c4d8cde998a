//! The journey under random crashes, pauses, wipes, lost replies and lost connections.
//!
//! One task with all its copies, two workers, the real [`rules`] of the ledger, the real
//! [`Journey`] and [`verdict`]; only the broker and the passing of time are modelled. After the
//! faults the world heals and must come to rest, with nothing lost and no unexplained second run.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Order};
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::rules::{self, Change};
use leveret_common::ledger::{
    Claim, Decide, Decision, Ending, Entry, Failure, FollowUp, Held, Hold, Mark, Outcome, Settled,
    Takeover,
};
use leveret_common::store::{Heartbeat, Liveness, Suspect, WorkerInfo, judge};
use proptest::prelude::*;

use super::custody::{Standing, verdict};
use super::journey::{Claimed, Event, Journey, Step};

/// A heartbeat is renewed each tick and ends after this many.
const TTL_TICKS: u64 = 3;
/// One tick in µs of ledger time.
const TICK: u64 = 5_000_000;
const MAX_ATTEMPTS: u32 = 2;
const MAX_CRASHES: u32 = 2;
const SLOTS: usize = 2;

/// Which rule a run breaks on purpose, to show that the checks below can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sabotage {
    None,
    /// A refused owner acks instead of claiming again.
    AckRefused,
    /// The ack comes before the publish of a retry or a dead letter.
    AckBeforePublish,
    /// A claim is never taken over, as with a bare SETNX.
    BareSetnx,
    /// Takeover without one TTL of unbroken contact.
    NoGrace,
}

#[derive(Debug, Clone)]
enum Action {
    Deliver(usize, usize),
    Advance(usize, usize),
    AdvanceReplyLost(usize, usize),
    Tick,
    Crash(usize),
    Pause(usize),
    Continue(usize),
    Disconnect(usize),
    Wipe,
    EnqueueAgain,
}

#[derive(Debug)]
struct Travel {
    journey: Journey,
    order: Order,
    connected: bool,
    step: Step,
    /// Set between start and end of the handler.
    running: Option<Claimed>,
    held: Option<Claimed>,
    /// The decision is recorded: a reset needs no reassertion any more.
    decided: bool,
}

#[derive(Debug)]
struct Worker {
    owner: Owner,
    paused: bool,
    travels: Vec<Travel>,
    renewed_at: u64,
    unbroken_since: u64,
}

#[derive(Debug, Default)]
struct Ghost {
    starts: BTreeMap<Order, u32>,
    completed: bool,
    follow_up_owed: bool,
    follow_up_sent: bool,
    dead: Vec<Order>,
    crash_while_running: bool,
    paused: bool,
    wiped: bool,
}

struct World {
    id: TaskId,
    now: u64,
    lane: Vec<Order>,
    delayed: Vec<Order>,
    entry: Option<Entry>,
    beats: BTreeMap<Owner, (Heartbeat, u64)>,
    workers: Vec<Worker>,
    ghost: Ghost,
    outcomes: Vec<u8>,
    tokens: u64,
    sabotage: Sabotage,
}

const TTL: Duration = Duration::from_micros(TTL_TICKS * TICK);
const KEPT: Duration = Duration::from_secs(3_600);

impl World {
    fn new(outcomes: Vec<u8>, sabotage: Sabotage) -> Self {
        let now = 1_000_000 * TICK;
        let mut world = Self {
            id: TaskId::mint(),
            now,
            lane: vec![Order::FIRST],
            delayed: Vec::new(),
            entry: None,
            beats: BTreeMap::new(),
            workers: Vec::new(),
            ghost: Ghost::default(),
            outcomes,
            tokens: 1,
            sabotage,
        };
        for _ in 0..2 {
            let worker = world.fresh_worker();
            world.workers.push(worker);
        }
        for index in 0..2 {
            world.beat(index);
        }
        world
    }

    fn fresh_worker(&self) -> Worker {
        Worker {
            owner: Owner::mint(),
            paused: false,
            travels: Vec::new(),
            renewed_at: 0,
            unbroken_since: self.now,
        }
    }

    fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Keep => {}
            Change::Put(entry, _) | Change::Amend(entry) => self.entry = Some(entry),
        }
    }

    /// Rules L3, L4, L5.
    fn beat(&mut self, index: usize) {
        let now = self.now;
        let worker = &mut self.workers[index];
        let held = worker
            .travels
            .iter()
            .filter_map(|travel| travel.held.map(|claimed| (self.id, claimed.hold.fence)))
            .collect();
        let info = WorkerInfo {
            host: String::new(),
            pid: 0,
            started_at: Millis(0),
            version: String::new(),
            slots: 2,
            queues: Vec::new(),
            kinds: Vec::new(),
            state: String::new(),
        };
        let beat = Heartbeat { owner: worker.owner, held, info };
        let absent = self.beats.insert(worker.owner, (beat, now)).is_none();
        if absent || now - worker.renewed_at >= TTL_TICKS * TICK {
            worker.unbroken_since = now;
        }
        worker.renewed_at = now;
        if absent {
            let asserted: Vec<Held> = worker
                .travels
                .iter()
                .filter(|travel| travel.connected && !travel.decided)
                .filter_map(|travel| {
                    travel.held.map(|claimed| Held {
                        id: self.id,
                        hold: claimed.hold,
                        token: claimed.token,
                        order: travel.order,
                        toll: claimed.toll,
                        ttl: KEPT,
                    })
                })
                .collect();
            for held in asserted {
                let change = rules::reassert(self.entry.as_ref(), &held, self.now);
                self.apply(change);
            }
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        let now = self.now;
        self.beats.retain(|_, (_, at)| now - *at < TTL_TICKS * TICK);
        for index in 0..self.workers.len() {
            if !self.workers[index].paused {
                self.beat(index);
            }
        }
        self.lane.append(&mut self.delayed);
    }

    fn deliver(&mut self, index: usize, pick: usize) {
        let worker = &self.workers[index];
        if worker.paused || worker.travels.len() >= SLOTS || self.lane.is_empty() {
            return;
        }
        let order = self.lane.remove(pick % self.lane.len());
        let token = self.token();
        let worker = &mut self.workers[index];
        let mut journey = Journey::new(worker.owner, order);
        let step = journey.on(Event::Delivered, true, token);
        worker.travels.push(Travel {
            journey,
            order,
            connected: true,
            step,
            running: None,
            held: None,
            decided: false,
        });
    }

    /// Does the pending step of one journey; with `lost`, its reply does not arrive.
    fn advance(&mut self, index: usize, pick: usize, lost: bool) {
        let worker = &self.workers[index];
        if worker.paused || worker.travels.is_empty() {
            return;
        }
        let at = pick % worker.travels.len();
        let event = self.perform(index, at);
        let Some(event) = event else { return };
        let repeatable = matches!(
            self.workers[index].travels[at].step,
            Step::Claim(_) | Step::TakeOver { .. } | Step::Decide { .. } | Step::Publish { .. }
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
        let refused = matches!(event, Event::Ruled(leveret_common::ledger::Ruling::Refused));
        let step = travel.journey.on(event, travel.connected, token);
        travel.step = step;
        match &travel.step {
            Step::Start { claimed } => {
                travel.held = Some(*claimed);
                travel.decided = false;
            }
            Step::Publish { .. } => travel.decided = true,
            Step::Claim(_) | Step::Ack | Step::End | Step::Park => {
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
        let claim = |token| Claim {
            id: self.id,
            order,
            owner,
            token,
            expires_at: None,
            max_crashes: MAX_CRASHES,
            ttl: KEPT,
        };
        Some(match step {
            Step::Claim(token) => {
                let (answer, change) = rules::claim(self.entry.as_ref(), &claim(token), self.now);
                self.apply(change);
                Event::Answered(answer)
            }
            Step::TakeOver { token, expected, orphan } => {
                let ask = Takeover { claim: claim(token), expected, orphan };
                let (answer, change) = rules::take_over(self.entry.as_ref(), &ask, self.now);
                self.apply(change);
                Event::Answered(answer)
            }
            Step::Judge { hold, age } => Event::Judged(self.judge(index, hold, age)),
            Step::Park => {
                self.delayed.push(order);
                Event::Parked
            }
            Step::Start { claimed } => return self.run(index, at, claimed),
            Step::Decide { hold, decision } => {
                let ask = Decide { id: self.id, hold, order, decision, ttl: KEPT };
                let (ruling, change) = rules::decide(self.entry.as_ref(), &ask, self.now);
                self.apply(change);
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
                let ask = Mark { id: self.id, hold, order, marking, ttl: KEPT };
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

    /// First call starts the handler, second ends it: a crash fits between.
    fn run(&mut self, index: usize, at: usize, claimed: Claimed) -> Option<Event> {
        let lapsed = self.now - self.workers[index].renewed_at >= TTL_TICKS * TICK;
        let travel = &mut self.workers[index].travels[at];
        let order = travel.order;
        if travel.running.is_none() {
            if lapsed {
                return Some(Event::Lapsed);
            }
            travel.running = Some(claimed);
            *self.ghost.starts.entry(order).or_default() += 1;
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
            self.ghost.completed = true;
            self.ghost.follow_up_owed |= !follow_ups.is_empty();
        }
        Some(Event::Ended(Decision { outcome, follow_ups }))
    }

    fn publish(&mut self, order: Order, decision: &Decision) {
        match &decision.outcome {
            Outcome::Done { .. } => self.ghost.follow_up_sent = true,
            Outcome::Retry { .. } | Outcome::Snooze { .. } => {
                self.delayed.push(order.next_attempt());
            }
            Outcome::Dead { .. } => self.ghost.dead.push(order),
        }
    }

    fn disconnect(&mut self, index: usize) {
        for at in (0..self.workers[index].travels.len()).rev() {
            let travel = &mut self.workers[index].travels[at];
            if travel.connected {
                travel.connected = false;
                self.lane.push(travel.order);
            }
        }
    }

    fn act(&mut self, action: &Action) {
        match *action {
            Action::Deliver(worker, pick) => self.deliver(worker % 2, pick),
            Action::Advance(worker, pick) => self.advance(worker % 2, pick, false),
            Action::AdvanceReplyLost(worker, pick) => self.advance(worker % 2, pick, true),
            Action::Tick => self.tick(),
            Action::Crash(worker) => {
                let index = worker % 2;
                if self.workers[index].travels.is_empty() {
                    return;
                }
                self.ghost.crash_while_running |=
                    self.workers[index].travels.iter().any(|t| t.held.is_some() && !t.decided);
                self.disconnect(index);
                self.workers[index] = self.fresh_worker();
                self.beat(index);
            }
            Action::Pause(worker) => {
                self.ghost.paused = true;
                self.workers[worker % 2].paused = true;
            }
            Action::Continue(worker) => self.workers[worker % 2].paused = false,
            Action::Disconnect(worker) => self.disconnect(worker % 2),
            Action::Wipe => {
                self.ghost.wiped = true;
                self.entry = None;
                self.beats.clear();
            }
            Action::EnqueueAgain => self.lane.push(Order::FIRST),
        }
    }

    fn at_rest(&self) -> bool {
        self.lane.is_empty()
            && self.delayed.is_empty()
            && self.workers.iter().all(|worker| worker.travels.is_empty())
    }

    /// No more faults: everything that can move moves, time passes.
    fn heal(&mut self) -> Result<(), TestCaseError> {
        for worker in &mut self.workers {
            worker.paused = false;
        }
        for round in 0..400 {
            if self.at_rest() {
                return Ok(());
            }
            for index in 0..2 {
                self.deliver(index, round);
                for _ in 0..12 {
                    self.advance(index, round, false);
                }
            }
            self.tick();
        }
        Err(TestCaseError::fail(format!("stuck: lane {:?} entry {:?}", self.lane, self.entry)))
    }

    fn verify(&self) -> Result<(), TestCaseError> {
        let ghost = &self.ghost;
        let dead = !ghost.dead.is_empty();
        prop_assert!(ghost.completed || dead, "lost: neither done nor dead: {ghost:?}");
        if ghost.follow_up_owed && !dead {
            prop_assert!(ghost.follow_up_sent, "lost: the follow-up of a done task");
        }
        if !ghost.wiped {
            prop_assert!(
                matches!(self.entry, Some(Entry::Settled(_))),
                "at rest with an open entry: {:?}",
                self.entry
            );
            let done = matches!(&self.entry, Some(Entry::Settled(s)) if s.ending == Ending::Done);
            prop_assert!(!(done && dead), "done and a dead letter: {ghost:?}");
            let starts: u32 = ghost.starts.values().sum();
            prop_assert!(
                ghost.paused || starts <= MAX_CRASHES + MAX_ATTEMPTS,
                "poison bound: {starts} starts"
            );
            let ended = matches!(&self.entry, Some(Entry::Settled(Settled { replay: 0, .. })));
            prop_assert!(ended, "a replay nobody asked for");
        }
        if !(ghost.wiped || ghost.paused || ghost.crash_while_running) {
            for (order, starts) in &ghost.starts {
                prop_assert!(*starts <= 1, "unexplained second run of {order:?}: {starts}");
            }
        }
        Ok(())
    }
}

fn action() -> impl Strategy<Value = Action> {
    let worker = || 0..2_usize;
    prop_oneof![
        12 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::Deliver(w, p)),
        40 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::Advance(w, p)),
        3 => (worker(), 0..4_usize).prop_map(|(w, p)| Action::AdvanceReplyLost(w, p)),
        8 => Just(Action::Tick),
        2 => worker().prop_map(Action::Crash),
        1 => worker().prop_map(Action::Pause),
        2 => worker().prop_map(Action::Continue),
        2 => worker().prop_map(Action::Disconnect),
        1 => Just(Action::Wipe),
        1 => Just(Action::EnqueueAgain),
    ]
}

fn play(actions: &[Action], outcomes: Vec<u8>, sabotage: Sabotage) -> Result<(), TestCaseError> {
    let mut world = World::new(outcomes, sabotage);
    for action in actions {
        world.act(action);
    }
    world.heal()?;
    world.verify()
}

fn without_wipe_and_pause(actions: &[Action]) -> Vec<Action> {
    let calm = |action: &&Action| !matches!(action, Action::Wipe | Action::Pause(_));
    actions.iter().filter(calm).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_every_second_run_is_explained(
        actions in prop::collection::vec(action(), 0..120),
        outcomes in prop::collection::vec(any::<u8>(), 3),
    ) {
        play(&actions, outcomes.clone(), Sabotage::None)?;
        play(&without_wipe_and_pause(&actions), outcomes, Sabotage::None)?;
    }
}

/// Runs many random plays of a broken rule and tells what the checks say; they must say something.
fn caught(sabotage: Sabotage) -> Option<String> {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let plays = (prop::collection::vec(action(), 0..120), prop::collection::vec(any::<u8>(), 3));
    (0..20_000).find_map(|_| {
        let (actions, outcomes) = plays.new_tree(&mut runner).ok()?.current();
        play(&actions, outcomes.clone(), sabotage)
            .and_then(|()| play(&without_wipe_and_pause(&actions), outcomes, sabotage))
            .err()
            .map(|error| error.to_string())
    })
}

#[test]
fn a_broken_rule_is_caught() {
    for sabotage in [Sabotage::AckBeforePublish, Sabotage::BareSetnx, Sabotage::NoGrace] {
        let what = caught(sabotage);
        assert!(what.is_some(), "{sabotage:?} was not caught");
    }
    assert_eq!(caught(Sabotage::None), None);
}

/// Too rare for chance: a wipe lets a robbed owner decide, it dies, and the robber is refused.
#[test]
fn a_refused_owner_that_acks_loses_the_task() {
    let (first, second) = (0, 1);
    let mut actions = vec![Action::Deliver(first, 0), Action::Advance(first, 0)];
    actions.extend([Action::Pause(first), Action::Disconnect(first)]);
    actions.extend(vec![Action::Tick; 4]);
    actions.extend([Action::Deliver(second, 0)]);
    actions.extend(vec![Action::Advance(second, 0); 2]); // claim: busy; judge: dead
    actions.extend([Action::Continue(first), Action::Tick]);
    actions.extend(vec![Action::Advance(first, 0)]); // starts
    actions.extend([Action::Advance(second, 0), Action::Wipe]); // takes over
    actions.extend(vec![Action::Advance(first, 0); 2]); // ends, decides on the wiped ledger
    actions.push(Action::Crash(first));
    actions.extend(vec![Action::Advance(second, 0); 3]); // starts, ends, is refused
    let done_with_follow_up = vec![1, 1, 1];
    play(&actions, done_with_follow_up.clone(), Sabotage::None).unwrap();
    let lost = play(&actions, done_with_follow_up, Sabotage::AckRefused).unwrap_err();
    assert!(lost.to_string().contains("lost: the follow-up"), "{lost}");
}
