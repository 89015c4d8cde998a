//! What an operation sees of the file while the writer runs it.
//!
//! Owned by the writer thread, so ids and instants come from one place: ids of messages grow, and
//! no two requests see the same microsecond (rule C6 needs a time that never stands still).

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params};

use super::error::Failure;
use crate::clock::{Millis, SharedClock};

/// The writer's connection, and its two counters.
pub(super) struct Transaction {
    connection: Connection,
    clock: SharedClock,
    /// The last id given to a message. Never given twice in one process, also not after a rollback:
    /// the places remember up to which id they have read.
    last_id: i64,
    /// The last microsecond that was told.
    last_us: u64,
}

impl Transaction {
    pub(super) fn new(connection: Connection, clock: SharedClock) -> rusqlite::Result<Self> {
        let sql = "SELECT coalesce(max(id), 0) FROM message";
        let last_id = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(Self { connection, clock, last_id, last_us: 0 })
    }

    /// Returns the greatest id of a message so far.
    pub(super) fn last_id(&self) -> i64 {
        self.last_id
    }

    pub(super) fn next_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn now(&self) -> Millis {
        self.clock.now()
    }

    /// Returns the ledger's time: µs, later than any told before.
    pub(super) fn now_us(&mut self) -> u64 {
        let clock = self.clock.now().0.saturating_mul(1_000);
        self.last_us = clock.max(self.last_us.saturating_add(1));
        self.last_us
    }

    pub(super) fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, Failure> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    pub(super) fn execute(&self, sql: &str, params: impl Params) -> Result<usize, Failure> {
        Ok(self.prepare(sql)?.execute(params)?)
    }

    pub(super) fn text(&self, sql: &str, params: impl Params) -> Result<Option<String>, Failure> {
        Ok(self.prepare(sql)?.query_row(params, |row| row.get(0)).optional()?)
    }

    pub(super) fn begin(&self) -> Result<(), Failure> {
        self.execute("BEGIN IMMEDIATE", []).map(drop)
    }

    pub(super) fn commit(&self) -> Result<(), Failure> {
        let mut statement = self.prepare("COMMIT")?;
        statement.execute([]).map(drop).map_err(Failure::of_commit)
    }

    /// Takes everything since `begin` back; SQLite may have done so by itself.
    pub(super) fn roll_back(&self) {
        if self.connection.is_autocommit() {
            return;
        }
        if let Err(failure) = self.execute("ROLLBACK", []) {
            tracing::error!(error = %failure.why, "failed to roll back");
        }
    }

    /// Moves the log into the file and closes both.
    pub(super) fn close(self) {
        let checkpoint = self.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
        let closed = self.connection.close().map_err(|(_, error)| error);
        if let Err(error) = checkpoint.and(closed) {
            // Nothing is lost: the next open reads the log.
            tracing::warn!(%error, "failed to close the data file in order");
        }
    }
}

/// Returns the ledger's time as SQLite's signed integer.
pub(super) fn signed_us(us: u64) -> i64 {
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// Returns an instant as SQLite's signed integer.
pub(super) fn signed(instant: Millis) -> i64 {
    i64::try_from(instant.0).unwrap_or(i64::MAX)
}
