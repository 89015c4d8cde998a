//! The agenda: which schedule is due when, and where each of them is on its way to the broker.
//!
//! A part of the loop's state; knows rows and instants, and decides nothing. What is done about a row
//! that is due is [`super::firing`]'s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use leveret_common::clock::Millis;

use super::departures::{Departures, Road};
use super::due::DueSet;
use super::overlap::Question;
use super::publisher::CHUNK;

/// What is due, and what is on its way; a part of the loop's state.
#[derive(Debug)]
pub(super) struct Agenda {
    /// By when they are planned: those that may be put in a lead before.
    pub(super) early: DueSet,
    /// By when they are planned: those whose previous occurrence is looked at, not before.
    pub(super) on_time: DueSet,
    /// By when they were planned: those that something is done about.
    pub(super) under_way: DueSet,
    /// Those that failed, by when they are tried again: after `began`.
    pub(super) again: DueSet,
    began: Instant,
    /// Those that are due while their road is full, by when they were planned.
    parked: BTreeMap<Road, BTreeSet<(Millis, u32)>>,
    /// Those with an occurrence that waits for the previous one.
    pub(super) waiting: BTreeSet<u32>,
    pub(super) look_at_waiting: Instant,
    /// The first of those that were not looked at yet in this round.
    pub(super) next_waiting: u32,
    pub(super) questions: Vec<Question>,
    pub(super) asking: bool,
    /// Decided, and on its way to the broker.
    pub(super) departures: Departures,
}

impl Agenda {
    pub(super) fn new() -> Self {
        Self {
            early: DueSet::default(),
            on_time: DueSet::default(),
            under_way: DueSet::default(),
            again: DueSet::default(),
            began: Instant::now(),
            parked: BTreeMap::new(),
            waiting: BTreeSet::new(),
            look_at_waiting: Instant::now(),
            next_waiting: 0,
            questions: Vec::new(),
            asking: false,
            departures: Departures::default(),
        }
    }

    /// Tells whether anything is with the broker.
    pub(super) fn is_sending(&self) -> bool {
        !self.departures.is_idle()
    }

    /// Returns when the oldest occurrence that is due was planned.
    pub(super) fn oldest(&self) -> Option<Millis> {
        [&self.early, &self.on_time, &self.under_way].iter().filter_map(|set| set.first()).min()
    }

    /// Forgets what is not on its way yet; returns the schedules that something was decided about.
    pub(super) fn clear(&mut self) -> Vec<u32> {
        self.early.clear();
        self.on_time.clear();
        self.under_way.clear();
        self.again.clear();
        self.parked.clear();
        self.waiting.clear();
        let decided = self.departures.clear().map(|firing| firing.row);
        let asked = std::mem::take(&mut self.questions).into_iter().map(|question| question.row);
        decided.chain(asked).collect()
    }

    /// Forgets a schedule.
    pub(super) fn forget(&mut self, row: u32) {
        for set in [&mut self.early, &mut self.on_time, &mut self.under_way, &mut self.again] {
            set.set(row, None);
        }
        self.waiting.remove(&row);
    }

    /// Returns how long there is nothing to do, as the clock shows `now`.
    pub(super) fn idle_for(&self, now: Millis, lead: Duration) -> Option<Duration> {
        let until = |due: Millis| due.since(now);
        let early = self.early.first().map(|due| until(due).saturating_sub(lead));
        let on_time = self.on_time.first().map(until);
        let first = early.into_iter().chain(on_time).min();
        let wait = |at: Instant| at.saturating_duration_since(Instant::now());
        let again = self.again.first().map(|at| at.since(self.elapsed()));
        let waiting =
            (!self.waiting.is_empty() && !self.asking).then(|| wait(self.look_at_waiting));
        [first, again, waiting].into_iter().flatten().min()
    }

    /// Returns how long this has been there.
    pub(super) fn elapsed(&self) -> Millis {
        Millis(0).after(self.began.elapsed())
    }

    /// Has a schedule tried again after `wait`.
    pub(super) fn try_again(&mut self, row: u32, wait: Duration) {
        // No earlier: the elapsed time is rounded down.
        let at = self.elapsed().after(wait);
        self.again.set(row, Some(at));
    }

    /// Puts a schedule aside whose road is full.
    pub(super) fn park(&mut self, road: Road, row: u32, planned: Option<Millis>) {
        self.under_way.set(row, planned);
        self.parked.entry(road).or_default().insert((planned.unwrap_or(Millis(0)), row));
    }

    /// Takes those out again whose road has room, the oldest first.
    pub(super) fn unpark(&mut self) -> Vec<u32> {
        let mut rows = Vec::new();
        for (road, parked) in &mut self.parked {
            let room = self.departures.room(road).min(CHUNK);
            rows.extend((0..room).map_while(|_| parked.pop_first()).map(|(_, row)| row));
        }
        self.parked.retain(|_, parked| !parked.is_empty());
        rows
    }
}
