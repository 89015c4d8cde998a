//! What senders were promised.
//!
//! A task counts from the answer that it was accepted. One that was refused was never promised; one whose
//! sender never learned more than *unknown* may be there or not, and is neither lost nor foreign.

use std::collections::{BTreeMap, BTreeSet};

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;

/// What became of each task that somebody tried to put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    tasks: BTreeMap<TaskId, Promise>,
    refused: BTreeSet<TaskId>,
    unknown: BTreeSet<TaskId>,
    /// How often an answer was late, none, or *not now*, and the same request was sent again.
    pub repeated: u64,
}

/// What was accepted, and when its sender learned of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Promise {
    /// The kind.
    pub kind: String,
    /// When the answer came.
    pub at: Millis,
}

impl Accepted {
    /// Records that a task was accepted.
    pub fn accept(&mut self, id: TaskId, kind: &str, at: Millis) {
        self.unknown.remove(&id);
        self.tasks.entry(id).or_insert_with(|| Promise { kind: kind.to_owned(), at });
    }

    /// Records that a task was refused for good.
    pub fn refuse(&mut self, id: TaskId) {
        self.unknown.remove(&id);
        self.refused.insert(id);
    }

    /// Records that nobody could say of a task, to the end, whether it was accepted.
    pub fn leave_unknown(&mut self, id: TaskId) {
        if !self.tasks.contains_key(&id) && !self.refused.contains(&id) {
            self.unknown.insert(id);
        }
    }

    /// Whether anybody tried to put it in, or a success owes it.
    #[must_use]
    pub fn has(&self, id: TaskId) -> bool {
        self.tasks.contains_key(&id) || self.unknown.contains(&id) || self.refused.contains(&id)
    }

    /// Returns what was accepted.
    #[must_use]
    pub const fn tasks(&self) -> &BTreeMap<TaskId, Promise> {
        &self.tasks
    }

    /// Returns what was refused.
    #[must_use]
    pub const fn refused(&self) -> &BTreeSet<TaskId> {
        &self.refused
    }

    /// Returns what nobody knows of.
    #[must_use]
    pub const fn unknown(&self) -> &BTreeSet<TaskId> {
        &self.unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_comes_after_all_ends_the_doubt() {
        let id = TaskId::mint();
        let mut accepted = Accepted::default();
        accepted.leave_unknown(id);
        accepted.accept(id, "ok", Millis(5));
        accepted.accept(id, "ok", Millis(9));
        accepted.leave_unknown(id);
        assert_eq!(accepted.tasks()[&id].at, Millis(5));
        assert!(accepted.unknown().is_empty());
    }

    #[test]
    fn what_was_refused_was_never_promised() {
        let id = TaskId::mint();
        let mut accepted = Accepted::default();
        accepted.leave_unknown(id);
        accepted.refuse(id);
        assert!(accepted.tasks().is_empty() && accepted.unknown().is_empty());
        assert_eq!(accepted.refused().len(), 1);
    }
}
