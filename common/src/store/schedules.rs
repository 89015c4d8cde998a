//! The schedules seam: the timetable, how far each schedule has got, and which beats live.
//!
//! Decides nothing about time. Two beats that both believe that they lead do no harm here: the
//! state of a schedule moves by compare-and-set, and an older epoch changes nothing. A wipe of
//! the store forgets what was made at run time; a beat that lives writes it again from its memory,
//! which [`Changes::incarnation`] tells it to do.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::StoreError;
use crate::clock::Millis;
use crate::id::{Owner, TaskId};
use crate::name::ScheduleName;
use crate::schedule::{Definition, Source};

#[cfg(any(feature = "embedded", feature = "redis"))]
pub(crate) mod packed;

/// How many of its last occurrences are kept with each schedule.
pub const MAX_OCCURRENCES: usize = 20;
/// Most schedules of a namespace.
pub const MAX_SCHEDULES: usize = 1_000_000;
/// How many versions back [`Schedules::changes`] can tell what changed, and how many of the last
/// deleted schedules are remembered as such.
pub const MAX_CHANGES: u64 = 10_000;

/// A schedule as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScheduleEntry {
    /// Its name.
    pub name: ScheduleName,
    /// What it says.
    pub definition: Definition,
    /// Where it comes from.
    pub source: Source,
    /// Counts the changes of this entry; given by the store. It begins with 1, or above the last
    /// revision of a deleted schedule of the same name, where that is remembered: so a change that
    /// was meant for the deleted one is never made to the new one.
    #[serde(default)]
    pub revision: u32,
    /// Only what is due after this instant counts: when it was made, when its times were last
    /// changed, or when it was last resumed.
    pub since: Millis,
    /// Nothing of it is put in while this is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Paused>,
    /// When it was made.
    pub created_at: Millis,
    /// When it was last changed.
    pub changed_at: Millis,
}

/// Who paused a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paused {
    /// Since when.
    pub at: Millis,
    /// Who.
    pub by: String,
    /// Why, in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// How far a schedule has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Counts the moves, from 1: what a compare-and-set compares.
    pub seq: u64,
    /// The epoch of the leader that moved it last.
    pub epoch: u64,
    /// Each occurrence up to and with this instant is settled: confirmed by the broker, left out, or
    /// waiting as `queued`.
    pub through: Millis,
    /// The occurrence that waits for the previous one to be over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued: Option<Millis>,
    /// The task of the occurrence that was put in last by the clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<TaskId>,
}

/// A schedule with its position; none where that was lost, or cannot be read any more.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduled {
    /// The schedule.
    pub entry: ScheduleEntry,
    /// How far it has got.
    pub position: Option<Position>,
}

/// A change to one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The schedule; also where the entry carries another name.
    pub name: ScheduleName,
    /// The revision that is changed; none where no such schedule may be there yet.
    pub expected: Option<u32>,
    /// What it becomes; none where it is deleted, with its position and its occurrences. Its
    /// revision is set by the store.
    pub entry: Option<ScheduleEntry>,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// It is written, under this revision (of a deleted entry: the last one). A new entry begins
    /// with the position `{ seq: 0, epoch: 0, through: entry.since }`.
    Written(u32),
    /// The entry is not what was expected, or there is nothing to delete; this is what is there.
    /// None where nothing is, or what cannot be read: that is logged, and a newer version may have
    /// written it.
    Other(Option<Box<Scheduled>>),
}

/// A move of one schedule's position, with what it was moved over.
#[derive(Debug, Clone, PartialEq)]
pub struct Advance {
    /// The schedule.
    pub name: ScheduleName,
    /// The `seq` of the position that is moved; none where there is none.
    pub expected: Option<u64>,
    /// Where it moves to; its `seq` is one more than that of the position it replaces (1 where
    /// there was none), its epoch that of the leader who asks.
    pub to: Position,
    /// What became of the occurrences on the way, oldest first; at most [`MAX_OCCURRENCES`] of the
    /// newest are kept.
    pub occurrences: Vec<Occurrence>,
}

/// What became of a move.
#[derive(Debug, Clone, PartialEq)]
pub enum Advanced {
    /// It is written. Also where the position was lost and the schedule is there, and where the very
    /// same move was made before: its answer may have been lost.
    Moved,
    /// The position is another one, or of a greater epoch; this is what is there.
    Elsewhere(Position),
    /// There is no such schedule.
    Gone,
}

/// What became of one occurrence, or of several that were left out together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occurrence {
    /// The instant that its schedule names; of several, the last.
    pub due: Millis,
    /// Why it came about.
    pub cause: Cause,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// When that was certain: for one that was put in, when the broker had confirmed it.
    pub at: Millis,
    /// When it was to be put in: `due`, with its jitter.
    pub planned: Millis,
    /// The schedule's revision.
    pub revision: u32,
    /// Who asked for it, where the clock did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// Why an occurrence came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The clock, on time.
    Clock,
    /// The clock; it was missed and is caught up with.
    CatchUp,
    /// The clock; it waited for the previous one to be over.
    Queued,
    /// Somebody asked for one now.
    RunNow,
    /// Somebody asked for those of a range.
    Backfill,
}

/// What became of an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "lowercase")]
pub enum Fate {
    /// The broker has its task.
    Fired {
        /// The task.
        task: TaskId,
    },
    /// It was left out.
    Skipped {
        /// Why.
        why: Skip,
        /// How many were left out together; at least 1.
        count: u64,
    },
    /// It waits until the previous one is over.
    Waiting,
}

/// Why an occurrence was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Skip {
    /// It was missed, and the schedule does not catch up with it.
    Missed,
    /// The previous one was not over.
    Overlap,
    /// Its task was refused for good: too large, for example.
    Refused,
}

/// What changed in the timetable since somebody looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Which life of the timetable this is: another one after a wipe. None where nothing was ever
    /// written to a store that others could have emptied: then it is not known whether something
    /// was lost.
    pub incarnation: Option<u64>,
    /// Grows with every change to an entry. A smaller one than before, in the same incarnation, is
    /// a store that went back to an older copy of itself: what happened since is lost, as after a
    /// wipe.
    pub version: u64,
    /// The schedules that changed after the version that was asked about, those that are gone
    /// included; none where that is not known and all have to be read: after more than
    /// [`MAX_CHANGES`] changes, and where the version that was asked about is none of this
    /// timetable's.
    pub names: Option<Vec<ScheduleName>>,
}

/// What a beat says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BeatInfo {
    /// Its incarnation.
    pub owner: Owner,
    /// The machine.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// Its version of Leveret.
    pub version: String,
    /// When it began.
    pub started_at: Millis,
    /// When this was written.
    pub at: Millis,
    /// The epoch under which it leads; none where it stands by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leads: Option<u64>,
    /// How many schedules it has read.
    pub schedules: u64,
    /// Its timetable file, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<TimetableFile>,
}

/// A timetable file, as the beat that has it sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimetableFile {
    /// The path, as the beat was given it.
    pub path: String,
    /// Tells contents apart: equal for files that say the same.
    pub fingerprint: uuid::Uuid,
}

/// Keeps the timetable.
///
/// # Errors
/// Each method fails with a [`StoreError`] where the store cannot be asked, or refuses;
/// [`StoreError::retryable`] tells whether to ask again.
#[async_trait]
pub trait Schedules: Send + Sync + 'static {
    /// Lists at most `most` schedules by name (byte order), from the beginning or behind a name;
    /// fewer only where no more are there. An entry that cannot be read is left out and logged: a
    /// newer version may have written it.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError>;

    /// Reads schedules, in the order of the names.
    ///
    /// # Errors
    /// Also when an entry cannot be read ([`Corrupt`](super::StoreErrorKind::Corrupt)).
    ///
    /// # Cancel safety
    /// Reads only.
    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError>;

    /// Changes entries; each change is one atomic step, in the order of the batch.
    ///
    /// # Errors
    /// Also when there are [`MAX_SCHEDULES`] already ([`Refused`](super::StoreErrorKind::Refused)). After an error
    /// any of the changes may or may not be written.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not be written.
    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError>;

    /// Moves positions; each move is one atomic step, in the order of the batch.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not be written.
    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError>;

    /// Writes what somebody still remembers after a wipe: an absent schedule as it was, its revision
    /// included; of one that is there, a later state of the same entry (made at the same time, of a
    /// greater revision, and changed no earlier, so that nothing is undone that was changed since
    /// the wipe), and a position that is later (a greater `seq`, under no smaller epoch). So
    /// whoever remembers most wins, in whatever order they come. A schedule that was deleted since
    /// the wipe stays so, while the last [`MAX_CHANGES`] deletions are remembered.
    ///
    /// # Errors
    /// Also when there are [`MAX_SCHEDULES`] already ([`Refused`](super::StoreErrorKind::Refused)).
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not be written.
    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError>;

    /// Notes occurrences that the clock did not ask for, each behind those already there. Best
    /// effort: where the schedule is gone, nothing is noted.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not be noted.
    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError>;

    /// Lists the last occurrences of a schedule, newest first: as they were noted, whatever instant
    /// they name.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError>;

    /// Tells what changed after `since`, a version of this incarnation; no names where none is given.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError>;

    /// Writes what a beat says of itself; it ends by itself after `ttl`.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been written.
    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError>;

    /// Lists the beats that live.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError>;
}

/// Returns where a new schedule begins.
#[cfg(any(feature = "embedded", feature = "redis"))]
pub(crate) const fn first_position(entry: &ScheduleEntry) -> Position {
    Position { seq: 0, epoch: 0, through: entry.since, queued: None, previous: None }
}

/// Says that there are as many schedules as there may be.
#[cfg(any(feature = "embedded", feature = "redis"))]
pub(crate) fn too_many(name: &ScheduleName) -> String {
    format!(
        "there are {MAX_SCHEDULES} schedules already, the most that a namespace may have, so {name} \
         was not made: delete some that are no longer needed, or use another namespace"
    )
}
