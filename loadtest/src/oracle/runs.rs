//! The runs of a task: which of them are second ones and what explains each, and what no event excuses.
//!
//! Two runs of a task at once are wrong unless an event took the first one's claim: at most one worker holds a valid
//! claim (invariant I4). An attempt is counted by a decided outcome, so the one before it has begun, and its handler wrote
//! that down. A crash is counted where a worker was lost with the task, so there are no more of them than lost workers;
//! one that was lost between the claim and the handler's first line is charged without a run in the journal.

use std::collections::BTreeSet;

use leveret_common::clock::Millis;

use super::due::Waits;
use super::event::Event;
use super::finding::Finding;
use super::history::Run;
use super::judge::Evidence;
use super::window::{SLACK, Window, explains, is_forgotten};

/// Judges all runs of one task, in the order in which they began.
pub(super) fn judge(runs: &[Run], evidence: &Evidence, waits: &Waits, finding: &mut Finding) {
    let mut used = BTreeSet::new();
    for (at, next) in runs.iter().enumerate() {
        let earlier = &runs[..at];
        finding.wrong.extend(overlap(earlier, next, evidence, waits));
        finding.wrong.extend(skipped(earlier, next, evidence));
        finding.wrong.extend(overcharged(earlier, next, evidence));
        finding.wrong.extend(undercharged(earlier, next, evidence));
        if earlier.iter().all(|run| run.attempt < next.attempt && !run.is_done()) {
            continue;
        }
        match explanation(earlier, next, evidence, waits, &mut used) {
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

/// Finds what explains `next`, the latest run before it first; what explained another run of the same attempt does not
/// count again. A wipe or a replay may bring each attempt once more.
fn explanation(
    earlier: &[Run],
    next: &Run,
    evidence: &Evidence,
    waits: &Waits,
    used: &mut BTreeSet<(usize, u32)>,
) -> Option<Window> {
    for first in earlier.iter().rev() {
        if is_forgotten(first, next, &evidence.limits) {
            return Some(Window::Retention);
        }
        for (which, event) in evidence.events.iter().enumerate() {
            let found = explains(event, first, next, &evidence.events, waits, &evidence.limits);
            if let Some(window) = found
                && used.insert((which, next.attempt))
            {
                return Some(window);
            }
        }
    }
    None
}

/// Tells of an earlier run that went on when `next` began, though its claim was not lost.
fn overlap(earlier: &[Run], next: &Run, evidence: &Evidence, waits: &Waits) -> Option<String> {
    let goes_on = |first: &&Run| first.end.is_some_and(|end| end.at > next.began);
    let lost_its_claim = |first: &Run| {
        evidence.events.iter().any(|event| {
            let window = explains(event, first, next, &evidence.events, waits, &evidence.limits);
            matches!(window, Some(Window::Crash | Window::Lease | Window::Wipe))
        })
    };
    let first = earlier.iter().filter(goes_on).find(|first| !lost_its_claim(first))?;
    let both = [first.clone(), next.clone()];
    Some(format!("{} ran twice at once: {}", next.id, told_of(&both)))
}

/// Tells of an attempt before which another one should have begun, and did not.
fn skipped(earlier: &[Run], next: &Run, evidence: &Evidence) -> Option<String> {
    let before = next.attempt.checked_sub(1)?;
    let is_first = earlier.is_empty() && evidence.accepted.may_begin_anywhere(next.id);
    let has_begun = before == 0 || is_first || earlier.iter().any(|run| run.attempt == before);
    (!has_begun)
        .then(|| format!("{} began attempt {} and never attempt {before}", next.id, next.attempt))
}

/// Tells of a run whose worker was killed in its middle, and that cost the task an attempt or no crash. A store that
/// forgot knows nothing of it.
fn undercharged(earlier: &[Run], next: &Run, evidence: &Evidence) -> Option<String> {
    let last = earlier.last().filter(|last| last.end.is_none())?;
    let is_meanwhile =
        |event: &Event| event.began() <= next.began && event.ended().after(SLACK) >= last.began;
    let is_killed = evidence.events.iter().any(|event| {
        matches!(event, Event::Killed { pid, .. } if *pid == last.worker) && is_meanwhile(event)
    });
    let is_known =
        !evidence.events.iter().any(|event| event.touches_store() && is_meanwhile(event));
    let is_charged = next.attempt == last.attempt && next.crashes > last.crashes;
    (is_killed && is_known && !is_charged).then(|| {
        let both = told_of(&[last.clone(), next.clone()]);
        format!("{} lost a worker, and that was not charged as one crash: {both}", next.id)
    })
}

/// Tells of a run that is told of more crashes since the run before it than workers were lost meanwhile.
fn overcharged(earlier: &[Run], next: &Run, evidence: &Evidence) -> Option<String> {
    let (since, before) = earlier.last().map_or((Millis(0), 0), |last| (last.began, last.crashes));
    let is_loss = |event: &&Event| {
        let is_lost = match **event {
            Event::Killed { pid, .. } => !evidence.others.contains(&pid),
            Event::Stopped { pid, from, to } | Event::CutOff { pid: Some(pid), from, to } => {
                evidence.limits.outlives_a_claim(from, to) && !evidence.others.contains(&pid)
            }
            // It gives its claims back, unless nobody takes them.
            Event::Drained { from, to, .. } => evidence.events.iter().any(|other| {
                other.touches_store() && other.began() <= to && other.ended().after(SLACK) >= from
            }),
            _ => false,
        };
        is_lost && event.began() <= next.began.after(SLACK) && event.ended().after(SLACK) >= since
    };
    let lost = evidence.events.iter().filter(is_loss).count();
    (next.crashes.saturating_sub(before) as usize > lost).then(|| {
        format!(
            "{} is told of {} crashes, before of {before}, and {lost} workers were lost",
            next.id, next.crashes
        )
    })
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
