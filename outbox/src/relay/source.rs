//! The seam between a relay and a database: rows are taken, and marked once it is known what became
//! of them.
//!
//! Guards that a row taken here is in no other relay's hands until it is marked or let go, and that
//! it is waiting again by itself when this process dies.

use std::time::Duration;

use async_trait::async_trait;

use super::error::RelayError;

/// A row that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// Its number in the table.
    pub(super) seq: i64,
    /// The task's id, where options give neither id nor key.
    pub(super) id: String,
    pub(super) kind: String,
    /// JSON, as it was written.
    pub(super) args: String,
    /// JSON, as it was written.
    pub(super) options: String,
    /// How long ago it was written, by the database's clock.
    pub(super) age: Duration,
    /// How often it failed by itself.
    pub(super) tries: u32,
    /// Why it cannot be read, where that is so; it is refused then.
    pub(super) defect: Option<String>,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) row: Row,
    pub(super) fate: Fate,
}

/// What can become of a row that was taken. One that is not marked waits as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    /// The broker has the task.
    Sent,
    /// It can never be accepted as it stands.
    Refused(String),
    /// It is tried again by itself, after a while.
    Waits { problem: String, wait: Duration },
}

/// What lies in an outbox.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// How many rows wait; 100,000 where there are more.
    pub waiting: u64,
    /// How many of them failed and are tried again; counted as `waiting`.
    pub failing: u64,
    /// How many were refused; counted as `waiting`.
    pub refused: u64,
    /// How long ago the first that waits was written.
    pub oldest: Option<Duration>,
    /// Some of the rows that were refused or fail, the first ones first.
    pub troubled: Vec<Refused>,
}

/// A row that was refused, or failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its number in the table.
    pub seq: i64,
    /// Its kind.
    pub kind: String,
    /// Why.
    pub problem: String,
    /// Whether it was refused, and is not tried again until somebody mends it.
    pub is_final: bool,
}

/// Most rows of a kind that are counted: a survey must not read a table of millions.
pub(super) const MOST_COUNTED: i64 = 100_000;
/// Most troubled rows that a survey shows.
pub(super) const MOST_SHOWN: i64 = 20;
/// Most rows that are deleted at once of those that were kept long enough.
pub(super) const MOST_PRUNED: i64 = 5_000;

/// An outbox that is open.
#[async_trait]
pub(super) trait Source: Send {
    /// Takes at most so many rows that wait, the first ones first. Whatever was taken before and not
    /// marked is let go.
    async fn take(&mut self, most: u32) -> Result<Vec<Row>, RelayError>;

    /// Writes down what became of rows that were taken, all or nothing, and lets go of the others.
    async fn mark(&mut self, marks: Vec<Mark>) -> Result<(), RelayError>;

    /// Waits until there may be something new, at most so long.
    ///
    /// # Cancel safety
    /// Dropped, nothing is missed: the next wait is over at once.
    async fn wait(&mut self, longest: Duration) -> Result<(), RelayError>;

    /// Deletes rows that were handed on longer ago than they are kept, a bounded number; tells
    /// whether there may be more.
    async fn prune(&mut self) -> Result<bool, RelayError>;

    /// Looks at what there is.
    async fn survey(&mut self) -> Result<Survey, RelayError>;

    /// Tells whether another relay has the outbox for itself.
    fn stands_by(&self) -> bool;
}
