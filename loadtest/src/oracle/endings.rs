//! How tasks ended: whether as their senders may expect, and in one way only.
//!
//! What the store lost excuses nothing but what it can have met: two ends of a task where it forgot, or was not told of,
//! one run before another began; a task that seems to be open where it was lost while the outcome was being recorded.
//! Whatever was recorded after the event is known.

use leveret_common::id::TaskId;

use super::accepted::{Ending, Promise};
use super::event::Event;
use super::finding::NAMED;
use super::history::Run;
use super::judge::{Evidence, Fate, is_surely_recorded};
use super::window::{SLACK, recorded_by};

/// The reason of a task that is thought to kill its workers.
const POISON: &str = "poison";

/// Tells in what the end of a task differs from what its sender may expect.
pub(super) fn differs(
    id: TaskId,
    promise: &Promise,
    fate: Fate,
    evidence: &Evidence,
) -> Option<String> {
    let reason = evidence.letters.get(&id).map_or("", String::as_str);
    let kind = &promise.kind;
    match (promise.ending, fate) {
        // Told elsewhere.
        (_, Fate::Lost | Fate::Cancelled | Fate::Expired) | (Ending::Either, _) => None,
        (Ending::Done, Fate::Done) => None,
        (Ending::Dead(reasons), Fate::Dead) if reasons.contains(&reason) => None,
        (_, Fate::Dead) if reason == POISON && is_poisoned(id, promise, evidence) => None,
        (Ending::Done, Fate::Dead) => {
            Some(format!("{id}, a {kind}, is a dead letter ({reason}), and was to be done"))
        }
        (Ending::Dead(reasons), Fate::Dead) => Some(format!(
            "{id}, a {kind}, is a dead letter ({reason}), and was to be one of {reasons:?}"
        )),
        (Ending::Dead(reasons), Fate::Done) => {
            Some(format!("{id}, a {kind}, is done, and was to be a dead letter of {reasons:?}"))
        }
    }
}

/// Whether so many workers were lost with a task that it is rightly taken for poison, in a play that allows for it.
///
/// Each of them while it ran the task, but for one, which may have claimed it and not begun.
fn is_poisoned(id: TaskId, promise: &Promise, evidence: &Evidence) -> bool {
    let runs = evidence.history.of(id);
    let (mut seen, mut unseen) = (0, 0);
    for event in &evidence.events {
        let (pid, from, to) = match *event {
            Event::Killed { pid, at } => (pid, at, at),
            Event::Stopped { pid, from, to } | Event::CutOff { pid: Some(pid), from, to }
                if evidence.limits.outlives_a_claim(from, to) =>
            {
                (pid, from, to)
            }
            _ => continue,
        };
        let ran_it = runs.iter().any(|run| {
            let over = recorded_by(run, &evidence.events, &evidence.limits);
            run.worker == pid && from <= over && run.began <= to.after(SLACK)
        });
        seen += u32::from(ran_it);
        let is_worker = !evidence.others.contains(&pid);
        unseen += u32::from(!ran_it && is_worker && promise.at <= to.after(SLACK));
    }
    evidence.accepted.allows_poison()
        && seen > 0
        && seen + unseen.min(1) >= evidence.limits.max_crashes
}

/// Tells of tasks that ended in two ways, or have not ended though all work is over.
pub(super) fn contradictions(evidence: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for (id, reason) in &evidence.letters {
        let runs = evidence.history.of(*id);
        let is_done = runs.iter().any(|run| run.is_done() && is_surely_recorded(run, evidence));
        if is_done && !is_forgotten_between(runs, evidence) {
            wrong.push(format!("{id} is done, and a dead letter ({reason})"));
        }
    }
    for (id, state) in &evidence.told {
        let runs = evidence.history.of(*id);
        let is_done = runs.iter().any(|run| run.is_done() && is_surely_recorded(run, evidence));
        let is_dead = evidence.letters.contains_key(id);
        if state == "dead" && is_done && !is_dead && !is_forgotten_between(runs, evidence) {
            wrong.push(format!("{id} is done, and said to be dead, and no letter is listed"));
        }
        if state == "done" && !runs.iter().any(Run::is_done) {
            wrong.push(format!("{id} is said to be done, and no run of it ended well"));
        }
    }
    let open = evidence.told.iter().filter(|(_, state)| is_open(state));
    let open = open.filter(|(id, _)| !is_lost_on_its_way(evidence.history.of(**id), evidence));
    wrong.extend(
        open.take(NAMED).map(|(id, state)| format!("{id} is {state}, and all work is over")),
    );
    wrong
}

fn is_open(state: &str) -> bool {
    matches!(state, "queued" | "delayed" | "running" | "retrying")
}

/// Whether the store lost, or was not told of, a run before another one began: that one may end otherwise.
fn is_forgotten_between(runs: &[Run], evidence: &Evidence) -> bool {
    losses(evidence).any(|event| {
        let is_met = |run: &&Run| match *event {
            Event::Wiped { at } => run.began <= at.after(SLACK),
            Event::CutOff { pid: Some(pid), .. } if pid != run.worker => false,
            _ => {
                let over = recorded_by(run, &evidence.events, &evidence.limits);
                run.began <= event.ended().after(SLACK) && event.began() <= over
            }
        };
        let is_later = |first: &Run| {
            runs.iter()
                .any(|run| run.fence != first.fence && event.began() <= run.began.after(SLACK))
        };
        runs.iter().filter(is_met).any(is_later)
    })
}

/// Whether the store lost something while it was recorded how the last run ended well.
fn is_lost_on_its_way(runs: &[Run], evidence: &Evidence) -> bool {
    let last = runs.iter().filter(|run| run.is_done()).filter_map(|run| Some((run.end?.at, run)));
    let Some((end, run)) = last.max_by_key(|(end, _)| *end) else { return false };
    let over = recorded_by(run, &evidence.events, &evidence.limits);
    losses(evidence).any(|event| end <= event.ended().after(SLACK) && event.began() <= over)
}

/// Returns the events that the store did not live through whole, or unseen.
fn losses(evidence: &Evidence) -> impl Iterator<Item = &Event> {
    evidence.events.iter().filter(|event| event.touches_store())
}
