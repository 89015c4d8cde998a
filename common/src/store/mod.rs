//! The store seams: the ledger decides, records and letters answer, the fleet says who lives,
//! schedules keep the timetable, leases and signals help people and processes to agree.
//!
//! Losing all of a store's memory may repeat work that was in flight; it never loses any, because
//! the broker holds the tasks. Backends: `redis` below, and [`crate::embedded`]. The rules of the
//! ledger are pure functions in [`crate::ledger`]; a backend makes each one atomic.

mod error;
mod fleet;
mod interim;
mod leases;
mod letters;
mod notice;
mod records;
#[cfg(feature = "redis")]
pub mod redis;
pub(crate) mod schedules;
mod signals;
mod view;

use async_trait::async_trait;

pub use self::error::{StoreError, StoreErrorKind};
pub use self::fleet::{
    Fleet, Heartbeat, LaneInfo, Liveness, Renewal, Suspect, WorkerInfo, WorkerState, judge,
};
pub use self::interim::Interim;
pub use self::leases::{Lease, Leases};
pub use self::letters::{Behind, Gone, LETTER_TTL, Letter, Letters, MAX_ARGS_SHOWN};
pub use self::notice::{News, Notice};
pub use self::records::{
    Act, Action, AttemptNote, Enqueued, MAX_HISTORY, MAX_SEEN, Occasion, Records, Retention, Seen,
    TaskRecord,
};
pub use self::schedules::{
    Advance, Advanced, BeatInfo, Cause, Change, Changed, Changes, Fate, MAX_CHANGES,
    MAX_OCCURRENCES, MAX_SCHEDULES, Occurrence, Paused, Position, ScheduleEntry, Scheduled,
    Schedules, Skip, TimetableFile,
};
pub use self::signals::{MAX_SIGNALS, Pause, SIGNAL_TTL, Signal, Signals};
pub use self::view::{TaskState, TaskView};
use crate::id::TaskId;
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover,
};

/// Remembers claims and outcomes per task id. Each request is one atomic step on one task.
///
/// Every method answers in the order of its slice. A failed call may have been applied: claims
/// are recognised by their token (rule C7), the others are safe to repeat.
///
/// # Cancel safety
/// As for a failed call: dropped, a request may or may not have been applied.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// Asks for the right to run each task.
    async fn claim(&self, batch: &[Claim]) -> Result<Vec<Answer>, StoreError>;

    /// Takes each task over from the owner and fence that are expected to be dead.
    async fn take_over(&self, batch: &[Takeover]) -> Result<Vec<Answer>, StoreError>;

    /// Records each outcome before anything of it is published.
    async fn decide(&self, batch: &[Decide]) -> Result<Vec<Ruling>, StoreError>;

    /// Records that each outcome is published, so that the old message may be ignored.
    async fn mark(&self, batch: &[Mark]) -> Result<Vec<Ruling>, StoreError>;

    /// Gives each claim back without charging an attempt or a crash.
    async fn release(&self, batch: &[Release]) -> Result<Vec<Ruling>, StoreError>;

    /// Writes each held claim again where its entry is absent (rule L5).
    async fn reassert(&self, batch: &[Held]) -> Result<(), StoreError>;

    /// Asks that each task not be run (rule K1).
    async fn cancel(&self, batch: &[Cancel]) -> Result<Vec<Cancelling>, StoreError>;

    /// Reads the entries.
    async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Option<Entry>>, StoreError>;

    /// Tells whether the store is reachable and takes writes.
    async fn check(&self) -> Result<(), StoreError>;
}
