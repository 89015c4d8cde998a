//! The records seam: answers questions about tasks. Best effort, with a time to live and caps.
//!
//! A missing record never means anything for a task's fate; the ledger and the broker decide that.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::TaskId;
use crate::ledger::Failure;
use crate::name::{KindName, Lane};

/// Most attempts of one task that are remembered; the oldest go first.
pub const MAX_HISTORY: usize = 20;

/// How long records are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The record of an enqueue and the history of attempts.
    pub record: Duration,
    /// A result.
    pub result: Duration,
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
    /// Tells different args under one key apart: `uuidv5` of the args' bytes.
    pub args_fingerprint: uuid::Uuid,
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
    /// `done`, `retry`, `snooze`, `dead`, or `expired` where no attempt was made.
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

/// All that is remembered of one task.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TaskRecord {
    /// What was accepted.
    pub enqueued: Option<Enqueued>,
    /// The attempts, oldest first, at most [`MAX_HISTORY`].
    pub history: Vec<AttemptNote>,
    /// The result: JSON text.
    pub result: Option<String>,
}

/// Answers questions about tasks.
#[async_trait]
pub trait Records: Send + Sync + 'static {
    /// Remembers what was accepted; the first record of a task stays, because a repeated enqueue
    /// changes nothing.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written.
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError>;

    /// Remembers what became of attempts, and their results.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written; repeating it adds a second note.
    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError>;

    /// Reads what is remembered; a task of which nothing is known is an empty record.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError>;
}
