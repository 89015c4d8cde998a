//! What a person sees of a task: its state, composed of the ledger's entry and the record.
//!
//! The ledger's word counts; the record fills in what the ledger does not know.

use serde::{Deserialize, Serialize};

use super::records::{AttemptNote, Enqueued, TaskRecord};
use crate::clock::Millis;
use crate::id::{Owner, TaskId};
use crate::ledger::{Ending, Entry};

/// Where a task stands. Clients must accept states that are not in this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum TaskState {
    /// Waits in its lane.
    Queued,
    /// Waits for its time.
    Delayed,
    /// A worker has it.
    Running,
    /// Failed, and comes again.
    Retrying,
    /// Completed.
    Done,
    /// A dead letter.
    Dead,
    /// Cancelled by its sender or an operator.
    Cancelled,
    /// Not started before its expiry.
    Expired,
}

impl TaskState {
    /// Tells whether nothing more happens by itself.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Done | Self::Dead | Self::Cancelled | Self::Expired => true,
            Self::Queued | Self::Delayed | Self::Running | Self::Retrying => false,
        }
    }

    /// Returns the state's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Delayed => "delayed",
            Self::Running => "running",
            Self::Retrying => "retrying",
            Self::Done => "done",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }
}

/// A task as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskView {
    /// Its id.
    pub id: TaskId,
    /// Where it stands.
    pub state: TaskState,
    /// The attempt that runs or ran last; 0 before the first.
    pub attempt: u32,
    /// Who runs it, and since when.
    pub running: Option<(Owner, Millis)>,
    /// When the next attempt, or the first, is due.
    pub next_at: Option<Millis>,
    /// What was accepted.
    pub enqueued: Option<Enqueued>,
    /// The attempts, oldest first.
    pub history: Vec<AttemptNote>,
    /// The result: JSON text.
    pub result: Option<String>,
}

impl TaskView {
    /// Composes the view; nothing when neither ledger nor records know the task.
    #[must_use]
    pub fn compose(
        id: TaskId,
        entry: Option<&Entry>,
        record: TaskRecord,
        now: Millis,
    ) -> Option<Self> {
        let TaskRecord { enqueued, history, result } = record;
        let last = history.last();
        let tried = last.map_or(0, |note| note.order.attempt);
        let retry_at = last.and_then(|note| note.next_at);
        let due = enqueued.as_ref().and_then(|record| record.not_before);
        let (state, attempt, next_at) = match entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) => {
                (TaskState::Running, held.order.attempt, None)
            }
            Some(Entry::Waiting(_)) if tried == 0 => (TaskState::Queued, 0, None),
            Some(Entry::Waiting(_)) => (TaskState::Retrying, tried, retry_at),
            Some(Entry::Settled(settled)) => (ended(settled.ending), tried, None),
            // After a wipe, or once its retention is over, the record's word is all there is.
            None => match (last, &enqueued) {
                (Some(note), _) => (noted(note), tried, retry_at),
                (None, None) => return None,
                (None, Some(_)) if due.is_some_and(|at| at > now) => (TaskState::Delayed, 0, due),
                (None, Some(_)) => (TaskState::Queued, 0, None),
            },
        };
        let running = match entry {
            Some(Entry::Running(held) | Entry::Finishing(held, _)) => {
                Some((held.hold.owner, Millis(held.claimed_at / 1_000)))
            }
            _ => None,
        };
        Some(Self { id, state, attempt, running, next_at, enqueued, history, result })
    }
}

const fn ended(ending: Ending) -> TaskState {
    match ending {
        Ending::Done => TaskState::Done,
        Ending::Dead(_) => TaskState::Dead,
        Ending::Cancelled => TaskState::Cancelled,
        Ending::Expired => TaskState::Expired,
    }
}

fn noted(note: &AttemptNote) -> TaskState {
    match note.outcome.as_str() {
        "done" => TaskState::Done,
        "dead" => TaskState::Dead,
        "expired" => TaskState::Expired,
        _ => TaskState::Retrying,
    }
}
