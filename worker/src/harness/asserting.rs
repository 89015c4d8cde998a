//! Assertions about what waits. One that does not hold shows what is there.

use leveret_producer::Task;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Harness;
use super::fail::fail;

impl Harness {
    /// Asserts that a task of a kind waits whose args are as they are wanted. A retry waits, too.
    ///
    /// # Panics
    /// When there is none, with a table of what waits.
    #[track_caller]
    pub fn assert_enqueued<T: Task + DeserializeOwned>(&self, wanted: impl Fn(&T) -> bool) {
        if !self.enqueued::<T>().iter().any(|one| wanted(&one.args)) {
            self.missing(T::KIND);
        }
    }

    /// Asserts that no such task of a kind waits.
    ///
    /// # Panics
    /// When there is one, with a table of what waits.
    #[track_caller]
    pub fn refute_enqueued<T: Task + DeserializeOwned>(&self, unwanted: impl Fn(&T) -> bool) {
        if let Some(one) = self.enqueued::<T>().iter().find(|one| unwanted(&one.args)) {
            self.unwanted(T::KIND, one.id);
        }
    }

    /// Asserts as [`assert_enqueued`](Self::assert_enqueued) does, for the kind of this name.
    ///
    /// # Panics
    /// When there is none, with a table of what waits.
    #[track_caller]
    pub fn assert_enqueued_of(&self, kind: &str, wanted: impl Fn(&Value) -> bool) {
        if !self.enqueued_of(kind).iter().any(|one| wanted(&one.args)) {
            self.missing(kind);
        }
    }

    /// Asserts as [`refute_enqueued`](Self::refute_enqueued) does, for the kind of this name.
    ///
    /// # Panics
    /// When there is one, with a table of what waits.
    #[track_caller]
    pub fn refute_enqueued_of(&self, kind: &str, unwanted: impl Fn(&Value) -> bool) {
        if let Some(one) = self.enqueued_of(kind).iter().find(|one| unwanted(&one.args)) {
            self.unwanted(kind, one.id);
        }
    }

    #[track_caller]
    fn missing(&self, kind: &str) -> ! {
        let there = self.pending().iter().filter(|one| one.kind.as_str() == kind).count();
        let why = match there {
            0 => format!("no task of kind {kind} is enqueued"),
            1 => format!("one task of kind {kind} is enqueued, and it is not the one wanted"),
            more => format!("{more} tasks of kind {kind} are enqueued, and none is the one wanted"),
        };
        fail(&format!("{why}\n{}", self.what_waits()))
    }

    #[track_caller]
    fn unwanted(&self, kind: &str, id: leveret_common::id::TaskId) -> ! {
        let waits = self.what_waits();
        fail(&format!("task {id} of kind {kind} is enqueued, and should not be\n{waits}"))
    }
}
