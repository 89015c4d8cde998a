//! Which pairs of lane and kind this process has written as seen, so that an enqueue of a pair just
//! written costs nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Millis;
use crate::name::{KindName, Lane};
use crate::store::{Enqueued, MAX_SEEN};

/// How seldom a pair is written by one process.
const EVERY: Duration = Duration::from_secs(60);

/// A bounded memory of what was written when.
#[derive(Debug, Default)]
pub(super) struct Noted(Mutex<Pairs>);

#[derive(Debug, Default)]
struct Pairs {
    at: HashMap<Lane, HashMap<KindName, Millis>>,
    count: usize,
}

impl Noted {
    /// Returns, once each, the pairs of `batch` that are due to be written, with their latest time.
    pub(super) fn due<'a>(&self, batch: &'a [Enqueued]) -> Vec<&'a Enqueued> {
        let pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due: Vec<&Enqueued> = Vec::new();
        for record in batch {
            let written = pairs.at.get(&record.lane).and_then(|kinds| kinds.get(&record.kind));
            if written.is_some_and(|at| record.at < at.after(EVERY)) {
                continue;
            }
            let same =
                |other: &&mut &Enqueued| other.lane == record.lane && other.kind == record.kind;
            match due.iter_mut().find(same) {
                Some(other) if other.at >= record.at => {}
                Some(other) => *other = record,
                None => due.push(record),
            }
        }
        due
    }

    /// Remembers what was written.
    pub(super) fn note(&self, written: &[&Enqueued]) {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for record in written {
            if pairs.count >= MAX_SEEN {
                // Rare, and forgetting costs one write per pair.
                *pairs = Pairs::default();
            }
            let kinds = pairs.at.entry(record.lane.clone()).or_default();
            if kinds.insert(record.kind.clone(), record.at).is_none() {
                pairs.count += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    fn record(lane: &str, kind: &str, at: u64) -> Enqueued {
        let id = TaskId::mint();
        Enqueued {
            id,
            kind: kind.parse().unwrap(),
            lane: lane.parse().unwrap(),
            at: Millis(at),
            not_before: None,
            key: None,
            origin_id: None,
            tags: [].into(),
            occasion: None,
            args_fingerprint: id.uuid(),
        }
    }

    #[test]
    fn a_pair_is_due_once_a_minute_and_once_in_a_batch() {
        let noted = Noted::default();
        let batch = [record("mail", "a", 5), record("mail", "a", 9), record("mail.high", "a", 7)];
        let due = noted.due(&batch);
        assert_eq!(due, [&batch[1], &batch[2]]);
        assert_eq!(noted.due(&batch).len(), 2, "nothing was written yet");
        noted.note(&due);
        assert!(noted.due(&[record("mail", "a", 60_008)]).is_empty());
        assert_eq!(noted.due(&[record("mail", "a", 60_009)]).len(), 1);
        assert_eq!(noted.due(&[record("mail", "b", 9)]).len(), 1);
    }

    #[test]
    fn the_memory_is_bounded() {
        let noted = Noted::default();
        for number in 0..=MAX_SEEN {
            noted.note(&[&record("mail", &format!("k{number}"), 1)]);
        }
        let pairs = noted.0.lock().unwrap();
        let held: usize = pairs.at.values().map(HashMap::len).sum();
        assert_eq!((pairs.count, held), (1, 1), "it began anew");
    }
}
