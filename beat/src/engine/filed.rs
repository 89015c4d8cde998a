//! A timetable file as it was read: sound, and no larger than its text.
//!
//! What it says is read as it is taken, so that a mistake is known at once, and again each time it is
//! compared with the timetable. Guards that a beat which begins to lead later goes by what was read,
//! and not by what the file has become meanwhile.

use std::borrow::Borrow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leveret_common::schedule::Source;
use leveret_common::store::{ScheduleEntry, TimetableFile};
use leveret_producer::Producer;

use crate::definition::{Fingerprint, Flaw, gather};
use crate::timetable::{Plan, Planner, counted};

/// A timetable file that was read, with nothing wrong in it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Filed {
    path: PathBuf,
    info: TimetableFile,
    schedules: usize,
    text: Arc<String>,
}

/// What is found as a file is read.
#[derive(Default)]
struct Found {
    schedules: usize,
    fingerprint: Fingerprint,
    flaws: Vec<Flaw>,
}

/// Tells why a timetable file is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("failed to read the timetable file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Something is wrong in it.
    #[error("failed to read the timetable file {}: {} wrong: {}", path.display(), counted(flaws.len()), listed(flaws))]
    Flawed {
        /// The file.
        path: PathBuf,
        /// Everything that is.
        flaws: Vec<Flaw>,
    },
}

impl Filed {
    /// Reads a timetable file. Blocks its thread: a second for a hundred thousand schedules.
    ///
    /// # Errors
    /// When it cannot be read, or anything in it is wrong.
    pub fn read(path: &Path, producer: &Producer) -> Result<Self, FileError> {
        let path = path.to_owned();
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => Arc::new(text),
            Err(source) => return Err(FileError::Unreadable { path, source }),
        };
        let found = gather(&text, Found::default, |found, part| {
            let part = part.checked(producer);
            found.schedules += part.schedules.len();
            found.fingerprint.add(&part);
            found.flaws.extend(part.flaws);
        });
        let Found { schedules, fingerprint, flaws } = found;
        if !flaws.is_empty() {
            return Err(FileError::Flawed { path, flaws });
        }
        let fingerprint = fingerprint.finish();
        let info = TimetableFile { path: path.display().to_string(), fingerprint };
        Ok(Self { path, info, schedules, text })
    }

    /// Returns where it was read.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how many schedules it has.
    #[must_use]
    pub const fn schedules(&self) -> usize {
        self.schedules
    }

    /// Returns what others are told of it.
    pub(super) const fn info(&self) -> &TimetableFile {
        &self.info
    }

    /// Plans how the timetable, with these entries, comes to hold what the file says. Blocks its
    /// thread as [`Filed::read`] does.
    pub(super) fn plan<E: Borrow<ScheduleEntry>>(&self, present: &[E]) -> Plan {
        let source = Source::File { path: self.info.path.clone() };
        let start = || Planner::new(source.clone(), present.iter().map(Borrow::borrow));
        gather(&self.text, start, Planner::want).finish()
    }
}

fn listed(flaws: &[Flaw]) -> String {
    flaws.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
