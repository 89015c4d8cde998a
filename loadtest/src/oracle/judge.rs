//! The verdict: what was lost, what ran twice and why, and what does not fit together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leveret_common::id::TaskId;

use super::accepted::Accepted;
use super::event::Event;
use super::history::{History, Run};
use super::window::{Limits, Window, explains, is_forgotten, recorded_by};

/// Most ids of one sort that a failure names.
const NAMED: usize = 5;

/// All that is known when a play is over and everything is at rest.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// What senders were promised.
    pub accepted: Accepted,
    /// What handlers wrote down.
    pub history: History,
    /// The dead letters that are listed, with their reasons.
    pub letters: BTreeMap<TaskId, String>,
    /// The states that the gateway tells, of those tasks that it was asked for.
    pub told: BTreeMap<TaskId, String>,
    /// What was done to the system.
    pub events: Vec<Event>,
    /// What the windows are measured by.
    pub limits: Limits,
}

/// What a play of a row found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many tasks were accepted.
    pub accepted: u64,
    /// How many of them were done.
    pub done: u64,
    /// How many are dead letters.
    pub dead: u64,
    /// How many were cancelled.
    pub cancelled: u64,
    /// How many expired.
    pub expired: u64,
    /// Those of which nothing is left.
    pub lost: Vec<TaskId>,
    /// How many second runs each window explains.
    pub second_runs: BTreeMap<Window, u64>,
    /// Second runs that nothing explains.
    pub unexplained: Vec<String>,
    /// How soon work went on as before, where that was measured.
    pub recovered: Option<Duration>,
    /// Whatever else must not be.
    pub wrong: Vec<String>,
    /// What is worth telling.
    pub notes: Vec<String>,
}

impl Finding {
    /// Tells what does not hold; nothing where all does.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.lost.is_empty() {
            failures.push(format!("{} lost: {}", self.lost.len(), named(&self.lost)));
        }
        failures.extend(self.unexplained.iter().map(|run| format!("unexplained: {run}")));
        failures.extend(self.wrong.iter().cloned());
        failures
    }

    /// Counts the second runs that a window explains.
    #[must_use]
    pub fn explained(&self) -> u64 {
        self.second_runs.values().sum()
    }

    /// Adds what another part of the same row found.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.done += other.done;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.expired += other.expired;
        self.lost.extend(other.lost);
        for (window, count) in other.second_runs {
            *self.second_runs.entry(window).or_default() += count;
        }
        self.unexplained.extend(other.unexplained);
        self.recovered = self.recovered.max(other.recovered);
        self.wrong.extend(other.wrong);
        self.notes.extend(other.notes);
    }
}

/// Judges a play.
#[must_use]
pub fn judge(evidence: &Evidence) -> Finding {
    let mut finding = Finding::default();
    for id in evidence.accepted.tasks().keys() {
        finding.accepted += 1;
        match fate(*id, evidence) {
            Fate::Done => finding.done += 1,
            Fate::Dead => finding.dead += 1,
            Fate::Cancelled => finding.cancelled += 1,
            Fate::Expired => finding.expired += 1,
            Fate::Lost => finding.lost.push(*id),
        }
    }
    if finding.accepted == 0 {
        finding.wrong.push("nothing was accepted, so nothing was tried".to_owned());
    }
    // No row cancels a task or gives it an expiry.
    if finding.cancelled + finding.expired > 0 {
        let (cancelled, expired) = (finding.cancelled, finding.expired);
        finding
            .wrong
            .push(format!("{cancelled} cancelled and {expired} expired, by nobody's word"));
    }
    for (id, runs) in evidence.history.tasks() {
        judge_runs(runs, evidence, &mut finding);
        if evidence.accepted.refused().contains(&id) {
            finding.wrong.push(format!("{id} was refused, and ran"));
        } else if !evidence.accepted.has(id) {
            finding.wrong.push(format!("{id} ran, and nobody sent it or owed it"));
        }
    }
    judge_endings(evidence, &mut finding);
    for line in evidence.history.unreadable.iter().take(NAMED) {
        finding.wrong.push(format!("the journal holds {line:?}"));
    }
    finding
}

/// What became of an accepted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Done,
    Dead,
    Cancelled,
    Expired,
    Lost,
}

fn fate(id: TaskId, evidence: &Evidence) -> Fate {
    let told = evidence.told.get(&id).map(String::as_str);
    let good = || evidence.history.of(id).iter().filter(|run| run.is_done());
    if evidence.letters.contains_key(&id) {
        return Fate::Dead;
    }
    match told {
        Some("cancelled") => return Fate::Cancelled,
        Some("expired") => return Fate::Expired,
        _ => {}
    }
    if good().any(|run| is_surely_recorded(run, evidence)) {
        return Fate::Done;
    }
    // Its worker ended about then. What the store still holds decides; after a wipe the run itself does.
    match (good().next(), told) {
        (None, _) | (Some(_), Some("queued" | "delayed" | "running" | "retrying")) => Fate::Lost,
        // Dead, and no letter is listed.
        (Some(_), Some("dead")) => Fate::Lost,
        (Some(_), _) => Fate::Done,
    }
}

/// Whether a run that ended well had time to say so.
#[must_use]
pub fn is_surely_recorded(run: &Run, evidence: &Evidence) -> bool {
    let over = recorded_by(run, &evidence.events, &evidence.limits);
    !evidence.events.iter().any(|event| match *event {
        Event::Killed { pid, at } => pid == run.worker && at <= over,
        Event::Drained { pid, from, .. } => pid == run.worker && from <= over,
        _ => false,
    })
}

/// Judges all runs of one task: which of them are second runs, and what explains each.
fn judge_runs(runs: &[Run], evidence: &Evidence, finding: &mut Finding) {
    let mut used = BTreeSet::new();
    for (at, next) in runs.iter().enumerate() {
        let earlier = &runs[..at];
        if earlier.iter().all(|run| run.attempt < next.attempt && !run.is_done()) {
            continue;
        }
        match explanation(earlier, next, evidence, &mut used) {
            Some(window) => *finding.second_runs.entry(window).or_default() += 1,
            None => finding.unexplained.push(format!(
                "{} attempt {} under fence {} of worker {} at {} after {}",
                next.id,
                next.attempt,
                next.fence,
                next.worker,
                next.began.0,
                told_of(earlier),
            )),
        }
    }
    let mut fences: Vec<u64> = runs.iter().map(|run| run.fence).collect();
    fences.sort_unstable();
    if fences.windows(2).any(|two| two[0] == two[1]) {
        finding.wrong.push(format!("two runs under one fence: {}", told_of(runs)));
    }
}

/// Finds what explains `next`, the latest run before it first; what explained another run does not count again.
fn explanation(
    earlier: &[Run],
    next: &Run,
    evidence: &Evidence,
    used: &mut BTreeSet<(usize, usize)>,
) -> Option<Window> {
    for (at, first) in earlier.iter().enumerate().rev() {
        if is_forgotten(first, next, &evidence.limits) {
            return Some(Window::Retention);
        }
        for (which, event) in evidence.events.iter().enumerate() {
            let found = explains(event, first, next, &evidence.events, &evidence.limits);
            if let Some(window) = found
                && used.insert((at, which))
            {
                return Some(window);
            }
        }
    }
    None
}

fn judge_endings(evidence: &Evidence, finding: &mut Finding) {
    let is_whole = !evidence.events.iter().any(Event::touches_store);
    for id in evidence.letters.keys() {
        let mut runs = evidence.history.of(*id).iter();
        if is_whole && runs.any(|run| run.is_done() && is_surely_recorded(run, evidence)) {
            finding.wrong.push(format!("{id} is done, and a dead letter"));
        }
    }
    for (id, state) in &evidence.told {
        let is_open = matches!(state.as_str(), "queued" | "delayed" | "running" | "retrying");
        if is_open && is_whole {
            finding.wrong.push(format!("{id} is {state}, and all work is over"));
        }
    }
}

fn told_of(runs: &[Run]) -> String {
    let one = |run: &Run| {
        let end =
            run.end.map_or("no end".to_owned(), |end| format!("{} at {}", end.code, end.at.0));
        format!(
            "attempt {} fence {} worker {} at {} ({end})",
            run.attempt, run.fence, run.worker, run.began.0
        )
    };
    runs.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn named(ids: &[TaskId]) -> String {
    let more = if ids.len() > NAMED { ", …" } else { "" };
    ids.iter().take(NAMED).map(TaskId::to_string).collect::<Vec<_>>().join(", ") + more
}

#[cfg(test)]
mod tests {
    use leveret_common::clock::Millis;

    use super::*;

    const SECOND: u64 = 1_000;

    struct Story(Evidence, Vec<String>);

    impl Story {
        /// One task that was accepted.
        fn new() -> (Self, TaskId) {
            let id = TaskId::mint();
            let mut evidence = Evidence::default();
            evidence.accepted.accept(id, "ok", Millis(SECOND));
            (Self(evidence, Vec::new()), id)
        }

        /// A run of it by `worker`, under a fence of its own.
        fn ran(
            mut self,
            id: TaskId,
            attempt: u32,
            worker: u32,
            began: u64,
            code: Option<i32>,
        ) -> Self {
            let fence = self.1.len();
            let run = format!("{id} {attempt} {fence} 0 {worker}");
            self.1.push(format!("begin {run} {began}.000000\n"));
            if let Some(code) = code {
                self.1.push(format!("end {run} {}.000000 {code}\n", began + 1));
            }
            self
        }

        fn met(mut self, event: Event) -> Self {
            self.0.events.push(event);
            self
        }

        fn judged(mut self) -> Finding {
            self.0.history = History::read(&self.1.concat());
            judge(&self.0)
        }
    }

    fn killed(pid: u32, second: u64) -> Event {
        Event::Killed { pid, at: Millis(second * SECOND) }
    }

    #[test]
    fn a_task_that_ran_once_is_done() {
        let (story, id) = Story::new();
        let finding = story.ran(id, 1, 7, 10, Some(0)).judged();
        assert_eq!((finding.accepted, finding.done), (1, 1));
        assert_eq!(finding.failures(), [""; 0]);
    }

    #[test]
    fn a_task_that_never_ran_is_lost() {
        let (story, id) = Story::new();
        let finding = story.judged();
        assert_eq!(finding.lost, [id]);
        assert_eq!(finding.failures().len(), 1);
    }

    #[test]
    fn a_task_that_only_failed_and_left_no_letter_is_lost() {
        let (story, id) = Story::new();
        assert_eq!(story.ran(id, 1, 7, 10, Some(1)).judged().lost, [id]);
        let (mut story, id) = Story::new();
        story.0.letters.insert(id, "attempts".to_owned());
        let finding = story.ran(id, 1, 7, 10, Some(1)).judged();
        assert_eq!((finding.dead, finding.lost.len()), (1, 0));
    }

    #[test]
    fn a_letter_that_the_store_knows_of_and_no_list_holds_is_lost() {
        let (mut story, id) = Story::new();
        story.0.told.insert(id, "dead".to_owned());
        assert_eq!(story.judged().lost, [id]);
    }

    #[test]
    fn a_run_whose_worker_was_killed_at_its_end_counts_by_what_the_store_holds() {
        for (state, lost) in [("done", 0), ("running", 1), ("queued", 1)] {
            let (mut story, id) = Story::new();
            story.0.told.insert(id, state.to_owned());
            let finding = story.ran(id, 1, 7, 10, Some(0)).met(killed(7, 12)).judged();
            assert_eq!(finding.lost.len(), lost, "{state}: {finding:?}");
        }
    }

    #[test]
    fn a_second_run_that_nothing_explains_is_told() {
        let (story, id) = Story::new();
        let finding = story.ran(id, 1, 7, 10, Some(0)).ran(id, 1, 8, 20, Some(0)).judged();
        assert_eq!(finding.unexplained.len(), 1, "{finding:?}");
        assert_eq!(finding.explained(), 0);
    }

    #[test]
    fn a_second_run_after_a_kill_is_explained_once_and_a_third_is_not() {
        let (story, id) = Story::new();
        let story = story.ran(id, 1, 7, 10, None).met(killed(7, 12)).ran(id, 1, 8, 20, Some(0));
        let finding = story.ran(id, 1, 9, 40, Some(0)).judged();
        assert_eq!(finding.second_runs, BTreeMap::from([(Window::Crash, 1)]));
        assert_eq!(finding.unexplained.len(), 1, "{finding:?}");
    }

    #[test]
    fn a_window_that_met_another_worker_is_not_claimed() {
        let (story, id) = Story::new();
        let story = story.ran(id, 1, 7, 10, Some(0)).met(killed(8, 11));
        assert_eq!(story.ran(id, 1, 9, 20, Some(0)).judged().unexplained.len(), 1);
    }

    #[test]
    fn two_windows_explain_two_second_runs() {
        let (story, id) = Story::new();
        let story = story.ran(id, 1, 7, 10, None).met(Event::Wiped { at: Millis(15 * SECOND) });
        let story = story.ran(id, 1, 8, 20, None).met(killed(7, 22));
        let finding = story.ran(id, 1, 9, 30, Some(0)).judged();
        let expected = BTreeMap::from([(Window::Crash, 1), (Window::Wipe, 1)]);
        assert_eq!((finding.second_runs, finding.unexplained.len()), (expected, 0));
    }

    #[test]
    fn the_next_attempt_of_a_failed_one_is_no_second_run() {
        let (story, id) = Story::new();
        let finding = story.ran(id, 1, 7, 10, Some(1)).ran(id, 2, 7, 20, Some(0)).judged();
        assert_eq!((finding.explained(), finding.unexplained.len()), (0, 0));
    }

    #[test]
    fn the_next_attempt_of_one_that_was_done_is_a_second_run() {
        let (story, id) = Story::new();
        let finding = story.ran(id, 1, 7, 10, Some(0)).ran(id, 2, 7, 20, Some(0)).judged();
        assert_eq!(finding.unexplained.len(), 1);
    }

    #[test]
    fn an_old_attempt_after_a_newer_one_is_a_second_run() {
        let (story, id) = Story::new();
        let story = story.ran(id, 1, 7, 10, Some(1)).ran(id, 2, 7, 20, Some(1));
        assert_eq!(story.ran(id, 1, 8, 30, Some(0)).judged().unexplained.len(), 1);
    }

    #[test]
    fn what_ended_both_ways_is_told() {
        let (mut story, id) = Story::new();
        story.0.letters.insert(id, "poison".to_owned());
        let finding = story.ran(id, 1, 7, 10, Some(0)).judged();
        assert_eq!(finding.wrong.len(), 1, "{finding:?}");
    }

    #[test]
    fn what_was_refused_and_ran_is_told() {
        let (mut story, _) = Story::new();
        let refused = TaskId::mint();
        story.0.accepted.refuse(refused);
        let finding = story.ran(refused, 1, 7, 10, Some(0)).judged();
        assert_eq!(finding.wrong.len(), 1, "{finding:?}");
    }

    #[test]
    fn a_run_of_what_nobody_sent_is_told() {
        let (story, id) = Story::new();
        let stranger = TaskId::mint();
        let finding = story.ran(id, 1, 7, 10, Some(0)).ran(stranger, 1, 7, 20, Some(0)).judged();
        assert_eq!(finding.wrong.len(), 1, "{finding:?}");
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_told() {
        for state in ["cancelled", "expired"] {
            let (mut story, id) = Story::new();
            story.0.told.insert(id, state.to_owned());
            assert_eq!(story.judged().wrong.len(), 1, "{state}");
        }
    }

    #[test]
    fn a_play_in_which_nothing_was_accepted_proves_nothing() {
        assert_eq!(judge(&Evidence::default()).wrong.len(), 1);
    }

    #[test]
    fn two_runs_under_one_fence_are_told() {
        let (mut story, id) = Story::new();
        let begin = |worker| format!("begin {id} 1 5 0 {worker} 1.000000\n");
        story.1 = vec![begin(7), begin(8)];
        assert!(!story.judged().wrong.is_empty());
    }

    #[test]
    fn what_still_runs_when_all_is_over_is_told() {
        let (mut story, id) = Story::new();
        story.0.told.insert(id, "running".to_owned());
        let finding = story.ran(id, 1, 7, 10, Some(0)).judged();
        assert_eq!(finding.wrong.len(), 1, "{finding:?}");
    }

    #[test]
    fn what_two_parts_of_a_row_found_is_added() {
        let (story, id) = Story::new();
        let mut whole = story.ran(id, 1, 7, 10, Some(0)).judged();
        let (story, other) = Story::new();
        whole.add(story.judged());
        assert_eq!((whole.accepted, whole.done, whole.lost), (2, 1, vec![other]));
    }
}
