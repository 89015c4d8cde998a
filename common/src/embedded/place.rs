//! What is known in memory of the places that somebody consumes: lanes and dead letters.
//!
//! Handing a message out is not written down: the table holds whatever is not acked, and memory
//! remembers how far the place was read. A crash forgets that, and everything unacked is there
//! again. Messages of an earlier opening of the file count as redelivered, because nobody knows
//! which of them were handed out; a message that waited for its time gets a new id when it falls
//! due and so does not.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Notify;

use super::error::Failure;
use super::stored::Stored;
use super::transaction::{Transaction, signed};
use crate::clock::Millis;

/// Most messages read ahead of the consumers.
const AHEAD: usize = 512;
/// Most bytes of bodies read ahead, the last body over.
const AHEAD_BYTES: usize = 4 * 1024 * 1024;
/// Most delayed messages moved to their lane in one operation.
const PROMOTE: i64 = 500;

/// The places that were consumed since the file was opened.
pub(super) struct Places {
    open: Mutex<HashMap<String, Arc<OpenPlace>>>,
    /// The greatest id that the file held when it was opened.
    inherited: i64,
}

impl Places {
    pub(super) fn new(inherited: i64) -> Self {
        Self { open: Mutex::default(), inherited }
    }

    pub(super) fn open(&self, name: &str) -> Arc<OpenPlace> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let place = open
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(OpenPlace::new(name.to_owned(), self.inherited)));
        Arc::clone(place)
    }

    pub(super) fn find(&self, name: &str) -> Option<Arc<OpenPlace>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Lets every consumer look again.
    pub(super) fn wake_all(&self) {
        for place in self.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            place.wake.notify_waiters();
        }
    }
}

/// A place with consumers.
pub(super) struct OpenPlace {
    pub(super) name: String,
    /// Told whenever a look at the place may find something else than before.
    pub(super) wake: Notify,
    inherited: i64,
    state: Mutex<State>,
}

struct State {
    /// Read from the table or returned, not handed out: in the order of ids, so what was returned
    /// is at the head again.
    ready: BTreeMap<i64, Stored>,
    /// Everything up to this id was read.
    read_to: i64,
    /// Whether the table may hold more after `read_to`.
    more: bool,
    due: Due,
    /// Whether the last step was a promotion: the next one reads, so that a crowd that falls due
    /// at once is handed out while it is still being moved.
    promoted: bool,
    /// Handed out and not yet gone from the table.
    out: u64,
    consumers: u32,
}

/// What memory knows of a place and the table does not.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Glance {
    /// Messages that are handed out; the table still has them.
    pub(super) out: u64,
    /// Consumers that take from the place.
    pub(super) consumers: u32,
    /// Everything up to this id was read, and is handed out or among those that are ready.
    pub(super) read_to: i64,
    /// The head of the first of those that are ready.
    pub(super) first: Option<String>,
}

/// When the earliest delayed message of a lane falls due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// Nobody has looked yet.
    Unknown,
    /// There is none.
    Never,
    /// Then.
    At(Millis),
}

/// What a consumer should do next.
#[derive(Debug, PartialEq)]
pub(super) enum Look {
    /// Hand these out.
    Take(Vec<Stored>),
    /// Read from the table.
    Read,
    /// Move what fell due.
    Promote,
    /// Wait to be woken, at most this long.
    Wait(Option<Duration>),
}

impl OpenPlace {
    fn new(name: String, inherited: i64) -> Self {
        let (ready, due) = (BTreeMap::new(), Due::Unknown);
        let state =
            State { ready, read_to: 0, more: true, due, promoted: false, out: 0, consumers: 0 };
        let state = Mutex::new(state);
        Self { name, wake: Notify::new(), inherited, state }
    }

    /// Takes at most `most` messages, or says how to get at some.
    pub(super) fn look(&self, most: usize, now: Millis) -> Look {
        let mut state = self.state();
        let mut taken = Vec::new();
        while taken.len() < most {
            let Some((_, stored)) = state.ready.pop_first() else { break };
            taken.push(stored);
        }
        if !taken.is_empty() {
            state.out += taken.len() as u64;
            return Look::Take(taken);
        }
        let (fell_due, wait) = match state.due {
            Due::Unknown => (true, None),
            Due::Never => (false, None),
            Due::At(due) => (due <= now, Some(due.since(now))),
        };
        if fell_due && !(state.promoted && state.more) {
            return Look::Promote;
        }
        if state.more { Look::Read } else { Look::Wait(wait) }
    }

    /// Reads ahead. What is read stays here, also when the consumer that asked is gone.
    pub(super) fn read(&self, connection: &Connection) -> Result<(), Failure> {
        let from = {
            let mut state = self.state();
            if !state.ready.is_empty() {
                return Ok(());
            }
            // Before the query: what is committed after this sets it again.
            state.more = false;
            state.promoted = false;
            state.read_to
        };
        let read = self.rows(connection, from);
        let mut state = self.state();
        state.more |= read.as_ref().map_or(true, |(_, full)| *full);
        for stored in read?.0 {
            state.read_to = state.read_to.max(stored.id);
            state.ready.insert(stored.id, stored);
        }
        drop(state);
        // Whoever looked while the query ran found nothing and waits.
        self.wake.notify_waiters();
        Ok(())
    }

    /// Returns the rows after `from`, and whether there may be more.
    fn rows(&self, connection: &Connection, from: i64) -> Result<(Vec<Stored>, bool), Failure> {
        let mut statement = connection.prepare_cached(
            "SELECT id, wire, body FROM message
             WHERE place = ?1 AND due_ms IS NULL AND id > ?2 ORDER BY id",
        )?;
        let mut rows = statement.query((&self.name, from))?;
        let (mut read, mut bytes) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let mut stored = Stored::from_row(row)?;
            stored.redelivered = stored.id <= self.inherited;
            bytes += stored.body.len();
            read.push(stored);
            if read.len() >= AHEAD || bytes >= AHEAD_BYTES {
                return Ok((read, true));
            }
        }
        Ok((read, false))
    }

    /// Takes note that messages for the place were committed: `ready` ones, and delayed ones of
    /// which the first falls due at `earliest`.
    pub(super) fn arrived(&self, ready: bool, earliest: Option<Millis>) {
        let mut state = self.state();
        state.more |= ready;
        state.due = match (earliest, state.due) {
            (None, due) | (Some(_), due @ Due::Unknown) => due,
            (Some(at), Due::Never) => Due::At(at),
            (Some(at), Due::At(known)) => Due::At(known.min(at)),
        };
        drop(state);
        self.wake.notify_waiters();
    }

    /// Takes note of a committed promotion.
    pub(super) fn promoted(&self, due: Due) {
        let mut state = self.state();
        state.due = due;
        state.more = true;
        state.promoted = true;
        drop(state);
        self.wake.notify_waiters();
    }

    /// Puts messages that were handed out back at the head.
    pub(super) fn take_back(&self, messages: Vec<Stored>) {
        let mut state = self.state();
        for stored in messages {
            state.out = state.out.saturating_sub(1);
            state.ready.insert(stored.id, Stored { redelivered: true, ..stored });
        }
        drop(state);
        self.wake.notify_waiters();
    }

    /// Takes note that handed out messages are gone from the table.
    pub(super) fn gone(&self, count: usize) {
        let mut state = self.state();
        state.out = state.out.saturating_sub(count as u64);
        drop(state);
        self.wake.notify_waiters();
    }

    /// Takes note of a new consumer.
    pub(super) fn joined(&self) {
        self.state().consumers += 1;
    }

    /// Takes note that a consumer takes nothing more.
    pub(super) fn left(&self) {
        let mut state = self.state();
        state.consumers = state.consumers.saturating_sub(1);
    }

    /// Returns what a survey cannot see in the table.
    pub(super) fn glance(&self) -> Glance {
        let state = self.state();
        let first = state.ready.first_key_value().map(|(_, stored)| stored.head.clone());
        Glance { out: state.out, consumers: state.consumers, read_to: state.read_to, first }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Moves what fell due to the end of its lane, the earliest first; returns what is due next.
pub(super) fn promote(to: &mut Transaction, place: &str) -> Result<Due, Failure> {
    let now = signed(to.now());
    let due: Vec<i64> = to
        .prepare(
            "SELECT id FROM message WHERE place = ?1 AND due_ms <= ?2
             ORDER BY due_ms, id LIMIT ?3",
        )?
        .query_map((place, now, PROMOTE), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in due {
        let new = to.next_id();
        to.execute("UPDATE message SET id = ?1, due_ms = NULL WHERE id = ?2", (new, id))?;
    }
    let next: Option<i64> = to
        .prepare("SELECT min(due_ms) FROM message WHERE place = ?1 AND due_ms IS NOT NULL")?
        .query_row([place], |row| row.get(0))?;
    Ok(next.map_or(Due::Never, |at| Due::At(Millis(u64::try_from(at).unwrap_or(0)))))
}
