//! The letters seam: an index of the dead letters, so that nobody has to take them off their queue
//! to look at them.
//!
//! The broker holds the letters; this only describes them. It may lag behind or be wiped, and is
//! written anew by a walk of the queue ([`crate::desk`]).

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock::Millis;
use crate::envelope::{DeadReason, Order};
use crate::id::TaskId;
use crate::name::QueueName;

/// Most bytes of args that a description holds; `args_size` tells how many there are.
pub const MAX_ARGS_SHOWN: usize = 4 * 1024;
/// How long a description is kept after it was last written: 90 days. A walk writes it anew.
pub const LETTER_TTL: Duration = Duration::from_secs(90 * 86_400);

/// A dead letter, described.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// The task.
    pub id: TaskId,
    /// Whose dead letters it is among.
    pub queue: QueueName,
    /// The message's `type`, as it was sent: that of an unreadable message may be no kind's name.
    pub kind: String,
    /// The lane it came from, as `lv-origin` has it.
    pub origin: String,
    /// The replay and attempt that failed.
    pub order: Order,
    /// Why it is dead; absent only where the broker moved it here by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DeadReason>,
    /// The class of the last failure.
    pub class: String,
    /// The message of the last failure, with its causes.
    pub error: String,
    /// When it died.
    pub died_at: Millis,
    /// When its first attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_at: Option<Millis>,
    /// Its idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The sender's own id, where it was not a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_id: Option<String>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The args as text, cut to [`MAX_ARGS_SHOWN`] bytes; what is not UTF-8 is replaced.
    pub args: String,
    /// How many bytes of args there are.
    pub args_size: usize,
    /// When this was written: what a whole walk has not written anew is no longer there.
    pub described_at: Millis,
}

/// A place in a list of letters, newest first: behind the letter with these values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behind {
    /// When it died.
    pub died_at: Millis,
    /// Its id.
    pub id: TaskId,
}

/// A letter that is no longer where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The task.
    pub id: TaskId,
    /// Whose dead letters it was among.
    pub queue: QueueName,
    /// The letter's order: a description of a newer letter of the same task stays.
    pub order: Order,
}

/// Describes dead letters.
///
/// # Errors
/// Each method fails with a [`StoreError`] where the store cannot be asked, or refuses;
/// [`StoreError::retryable`] tells whether to ask again.
#[async_trait]
pub trait Letters: Send + Sync + 'static {
    /// Describes letters. Of one task only the newest, by [`Letter::order`], is described.
    ///
    /// # Cancel safety
    /// Dropped, any of it may or may not have been written.
    async fn describe(&self, batch: &[Letter]) -> Result<(), StoreError>;

    /// Forgets letters that were replayed or discarded.
    ///
    /// # Cancel safety
    /// Dropped, any of them may still be described.
    async fn forget(&self, batch: &[Gone]) -> Result<(), StoreError>;

    /// Lists at most `most` letters of a queue, newest first (by `died_at`, then by id), from
    /// the beginning or behind a place.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn list(
        &self,
        queue: &QueueName,
        behind: Option<Behind>,
        most: usize,
    ) -> Result<Vec<Letter>, StoreError>;

    /// Reads the descriptions of these tasks' letters.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Option<Letter>>, StoreError>;

    /// Counts the described letters of each queue that has some.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn counts(&self) -> Result<BTreeMap<QueueName, u64>, StoreError>;
}
