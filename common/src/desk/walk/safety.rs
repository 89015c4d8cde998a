//! Looks for a lost task and for a replay that runs twice, among random steps of walkers, workers
//! and the broker.
//!
//! One task, its copies in a lane and among the dead, and the pure rules of ledger and desk. A
//! walker may be killed after each step and so may a worker; what was in hand is there again.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::standing::{Standing, standing};
use crate::broker::{Destination, Publish};
use crate::clock::Millis;
use crate::desk::letter;
use crate::envelope::{DeadReason, HeaderValue, Order, Wire, header};
use crate::id::{Owner, TaskId, Token};
use crate::ledger::rules::{self, Change};
use crate::ledger::{
    Answer, Claim, Decide, Decision, Ending, Entry, Failure, Hold, Mark, Marking, Outcome, Ruling,
    Settled, Takeover,
};
use crate::name::{Namespace, QueueName};

const TTL: Duration = Duration::from_secs(1);
/// More rounds than any story needs to come to its end.
const ROUNDS: usize = 60;

/// How far somebody comes before the process is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Taken,
    Decided,
    Published,
    Marked,
    Acked,
}

#[derive(Debug, Clone)]
enum Step {
    /// A worker receives a message of the lane.
    Receive(prop::sample::Index),
    /// A worker ends a task that it runs, well or badly.
    End { which: prop::sample::Index, done: bool, reach: Reach },
    /// A walker looks at a letter, and replays it or keeps it.
    Walk { which: prop::sample::Index, replay: bool, reach: Reach },
    /// The broker moves a message of the lane to the dead letters by itself.
    GiveUp(prop::sample::Index),
    /// The store is wiped.
    Wipe,
}

/// A task that a worker runs.
struct Held {
    wire: Wire,
    hold: Hold,
}

struct World {
    id: TaskId,
    namespace: Namespace,
    queue: QueueName,
    now: u64,
    entry: Option<Entry>,
    lane: Vec<Wire>,
    dead: Vec<Wire>,
    held: Vec<Held>,
    /// Starts of each replay, and workers killed before they had decided on it.
    starts: BTreeMap<u32, u32>,
    kills: BTreeMap<u32, u32>,
    /// The ledger knows all it ever knew.
    intact: bool,
    /// It was completed once.
    done: bool,
}

fn order(wire: &Wire) -> Order {
    let number = |name| wire.number(name).and_then(|number| u32::try_from(number).ok());
    Order {
        replay: number(header::REPLAY).unwrap_or(0),
        attempt: number(header::ATTEMPT).unwrap_or(1),
    }
}

fn failed() -> Decision {
    let failure = Failure { class: "x".to_owned(), message: "y".to_owned(), at: Millis(1) };
    let outcome = Outcome::Dead { reason: DeadReason::Handler, failure };
    Decision { outcome, follow_ups: Vec::new() }
}

impl World {
    fn new() -> Self {
        let id = TaskId::mint();
        let task = Wire {
            message_id: Some(id.to_string()),
            kind: Some("a.b".to_owned()),
            body: Bytes::from_static(b"{}"),
            ..Wire::default()
        };
        Self {
            id,
            namespace: Namespace::default(),
            queue: "mail".parse().unwrap(),
            now: 1_000_000,
            entry: None,
            lane: vec![task],
            dead: Vec::new(),
            held: Vec::new(),
            starts: BTreeMap::new(),
            kills: BTreeMap::new(),
            intact: true,
            done: false,
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Keep => {}
            Change::Put(entry, _) | Change::Amend(entry) | Change::Prolong(entry, _) => {
                self.entry = Some(entry);
            }
        }
        if let Some(Entry::Settled(Settled { ending: Ending::Done, .. })) = self.entry {
            self.done = true;
        }
    }

    fn step(&mut self, step: &Step) {
        self.now += 1_000;
        match step {
            Step::Receive(which) if !self.lane.is_empty() => {
                let at = which.index(self.lane.len());
                self.receive(at);
            }
            Step::End { which, done, reach } if !self.held.is_empty() => {
                let at = which.index(self.held.len());
                self.end(at, *done, *reach);
            }
            Step::Walk { which, replay, reach } if !self.dead.is_empty() => {
                let at = which.index(self.dead.len());
                self.walk(at, *replay, *reach);
            }
            Step::GiveUp(which) if !self.lane.is_empty() => {
                let at = which.index(self.lane.len());
                let wire = self.lane.remove(at);
                self.dead.push(wire);
            }
            Step::Wipe => {
                self.entry = None;
                self.intact = false;
            }
            _ => {}
        }
        self.is_somewhere();
    }

    /// A worker claims the message at this place, and runs it, or does what the answer says.
    fn receive(&mut self, at: usize) {
        let wire = self.lane.remove(at);
        let claim = Claim {
            id: self.id,
            order: order(&wire),
            owner: Owner::mint(),
            token: Token::draw(),
            expires_at: None,
            max_crashes: 3,
            ttl: TTL,
        };
        let (mut answer, mut change) = rules::claim(self.entry.as_ref(), &claim, self.now);
        loop {
            self.apply(change);
            match answer {
                Answer::Claimed { fence, .. } => {
                    *self.starts.entry(claim.order.replay).or_default() += 1;
                    let hold = Hold { owner: claim.owner, fence };
                    return self.held.push(Held { wire, hold });
                }
                Answer::Settled(_) | Answer::Stale => return,
                Answer::Busy { hold, .. } if self.held.iter().any(|held| held.hold == hold) => {
                    return self.lane.push(wire);
                }
                Answer::Busy { hold, .. } => {
                    let ask = Takeover { claim: claim.clone(), expected: hold, orphan: false };
                    (answer, change) = rules::take_over(self.entry.as_ref(), &ask, self.now);
                }
                Answer::Resume { fence, order, decision } => {
                    let hold = Hold { owner: claim.owner, fence };
                    self.publish(&wire, order, &decision);
                    self.mark(hold, order, &decision);
                    (answer, change) = rules::claim(self.entry.as_ref(), &claim, self.now);
                }
                Answer::Again => {
                    (answer, change) = rules::claim(self.entry.as_ref(), &claim, self.now);
                }
            }
        }
    }

    /// Publishes what was decided: a dead letter, or nothing.
    fn publish(&mut self, wire: &Wire, order: Order, decision: &Decision) {
        if !matches!(decision.outcome, Outcome::Dead { .. }) {
            return;
        }
        let mut letter = wire.clone();
        for (name, value) in [
            (header::REPLAY, HeaderValue::from(order.replay)),
            (header::ATTEMPT, order.attempt.into()),
            (header::REASON, "handler".into()),
            (header::ERROR, "y".into()),
            (header::ORIGIN, "mail.normal".into()),
            (header::DEAD_AT, 1_u32.into()),
        ] {
            letter.headers.insert(name.to_owned(), value);
        }
        self.dead.push(letter);
    }

    fn mark(&mut self, hold: Hold, order: Order, decision: &Decision) -> Ruling {
        let marking = match &decision.outcome {
            Outcome::Dead { reason, .. } => Marking::Dead(*reason),
            _ => Marking::Done,
        };
        let ask = Mark { id: self.id, hold, order, marking, ttl: TTL };
        let (ruling, change) = rules::mark(self.entry.as_ref(), &ask);
        self.apply(change);
        ruling
    }

    /// A worker ends what it runs. Killed, or refused, its message is in the lane again.
    fn end(&mut self, at: usize, done: bool, reach: Reach) {
        let Held { wire, hold } = self.held.remove(at);
        let order = order(&wire);
        let decision = match done {
            true => Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() },
            false => failed(),
        };
        if reach == Reach::Taken {
            *self.kills.entry(order.replay).or_default() += 1;
            return self.lane.push(wire);
        }
        // Done without follow-ups is marked without a decision.
        if !done {
            let decided = decision.clone();
            let ask = Decide { id: self.id, hold, order, decision: decided, ttl: TTL };
            let (ruling, change) = rules::decide(self.entry.as_ref(), &ask, self.now);
            self.apply(change);
            if ruling != Ruling::Accepted || reach == Reach::Decided {
                return self.lane.push(wire);
            }
            self.publish(&wire, order, &decision);
            if reach == Reach::Published {
                return self.lane.push(wire);
            }
        } else if reach < Reach::Marked {
            *self.kills.entry(order.replay).or_default() += 1;
            return self.lane.push(wire);
        }
        if self.mark(hold, order, &decision) != Ruling::Accepted || reach == Reach::Marked {
            self.lane.push(wire);
        }
    }

    /// A walker takes one letter, as [`super::round::Walk`] does it. Killed, the letter is there again.
    fn walk(&mut self, at: usize, replay: bool, reach: Reach) {
        let wire = self.dead.remove(at);
        let described = letter::describe(&self.namespace, &self.queue, &wire, Millis(1), Millis(1));
        let lane = letter::origin(&wire, &self.namespace, &self.queue);
        // A keeper looks after holders, and replays nothing.
        let holder = match &self.entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) => Some(held.hold),
            Some(Entry::Waiting(_) | Entry::Settled(_)) | None => None,
        };
        let lives = |hold: Hold| self.held.iter().any(|held| held.hold == hold);
        let is_gone = !replay && holder.is_some_and(|hold| !lives(hold));
        let (queue, namespace, now) = (&self.queue, &self.namespace, Millis(1));
        let copy = match standing(&described, &wire, self.entry.as_ref(), is_gone) {
            Standing::Superseded => None,
            Standing::OnItsWay | Standing::Untouchable if letter::is_stray(&wire) => {
                Some(letter::hold(&wire, queue, namespace))
            }
            Standing::NeverStarted | Standing::Owed => Some(letter::send_back(&wire, lane)),
            Standing::Unexplained => Some(letter::explain(&wire, queue, &lane, now)),
            Standing::Dead if replay => {
                Some(letter::replay(&wire, lane, described.order.replay + 1))
            }
            Standing::Dead | Standing::OnItsWay | Standing::Untouchable => {
                Some(letter::keep(&wire, queue, now))
            }
        };
        if reach >= Reach::Published {
            match copy {
                Some(Publish { to: Destination::Dead(_), wire }) => self.dead.push(wire),
                Some(Publish { wire, .. }) => self.lane.push(wire),
                None => {}
            }
        }
        if reach < Reach::Acked {
            self.dead.push(wire);
        }
    }

    fn is_somewhere(&self) {
        let rests = self.lane.len() + self.dead.len() + self.held.len();
        assert!(rests > 0 || self.done, "the task is lost");
    }

    /// Everybody does what is left to do, and nobody is killed any more.
    fn come_to_an_end(&mut self) {
        for _ in 0..ROUNDS {
            self.now += 1_000;
            while !self.held.is_empty() {
                self.end(0, true, Reach::Acked);
            }
            for _ in 0..self.lane.len() {
                self.receive(0);
            }
            while !self.held.is_empty() {
                self.end(0, true, Reach::Acked);
            }
            for _ in 0..self.dead.len() {
                self.walk(0, true, Reach::Acked);
            }
            self.is_somewhere();
            if self.lane.is_empty() && self.dead.is_empty() {
                assert!(self.done, "it ended as {:?}", self.entry);
                return;
            }
            // The broker gave the message of a killed worker up: its entry ends by itself.
            if self.lane.is_empty() {
                self.entry = None;
                self.intact = false;
            }
        }
        panic!("it never ends: {:?}, {:?}, {:?}", self.lane, self.dead, self.entry);
    }
}

fn reach() -> impl Strategy<Value = Reach> {
    use Reach::{Acked, Decided, Marked, Published, Taken};
    prop_oneof![
        1 => Just(Taken), 1 => Just(Decided), 1 => Just(Published), 1 => Just(Marked),
        3 => Just(Acked),
    ]
}

fn step(wipes: u32) -> impl Strategy<Value = Step> {
    let index = any::<prop::sample::Index>;
    prop_oneof![
        6 => index().prop_map(Step::Receive),
        6 => (index(), prop::bool::weighted(0.2), reach())
            .prop_map(|(which, done, reach)| Step::End { which, done, reach }),
        6 => (index(), prop::bool::weighted(0.7), reach())
            .prop_map(|(which, replay, reach)| Step::Walk { which, replay, reach }),
        1 => index().prop_map(Step::GiveUp),
        wipes => Just(Step::Wipe),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_step_and_no_kill_loses_a_task_or_runs_a_replay_twice(
        steps in prop::collection::vec(step(0), 1..60)
    ) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.come_to_an_end();
        if world.intact {
            for (replay, starts) in &world.starts {
                let kills = world.kills.get(replay).copied().unwrap_or(0);
                prop_assert!(*starts <= 1 + kills, "replay {replay} was started {starts} times");
            }
        }
    }

    #[test]
    fn no_wipe_of_the_store_loses_a_task(steps in prop::collection::vec(step(2), 1..60)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
        }
        world.come_to_an_end();
    }
}
