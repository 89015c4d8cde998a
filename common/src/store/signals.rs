//! The signals seam: what operators ask of workers, and which queues are paused.
//!
//! Signals are hints: one may get lost, so whoever it concerns also looks at the state behind it
//! (a cancel is a flag in the ledger's entry). Pauses are state: they hold until somebody resumes
//! the queue, and a wipe of the store forgets them.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock::Millis;
use crate::id::{Fence, Owner, TaskId};
use crate::name::QueueName;

/// Most signals that wait for one worker; the oldest go first.
pub const MAX_SIGNALS: usize = 1_000;
/// How long a signal waits for its worker: a minute.
pub const SIGNAL_TTL: Duration = Duration::from_secs(60);

/// Something asked of one worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "lowercase")]
pub enum Signal {
    /// Stop this attempt: the task was cancelled.
    Cancel {
        /// The task.
        task: TaskId,
        /// The claim it runs under.
        fence: Fence,
    },
    /// Take nothing new; what runs goes on.
    Quiet,
    /// Take tasks again.
    Resume,
    /// Run so many tasks at once.
    Resize {
        /// At least 1.
        slots: u32,
    },
    /// Drain and end, as after SIGTERM.
    Stop,
}

/// A queue that no worker takes tasks from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// The queue.
    pub queue: QueueName,
    /// Since when.
    pub at: Millis,
    /// Who paused it.
    pub by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Carries signals and remembers pauses.
///
/// # Errors
/// Each method fails with a [`StoreError`] where the store cannot be asked, or refuses;
/// [`StoreError::retryable`] tells whether to ask again.
#[async_trait]
pub trait Signals: Send + Sync + 'static {
    /// Leaves signals for a worker, at most [`MAX_SIGNALS`], for [`SIGNAL_TTL`].
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been left.
    async fn send(&self, to: Owner, signals: &[Signal]) -> Result<(), StoreError>;

    /// Takes the signals that were left for a worker, oldest first.
    ///
    /// # Cancel safety
    /// Dropped, they may be gone: signals are hints.
    async fn receive(&self, owner: Owner) -> Result<Vec<Signal>, StoreError>;

    /// Pauses a queue; the first pause of a queue stays.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be paused.
    async fn pause(&self, pause: &Pause) -> Result<(), StoreError>;

    /// Resumes a queue; false when it was not paused.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be paused.
    async fn resume(&self, queue: &QueueName) -> Result<bool, StoreError>;

    /// Lists the paused queues by name.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn pauses(&self) -> Result<Vec<Pause>, StoreError>;
}
