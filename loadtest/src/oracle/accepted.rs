//! What senders were promised.
//!
//! A task counts from the answer that it was accepted. One that was refused was never promised; one whose
//! sender never learned more than *unknown* may be there or not, and is neither lost nor foreign.
//!
//! A promise says how its task ends, so that one which dies for no reason is not counted among those that should. What
//! a row's own faults may do beside that, such as making a task poison, it has to ask for.

use std::collections::{BTreeMap, BTreeSet};

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;

/// How a task has to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Done,
    /// As a dead letter, for one of these reasons.
    Dead(&'static [&'static str]),
    /// Well, or as a dead letter of any reason.
    Either,
}

/// What became of each task that somebody tried to put in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    tasks: BTreeMap<TaskId, Promise>,
    refused: BTreeSet<TaskId>,
    unknown: BTreeSet<TaskId>,
    /// How tasks end of which somebody knows better than their kind.
    endings: BTreeMap<TaskId, Ending>,
    /// Why, of those that were refused.
    whys: BTreeMap<TaskId, String>,
    /// Those whose refusal is what the play wants.
    meant: BTreeSet<TaskId>,
    /// Those whose first message says by itself which attempt it is.
    numbered: BTreeSet<TaskId>,
    allows_poison: bool,
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
    /// How it has to end.
    pub ending: Ending,
}

impl Accepted {
    /// Records that a task was accepted.
    pub fn accept(&mut self, id: TaskId, kind: &str, at: Millis) {
        self.unknown.remove(&id);
        let ending = self.endings.get(&id).copied().unwrap_or(Ending::Done);
        self.tasks.entry(id).or_insert_with(|| Promise { kind: kind.to_owned(), at, ending });
    }

    /// States how a task ends, whatever its kind; before or after it is accepted.
    pub fn expect(&mut self, id: TaskId, ending: Ending) {
        self.endings.insert(id, ending);
        self.tasks.entry(id).and_modify(|promise| promise.ending = ending);
    }

    /// States how tasks end by their kind, but for those of which [`expect`](Self::expect) says it.
    pub fn expect_by(&mut self, ending_of: impl Fn(&str) -> Ending) {
        for (id, promise) in &mut self.tasks {
            promise.ending =
                self.endings.get(id).copied().unwrap_or_else(|| ending_of(&promise.kind));
        }
    }

    /// Allows for tasks that are dead letters `poison`, where so many of their workers were lost that this is what they
    /// should be.
    pub const fn allow_poison(&mut self) {
        self.allows_poison = true;
    }

    /// Whether that may be.
    #[must_use]
    pub const fn allows_poison(&self) -> bool {
        self.allows_poison
    }

    /// States that the message that was sent may say of itself which attempt it is.
    pub fn expect_any_first_attempt(&mut self, id: TaskId) {
        self.numbered.insert(id);
    }

    /// Whether it may.
    #[must_use]
    pub fn may_begin_anywhere(&self, id: TaskId) -> bool {
        self.numbered.contains(&id)
    }

    /// States that a task is to be refused for good.
    pub fn expect_refusal(&mut self, id: TaskId) {
        self.meant.insert(id);
        self.refuse(id);
    }

    /// Returns those that were refused though nobody meant them to be.
    pub fn wrongly_refused(&self) -> impl Iterator<Item = TaskId> {
        self.refused.difference(&self.meant).copied()
    }

    /// Records that a task was refused for good.
    pub fn refuse(&mut self, id: TaskId) {
        self.unknown.remove(&id);
        self.refused.insert(id);
    }

    /// Records that a task was refused for good, and with what words.
    pub fn refuse_because(&mut self, id: TaskId, why: &str) {
        self.refuse(id);
        self.whys.insert(id, why.to_owned());
    }

    /// Returns why a task was refused, where that is known.
    #[must_use]
    pub fn why_refused(&self, id: TaskId) -> &str {
        self.whys.get(&id).map_or("nobody said why", String::as_str)
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
    fn what_a_sender_knows_of_its_task_counts_more_than_its_kind() {
        let (known, other) = (TaskId::mint(), TaskId::mint());
        let mut accepted = Accepted::default();
        accepted.expect(known, Ending::Dead(&["schema"]));
        accepted.accept(known, "ok", Millis(5));
        accepted.accept(other, "ok", Millis(5));
        assert_eq!(accepted.tasks()[&other].ending, Ending::Done);
        accepted.expect_by(|_| Ending::Either);
        assert_eq!(accepted.tasks()[&known].ending, Ending::Dead(&["schema"]));
        assert_eq!(accepted.tasks()[&other].ending, Ending::Either);
        accepted.expect(other, Ending::Done);
        assert_eq!(accepted.tasks()[&other].ending, Ending::Done);
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
