//! The steps on the timetable, each within the writer's transaction: read, compare, write.

use std::fmt::Display;

use rusqlite::{Connection, OptionalExtension, Row};

use crate::embedded::error::Failure;
use crate::embedded::records::json;
use crate::embedded::transaction::{Transaction, signed_us};
use crate::name::ScheduleName;
use crate::store::schedules::{self, packed};
use crate::store::{
    Advanced, Changed, MAX_CHANGES, MAX_OCCURRENCES, MAX_SCHEDULES, Occurrence, Position,
    ScheduleEntry, Scheduled,
};

const FIND: &str = "SELECT s.entry, p.position, s.revision FROM schedule s
    LEFT JOIN position p ON p.name = s.name WHERE s.name = ?1";
const WHERE: &str = "SELECT p.position FROM schedule s
    LEFT JOIN position p ON p.name = s.name WHERE s.name = ?1";
const COUNT: &str = "SELECT schedules FROM timetable";
/// Counts a change, and by how many the schedules become more.
const TURN: &str = "UPDATE timetable SET version = version + 1, schedules = schedules + ?1
    RETURNING version";
const NOTE_CHANGE: &str = "INSERT OR REPLACE INTO schedule_change (version, name) VALUES (?1, ?2)";
const FORGET_CHANGES: &str = "DELETE FROM schedule_change WHERE version <= ?1";
const REMOVED: &str = "SELECT revision FROM schedule_removal WHERE name = ?1";
const NOTE_REMOVAL: &str = "INSERT OR REPLACE INTO schedule_removal (seq, name, revision)
    SELECT coalesce(max(seq), 0) + 1, ?1, ?2 FROM schedule_removal RETURNING seq";
const FORGET_REMOVAL: &str = "DELETE FROM schedule_removal WHERE name = ?1";
const FORGET_REMOVALS: &str = "DELETE FROM schedule_removal WHERE seq <= ?1";
const PUT: &str = "INSERT INTO schedule (name, revision, entry) VALUES (?1, ?2, ?3)
    ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, entry = excluded.entry";
const MOVE: &str = "INSERT INTO position (name, position) VALUES (?1, ?2)
    ON CONFLICT (name) DO UPDATE SET position = excluded.position";
const REMOVE: [&str; 3] = [
    "DELETE FROM schedule WHERE name = ?1",
    "DELETE FROM position WHERE name = ?1",
    "DELETE FROM occurrence WHERE name = ?1",
];
const APPEND: &str = "INSERT INTO occurrence (name, seq, occurrence)
    SELECT ?1, coalesce(max(seq), 0) + 1, ?2 FROM occurrence WHERE name = ?1 RETURNING seq";
const FORGET_OLDEST: &str = "DELETE FROM occurrence WHERE name = ?1 AND seq <= ?2";

/// An entry on its way into the file.
pub(super) struct Written {
    text: Result<String, Failure>,
    position: Option<String>,
}

impl Written {
    /// Prepares an entry to be written under `name`, with its first position.
    pub(super) fn new(entry: &ScheduleEntry, name: &ScheduleName) -> Self {
        let first = schedules::first_position(entry);
        let entry = ScheduleEntry { name: name.clone(), ..entry.clone() };
        Self { text: json(&entry), position: Some(packed::position(&first)) }
    }

    /// Prepares what somebody remembers, to be written as it is.
    pub(super) fn again(remembered: &Scheduled) -> Self {
        let Scheduled { entry, position } = remembered;
        Self { text: json(entry), position: position.as_ref().map(packed::position) }
    }
}

/// Changes one entry, where it is the expected one.
pub(super) fn change(
    to: &Transaction,
    name: &ScheduleName,
    expected: Option<u32>,
    entry: Option<&Written>,
) -> Result<Changed, Failure> {
    let found = to.prepare(FIND)?.query_row([name.as_str()], Texts::of).optional()?;
    match (&found, expected, entry) {
        (Some(Texts { revision, .. }), Some(expected), Some(entry)) if *revision == expected => {
            let revision = expected.saturating_add(1);
            put(to, name, revision, entry)?;
            turn(to, name, 0)?;
            Ok(Changed::Written(revision))
        }
        (Some(Texts { revision, .. }), Some(expected), None) if *revision == expected => {
            for remove in REMOVE {
                to.execute(remove, [name.as_str()])?;
            }
            turn(to, name, -1)?;
            note_removal(to, name, expected)?;
            Ok(Changed::Written(expected))
        }
        (None, None, Some(entry)) => {
            // Above what the last of this name had: a change that was meant for that one is told
            // apart.
            let revision = removed(to, name)?.unwrap_or(0).saturating_add(1);
            create(to, name, revision, entry)?;
            to.execute(FORGET_REMOVAL, [name.as_str()])?;
            Ok(Changed::Written(revision))
        }
        _ => {
            // One of a newer version must not hold up the others of the batch.
            let warn = |failure: &Failure| {
                tracing::warn!(error = %failure.why, "schedule not changed");
            };
            let other = found.and_then(|texts| texts.read(name).inspect_err(warn).ok());
            Ok(Changed::Other(other.map(Box::new)))
        }
    }
}

/// Writes what somebody remembers: what is absent, a later state of the same entry, and a position
/// that is behind.
pub(super) fn restore(
    to: &Transaction,
    remembered: &ScheduleEntry,
    position: Option<&Position>,
    entry: &Written,
) -> Result<(), Failure> {
    let name = &remembered.name;
    let Some(texts) = to.prepare(FIND)?.query_row([name.as_str()], Texts::of).optional()? else {
        // What is known as removed was so since the wipe, and stays it.
        return match removed(to, name)? {
            Some(_) => Ok(()),
            None => create(to, name, remembered.revision, entry),
        };
    };
    if texts.read(name).is_ok_and(|there| is_earlier(&there.entry, remembered)) {
        put(to, name, remembered.revision, entry)?;
        turn(to, name, 0)?;
    }
    let stored = read_position(name, texts.position.as_deref());
    match (position, &entry.position) {
        (Some(position), Some(text)) if is_behind(stored.as_ref(), position) => {
            to.execute(MOVE, (name.as_str(), text)).map(drop)
        }
        _ => Ok(()),
    }
}

/// Moves one position, where it is the expected one.
pub(super) fn advance(
    to: &Transaction,
    name: &ScheduleName,
    expected: Option<u64>,
    position: &Position,
    occurrences: &[String],
) -> Result<Advanced, Failure> {
    let Some(stored) = position_of(to, name)? else { return Ok(Advanced::Gone) };
    if let Some(stored) = read_position(name, stored.as_deref()) {
        if stored == *position {
            return Ok(Advanced::Moved);
        }
        if expected != Some(stored.seq) || stored.epoch > position.epoch {
            return Ok(Advanced::Elsewhere(stored));
        }
    }
    to.execute(MOVE, (name.as_str(), packed::position(position)))?;
    append(to, name, occurrences)?;
    Ok(Advanced::Moved)
}

/// Notes occurrences of a schedule that is there.
pub(super) fn note(
    to: &Transaction,
    name: &ScheduleName,
    occurrence: &String,
) -> Result<(), Failure> {
    match position_of(to, name)? {
        Some(_) => append(to, name, std::slice::from_ref(occurrence)),
        None => Ok(()),
    }
}

/// An entry and a position as they lie in the file.
pub(super) struct Texts {
    entry: String,
    position: Option<String>,
    revision: u32,
}

impl Texts {
    /// Reads the columns `entry, position, revision`.
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { entry: row.get(0)?, position: row.get(1)?, revision: row.get(2)? })
    }

    /// Reads them; `name` says whose they are, should they not say so themselves.
    pub(super) fn read(&self, name: &impl Display) -> Result<Scheduled, Failure> {
        let entry: ScheduleEntry = serde_json::from_str(&self.entry).map_err(|why| {
            Failure::corrupt(format!(
                "the schedule {name} cannot be read: {why}; a newer version may have written it: \
                 upgrade this one"
            ))
        })?;
        let entry = ScheduleEntry { revision: self.revision, ..entry };
        Ok(Scheduled { entry, position: read_position(name, self.position.as_deref()) })
    }
}

pub(super) fn find(
    connection: &Connection,
    name: &ScheduleName,
) -> Result<Option<Scheduled>, Failure> {
    let mut statement = connection.prepare_cached(FIND)?;
    let texts = statement.query_row([name.as_str()], Texts::of).optional()?;
    texts.map(|texts| texts.read(name)).transpose()
}

/// Returns whether the schedule is there, and its position where that is.
fn position_of(to: &Transaction, name: &ScheduleName) -> Result<Option<Option<String>>, Failure> {
    Ok(to.prepare(WHERE)?.query_row([name.as_str()], |row| row.get(0)).optional()?)
}

fn create(
    to: &Transaction,
    name: &ScheduleName,
    revision: u32,
    entry: &Written,
) -> Result<(), Failure> {
    let count: i64 = to.prepare(COUNT)?.query_row([], |row| row.get(0))?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count >= MAX_SCHEDULES {
        return Err(Failure::refused(schedules::too_many(name)));
    }
    put(to, name, revision, entry)?;
    if let Some(position) = &entry.position {
        to.execute(MOVE, (name.as_str(), position))?;
    }
    turn(to, name, 1)
}

fn put(
    to: &Transaction,
    name: &ScheduleName,
    revision: u32,
    entry: &Written,
) -> Result<(), Failure> {
    let text = entry.text.as_ref().map_err(Clone::clone)?;
    to.execute(PUT, (name.as_str(), revision, text)).map(drop)
}

/// Returns the last revision of a schedule that is gone, where that is remembered.
fn removed(to: &Transaction, name: &ScheduleName) -> Result<Option<u32>, Failure> {
    Ok(to.prepare(REMOVED)?.query_row([name.as_str()], |row| row.get(0)).optional()?)
}

fn note_removal(to: &Transaction, name: &ScheduleName, revision: u32) -> Result<(), Failure> {
    let note = (name.as_str(), revision);
    let seq: i64 = to.prepare(NOTE_REMOVAL)?.query_row(note, |row| row.get(0))?;
    to.execute(FORGET_REMOVALS, [seq.saturating_sub(signed_us(MAX_CHANGES))]).map(drop)
}

/// Counts a change of `name` up, and remembers it.
fn turn(to: &Transaction, name: &ScheduleName, more: i64) -> Result<(), Failure> {
    let version: i64 = to.prepare(TURN)?.query_row([more], |row| row.get(0))?;
    to.execute(NOTE_CHANGE, (version, name.as_str()))?;
    let forgotten = version.saturating_sub(signed_us(MAX_CHANGES));
    to.execute(FORGET_CHANGES, [forgotten]).map(drop)
}

fn append(to: &Transaction, name: &ScheduleName, texts: &[String]) -> Result<(), Failure> {
    let mut last: i64 = 0;
    for text in texts {
        last = to.prepare(APPEND)?.query_row((name.as_str(), text), |row| row.get(0))?;
    }
    let too_old = last.saturating_sub(i64::try_from(MAX_OCCURRENCES).unwrap_or(i64::MAX));
    if too_old > 0 {
        to.execute(FORGET_OLDEST, (name.as_str(), too_old))?;
    }
    Ok(())
}

/// Tells whether an entry that is there is an earlier state of the one that is remembered. What was
/// changed since the wipe is changed later than anything that is remembered.
fn is_earlier(there: &ScheduleEntry, remembered: &ScheduleEntry) -> bool {
    there.created_at == remembered.created_at
        && there.revision < remembered.revision
        && there.changed_at <= remembered.changed_at
}

/// Tells whether a position that is remembered is later than the one that is there.
fn is_behind(stored: Option<&Position>, remembered: &Position) -> bool {
    stored.is_none_or(|stored| stored.seq < remembered.seq && stored.epoch <= remembered.epoch)
}

/// Reads a position. One that cannot be read counts as lost: whoever leads finds its way, and the
/// others are not held up.
fn read_position(name: &impl Display, text: Option<&str>) -> Option<Position> {
    let warn = |why: &packed::Unreadable| {
        tracing::warn!(%name, %why, "position counts as lost");
    };
    packed::read_position(text?).inspect_err(warn).ok()
}

/// Returns the newest of `occurrences`, as they are kept.
pub(super) fn newest(occurrences: &[Occurrence]) -> Vec<String> {
    let kept = occurrences.len().saturating_sub(MAX_OCCURRENCES);
    occurrences.iter().skip(kept).map(packed::occurrence).collect()
}
