//! The file into which a program writes its follow-ups, a line of JSON for each.
//!
//! It is in a folder of its own that only this user can enter, and both are removed when the
//! attempt is over. The lines are tasks as `POST /v1/tasks` takes them; they are read only after a
//! success, all or none.

use std::fmt::Display;
use std::fs::Permissions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use leveret_producer::{
    Enqueuer, MAX_FOLLOW_UP_BYTES, MAX_FOLLOW_UPS, Problems, Request, Submission,
};
use tempfile::TempDir;

use super::TaskError;

/// The environment variable that names the file.
pub(super) const VARIABLE: &str = "LEVERET_FOLLOW_UPS";
/// Most bytes of the file: the args of all follow-ups, and twice what tags can take beside them.
const MAX_BYTES: usize = MAX_FOLLOW_UP_BYTES + MAX_FOLLOW_UPS * 32 * 1024;

/// A program's file of follow-ups; removed when dropped.
pub(super) struct Outbox(TempDir);

impl Outbox {
    /// Creates the folder; the file is the program's to create.
    ///
    /// # Errors
    /// A failure of class `exec`, where the system gives no folder.
    pub(super) fn create() -> Result<Self, TaskError> {
        let for_us_alone = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().prefix("leveret-").permissions(for_us_alone).tempdir();
        made.map(Self).map_err(|error| {
            let why = format!("failed to make a folder for the file of {VARIABLE}: {error}");
            TaskError::failed("exec", why)
        })
    }

    /// Returns the file's path.
    #[must_use]
    pub(super) fn path(&self) -> PathBuf {
        self.0.path().join("follow-ups.ndjson")
    }

    /// Reads what the program wrote; nothing written, no follow-ups.
    ///
    /// # Errors
    /// A failure of class `follow-ups` that names the first bad line.
    pub(super) fn read(&self, enqueuer: &Enqueuer) -> Result<Vec<Request>, TaskError> {
        let text = text(&self.path())?;
        let mut requests = Vec::new();
        for (place, line) in text.split(|byte| *byte == b'\n').enumerate() {
            if line.trim_ascii().is_empty() {
                continue;
            }
            let bad =
                |why: &dyn Display| failed(format!("line {} of {VARIABLE}: {why}", place + 1));
            let Submission { request, problems } =
                Submission::read(line, None).map_err(|why| bad(&why))?;
            if !problems.is_empty() {
                return Err(bad(&Problems(problems)));
            }
            enqueuer.check(request.clone()).map_err(|why| bad(&why))?;
            requests.push(request);
        }
        Ok(requests)
    }
}

fn text(path: &Path) -> Result<Vec<u8>, TaskError> {
    let unread = |error| failed(format!("failed to read what was written to {VARIABLE}: {error}"));
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        // A pipe or a device in its place could be read for ever.
        Ok(_) => return Err(failed(format!("what {VARIABLE} names is no file any more"))),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unread(error)),
    }
    let file = std::fs::File::open(path).map_err(unread)?;
    let mut text = Vec::new();
    let most = u64::try_from(MAX_BYTES).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1)).read_to_end(&mut text).map_err(unread)?;
    if text.len() > MAX_BYTES {
        let why = format!(
            "more than {MAX_BYTES} bytes were written to {VARIABLE}; enqueue so many tasks \
             through the gateway"
        );
        return Err(failed(why));
    }
    Ok(text)
}

fn failed(why: String) -> TaskError {
    TaskError::failed("follow-ups", why)
}
