//! The fleet seam: which worker incarnations live, and which claims each of them holds.
//!
//! One write renews every claim of a worker (rule L1). Whether a claim may be taken over is
//! judged by [`judge`], the same for every backend that has heartbeats.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock::Millis;
use crate::id::{Fence, Owner, TaskId};
use crate::ledger::Hold;
use crate::name::Lane;

/// What a worker does with new tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// It takes them.
    Running,
    /// It was asked to take none; what runs goes on.
    Quiet,
    /// It takes none and ends when what runs is over.
    Draining,
}

impl WorkerState {
    /// Returns the state's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Quiet => "quiet",
            Self::Draining => "draining",
        }
    }
}

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// When the incarnation began.
    pub started_at: Millis,
    /// When this was written.
    pub at: Millis,
    /// Its version of Leveret.
    pub version: String,
    /// How many tasks it runs at once.
    pub slots: u32,
    /// How many it runs now.
    pub in_use: u32,
    /// The lanes it serves.
    pub lanes: Vec<LaneInfo>,
    /// The kinds it has handlers for.
    pub kinds: Vec<String>,
    /// What it does with new tasks.
    pub state: WorkerState,
    /// Attempts that ended since it began, whatever their outcome.
    pub attempts: u64,
    /// Memory that the process holds, in bytes; 0 where the system does not say.
    pub memory: u64,
}

/// What a worker says of one lane it serves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneInfo {
    /// The lane.
    pub lane: Lane,
    /// Whether the broker knows its consumer; not so while the queue is paused.
    pub consuming: bool,
    /// Deliveries that wait here for a slot.
    pub waiting: u32,
    /// Attempts that ended per second, over about the last half minute.
    pub rate: f64,
    /// When the delivery that came last was due: what rests in the lane came later, apart from
    /// what was returned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Millis>,
}

/// A sign of life; its value lists the claims it renews.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// Whose.
    pub owner: Owner,
    /// The claims held.
    pub held: Vec<(TaskId, Fence)>,
    /// What the worker says of itself.
    pub info: WorkerInfo,
}

/// What a renewal found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// The last heartbeat was still there.
    Kept,
    /// It was not: this is the first one, it came too late, or the store was reset.
    Absent,
}

/// A claim that stands in a reader's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// The task.
    pub id: TaskId,
    /// Who holds it.
    pub hold: Hold,
    /// How long ago it was claimed, by the ledger's own time.
    pub age: Duration,
}

/// Whether a claim still has a living holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Its owner lists it, or it is too young to tell.
    Alive,
    /// Its owner lives and does not list it: a lost reply. No crash is charged.
    Orphaned,
    /// Its owner is gone. A crash is charged.
    Dead,
    /// Nothing can be concluded: the reader's own heartbeat is missing (rule L4), or the owner's is
    /// there and cannot be read.
    Unsure,
}

/// Says who lives.
///
/// # Errors
/// Each method fails with a [`StoreError`] where the store cannot be asked, or refuses;
/// [`StoreError::retryable`] tells whether to ask again.
#[async_trait]
pub trait Fleet: Send + Sync + 'static {
    /// Writes a heartbeat that ends by itself after `ttl`.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been written.
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<Renewal, StoreError>;

    /// Judges the claims in `suspects` on behalf of `reader`, with the fleet's heartbeat `ttl`.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
    ) -> Result<Vec<Liveness>, StoreError>;

    /// Tells whether a reader needs one unbroken `ttl` of its own before it takes anything over
    /// (rule L4). Not so where a file lock proves older incarnations dead.
    fn needs_grace(&self) -> bool;

    /// Removes the heartbeat of a worker that ends in order.
    ///
    /// # Cancel safety
    /// Dropped, the heartbeat ends by itself.
    async fn leave(&self, owner: Owner) -> Result<(), StoreError>;

    /// Lists the living workers.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn workers(&self) -> Result<Vec<Heartbeat>, StoreError>;
}

/// Judges one claim by its owner's heartbeat (rules L1 and L2).
#[must_use]
pub fn judge(
    suspect: &Suspect,
    holder: Option<&Heartbeat>,
    reader_lives: bool,
    ttl: Duration,
) -> Liveness {
    judge_held(suspect, holder.map(|beat| beat.held.as_slice()), reader_lives, ttl)
}

/// As [`judge`], by the claims that the owner's heartbeat lists: what else it says may be in words
/// of another version.
pub(crate) fn judge_held(
    suspect: &Suspect,
    held: Option<&[(TaskId, Fence)]>,
    reader_lives: bool,
    ttl: Duration,
) -> Liveness {
    if !reader_lives {
        return Liveness::Unsure;
    }
    let listed = held.is_some_and(|held| held.contains(&(suspect.id, suspect.hold.fence)));
    if listed || suspect.age < ttl {
        return Liveness::Alive;
    }
    if held.is_some() { Liveness::Orphaned } else { Liveness::Dead }
}
