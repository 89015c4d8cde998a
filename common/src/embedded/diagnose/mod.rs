//! How the data folder is: what a person would look at first, looked at for them.
//!
//! The writer is asked for one commit, which is what every caller waits for. All else is read on a
//! thread and a connection of its own, so that nobody's answer waits for it. Every look is bounded,
//! by a number of rows, by the file's size or by time.

mod content;
mod folder;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, InterruptHandle};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::error::Failure;
use super::schema::Source;
use super::transaction::Transaction;
use super::{Core, Embedded, schema};
use crate::diagnose::{Diagnose, Finding, Health};
use crate::size::ByteSize;

/// What every finding here is about.
const PART: &str = "data";
/// Longest wait for one commit.
const WRITE_DEADLINE: Duration = Duration::from_secs(3);
/// A commit that takes so long holds every caller up.
const SLOW_WRITE: Duration = Duration::from_millis(250);
/// Longest look into the file; then the statement that runs is interrupted.
const READ_DEADLINE: Duration = Duration::from_secs(3);
/// How long an interrupted statement may take to end.
const LAST_WORD: Duration = Duration::from_secs(1);
/// `PRAGMA synchronous`: every commit is on the disk before it is answered.
const FULL: i64 = 2;

#[async_trait]
impl Diagnose for Embedded {
    async fn diagnose(&self) -> Vec<Finding> {
        let file = self.core.file.clone();
        let (mut findings, read) = tokio::join!(self.core.write_and_look(), look_inside(file));
        findings.extend(read);
        findings
    }
}

impl Core {
    /// Commits something, and asks the writing connection for its settings on the way.
    async fn write_and_look(&self) -> Vec<Finding> {
        let began = Instant::now();
        let run = |to: &mut Transaction| {
            to.execute("UPDATE house SET checks = checks + 1", [])?;
            let journal: String =
                to.prepare("PRAGMA journal_mode")?.query_row([], |row| row.get(0))?;
            let synchronous: i64 =
                to.prepare("PRAGMA synchronous")?.query_row([], |row| row.get(0))?;
            Ok((journal, synchronous))
        };
        let written = timeout(WRITE_DEADLINE, self.writer.write(1, run)).await;
        let took = began.elapsed();
        match written {
            Ok(Ok((journal, synchronous))) => {
                vec![wrote(took), settings(&journal, synchronous)]
            }
            Ok(Err(failure)) => vec![not_written(&failure).took(took)],
            Err(_) => {
                let found = format!("no commit within {WRITE_DEADLINE:?}");
                vec![finding("writes", Health::Bad, found).mend(FASTER).took(took)]
            }
        }
    }
}

const FASTER: &str = "every accepted task waits for the disk: see what else writes to it, or move \
                      the data folder to a faster local one";

fn wrote(took: Duration) -> Finding {
    let found = format!("a commit was on the disk after {took:.1?}");
    let found = match took < SLOW_WRITE {
        true => finding("writes", Health::Good, found),
        false => finding("writes", Health::Risky, found).mend(FASTER),
    };
    found.took(took)
}

fn not_written(failure: &Failure) -> Finding {
    finding("writes", Health::Bad, failure.why.clone()).mend(
        "no task is accepted or ended until this is mended; what was accepted is safe in the file",
    )
}

fn settings(journal: &str, synchronous: i64) -> Finding {
    let found = format!("journal_mode is {journal}, synchronous is {synchronous} ({FULL} is full)");
    if journal != "wal" {
        return finding("settings", Health::Bad, found).mend(
            "this file system cannot hold a write-ahead log, so readers and the writer block each \
             other: move the data folder to a local disk",
        );
    }
    if synchronous < FULL {
        return finding("settings", Health::Bad, found).mend(
            "a power cut may lose what was accepted: open the folder anew, which sets it to full",
        );
    }
    finding("settings", Health::Good, found)
}

/// Looks into the file beside everybody else.
async fn look_inside(file: PathBuf) -> Vec<Finding> {
    let (ready, opened) = oneshot::channel();
    let (reply, mut answer) = oneshot::channel();
    let look = move || {
        // Nobody may wait any more; then what is left to do is bounded all the same.
        let _ = reply.send(on_connection(&file, ready));
    };
    // Not waited for when this is dropped: it reads, and ends by itself.
    let started = std::thread::Builder::new().name("leveret-doctor".to_owned()).spawn(look);
    if let Err(error) = started {
        return vec![unread(format!("no thread can be started: {error}"))];
    }
    let late = || vec![unread(format!("no answer within {READ_DEADLINE:?}"))];
    match timeout(READ_DEADLINE, &mut answer).await {
        Ok(findings) => findings.unwrap_or_else(|_| late()),
        Err(_) => {
            if let Ok(Ok(interrupt)) = timeout(LAST_WORD, opened).await {
                interrupt.interrupt();
            }
            let findings = timeout(LAST_WORD, answer).await;
            findings.ok().and_then(Result::ok).unwrap_or_else(late)
        }
    }
}

fn on_connection(file: &Path, ready: oneshot::Sender<InterruptHandle>) -> Vec<Finding> {
    let mut findings = folder::look(file);
    let connection: Connection = match schema::open_reader(&Source::File(file.to_owned())) {
        Ok(connection) => connection,
        Err(error) => {
            findings.push(unread(error.to_string()));
            return findings;
        }
    };
    // An error means that nobody waits.
    let _ = ready.send(connection.get_interrupt_handle());
    findings.push(content::backlog(&connection));
    findings.push(content::integrity(&connection, length(file)));
    findings
}

fn unread(why: impl Into<String>) -> Finding {
    finding("content", Health::Bad, why)
        .mend("look at the disk that holds the file, and at what else this machine does")
}

fn finding(check: &str, health: Health, found: impl Into<String>) -> Finding {
    Finding::new(PART, check, health, found)
}

/// Returns the length of a file; 0 where it is not there.
fn length(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

/// Writes a size for people: whole KiB or MiB are exact enough.
fn rounded(bytes: u64) -> ByteSize {
    match bytes {
        0..0x40_0000 => ByteSize::from_kib(bytes.div_ceil(1 << 10)),
        0x40_0000.. => ByteSize::from_mib(bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_on_which_a_promise_does_not_hold_are_bad() {
        assert_eq!(settings("wal", FULL).health, Health::Good);
        assert_eq!(settings("delete", FULL).health, Health::Bad);
        assert_eq!(settings("wal", 1).health, Health::Bad);
    }

    #[test]
    fn a_slow_commit_is_a_risk() {
        assert_eq!(wrote(SLOW_WRITE / 2).health, Health::Good);
        let slow = wrote(SLOW_WRITE);
        assert_eq!((slow.health, slow.took_ms), (Health::Risky, Some(250)));
        assert!(slow.mend.is_some());
    }

    #[test]
    fn sizes_are_written_for_people() {
        let sizes = [0, 1, 5_000, 9 << 20].map(|bytes| rounded(bytes).to_string());
        assert_eq!(sizes, ["0B", "1KiB", "5KiB", "9MiB"]);
    }
}
