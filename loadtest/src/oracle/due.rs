//! By when a task has to run again that an event took from its worker.
//!
//! An event explains a second run that follows from it, and none that comes whenever it likes. What it sets free runs
//! again after a bounded *way*: the claim has to lapse and contact with the store to be unbroken for one heartbeat TTL
//! each (rules L1 and L4), a connection that only fell silent has to be missed for two AMQP heartbeats, the copy that
//! came meanwhile is parked for the longest wait there is, or for the dead-man's time. A suspect of poison waits for its
//! turn and a pause beside that (rule P2). All of it comes from the fleet's settings, by [`Limits`].
//!
//! Only this makes the way longer:
//!
//! - **Another event** that begins before it is at its end. While broker or store are away, or nobody works, nothing
//!   gets on, so the way counts anew from the end of that. The end of a worker counts anew where the task is told of a
//!   crash, for it may have been claimed there; else it went back to its lane at once.
//! - **A long run** of another task that goes on when the way is at its end: it may hold the slots, or the turn.
//! - **A backlog.** Nobody is believed that there was one: it is measured by tasks of the same kind, which wait in the
//!   same lane. One that was accepted after the end of the way, and has begun, came later into the line and had its turn.
//!
//! So a second run is late where neither the rules nor anything that happened, nor the lane, can have held it up.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;

use super::accepted::Accepted;
use super::event::Event;
use super::history::{History, Run};
use super::window::{Limits, recorded_by};

/// How long tasks waited for their turns in a play, and what held them up.
#[derive(Debug, Clone, Default)]
pub struct Waits {
    kinds: BTreeMap<TaskId, String>,
    /// When tasks were accepted and began, by kind, those that were accepted first ahead.
    begins: BTreeMap<String, Vec<(Millis, Millis)>>,
    /// Runs that took long.
    long: Vec<(TaskId, Millis, Millis)>,
}

impl Waits {
    /// Measures them.
    #[must_use]
    pub fn of(accepted: &Accepted, history: &History, events: &[Event], limits: &Limits) -> Self {
        let mut waits = Self::default();
        for (id, promise) in accepted.tasks() {
            waits.kinds.insert(*id, promise.kind.clone());
            if let Some(first) = history.of(*id).first() {
                let begins = waits.begins.entry(promise.kind.clone()).or_default();
                begins.push((promise.at, first.began));
            }
        }
        waits.begins.values_mut().for_each(|begins| begins.sort_unstable());
        for run in history.all() {
            // Of one that was cut short on a worker that lives nobody knows how long it took.
            let over = run.end.map(|end| end.at).or_else(|| end_of(run.worker, events));
            if let Some(over) = over.filter(|over| over.since(run.began) > limits.patience) {
                waits.long.push((run.id, run.began, over));
            }
        }
        waits
    }

    /// Returns the latest at which `next` may begin because `event` met `first`.
    #[must_use]
    pub fn latest(
        &self,
        event: &Event,
        first: &Run,
        next: &Run,
        events: &[Event],
        limits: &Limits,
    ) -> Millis {
        let way = way(next, limits);
        let recorded = first.end.map_or(Millis(0), |_| recorded_by(first, events, limits));
        let mut by = event.ended().max(recorded).after(way);
        // Most second runs come that soon, and nothing else has to be looked at.
        while next.began > by {
            let held_up = events
                .iter()
                .filter(|other| other.began() <= by)
                .map(|other| other.ended().after(again(other, next, limits)));
            let under_way =
                self.long.iter().filter(|(id, from, to)| *id != next.id && *from <= by && *to > by);
            let longer = held_up.chain(under_way.map(|(_, _, to)| to.after(way))).max();
            match longer.filter(|longer| *longer > by) {
                Some(longer) => by = longer,
                None => return self.turn_of(next.id, by).after(limits.patience),
            }
        }
        by
    }

    /// Returns when a task had its turn that came into the lane of `id` at `at`.
    fn turn_of(&self, id: TaskId, at: Millis) -> Millis {
        let kind = self.kinds.get(&id);
        let Some(begins) = kind.and_then(|kind| self.begins.get(kind)) else { return at };
        let (before, after) = begins.split_at(begins.partition_point(|(came, _)| *came < at));
        let turn = match after.iter().map(|(_, began)| *began).min() {
            Some(turn) => Some(turn),
            // Nobody came any more: the lane was worked off when the last one had begun.
            None => before.iter().map(|(_, began)| *began).max(),
        };
        turn.map_or(at, |turn| turn.max(at))
    }
}

/// How long after an event `next` may begin by the rules.
fn way(next: &Run, limits: &Limits) -> Duration {
    let noticed = limits.broker_heartbeat * 2;
    let lapsed = limits.heartbeat_ttl * 2;
    let parked = limits.busy_park.max(limits.dead_man());
    let turn = if next.crashes > 0 { limits.turn() } else { Duration::ZERO };
    noticed + lapsed + parked + turn + limits.patience
}

/// How long after the end of another event `next` may begin, where that one held it up.
fn again(event: &Event, next: &Run, limits: &Limits) -> Duration {
    match event {
        Event::Killed { .. } | Event::Drained { .. } if next.crashes == 0 => limits.patience,
        Event::Killed { .. }
        | Event::Drained { .. }
        | Event::Stopped { .. }
        | Event::CutOff { .. }
        | Event::Wiped { .. }
        | Event::RolledBack { .. }
        | Event::BrokerLost { .. }
        | Event::Unmanned { .. } => way(next, limits),
        Event::Replayed { .. } | Event::Told { .. } => Duration::ZERO,
    }
}

/// Returns when a worker was gone.
fn end_of(worker: u32, events: &[Event]) -> Option<Millis> {
    events.iter().find_map(|event| match *event {
        Event::Killed { pid, at } if pid == worker => Some(at),
        Event::Drained { pid, to, .. } if pid == worker => Some(to),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::history::End;
    use super::*;

    const KILLED: Event = Event::Killed { pid: 1, at: Millis(20_000) };

    fn run(id: TaskId, worker: u32, began: u64) -> Run {
        Run { id, attempt: 1, fence: began, crashes: 0, worker, began: Millis(began), end: None }
    }

    /// The latest at which a task may run again whose worker 1 was killed at second 20, in seconds.
    fn latest(waits: &Waits, id: TaskId, crashes: u32, others: &[Event]) -> u64 {
        let (first, mut next) = (run(id, 1, 10_000), run(id, 2, u64::MAX));
        next.crashes = crashes;
        let events = [&[KILLED], others].concat();
        waits.latest(&KILLED, &first, &next, &events, &Limits::default()).0 / 1_000
    }

    fn alone(others: &[Event]) -> u64 {
        latest(&Waits::default(), TaskId::mint(), 0, others)
    }

    #[test]
    fn the_way_is_what_the_rules_allow() {
        // Two AMQP heartbeats, two TTLs, the dead-man's time, twice the patience.
        assert_eq!(alone(&[]), 20 + 20 + 30 + 45 + 10);
        let suspect = latest(&Waits::default(), TaskId::mint(), 1, &[]);
        assert_eq!(suspect, alone(&[]) + 15 * 15);
    }

    #[test]
    fn it_counts_anew_from_what_held_it_up() {
        let away = |from, to| Event::BrokerLost { from: Millis(from), to: Millis(to) };
        assert_eq!(alone(&[away(100_000, 400_000)]), 400 + 100 + 5);
        // Nobody worked while nobody was there.
        let unmanned = Event::Unmanned { from: Millis(20_000), to: Millis(300_000) };
        assert_eq!(alone(&[unmanned]), 300 + 100 + 5);
        // Too late to have met it.
        assert_eq!(alone(&[away(300_000, 400_000)]), alone(&[]));
    }

    #[test]
    fn the_end_of_another_worker_counts_where_the_task_was_charged_for_it() {
        let other = [Event::Killed { pid: 5, at: Millis(110_000) }];
        assert_eq!(alone(&other), alone(&[]));
        let charged = latest(&Waits::default(), TaskId::mint(), 2, &other);
        assert_eq!(charged, 110 + 100 + 15 * 15 + 5);
    }

    #[test]
    fn a_long_run_may_hold_the_turn_and_its_own_orphan_may_not() {
        let id = TaskId::mint();
        let mut neighbour = run(TaskId::mint(), 2, 100_000);
        neighbour.end = Some(End { at: Millis(500_000), code: 0 });
        let held = |of: &Run| Waits {
            long: vec![(of.id, of.began, of.end.map_or(of.began, |end| end.at))],
            ..Waits::default()
        };
        assert_eq!(latest(&held(&neighbour), id, 0, &[]), 500 + 100 + 5);
        neighbour.id = id;
        assert_eq!(latest(&held(&neighbour), id, 0, &[]), alone(&[]));
    }

    #[test]
    fn a_backlog_is_measured_by_who_came_later() {
        let id = TaskId::mint();
        let waits = |others: &[(u64, u64)]| {
            let begins = others.iter().map(|(came, began)| (Millis(*came), Millis(*began)));
            Waits {
                kinds: BTreeMap::from([(id, "ok".to_owned())]),
                begins: BTreeMap::from([("ok".to_owned(), begins.collect())]),
                long: Vec::new(),
            }
        };
        // Who came at second 130 had to wait until 700; so had this one.
        assert_eq!(latest(&waits(&[(130_000, 700_000)]), id, 0, &[]), 705);
        // Another one that came then did not: it was overtaken.
        let overtaken = waits(&[(130_000, 700_000), (140_000, 141_000)]);
        assert_eq!(latest(&overtaken, id, 0, &[]), 146);
        // Nobody came later: those who came before tell when the lane was worked off.
        assert_eq!(latest(&waits(&[(30_000, 300_000)]), id, 0, &[]), 305);
    }
}
