//! Of a task: where it stands, its attempts, what it is.

use std::collections::BTreeMap;

use leveret_common::id::TaskId;
use leveret_common::ledger::Failure;
use leveret_common::store::{AttemptNote, Interim, TaskState, TaskView};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::act::ActAnswer;
use crate::openapi::name;
use crate::operations::time::text as time;

/// Where a task stands, and what is remembered of it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Task)]
pub(crate) struct TaskAnswer {
    #[schema(value_type = name::TaskId)]
    id: TaskId,
    #[schema(value_type = name::State)]
    state: &'static str,
    /// How many attempts of the present replay began.
    attempt: u32,
    #[serde(flatten)]
    origin: Option<Origin>,
    /// When it comes again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    next_at: Option<String>,
    /// Who runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    running: Option<Running>,
    /// What its attempt said last of itself; left out once it is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressAnswer>,
    /// What its handler returned: JSON, or text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    result: Option<Box<RawValue>>,
    /// How its last attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
    /// Why it is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::DeadReasonName>)]
    reason: Option<&'static str>,
    /// Its last attempts, the oldest first; at most 20.
    history: Vec<Attempt>,
    /// What people did to it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acts: Vec<ActAnswer>,
}

/// What the task is, as far as that is remembered.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskOrigin)]
struct Origin {
    #[schema(value_type = name::Kind)]
    kind: String,
    #[schema(value_type = name::QueueName)]
    queue: String,
    #[schema(value_type = name::Class)]
    class: &'static str,
    /// When it was accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    enqueued_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Key>)]
    key: Option<String>,
    /// What its sender calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    origin_id: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = name::Tags)]
    tags: BTreeMap<String, String>,
    /// The occurrence of a schedule that it was put in for.
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence: Option<OccasionAnswer>,
}

/// The occurrence of a schedule that a task was put in for.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TaskOccurrence)]
struct OccasionAnswer {
    /// The schedule.
    schedule: String,
    /// The instant that the schedule named.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    due: Option<String>,
    /// The revision of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<u32>,
}

/// Who runs a task.
#[derive(Debug, Serialize, ToSchema)]
struct Running {
    #[schema(value_type = name::Instant)]
    since: String,
    /// The worker's `owner`.
    worker: String,
}

/// What an attempt said last of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Progress)]
struct ProgressAnswer {
    /// Which attempt.
    attempt: u32,
    /// When it said so.
    #[schema(value_type = name::Instant)]
    at: String,
    /// How far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 100)]
    percent: Option<u8>,
    /// In its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The bytes of what the next attempt goes on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    checkpoint: Option<usize>,
}

/// How an attempt failed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Failure)]
struct Error {
    /// The class of the error, such as `timeout`.
    class: String,
    /// What the handler said.
    message: String,
    /// When it failed.
    #[schema(value_type = name::Instant)]
    at: String,
}

/// One attempt of a task.
#[derive(Debug, Serialize, ToSchema)]
struct Attempt {
    /// Which, from 1; it counts anew with each replay.
    attempt: u32,
    /// In which replay; left out in the first life of the task.
    #[serde(skip_serializing_if = "is_zero")]
    #[schema(required = false)]
    replay: u32,
    /// What it decided, such as `done`, `retry`, `snooze`, `dead`.
    outcome: String,
    /// The worker that ran it.
    worker: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    started_at: Option<String>,
    #[schema(value_type = name::Instant)]
    ended_at: String,
    /// When the next attempt was to come.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
    next_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error>,
    /// Why the task died of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::DeadReasonName>)]
    reason: Option<&'static str>,
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
            result: view.result.map(super::json),
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

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
