//! A look at all that rests in the store, for the tests of programs: nothing is taken or changed.
//!
//! It blocks its caller for the moment that the reading thread takes, so that an assertion need not
//! be awaited. It sees what is committed: all that was confirmed to anybody.

use rusqlite::{Connection, OptionalExtension};

use super::Embedded;
use super::error::Failure;
use super::stored::{Stored, named};
use super::transaction::signed;
use crate::broker::Place;
use crate::clock::Millis;
use crate::envelope::Wire;
use crate::id::TaskId;
use crate::ledger::{Entry, packed};
use crate::store::StoreError;

/// A message that is not acked.
#[derive(Debug, Clone, PartialEq)]
pub struct Resting {
    /// Where.
    pub place: Place,
    /// Until when it waits; nothing where it waits for a worker alone.
    pub due: Option<Millis>,
    /// The message.
    pub wire: Wire,
    /// What the ledger holds of the task with the message's id.
    pub entry: Option<Entry>,
}

/// What waits in one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waits {
    /// Where.
    pub place: Place,
    /// The number of the first message that waits for a worker alone: they count up over all
    /// places.
    pub first: Option<i64>,
    /// Until when the first of those waits that wait for their time.
    pub due: Option<Millis>,
}

impl Embedded {
    /// Reads every message, those of a place in the order in which they come.
    ///
    /// # Errors
    /// When the store is closed or damaged.
    pub fn resting(&self) -> Result<Vec<Resting>, StoreError> {
        let now = signed(self.core.clock.now());
        let read = self.core.answers.ask(move |connection| messages(connection, now));
        read.map_err(|failure| failure.for_store("list messages", &self.core.endpoint))
    }

    /// Tells where something waits, and until when.
    ///
    /// # Errors
    /// When the store is closed or damaged.
    pub fn waits(&self) -> Result<Vec<Waits>, StoreError> {
        let read = self.core.answers.ask(places);
        read.map_err(|failure| failure.for_store("list places", &self.core.endpoint))
    }
}

fn messages(connection: &Connection, now: i64) -> Result<Vec<Resting>, Failure> {
    let mut statement = connection
        .prepare_cached("SELECT id, wire, body, place, due_ms FROM message ORDER BY due_ms, id")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let place: String = row.get(3)?;
        // Whose name is none was written by nobody here.
        let Some(place) = named(&place) else { continue };
        let due: Option<i64> = row.get(4)?;
        let due = due.and_then(|due| u64::try_from(due).ok()).map(Millis);
        let wire = Stored::from_row(row)?.to_wire();
        let id = wire.message_id.as_deref().and_then(|id| id.parse().ok());
        let entry = id.map(|id| entry(connection, id, now)).transpose()?.flatten();
        found.push(Resting { place, due, wire, entry });
    }
    Ok(found)
}

fn entry(connection: &Connection, id: TaskId, now: i64) -> Result<Option<Entry>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT entry FROM ledger WHERE id = ?1 AND expires_ms > ?2")?;
    let key = id.uuid();
    let text: Option<String> =
        statement.query_row((key.as_bytes(), now), |row| row.get(0)).optional()?;
    let read = text.as_deref().map(packed::read).transpose();
    read.map_err(|error| Failure::corrupt(error.to_string()))
}

fn places(connection: &Connection) -> Result<Vec<Waits>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT place, min(CASE WHEN due_ms IS NULL THEN id END), min(due_ms)
         FROM message GROUP BY place",
    )?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let place: String = row.get(0)?;
        let Some(place) = named(&place) else { continue };
        let due: Option<i64> = row.get(2)?;
        let due = due.and_then(|due| u64::try_from(due).ok()).map(Millis);
        found.push(Waits { place, first: row.get(1)?, due });
    }
    Ok(found)
}
