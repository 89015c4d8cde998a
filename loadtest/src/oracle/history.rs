//! What handlers wrote down: every run, by the handler itself, outside of the system.
//!
//! A line when a run begins and one when it ends. Handlers append; a line over the end of a page grows in two
//! steps, so a last line without its end is no line yet.

use std::collections::BTreeMap;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;

/// One run of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The task.
    pub id: TaskId,
    /// Which attempt.
    pub attempt: u32,
    /// The fence of its claim.
    pub fence: u64,
    /// How many workers had died with the task before.
    pub crashes: u32,
    /// The process of the worker.
    pub worker: u32,
    /// When it began.
    pub began: Millis,
    /// How it ended, where it came to its end.
    pub end: Option<End>,
}

/// The end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Millis,
    /// With which exit code.
    pub code: i32,
}

impl Run {
    /// Whether it came to a good end.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.end.is_some_and(|end| end.code == 0)
    }
}

/// All runs, by task, each task's in the order in which they began.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    runs: BTreeMap<TaskId, Vec<Run>>,
    /// Lines that are none of a journal's.
    pub unreadable: Vec<String>,
}

impl History {
    /// Reads a journal.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut history = Self::default();
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            if history.take(line).is_none() {
                history.unreadable.push(line.to_owned());
            }
        }
        for runs in history.runs.values_mut() {
            runs.sort_by_key(|run| (run.began, run.fence));
        }
        history
    }

    /// Reads `begin|end id attempt fence crashes worker µs [code]`.
    fn take(&mut self, line: &str) -> Option<()> {
        let fields: Vec<_> = line.split(' ').collect();
        let [what, id, attempt, fence, crashes, worker, at, ref rest @ ..] = fields[..] else {
            return None;
        };
        let (id, fence) = (id.parse().ok()?, fence.parse().ok()?);
        // The shell writes seconds with six places, and the point of its language.
        let micros: u64 = at.replace(['.', ','], "").parse().ok()?;
        let at = Millis(micros / 1_000);
        let runs = self.runs.entry(id).or_default();
        match (what, rest) {
            ("begin", []) => runs.push(Run {
                id,
                attempt: attempt.parse().ok()?,
                fence,
                crashes: crashes.parse().ok()?,
                worker: worker.parse().ok()?,
                began: at,
                end: None,
            }),
            ("end", [code]) => {
                let begun = runs.iter_mut().rev().find(|run| run.fence == fence)?;
                begun.end = Some(End { at, code: code.parse().ok()? });
            }
            _ => return None,
        }
        Some(())
    }

    /// Returns the runs of a task.
    #[must_use]
    pub fn of(&self, id: TaskId) -> &[Run] {
        self.runs.get(&id).map_or(&[], Vec::as_slice)
    }

    /// Returns all runs, by task.
    pub fn all(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().flatten()
    }

    /// Returns the tasks that ran, with their runs.
    pub fn tasks(&self) -> impl Iterator<Item = (TaskId, &[Run])> {
        self.runs.iter().map(|(id, runs)| (*id, runs.as_slice()))
    }

    /// Counts the runs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.values().map(Vec::len).sum()
    }

    /// Whether nothing ran.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.values().all(Vec::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin_and_end_are_one_run() {
        let id = TaskId::mint();
        let text = format!(
            "begin {id} 1 7 0 42 1700000000.000500\nbegin {id} 2 9 0 43 1700000003.250000\n\
             end {id} 1 7 0 42 1700000001.500000 75\n"
        );
        let history = History::read(&text);
        let runs = history.of(id);
        assert_eq!(runs.len(), 2, "{history:?}");
        assert_eq!(runs[0].began, Millis(1_700_000_000_000));
        assert_eq!(runs[0].end, Some(End { at: Millis(1_700_000_001_500), code: 75 }));
        assert!(!runs[0].is_done() && runs[1].end.is_none());
    }

    #[test]
    fn a_line_that_is_still_being_written_is_none_yet() {
        let id = TaskId::mint();
        let whole = format!("begin {id} 1 7 0 42 1700000000.000500\n");
        assert_eq!(History::read(&format!("{whole}end {id} 1 7")), History::read(&whole));
    }

    #[test]
    fn what_is_no_line_is_kept_to_be_told() {
        let id = TaskId::mint();
        let text = format!("hello\nend {id} 1 7 0 42 1700000000.000500 0\n");
        assert_eq!(History::read(&text).unreadable.len(), 2);
    }
}
