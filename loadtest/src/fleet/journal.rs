//! The journal: every run of a handler, written by the handler itself, outside of the system.

use std::path::{Path, PathBuf};

use crate::error::{Error, while_doing};
use crate::oracle::History;

/// A file that handlers append to.
#[derive(Debug, Clone)]
pub struct Journal(PathBuf);

impl Journal {
    /// Names the journal of a fleet in `folder`.
    #[must_use]
    pub fn in_folder(folder: &Path) -> Self {
        Self(folder.join("journal"))
    }

    /// Returns where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns a script of bash that writes when the run begins, performs `work` in a shell of its own, writes
    /// when and how that ended, and ends the same way.
    ///
    /// Without args its worker was killed before it handed them over: such a run has not begun. Of two that
    /// write at once both lines are kept whole. It starts no program of its own.
    #[must_use]
    pub fn script(&self, work: &str) -> String {
        let path = self.0.display();
        let run = "$LEVERET_TASK_ID $LEVERET_ATTEMPT $LEVERET_FENCE $LEVERET_CRASHES $PPID";
        format!(
            "read -r args; [ -n \"$args\" ] || exit 1; \
             echo \"begin {run} $EPOCHREALTIME\" >> {path}; \
             ( {work} ); code=$?; \
             echo \"end {run} $EPOCHREALTIME $code\" >> {path}; exit $code"
        )
    }

    /// Reads what has been written by now.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub fn read(&self) -> Result<History, Error> {
        match std::fs::read_to_string(&self.0) {
            Ok(text) => Ok(History::read(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(History::default()),
            Err(error) => Err(while_doing("read the journal")(error)),
        }
    }
}
