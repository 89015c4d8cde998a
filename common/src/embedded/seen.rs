//! Which kinds were enqueued in which lanes: written at most once a minute for each pair.
//!
//! Memory remembers what was written lately, so that an enqueue costs a look and no row. It knows
//! at most [`MAX_SEEN`] pairs; the table a few more, between two trims.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use super::error::Failure;
use super::transaction::{Transaction, signed};
use crate::clock::Millis;
use crate::name::{KindName, Lane};
use crate::store::{Enqueued, MAX_SEEN, Seen};

/// How old what was written may be.
const EVERY: Duration = Duration::from_secs(60);
/// How many rows are written between two trims of the table.
const SLACK: usize = 500;

const SEE: &str = "INSERT INTO seen (lane, kind, at_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (lane, kind) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)";
const TRIM: &str = "DELETE FROM seen WHERE (lane, kind) IN
    (SELECT lane, kind FROM seen ORDER BY at_ms DESC LIMIT -1 OFFSET ?1)";
const READ: &str = "SELECT lane, kind, at_ms FROM
    (SELECT lane, kind, at_ms FROM seen ORDER BY at_ms DESC LIMIT ?1) ORDER BY lane, kind";

/// What was written lately.
#[derive(Default)]
pub(super) struct Lately(Mutex<Book>);

#[derive(Default)]
struct Book {
    written: HashMap<Lane, HashMap<KindName, Millis>>,
    pairs: usize,
    since_trim: usize,
}

/// Pairs that are due to be written.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Due {
    pairs: Vec<Seen>,
    trim: bool,
}

impl Lately {
    /// Returns the pairs of `batch` that are to be written, and takes it that they will be.
    pub(super) fn due(&self, batch: &[Enqueued]) -> Due {
        let mut book = self.book();
        let mut due = Due::default();
        for Enqueued { lane, kind, at, .. } in batch {
            let known = book.written.get(lane).and_then(|kinds| kinds.get(kind));
            if known.is_some_and(|written| *at < written.after(EVERY)) {
                continue;
            }
            if known.is_none() {
                book.make_room(*at);
                book.pairs += 1;
            }
            book.written.entry(lane.clone()).or_default().insert(kind.clone(), *at);
            due.pairs.push(Seen { lane: lane.clone(), kind: kind.clone(), at: *at });
        }
        book.since_trim += due.pairs.len();
        due.trim = book.since_trim > SLACK;
        if due.trim {
            book.since_trim = 0;
        }
        due
    }

    /// Takes back that these were written.
    pub(super) fn forget(&self, due: &Due) {
        let mut book = self.book();
        for Seen { lane, kind, .. } in &due.pairs {
            let known = book.written.get_mut(lane).and_then(|kinds| kinds.remove(kind));
            book.pairs -= usize::from(known.is_some());
        }
        if due.trim {
            book.since_trim = SLACK;
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    /// Forgets what would be written again anyway; everything, where that is not enough.
    fn make_room(&mut self, now: Millis) {
        if self.pairs < MAX_SEEN {
            return;
        }
        self.written.retain(|_, kinds| {
            kinds.retain(|_, written| now < written.after(EVERY));
            !kinds.is_empty()
        });
        self.pairs = self.written.values().map(HashMap::len).sum();
        if self.pairs >= MAX_SEEN {
            (self.written, self.pairs) = (HashMap::new(), 0);
        }
    }
}

impl Due {
    pub(super) fn len(&self) -> usize {
        self.pairs.len()
    }
}

/// Writes the pairs, and now and then forgets those unseen for longest.
pub(super) fn write(to: &Transaction, due: &Due) -> Result<(), Failure> {
    for Seen { lane, kind, at } in &due.pairs {
        to.execute(SEE, (lane.to_string(), kind.as_str(), signed(*at)))?;
    }
    if due.trim {
        to.execute(TRIM, [most()])?;
    }
    Ok(())
}

/// Reads the pairs that were seen last, by lane and kind.
pub(super) fn read(connection: &Connection) -> Result<Vec<Seen>, Failure> {
    let mut statement = connection.prepare_cached(READ)?;
    let mut rows = statement.query([most()])?;
    let mut seen = Vec::new();
    while let Some(row) = rows.next()? {
        let (lane, kind): (String, String) = (row.get(0)?, row.get(1)?);
        let at = Millis(u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0));
        // A name that an older program allowed and this one does not.
        let (Ok(lane), Ok(kind)) = (lane.parse(), kind.parse()) else { continue };
        seen.push(Seen { lane, kind, at });
    }
    Ok(seen)
}

fn most() -> i64 {
    i64::try_from(MAX_SEEN).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    fn enqueued(kind: usize, at: Millis) -> Enqueued {
        Enqueued {
            id: TaskId::mint(),
            kind: format!("k{kind}").parse().unwrap(),
            lane: "mail.high".parse().unwrap(),
            at,
            not_before: None,
            key: None,
            origin_id: None,
            tags: [].into(),
            occasion: None,
            args_fingerprint: uuid::Uuid::nil(),
        }
    }

    #[test]
    fn a_pair_is_due_once_a_minute_and_again_when_it_was_not_written() {
        let (lately, start) = (Lately::default(), Millis(1_000_000));
        let due = lately.due(&[enqueued(1, start), enqueued(1, start), enqueued(2, start)]);
        assert_eq!(due.len(), 2);
        assert_eq!(lately.due(&[enqueued(1, start.after(EVERY / 2))]).len(), 0);
        assert_eq!(lately.due(&[enqueued(1, start.after(EVERY))]).len(), 1);
        lately.forget(&due);
        assert_eq!(lately.due(&[enqueued(2, start)]).len(), 1);
    }

    #[test]
    fn memory_knows_no_more_pairs_than_may_be_remembered() {
        let (lately, start) = (Lately::default(), Millis(1_000_000));
        let later = start.after(EVERY);
        let batch = |from: usize, count: usize, at: Millis| -> Vec<_> {
            (from..from + count).map(|kind| enqueued(kind, at)).collect()
        };
        assert_eq!(lately.due(&batch(0, MAX_SEEN - 1, start)).len(), MAX_SEEN - 1);
        assert_eq!(lately.due(&batch(MAX_SEEN, 1, later)).len(), 1);
        // Full: the old ones make room, and the new one stays known.
        assert_eq!(lately.due(&batch(MAX_SEEN, 3, later)).len(), 2);
        assert_eq!(lately.book().pairs, 3);
        lately.due(&batch(0, MAX_SEEN * 2, later));
        let book = lately.book();
        assert!(book.pairs <= MAX_SEEN, "{}", book.pairs);
        assert_eq!(book.pairs, book.written.values().map(HashMap::len).sum::<usize>());
    }

    #[test]
    fn the_table_is_trimmed_after_so_many_rows_and_sooner_when_that_failed() {
        let (lately, start) = (Lately::default(), Millis(1_000_000));
        let batch: Vec<_> = (0..=SLACK).map(|kind| enqueued(kind, start)).collect();
        assert!(!lately.due(&batch[..SLACK]).trim);
        let due = lately.due(&batch[SLACK..]);
        assert!(due.trim);
        lately.forget(&due);
        assert!(lately.due(&batch[SLACK..]).trim);
    }
}
