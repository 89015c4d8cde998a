//! The windows in which a task may run a second time, and which of them a second run falls into.
//!
//! They are those of `docs/guarantees.md`. Guards that none is claimed wrongly: what was done to the system has
//! to have met the very run that came first, to lie close enough before the second one ([`due`](super::due)), and
//! explains one second run of it and no more.

use std::fmt;
use std::time::Duration;

use leveret_common::clock::Millis;

use super::due::Waits;
use super::event::Event;
use super::history::Run;

/// How exactly the times of two processes can be compared: a death is noticed a little later than it is.
pub(super) const SLACK: Duration = Duration::from_secs(1);

/// A window of `docs/guarantees.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Window {
    /// 1: the worker ended after the side effect and before its decision was recorded.
    Crash,
    /// 2: the worker lost its claim while it ran.
    Lease,
    /// 3: the ledger was wiped, or rolled back.
    Wipe,
    /// 4: the retention of *done* was over.
    Retention,
    /// 5: an operator replayed it.
    Replay,
}

impl Window {
    /// Returns its number on the page of guarantees.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Crash => 1,
            Self::Lease => 2,
            Self::Wipe => 3,
            Self::Retention => 4,
            Self::Replay => 5,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "window {}", self.number())
    }
}

/// What the windows of a play are measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How often a worker renews its claims.
    pub heartbeat: Duration,
    /// How long claims live without.
    pub heartbeat_ttl: Duration,
    /// How long the ledger remembers what is done.
    pub retention: Duration,
    /// How long it may take, while nothing is wrong, to record how a run ended.
    pub patience: Duration,
    /// How many workers may die with a task (`worker.max_crashes`).
    pub max_crashes: u32,
    /// How long a copy is parked at a time because its task is busy, at most: the last of the growing waits of the
    /// worker (`busy_wait` in `worker/src/settle/publishes.rs`).
    pub busy_park: Duration,
    /// The AMQP heartbeat (`broker.heartbeat`): two missed ones end a connection.
    pub broker_heartbeat: Duration,
}

impl Limits {
    /// Returns after how long the copy of a detached task comes back (`Config::dead_man` of the worker).
    #[must_use]
    pub fn dead_man(&self) -> Duration {
        self.heartbeat_ttl * 3
    }

    /// Returns how long a suspect of poison waits for its turn, and is parked when it did not come: one dead-man's
    /// time and four (rule P2; `Config::turn_wait` and `turn_pause` of the worker).
    #[must_use]
    pub fn turn(&self) -> Duration {
        self.dead_man() * 5
    }

    /// Whether an absence is long enough for a claim to end; the last renewal may have been just due.
    #[must_use]
    pub fn outlives_a_claim(&self, from: Millis, to: Millis) -> bool {
        to.since(from) + self.heartbeat >= self.heartbeat_ttl
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(5),
            heartbeat_ttl: Duration::from_secs(15),
            retention: Duration::from_secs(3_600),
            patience: Duration::from_secs(5),
            max_crashes: 3,
            busy_park: Duration::from_secs(30),
            broker_heartbeat: Duration::from_secs(10),
        }
    }
}

/// Tells whether, and by which window, `event` explains that `next` began although `first` had.
#[must_use]
pub fn explains(
    event: &Event,
    first: &Run,
    next: &Run,
    events: &[Event],
    waits: &Waits,
    limits: &Limits,
) -> Option<Window> {
    let window = meets(event, first, next, events, limits)?;
    (next.began <= waits.latest(event, first, next, events, limits)).then_some(window)
}

/// As [`explains`], however long after the event `next` began.
fn meets(
    event: &Event,
    first: &Run,
    next: &Run,
    events: &[Event],
    limits: &Limits,
) -> Option<Window> {
    let over = recorded_by(first, events, limits);
    let met = |from: Millis, to: Millis| from <= over && first.began <= to.after(SLACK);
    match *event {
        Event::Killed { pid, at } => {
            (pid == first.worker && met(at, at) && at <= next.began.after(SLACK))
                .then_some(Window::Crash)
        }
        Event::Drained { pid, from, to } => {
            (pid == first.worker && met(from, to) && from <= next.began).then_some(Window::Crash)
        }
        Event::Stopped { pid, from, to } => (pid == first.worker
            && met(from, to)
            && from <= next.began
            && limits.outlives_a_claim(from, to))
        .then_some(Window::Lease),
        // A store that nobody reaches robs nobody: each owner may speak before anybody concludes anything.
        Event::CutOff { pid, from, to } => (pid == Some(first.worker)
            && met(from, to)
            && from <= next.began
            && limits.outlives_a_claim(from, to))
        .then_some(Window::Lease),
        Event::Wiped { at } => (first.began <= at.after(SLACK) && at <= next.began.after(SLACK))
            .then_some(Window::Wipe),
        Event::RolledBack { from, to } => {
            (met(from, to) && from <= next.began).then_some(Window::Wipe)
        }
        Event::Replayed { id, at } => {
            (id == first.id && first.began <= at && at <= next.began.after(SLACK))
                .then_some(Window::Replay)
        }
        Event::BrokerLost { .. } | Event::Unmanned { .. } | Event::Told { .. } => None,
    }
}

/// Tells whether `next` came when the ledger had forgotten `first`.
#[must_use]
pub fn is_forgotten(first: &Run, next: &Run, limits: &Limits) -> bool {
    first.end.is_some_and(|end| end.at.after(limits.retention) <= next.began)
}

/// Returns until when it may have taken to record how `run` ended; for ever where it did not.
#[must_use]
pub fn recorded_by(run: &Run, events: &[Event], limits: &Limits) -> Millis {
    let Some(end) = run.end else { return Millis(u64::MAX) };
    let mut by = end.at.after(limits.patience);
    // Whoever could not speak to store or broker, or not move at all, says it when that is over.
    let mut away: Vec<(Millis, Millis)> = events
        .iter()
        .filter_map(|event| match *event {
            Event::CutOff { pid, from, to } if pid.is_none_or(|pid| pid == run.worker) => {
                Some((from, to))
            }
            Event::Stopped { pid, from, to } if pid == run.worker => Some((from, to)),
            Event::BrokerLost { from, to } => Some((from, to)),
            _ => None,
        })
        .collect();
    away.sort_unstable();
    for (from, to) in away {
        if from <= by {
            by = by.max(to.after(limits.patience));
        }
    }
    by
}

#[cfg(test)]
mod tests {
    use leveret_common::id::TaskId;

    use super::super::history::End;
    use super::*;

    const SECOND: u64 = 1_000;

    fn run(id: TaskId, worker: u32, began: u64, ended: Option<u64>) -> Run {
        let end = ended.map(|at| End { at: Millis(at), code: 0 });
        Run { id, attempt: 1, fence: began, crashes: 0, worker, began: Millis(began), end }
    }

    /// Judges a run of worker 1 from second 10 to 12, after which another began at second 100.
    fn judged(event: &Event) -> Option<Window> {
        judged_at(event, 100)
    }

    fn judged_at(event: &Event, second: u64) -> Option<Window> {
        let id = TaskId::mint();
        let first = run(id, 1, 10 * SECOND, Some(12 * SECOND));
        let next = run(id, 2, second * SECOND, None);
        let (all, waits) = (std::slice::from_ref(event), Waits::default());
        explains(event, &first, &next, all, &waits, &Limits::default())
    }

    #[test]
    fn an_event_explains_only_what_comes_soon_enough_after_it() {
        let killed = Event::Killed { pid: 1, at: seconds(11) };
        assert_eq!(judged_at(&killed, 120), Some(Window::Crash));
        assert_eq!(judged_at(&killed, 600), None);
        let wiped = Event::Wiped { at: seconds(50) };
        assert_eq!(judged_at(&wiped, 1_000), None);
        let stopped = Event::Stopped { pid: 1, from: seconds(11), to: seconds(60) };
        assert_eq!(judged_at(&stopped, 120), Some(Window::Lease));
        assert_eq!(judged_at(&stopped, 600), None);
    }

    fn seconds(at: u64) -> Millis {
        Millis(at * SECOND)
    }

    #[test]
    fn a_kill_explains_what_its_own_worker_ran_then() {
        assert_eq!(judged(&Event::Killed { pid: 1, at: seconds(11) }), Some(Window::Crash));
        // Its handler had ended, and the decision may not have been recorded.
        assert_eq!(judged(&Event::Killed { pid: 1, at: seconds(14) }), Some(Window::Crash));
    }

    #[test]
    fn a_kill_of_another_worker_explains_nothing() {
        assert_eq!(judged(&Event::Killed { pid: 2, at: seconds(11) }), None);
    }

    #[test]
    fn a_kill_before_the_run_or_long_after_it_explains_nothing() {
        assert_eq!(judged(&Event::Killed { pid: 1, at: seconds(5) }), None);
        assert_eq!(judged(&Event::Killed { pid: 1, at: seconds(60) }), None);
        assert_eq!(judged(&Event::Killed { pid: 1, at: seconds(200) }), None);
    }

    #[test]
    fn an_outcome_that_could_not_be_recorded_is_still_open_when_its_worker_is_killed() {
        let id = TaskId::mint();
        let first = run(id, 1, 10 * SECOND, Some(12 * SECOND));
        let next = run(id, 2, 100 * SECOND, None);
        let killed = Event::Killed { pid: 1, at: seconds(40) };
        let away = Event::CutOff { pid: None, from: seconds(11), to: seconds(45) };
        let both = [killed.clone(), away];
        let limits = Limits::default();
        let explained =
            |by: &[Event]| explains(&killed, &first, &next, by, &Waits::default(), &limits);
        assert_eq!(explained(&both), Some(Window::Crash));
        assert_eq!(explained(&both[..1]), None);
    }

    #[test]
    fn a_pause_explains_only_where_it_outlives_a_claim() {
        let paused = |to| judged(&Event::Stopped { pid: 1, from: seconds(11), to: seconds(to) });
        assert_eq!(paused(30), Some(Window::Lease));
        assert_eq!(paused(15), None);
        let other = Event::Stopped { pid: 2, from: seconds(11), to: seconds(30) };
        assert_eq!(judged(&other), None);
    }

    #[test]
    fn a_partition_from_the_store_is_a_lost_claim_and_one_from_the_broker_is_not() {
        let (from, to) = (seconds(11), seconds(40));
        assert_eq!(judged(&Event::CutOff { pid: Some(1), from, to }), Some(Window::Lease));
        assert_eq!(judged(&Event::CutOff { pid: Some(2), from, to }), None);
        assert_eq!(judged(&Event::CutOff { pid: None, from, to }), None, "nobody may be robbed");
        assert_eq!(judged(&Event::BrokerLost { from, to }), None);
    }

    #[test]
    fn a_wipe_explains_only_what_comes_after_it() {
        assert_eq!(judged(&Event::Wiped { at: seconds(50) }), Some(Window::Wipe));
        assert_eq!(judged(&Event::Wiped { at: seconds(5) }), None);
        assert_eq!(judged(&Event::Wiped { at: seconds(150) }), None);
    }

    #[test]
    fn a_rolled_back_store_explains_only_what_it_forgot() {
        let back = |from, to| judged(&Event::RolledBack { from: seconds(from), to: seconds(to) });
        assert_eq!(back(11, 13), Some(Window::Wipe));
        assert_eq!(back(58, 60), None);
    }

    #[test]
    fn a_drain_explains_what_it_cut() {
        let drained =
            |from, to| judged(&Event::Drained { pid: 1, from: seconds(from), to: seconds(to) });
        assert_eq!(drained(11, 13), Some(Window::Crash));
        assert_eq!(drained(50, 52), None);
    }
}
