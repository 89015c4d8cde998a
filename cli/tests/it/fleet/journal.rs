//! The journal: every run of a handler, written by the handler itself, outside the system.

use std::path::{Path, PathBuf};

use leveret_common::id::TaskId;

/// One run of a handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: TaskId,
    pub(super) attempt: u32,
    pub(super) fence: u64,
    pub(super) crashes: u32,
    /// The process of the worker.
    pub(super) worker: u32,
}

pub(super) struct Journal(PathBuf);

impl Journal {
    pub(super) fn in_folder(folder: &Path) -> Self {
        Self(folder.join("journal"))
    }

    /// The shell command that writes a line; of two that write at once, both are kept whole.
    pub(super) fn script(&self) -> String {
        format!(
            "echo $LEVERET_TASK_ID $LEVERET_ATTEMPT $LEVERET_FENCE $LEVERET_CRASHES $PPID >> {}",
            self.0.display()
        )
    }

    pub(super) fn runs(&self) -> Vec<Run> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        // A line over the end of a page grows in two steps; whoever reads between them sees half.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(read).collect()
    }
}

fn read(line: &str) -> Run {
    let fields: Vec<_> = line.split(' ').collect();
    let [id, attempt, fence, crashes, worker] = fields[..] else { panic!("journal: {line:?}") };
    Run {
        id: id.parse().unwrap(),
        attempt: attempt.parse().unwrap(),
        fence: fence.parse().unwrap(),
        crashes: crashes.parse().unwrap(),
        worker: worker.parse().unwrap(),
    }
}
