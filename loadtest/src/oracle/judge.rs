//! The verdict: what was lost, what ran twice and why, and what does not fit together.
//!
//! What became of each task is judged here, its way to end in `endings`, its runs in `runs`.

use std::collections::{BTreeMap, BTreeSet};

use leveret_common::id::TaskId;

use super::accepted::Accepted;
use super::due::Waits;
use super::event::Event;
use super::finding::{Finding, NAMED, named};
use super::history::{History, Run};
use super::window::{Limits, recorded_by};
use super::{endings, runs};

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
    /// Processes that perform no tasks: what ends them costs no task its worker.
    pub others: BTreeSet<u32>,
    /// What the windows are measured by.
    pub limits: Limits,
}

/// Judges a play.
#[must_use]
pub fn judge(evidence: &Evidence) -> Finding {
    let mut finding = Finding::default();
    for (id, promise) in evidence.accepted.tasks() {
        finding.accepted += 1;
        let fate = fate(*id, evidence);
        match fate {
            Fate::Done => finding.done += 1,
            Fate::Dead => finding.dead += 1,
            Fate::Cancelled => finding.cancelled += 1,
            Fate::Expired => finding.expired += 1,
            Fate::Lost => finding.lost.push(*id),
        }
        finding.wrong.extend(endings::differs(*id, promise, fate, evidence));
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
    finding.wrong.extend(refusals(&evidence.accepted));
    let waits =
        Waits::of(&evidence.accepted, &evidence.history, &evidence.events, &evidence.limits);
    for (id, of_task) in evidence.history.tasks() {
        runs::judge(of_task, evidence, &waits, &mut finding);
        if evidence.accepted.refused().contains(&id) {
            finding.wrong.push(format!("{id} was refused, and ran"));
        } else if !evidence.accepted.has(id) {
            finding.wrong.push(format!("{id} ran, and nobody sent it or owed it"));
        }
    }
    finding.wrong.extend(endings::contradictions(evidence));
    for line in evidence.history.unreadable.iter().take(NAMED) {
        finding.wrong.push(format!("the journal holds {line:?}"));
    }
    finding
}

/// Tells of senders that were refused for good though they did nothing wrong.
fn refusals(accepted: &Accepted) -> Option<String> {
    let refused: Vec<TaskId> = accepted.wrongly_refused().collect();
    let why = accepted.why_refused(*refused.first()?);
    Some(format!("{} refused for good: {} ({why})", refused.len(), named(&refused)))
}

/// What became of an accepted task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
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

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
