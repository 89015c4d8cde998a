//! What a play of a row found, and what of it does not hold.

use std::collections::BTreeMap;
use std::time::Duration;

use leveret_common::id::TaskId;

use super::window::Window;

/// Most ids of one sort that a failure names.
pub(super) const NAMED: usize = 5;

/// What a play of a row found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Finding {
    /// How many tasks were accepted.
    pub accepted: u64,
    /// How many of them were done.
    pub done: u64,
    /// How many are dead letters.
    pub dead: u64,
    /// How many were cancelled.
    pub cancelled: u64,
    /// How many expired.
    pub expired: u64,
    /// Those of which nothing is left.
    pub lost: Vec<TaskId>,
    /// How many second runs each window explains.
    pub second_runs: BTreeMap<Window, u64>,
    /// Second runs that nothing explains.
    pub unexplained: Vec<String>,
    /// How soon work went on as before, where that was measured.
    pub recovered: Option<Duration>,
    /// Whatever else must not be.
    pub wrong: Vec<String>,
    /// What is worth telling.
    pub notes: Vec<String>,
}

impl Finding {
    /// Tells what does not hold; nothing where all does.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if !self.lost.is_empty() {
            failures.push(format!("{} lost: {}", self.lost.len(), named(&self.lost)));
        }
        failures.extend(self.unexplained.iter().map(|run| format!("unexplained: {run}")));
        failures.extend(self.wrong.iter().cloned());
        failures
    }

    /// Counts the second runs that a window explains.
    #[must_use]
    pub fn explained(&self) -> u64 {
        self.second_runs.values().sum()
    }

    /// Adds what another part of the same row found.
    pub fn add(&mut self, other: Self) {
        self.accepted += other.accepted;
        self.done += other.done;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.expired += other.expired;
        self.lost.extend(other.lost);
        for (window, count) in other.second_runs {
            *self.second_runs.entry(window).or_default() += count;
        }
        self.unexplained.extend(other.unexplained);
        self.recovered = self.recovered.max(other.recovered);
        self.wrong.extend(other.wrong);
        self.notes.extend(other.notes);
    }
}

/// Names the first few.
pub(super) fn named(ids: &[TaskId]) -> String {
    let more = if ids.len() > NAMED { ", …" } else { "" };
    ids.iter().take(NAMED).map(TaskId::to_string).collect::<Vec<_>>().join(", ") + more
}
