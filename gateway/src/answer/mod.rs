//! Answers: what is said of a task, as JSON. Times are RFC 3339 in UTC with milliseconds.
//!
//! What is not known is left out. Clients must accept states and fields that are new to them.

mod beat;
mod letter;
mod queue;
mod schedule;
mod timetable;
mod worker;

use std::collections::BTreeMap;

use leveret_common::id::TaskId;
use leveret_common::ledger::Failure;
use leveret_common::store::{Act, Action, AttemptNote, Interim, TaskState, TaskView};
use leveret_producer::Accepted;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

pub(crate) use self::beat::BeatAnswer;
pub(crate) use self::letter::{GroupsAnswer, LetterAnswer, MatchingAnswer, PageAnswer};
pub(crate) use self::queue::{PauseAnswer, QueueAnswer};
pub(crate) use self::schedule::{ComingAnswer, OccurrenceAnswer, ScheduleAnswer, SchedulesAnswer};
pub(crate) use self::timetable::{
    BackfilledAnswer, ExtentAnswer, ImportedAnswer, PlanAnswer, PutInAnswer,
};
pub(crate) use self::worker::WorkerAnswer;
use crate::operations::time::text as time;
use crate::problem::Problem;

/// What is said of an accepted task.
#[derive(Debug, Serialize)]
pub(crate) struct AcceptedAnswer {
    id: TaskId,
    state: &'static str,
    queue: String,
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    repeated: bool,
}

impl From<&Accepted> for AcceptedAnswer {
    fn from(accepted: &Accepted) -> Self {
        Self {
            id: accepted.id,
            state: accepted.state.as_str(),
            queue: accepted.lane.queue.to_string(),
            class: accepted.lane.class.as_str(),
            next_at: accepted.not_before.map(time),
            repeated: accepted.repeated,
        }
    }
}

/// What is said of one line of a batch.
#[derive(Debug, Serialize)]
pub(crate) struct LineAnswer {
    pub(crate) line: usize,
    #[serde(flatten)]
    pub(crate) accepted: Option<AcceptedAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Problem>,
}

/// What is said of a task.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) struct TaskAnswer {
    id: TaskId,
    state: &'static str,
    attempt: u32,
    #[serde(flatten)]
    origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Running>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    history: Vec<Attempt>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acts: Vec<ActAnswer>,
}

/// What the task is, as far as that is remembered.
#[derive(Debug, Serialize)]
struct Origin {
    kind: String,
    queue: String,
    class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    enqueued_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence: Option<OccasionAnswer>,
}

/// The occurrence of a schedule that the task was put in for.
#[derive(Debug, Serialize)]
struct OccasionAnswer {
    schedule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    due: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Running {
    since: String,
    worker: String,
}

/// What an attempt said last of itself.
#[derive(Debug, Serialize)]
struct ProgressAnswer {
    attempt: u32,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The bytes of what the next attempt goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<usize>,
}

#[derive(Debug, Serialize)]
struct Error {
    class: String,
    message: String,
    at: String,
}

#[derive(Debug, Serialize)]
struct Attempt {
    attempt: u32,
    #[serde(skip_serializing_if = "is_zero")]
    replay: u32,
    outcome: String,
    worker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<String>,
    ended_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
}

/// What somebody did to the task.
#[derive(Debug, Serialize)]
struct ActAnswer {
    action: &'static str,
    replay: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    with: Option<TaskId>,
    at: String,
    by: String,
}

impl From<&Act> for ActAnswer {
    fn from(act: &Act) -> Self {
        let (action, with) = match act.action {
            Action::Cancelled { .. } => ("cancelled", None),
            Action::Replayed { .. } => ("replayed", None),
            Action::Discarded { .. } => ("discarded", None),
            Action::Replaced { with, .. } => ("replaced", Some(with)),
        };
        let (replay, at) = (act.action.replay(), time(act.at));
        Self { action, replay, with, at, by: act.by.clone() }
    }
}

impl From<TaskView> for TaskAnswer {
    fn from(view: TaskView) -> Self {
        let origin = origin(&view);
        let last = view.history.last();
        let failed = view.state != TaskState::Done;
        let error = last.and_then(|note| note.failure.as_ref()).filter(|_| failed).map(error);
        let reason = last.and_then(|note| note.reason).filter(|_| view.state == TaskState::Dead);
        Self {
            id: view.id,
            state: view.state.as_str(),
            attempt: view.attempt,
            origin,
            next_at: view.next_at.map(time),
            running: view
                .running
                .map(|(owner, since)| Running { since: time(since), worker: owner.to_string() }),
            progress: view.interim.map(progress),
            result: view.result.map(json),
            error,
            reason: reason.map(|reason| reason.as_str()),
            history: view.history.iter().map(attempt).collect(),
            acts: view.acts.iter().map(ActAnswer::from).collect(),
        }
    }
}

fn progress(said: Interim) -> ProgressAnswer {
    ProgressAnswer {
        attempt: said.order.attempt,
        at: time(said.at),
        percent: said.percent,
        message: said.message,
        checkpoint: said.checkpoint.map(|checkpoint| checkpoint.len()),
    }
}

fn origin(view: &TaskView) -> Option<Origin> {
    if let Some(record) = &view.enqueued {
        return Some(Origin {
            kind: record.kind.to_string(),
            queue: record.lane.queue.to_string(),
            class: record.lane.class.as_str(),
            enqueued_at: Some(time(record.at)),
            key: record.key.clone(),
            origin_id: record.origin_id.clone(),
            tags: record.tags.clone(),
            occurrence: record.occasion.as_ref().map(|occasion| OccasionAnswer {
                schedule: occasion.schedule.clone(),
                due: occasion.due.map(time),
                revision: occasion.revision,
            }),
        });
    }
    let note = view.history.last()?;
    Some(Origin {
        kind: note.kind.to_string(),
        queue: note.lane.queue.to_string(),
        class: note.lane.class.as_str(),
        enqueued_at: None,
        key: None,
        origin_id: None,
        tags: BTreeMap::new(),
        occurrence: None,
    })
}

fn attempt(note: &AttemptNote) -> Attempt {
    Attempt {
        attempt: note.order.attempt,
        replay: note.order.replay,
        outcome: note.outcome.clone(),
        worker: note.worker.clone(),
        started_at: note.started_at.map(time),
        ended_at: time(note.ended_at),
        next_at: note.next_at.map(time),
        error: note.failure.as_ref().map(error),
        reason: note.reason.map(|reason| reason.as_str()),
    }
}

fn error(failure: &Failure) -> Error {
    Error { class: failure.class.clone(), message: failure.message.clone(), at: time(failure.at) }
}

/// Takes a result as the JSON it is; what a handler wrote otherwise becomes text.
fn json(text: String) -> Box<RawValue> {
    let is_json = serde_json::from_str::<IgnoredAny>(&text).is_ok();
    let written =
        if is_json { RawValue::from_string(text) } else { serde_json::value::to_raw_value(&text) };
    written.unwrap_or_default()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_that_is_no_json_is_text() {
        assert_eq!(json("{\"n\": 1}".to_owned()).get(), "{\"n\": 1}");
        assert_eq!(json("three words".to_owned()).get(), "\"three words\"");
    }
}
