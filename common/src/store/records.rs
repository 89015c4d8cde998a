//! The records seam: answers questions about tasks. Best effort, with a time to live and caps.
//!
//! A missing record never means anything for a task's fate; the ledger and the broker decide that.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Interim, Notice, StoreError};
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::TaskId;
use crate::ledger::Failure;
use crate::name::{KindName, Lane};

/// Most attempts, and most acts, of one task that are remembered; the oldest go first.
pub const MAX_HISTORY: usize = 20;
/// Most pairs of lane and kind that are remembered; those unseen for longest go first.
pub const MAX_SEEN: usize = 10_000;

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The record of an enqueue, the history of attempts, and what people did. A task that waits
    /// for its time is remembered for so long after it is due.
    pub record: Duration,
    /// A result.
    pub result: Duration,
}

impl Retention {
    /// Returns how long the record of an enqueue is kept: until the task is due, and the retention
    /// after that. Only so can a task be found, and its cancel last, while it waits for its time.
    #[must_use]
    pub fn of_enqueued(&self, record: &Enqueued) -> Duration {
        self.until(record.not_before, record.at)
    }

    /// Returns how long the history is kept that ends with this note: until the next attempt is
    /// due, and the retention after that.
    #[must_use]
    pub fn of_attempt(&self, note: &AttemptNote) -> Duration {
        self.until(note.next_at, note.ended_at)
    }

    fn until(&self, due: Option<Millis>, written: Millis) -> Duration {
        self.record.saturating_add(due.map_or(Duration::ZERO, |due| due.since(written)))
    }
}

/// What was accepted, written beside the enqueue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Enqueued {
    /// The task.
    pub id: TaskId,
    /// Its kind.
    pub kind: KindName,
    /// Where it was put.
    pub lane: Lane,
    /// When.
    pub at: Millis,
    /// When it is due, if later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Millis>,
    /// Its idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The sender's own id, where it was not a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The occurrence of a schedule that it was put in for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub occasion: Option<Occasion>,
    /// Tells different args under one key apart: `uuidv5` of the args' bytes.
    pub args_fingerprint: uuid::Uuid,
}

/// The occurrence of a schedule that a task was put in for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occasion {
    /// The schedule, as the task's header has it.
    pub schedule: String,
    /// The instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Millis>,
    /// The schedule's revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u32>,
}

/// What became of one attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AttemptNote {
    /// The task.
    pub id: TaskId,
    /// Its kind.
    pub kind: KindName,
    /// The lane it came from.
    pub lane: Lane,
    /// Which attempt.
    pub order: Order,
    /// The worker's host and process.
    pub worker: String,
    /// When it began; absent where the handler never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Millis,
    /// `done`, `retry`, `snooze`, `dead`, `cancelled`, or `expired` where no attempt was made.
    pub outcome: String,
    /// When the next attempt is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Millis>,
    /// Why it is dead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DeadReason>,
    /// What failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// What a successful handler answered: JSON text. Kept apart from the history.
    #[serde(skip)]
    pub result: Option<String>,
    /// How long the result is kept, where the task says so itself.
    #[serde(skip)]
    pub result_ttl: Option<Duration>,
}

/// Something a person did to a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// The task.
    pub id: TaskId,
    /// What.
    #[serde(flatten)]
    pub action: Action,
    /// When.
    pub at: Millis,
    /// Who, as far as they said.
    pub by: String,
}

/// What people do to tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub enum Action {
    /// Asked that it not be run.
    Cancelled {
        /// The replay that was cancelled.
        replay: u32,
    },
    /// Gave a dead one a fresh start.
    Replayed {
        /// The new replay.
        replay: u32,
    },
    /// Took its dead letter away.
    Discarded {
        /// The letter's replay.
        replay: u32,
    },
    /// Enqueued an edited copy of it instead.
    Replaced {
        /// The letter's replay.
        replay: u32,
        /// The new task.
        with: TaskId,
    },
}

impl Action {
    /// Returns the replay that the action is about.
    #[must_use]
    pub const fn replay(self) -> u32 {
        match self {
            Self::Cancelled { replay }
            | Self::Replayed { replay }
            | Self::Discarded { replay }
            | Self::Replaced { replay, .. } => replay,
        }
    }
}

/// A pair of lane and kind that was enqueued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// The lane.
    pub lane: Lane,
    /// The kind.
    pub kind: KindName,
    /// When last, to about a minute.
    pub at: Millis,
}

/// All that is remembered of one task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskRecord {
    /// What was accepted.
    pub enqueued: Option<Enqueued>,
    /// The attempts, oldest first, at most [`MAX_HISTORY`].
    pub history: Vec<AttemptNote>,
    /// What people did to it, oldest first, at most [`MAX_HISTORY`].
    pub acts: Vec<Act>,
    /// The result: JSON text.
    pub result: Option<String>,
}

/// Answers questions about tasks.
///
/// # Errors
/// Each method fails with a [`StoreError`] where the store cannot be asked, or refuses;
/// [`StoreError::retryable`] tells whether to ask again.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Remembers what was accepted; the first record of a task stays, because a repeated enqueue
    /// changes nothing. Its lane and kind count as seen.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written.
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError>;

    /// Remembers what became of attempts, and their results.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written; repeating it adds a second note.
    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError>;

    /// Remembers what people did to tasks, as long as an attempt.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written; repeating it adds a second act.
    async fn acted(&self, batch: &[Act]) -> Result<(), StoreError>;

    /// Tells senders that wait outside of Leveret what became of their tasks, as far as this store
    /// knows how to reach them. What cannot be told is lost: nothing of Leveret reads it.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been told; telling them again is harmless.
    async fn notify(&self, _batch: &[Notice]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Remembers what running attempts say of themselves, for as long as the record of an enqueue.
    /// What the holder of an older fence says, and an older turn of the same, is left out.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written; repeating it is harmless.
    async fn say(&self, batch: &[Interim]) -> Result<(), StoreError>;

    /// Reads what attempts said last of each task.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn last_said(&self, ids: &[TaskId]) -> Result<Vec<Option<Interim>>, StoreError>;

    /// Lists the pairs of lane and kind that were enqueued, at most [`MAX_SEEN`].
    ///
    /// # Cancel safety
    /// Reads only.
    async fn seen(&self) -> Result<Vec<Seen>, StoreError>;

    /// Reads what is remembered; a task of which nothing is known is an empty record.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError>;
}
