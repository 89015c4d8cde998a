//! A wrong clock: what the processes of a fleet are shown instead of the machine's wall clock.
//!
//! By libfaketime, which stands between a process and the C library. The monotonic clock stays the machine's, so that
//! only the time of day is wrong, as after a wrong NTP; and so do all other processes, servers and handlers among them:
//! a worker hands its handlers none of its own environment. The clock can be set while a process runs, which sees it jump.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use leveret_common::clock::{Clock, Millis, SystemClock};

use crate::error::{Error, while_doing};

/// Where the library is, below one of [`ROOTS`] or a folder in it.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";
/// Where systems keep libraries; Debian has a folder for each architecture.
const ROOTS: [&str; 3] = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];

/// A clock that is wrong by as much as it was set to.
#[derive(Debug, Clone)]
pub struct WrongClock {
    library: PathBuf,
    file: PathBuf,
    ahead_ms: Arc<Mutex<i64>>,
}

impl WrongClock {
    /// Makes one that shows the right time, kept in a file of `folder` called `name`.
    ///
    /// # Errors
    /// When libfaketime is not installed; or the file cannot be written.
    pub fn new(folder: &Path, name: &str) -> Result<Self, Error> {
        let library = library().ok_or(Error::NoFaketime)?;
        let clock = Self { library, file: folder.join(name), ahead_ms: Arc::default() };
        clock.set(0)?;
        Ok(clock)
    }

    /// Has it go ahead of the machine's by so many milliseconds, or behind it, as far as they are whole seconds; those who
    /// are shown it see it jump.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn set(&self, ahead_ms: i64) -> Result<(), Error> {
        let mut ahead = self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds = ahead_ms.div_euclid(1_000);
        let new = self.file.with_extension("new");
        // Renamed, so that nobody reads half of it.
        std::fs::write(&new, format!("{seconds:+}\n"))
            .and_then(|()| std::fs::rename(&new, &self.file))
            .map_err(while_doing("set a wrong clock"))?;
        *ahead = seconds * 1_000;
        Ok(())
    }

    /// Sets it to show `now` at this moment.
    ///
    /// # Errors
    /// As [`WrongClock::set`].
    pub fn show(&self, now: Millis) -> Result<(), Error> {
        let signed = |at: Millis| i64::try_from(at.0).unwrap_or(i64::MAX);
        self.set(signed(now) - signed(SystemClock.now()))
    }

    /// Returns by how many milliseconds it is ahead; negative where it is behind.
    #[must_use]
    pub fn ahead_ms(&self) -> i64 {
        *self.ahead_ms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what it shows at a moment of the machine's clock.
    #[must_use]
    pub fn shown_at(&self, at: Millis) -> Millis {
        Millis(at.0.saturating_add_signed(self.ahead_ms()))
    }

    /// Returns what it shows now.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.shown_at(SystemClock.now())
    }

    /// Returns what a process has to find in its environment to be shown it.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let pairs = [
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            // Read each time, so that a jump is seen at once.
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// Removes what the library leaves behind of a process that was killed: another one of the same number would not start.
pub(super) fn forget(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        // Most processes had the right clock, and some ended by themselves.
        let _ = std::fs::remove_file(Path::new("/dev/shm").join(name));
    }
}

fn library() -> Option<PathBuf> {
    let folders = ROOTS.iter().flat_map(|root| {
        let inner =
            std::fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
        std::iter::once(PathBuf::from(root)).chain(inner)
    });
    folders.map(|folder| folder.join(LIBRARY)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use leveret_common::testkit::services::variable;

    use super::*;

    /// Returns what a program that was started with a clock believes the time is, in seconds.
    fn told(clock: &WrongClock) -> i64 {
        let date = std::process::Command::new("date").arg("+%s").envs(clock.environment()).output();
        String::from_utf8(date.unwrap().stdout).unwrap().trim().parse().unwrap()
    }

    #[test]
    fn a_program_believes_a_wrong_clock_in_both_directions_and_its_jumps() {
        let folder = tempfile::tempdir().unwrap();
        let clock = match WrongClock::new(folder.path(), "clock") {
            Ok(clock) => clock,
            Err(why) => {
                println!("SKIPPED: {why}");
                assert!(variable("CI").as_deref() != Some("true"), "it must run in CI");
                return;
            }
        };
        for ahead in [0, 3_600_000, -86_400_000] {
            clock.set(ahead).unwrap();
            let shown = i64::try_from(clock.now().0).unwrap() / 1_000;
            assert!((told(&clock) - shown).abs() <= 2, "{ahead}");
        }
    }
}
