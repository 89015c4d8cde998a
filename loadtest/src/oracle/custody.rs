//! Whether what `task explain` says of a task agrees with what its handler wrote down (invariant I13).

use leveret_common::clock::Millis;
use serde_json::Value;

use super::event::Event;
use super::history::Run;
use super::window::{Limits, recorded_by};

/// What was known of a task before it was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// When it was accepted.
    pub accepted: Millis,
    /// Its runs, read before the question.
    pub runs: &'a [Run],
    /// Its runs, read after the answer.
    pub later: &'a [Run],
    /// What was done to the system, until after the answer.
    pub events: &'a [Event],
    /// When the question was asked.
    pub asked: Millis,
    /// Whether all work had come to its end by then.
    pub at_rest: bool,
}

/// Tells in what an answer of `task explain` contradicts what is known; nothing where it agrees.
#[must_use]
pub fn contradiction(explained: &Value, known: &Known<'_>, limits: &Limits) -> Option<String> {
    let place = explained["custody"]["place"].as_str().unwrap_or_default();
    let state = explained["state"].as_str().unwrap_or_default();
    let told = || format!("explain says {place} ({state})");
    let forgets =
        known.events.iter().any(|event| event.touches_store() && event.ended() >= known.accepted);
    match place {
        "unknown" if !forgets => Some(format!("{}, and it was accepted", told())),
        "over" if state == "done" && !known.later.iter().any(Run::is_done) => {
            Some(format!("{}, and no run of it came to a good end", told()))
        }
        "lane" | "delay" | "worker" | "finishing" | "blocked" if known.at_rest && !forgets => {
            Some(format!("{}, and all work is over", told()))
        }
        "lane" | "delay" | "worker" | "finishing" | "blocked"
            if !forgets && is_settled(known, limits) =>
        {
            Some(format!("{}, and it was done long before", told()))
        }
        "unknown" | "over" | "lane" | "delay" | "worker" | "finishing" | "blocked" | "dead" => None,
        _ => Some(format!("explain names no place: {explained}")),
    }
}

/// Whether its last run ended well, and so long ago that this has been recorded.
fn is_settled(known: &Known<'_>, limits: &Limits) -> bool {
    known.runs.last().is_some_and(|run| {
        run.is_done()
            && recorded_by(run, known.events, limits) < known.asked
            // A worker that ended then may have recorded nothing.
            && !known.events.iter().any(|event| is_end_of(event, run.worker))
    })
}

fn is_end_of(event: &Event, worker: u32) -> bool {
    match event {
        Event::Killed { pid, .. } | Event::Drained { pid, .. } | Event::Stopped { pid, .. } => {
            *pid == worker
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::id::TaskId;
    use serde_json::json;

    use super::super::history::End;
    use super::*;

    fn done_at(second: u64) -> Run {
        Run {
            id: TaskId::mint(),
            attempt: 1,
            fence: 1,
            crashes: 0,
            worker: 7,
            began: Millis(second * 1_000 - 500),
            end: Some(End { at: Millis(second * 1_000), code: 0 }),
        }
    }

    fn told(
        place: &str,
        state: &str,
        runs: &[Run],
        events: &[Event],
        at_rest: bool,
    ) -> Option<String> {
        let explained = json!({ "state": state, "custody": { "place": place } });
        let (accepted, asked) = (Millis(5_000), Millis(60_000));
        let known = Known { accepted, runs, later: runs, events, asked, at_rest };
        contradiction(&explained, &known, &Limits::default())
    }

    #[test]
    fn an_answer_that_agrees_is_no_contradiction() {
        assert_eq!(told("over", "done", &[done_at(10)], &[], true), None);
        assert_eq!(told("lane", "queued", &[], &[], false), None);
        assert_eq!(told("dead", "dead", &[], &[], true), None);
    }

    #[test]
    fn a_task_that_was_accepted_is_not_unknown_unless_the_store_lost_it() {
        assert!(told("unknown", "unknown", &[], &[], false).is_some());
        let wiped = Event::Wiped { at: Millis(20_000) };
        assert_eq!(told("unknown", "unknown", &[], &[wiped], false), None);
        let before = Event::Wiped { at: Millis(1_000) };
        assert!(told("unknown", "unknown", &[], &[before], false).is_some());
    }

    #[test]
    fn what_is_told_to_be_done_has_ended_well() {
        assert!(told("over", "done", &[], &[], false).is_some());
    }

    #[test]
    fn what_was_done_long_ago_does_not_wait() {
        assert!(told("lane", "queued", &[done_at(10)], &[], false).is_some());
        // Just now: the outcome may not be recorded yet.
        assert_eq!(told("worker", "running", &[done_at(58)], &[], false), None);
        let killed = Event::Killed { pid: 7, at: Millis(10_100) };
        assert_eq!(told("worker", "running", &[done_at(10)], &[killed], false), None);
    }

    #[test]
    fn nothing_waits_when_all_work_is_over() {
        assert!(told("delay", "retrying", &[], &[], true).is_some());
    }

    #[test]
    fn an_answer_without_a_place_is_none() {
        assert!(told("", "", &[], &[], false).is_some());
    }
}
