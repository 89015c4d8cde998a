//! The lock on the data folder: one process owns it, and whoever comes second is told which.
//!
//! The operating system holds the lock and drops it when its owner dies, however it dies; the text
//! in the file only names the owner. That the lock could be taken is what proves every older
//! incarnation dead, so nothing of theirs needs to be waited for.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use super::error::OpenError;
use crate::clock::Millis;

const FILE: &str = "leveret.lock";

/// A data folder that is ours until this is dropped.
#[derive(Debug)]
pub(super) struct FolderLock(File);

impl FolderLock {
    /// Creates the folder where it is missing, and takes it.
    pub(super) fn take(folder: &Path, now: Millis) -> Result<Self, OpenError> {
        create(folder)?;
        let path = folder.join(FILE);
        let failed = |error| OpenError::io("lock the data folder", path.clone(), error);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let folder = folder.to_owned();
                return Err(OpenError::Locked { folder, owner: owner(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let text =
            format!("process {} on host {} since {}\n", std::process::id(), host(), date(now));
        file.set_len(0).map_err(failed)?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)?;
        Ok(Self(file))
    }
}

impl Drop for FolderLock {
    fn drop(&mut self) {
        // Closing the file frees the lock; the text must not name an owner that left in order.
        // It is only a text: a failure to clear it harms nobody.
        let _ = self.0.set_len(0);
    }
}

fn create(folder: &Path) -> Result<(), OpenError> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        // The folder holds everybody's payloads: it is made for its owner only.
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder).map_err(|source| OpenError::Create { folder: folder.to_owned(), source })
}

fn owner(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(1_024).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        // The owner took the lock a moment ago, or this system hides locked files.
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}

fn host() -> String {
    ["/proc/sys/kernel/hostname", "/etc/hostname"]
        .iter()
        .find_map(|path| std::fs::read_to_string(path).ok())
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
        .unwrap_or_else(|| "of unknown name".to_owned())
}

/// Writes an instant for people; SQLite knows the calendar, so nobody else has to here.
fn date(now: Millis) -> String {
    rusqlite::Connection::open_in_memory()
        .and_then(|calendar| {
            let seconds = i64::try_from(now.0 / 1_000).unwrap_or(i64::MAX);
            let sql = "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', ?1, 'unixepoch')";
            calendar.query_row(sql, [seconds], |row| row.get(0))
        })
        .unwrap_or_else(|_| format!("{} ms after 1970", now.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_names_its_owner_to_whoever_comes_second() {
        let folder = tempfile::tempdir().unwrap();
        let first = FolderLock::take(folder.path(), Millis(1_790_000_000_000)).unwrap();
        let message = FolderLock::take(folder.path(), Millis(0)).unwrap_err().to_string();
        assert!(message.contains(&format!("process {} on host", std::process::id())), "{message}");
        assert!(message.contains("since 2026-09-21T14:13:20Z"), "{message}");
        drop(first);
        FolderLock::take(folder.path(), Millis(0)).unwrap();
    }

    #[test]
    fn a_file_in_the_folders_place_is_told_with_the_folders_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::write(&path, "x").unwrap();
        let error = FolderLock::take(&path, Millis(0)).unwrap_err();
        assert!(matches!(error, OpenError::Create { .. }), "{error}");
        assert!(error.to_string().contains("taken"), "{error}");
    }
}
