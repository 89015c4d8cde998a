//! One task with all its messages, its entry and two workers, and what happens to them.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::rules::{self, Change};
use leveret_common::ledger::{Cancel, Ending, Entry, Held, Release, Ruling};
use leveret_common::store::{Heartbeat, WorkerInfo, WorkerState};
use proptest::prelude::*;

use super::ghost::Ghost;
use super::{
    Action, CANCELLED_FOR, DEAD_MAN_TICKS, KEPT, KEPT_LONG, SLOTS, Sabotage, TICK, TTL_TICKS,
};
use crate::settle::journey::{Claimed, Event, Journey, Length, Step};

#[derive(Debug)]
pub(super) struct Travel {
    pub(super) journey: Journey,
    pub(super) order: Order,
    pub(super) connected: bool,
    pub(super) step: Step,
    /// Set between start and end of the handler.
    pub(super) running: Option<Claimed>,
    pub(super) held: Option<Claimed>,
    /// The decision is recorded: a reset needs no reassertion any more.
    pub(super) decided: bool,
    /// A parked copy stands for the delivery.
    pub(super) detached: bool,
    /// A suspect whose turn has not come: its claim is given back.
    pub(super) waits: bool,
}

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) owner: Owner,
    pub(super) paused: bool,
    pub(super) travels: Vec<Travel>,
    pub(super) renewed_at: u64,
    pub(super) unbroken_since: u64,
}

pub(super) struct World {
    pub(super) id: TaskId,
    pub(super) now: u64,
    pub(super) lane: Vec<Order>,
    pub(super) delayed: Vec<Order>,
    /// Copies of detached tasks, each with its due time.
    pub(super) parked: Vec<(u64, Order)>,
    /// The dead letters that rest in their queue.
    pub(super) letters: Vec<Order>,
    pub(super) length: Length,
    pub(super) entry: Option<Entry>,
    /// When the entry ends.
    ends_at: u64,
    pub(super) beats: BTreeMap<Owner, (Heartbeat, u64)>,
    pub(super) workers: Vec<Worker>,
    pub(super) ghost: Ghost,
    pub(super) outcomes: Vec<u8>,
    /// The expiry, which replays do not have.
    pub(super) expires_at: Option<Millis>,
    /// The greatest replay that was ever sent, and what the records know of that.
    pub(super) sent_replay: u32,
    known_replay: u32,
    tokens: u64,
    pub(super) sabotage: Sabotage,
}

impl World {
    pub(super) fn new(length: Length, outcomes: Vec<u8>, sabotage: Sabotage) -> Self {
        let now = 1_000_000 * TICK;
        let mut world = Self {
            id: TaskId::mint(),
            now,
            lane: vec![Order::FIRST],
            delayed: Vec::new(),
            parked: Vec::new(),
            letters: Vec::new(),
            length,
            entry: None,
            ends_at: 0,
            beats: BTreeMap::new(),
            workers: Vec::new(),
            ghost: Ghost::default(),
            outcomes,
            expires_at: None,
            sent_replay: 0,
            known_replay: 0,
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

    pub(super) fn token(&mut self) -> Token {
        self.tokens += 1;
        Token(self.tokens)
    }

    /// The retention of `Config::retention_of`.
    pub(super) fn kept(&self) -> Duration {
        match self.length {
            Length::Short => KEPT,
            Length::Long => KEPT_LONG,
        }
    }

    pub(super) fn after(&self, time: Duration) -> u64 {
        self.now + u64::try_from(time.as_micros()).unwrap()
    }

    pub(super) fn apply(&mut self, change: Change) {
        let before = self.entry.clone();
        match change {
            Change::Keep => return,
            Change::Put(entry, ttl) => (self.entry, self.ends_at) = (Some(entry), self.after(ttl)),
            Change::Amend(entry) => self.entry = Some(entry),
            Change::Prolong(entry, ttl) => {
                self.entry = Some(entry);
                if self.sabotage != Sabotage::CancelKeptAsBefore {
                    self.ends_at = self.ends_at.max(self.after(ttl));
                }
            }
        }
        if let Some(Entry::Settled(settled)) = self.entry
            && before != self.entry
        {
            let until = self.after(self.kept());
            match settled.ending {
                Ending::Cancelled => self.ghost.cancel.recorded(settled.replay, until),
                Ending::Expired => drop(self.ghost.expired.insert(settled.replay)),
                Ending::Done | Ending::Dead(_) => self.ghost.cancel.flag_settled(),
            }
        }
    }

    /// Rules L3, L4, L5.
    pub(super) fn beat(&mut self, index: usize) {
        let (now, ttl) = (self.now, self.kept());
        let worker = &mut self.workers[index];
        let held = worker
            .travels
            .iter()
            .filter_map(|travel| travel.held.map(|claimed| (self.id, claimed.hold.fence)))
            .collect();
        let info = WorkerInfo {
            at: Millis(0),
            host: String::new(),
            pid: 0,
            started_at: Millis(0),
            version: String::new(),
            slots: 2,
            in_use: 0,
            lanes: Vec::new(),
            kinds: Vec::new(),
            state: WorkerState::Running,
            attempts: 0,
            memory: 0,
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
                .filter(|travel| (travel.connected || travel.detached) && !travel.decided)
                .filter_map(|travel| {
                    travel.held.map(|claimed| Held {
                        id: self.id,
                        hold: claimed.hold,
                        token: claimed.token,
                        order: travel.order,
                        toll: claimed.toll,
                        ttl,
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
        if now >= self.ends_at && self.entry.take().is_some() {
            self.ghost.forgotten = true;
            self.ghost.cancel.flag_ended();
        }
        self.beats.retain(|_, (_, at)| now - *at < TTL_TICKS * TICK);
        for index in 0..self.workers.len() {
            if !self.workers[index].paused {
                self.beat(index);
            }
        }
        self.lane.append(&mut self.delayed);
        let due = self.parked.extract_if(.., |(at, _)| *at <= now);
        self.lane.extend(due.map(|(_, order)| order));
    }

    /// Lets the retention go by while nobody takes anything, as from a paused queue.
    fn rest(&mut self) {
        if self.workers.iter().any(|worker| worker.paused || !worker.travels.is_empty()) {
            return;
        }
        self.now = self.after(KEPT);
        for worker in &mut self.workers {
            worker.renewed_at = self.now;
            if let Some((_, at)) = self.beats.get_mut(&worker.owner) {
                *at = self.now;
            }
        }
        self.tick();
    }

    pub(super) fn park_dead_man(&mut self, order: Order) {
        self.parked.push((self.now + DEAD_MAN_TICKS * TICK, order));
    }

    fn deliver(&mut self, index: usize, pick: usize) {
        let worker = &self.workers[index];
        if worker.paused || worker.travels.len() >= SLOTS || self.lane.is_empty() {
            return;
        }
        let order = self.lane.remove(pick % self.lane.len());
        let (token, length) = (self.token(), self.length);
        let worker = &mut self.workers[index];
        let mut journey = Journey::new(worker.owner, order, length);
        let step = journey.on(Event::Delivered, true, token);
        worker.travels.push(Travel {
            journey,
            order,
            connected: true,
            step,
            running: None,
            held: None,
            decided: false,
            detached: false,
            waits: false,
        });
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

    /// The suspect's turn has not come: its claim is given back; on the second call its message is
    /// put off.
    fn stand_by(&mut self, index: usize, pick: usize) {
        let worker = &self.workers[index];
        if worker.paused || worker.travels.is_empty() {
            return;
        }
        let at = pick % worker.travels.len();
        let travel = &worker.travels[at];
        let claimed = match (&travel.step, self.length) {
            (Step::Start { claimed }, Length::Short) | (Step::Detach { claimed }, Length::Long) => {
                *claimed
            }
            _ => return,
        };
        if travel.running.is_some() {
            return;
        }
        if travel.waits {
            let travel = self.workers[index].travels.remove(at);
            self.delayed.push(travel.order);
            return;
        }
        if self.sabotage != Sabotage::WaitsWithClaim {
            self.give_back(claimed);
            self.workers[index].travels[at].held = None;
        }
        self.workers[index].travels[at].waits = true;
    }

    fn give_back(&mut self, claimed: Claimed) -> Ruling {
        let brief = self.sabotage == Sabotage::ReleasedBriefly;
        let ttl = if brief { KEPT } else { self.kept() };
        let ask = Release { id: self.id, hold: claimed.hold, ttl };
        let entry = self.flagged_entry();
        let (ruling, change) = rules::release(entry.as_ref(), &ask);
        self.apply(change);
        ruling
    }

    /// The entry as a request sees it.
    pub(super) fn flagged_entry(&self) -> Option<Entry> {
        let mut entry = self.entry.clone();
        if self.sabotage == Sabotage::FlagIgnored
            && let Some(Entry::Running(held)) = &mut entry
        {
            held.cancel = false;
        }
        entry
    }

    /// Ends a worker in order: a claim whose handler has not ended is given back. What has ended
    /// was not settled within the grace, and ends as in a crash.
    fn drain(&mut self, index: usize) {
        let owner = self.workers[index].owner;
        let waited = self.waits_with_entry(index);
        for travel in std::mem::take(&mut self.workers[index].travels) {
            self.ghost.drained += u32::from(travel.held.is_some() && !travel.decided);
            let has_not_ended =
                matches!(travel.step, Step::Detach { .. } | Step::LetGo | Step::Start { .. });
            let held = travel.held.filter(|_| has_not_ended);
            let ruling = held.map(|claimed| self.give_back(claimed));
            let is_settled = ruling == Some(Ruling::Cancelled);
            let is_given_back = travel.detached && ruling == Some(Ruling::Accepted);
            if is_given_back || (travel.connected && !is_settled) {
                self.lane.push(travel.order);
            }
        }
        self.beats.remove(&owner);
        self.replace(index, waited);
    }

    fn crash(&mut self, index: usize) {
        if self.workers[index].travels.is_empty() {
            return;
        }
        self.ghost.crash_while_running |=
            self.workers[index].travels.iter().any(|t| t.held.is_some() && !t.decided);
        let waited = self.waits_with_entry(index);
        self.disconnect(index);
        self.replace(index, waited);
    }

    /// Tells whether what the entry says to be run only waits for its turn.
    fn waits_with_entry(&self, index: usize) -> bool {
        let Some(Entry::Running(running)) = &self.entry else { return false };
        let holds = |travel: &&Travel| travel.held.is_some_and(|held| held.hold == running.hold);
        self.workers[index].travels.iter().find(holds).is_some_and(|travel| travel.waits)
    }

    fn replace(&mut self, index: usize, waited: bool) {
        let owner = self.workers[index].owner;
        let left = matches!(&self.entry, Some(Entry::Running(held)) if held.hold.owner == owner);
        self.ghost.kills += u32::from(left && !waited);
        self.workers[index] = self.fresh_worker();
        self.beat(index);
    }

    /// As an operator does, who knows what the records know.
    fn cancel(&mut self) {
        let ask = Cancel { id: self.id, replay: self.known_replay, ttl: CANCELLED_FOR };
        let (said, change) = rules::cancel(self.entry.as_ref(), &ask);
        self.apply(change);
        let until = self.after(CANCELLED_FOR);
        self.ghost.cancel.answered(said, self.entry.as_ref(), until);
    }

    /// Sends a letter's task again; whoever does it may die before the letter is acked.
    fn replay(&mut self, pick: usize, dies: bool) {
        if self.letters.is_empty() {
            return;
        }
        let at = pick % self.letters.len();
        let replay = self.letters[at].replay + 1;
        // A letter whose replay is on its way is hidden.
        if replay <= self.known_replay {
            return;
        }
        if !dies {
            self.letters.remove(at);
        }
        self.lane.push(Order { replay, attempt: 1 });
        self.sent_replay = self.sent_replay.max(replay);
        self.known_replay = replay;
    }

    pub(super) fn act(&mut self, action: &Action) {
        match *action {
            Action::Deliver(worker, pick) => self.deliver(worker % 2, pick),
            Action::Advance(worker, pick) => self.advance(worker % 2, pick, false),
            Action::AdvanceReplyLost(worker, pick) => self.advance(worker % 2, pick, true),
            Action::Tick => self.tick(),
            Action::Rest => self.rest(),
            Action::Crash(worker) => self.crash(worker % 2),
            Action::Drain(worker) => {
                if !self.workers[worker % 2].paused {
                    self.drain(worker % 2);
                }
            }
            Action::StandBy(worker, pick) => self.stand_by(worker % 2, pick),
            Action::Pause(worker) => {
                self.ghost.paused = true;
                self.workers[worker % 2].paused = true;
            }
            Action::Continue(worker) => self.workers[worker % 2].paused = false,
            Action::Disconnect(worker) => self.disconnect(worker % 2),
            Action::Wipe => {
                self.ghost.wiped = true;
                self.ghost.cancel.wiped();
                self.entry = None;
                self.known_replay = 0;
                self.beats.clear();
            }
            Action::EnqueueAgain => self.lane.push(Order::FIRST),
            Action::Cancel => self.cancel(),
            Action::Replay(pick, dies) => self.replay(pick, dies),
            Action::Expire => {
                self.expires_at.get_or_insert(Millis(self.now / 1_000));
            }
        }
    }

    fn at_rest(&self) -> bool {
        self.lane.is_empty()
            && self.delayed.is_empty()
            && self.parked.is_empty()
            && self.workers.iter().all(|worker| worker.travels.is_empty())
    }

    /// No more faults: everything that can move moves, time passes.
    pub(super) fn heal(&mut self) -> Result<(), TestCaseError> {
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
}
