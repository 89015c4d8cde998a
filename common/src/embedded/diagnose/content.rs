//! What is in the file: how much waits, and whether its pages are whole.

use rusqlite::{Connection, ErrorCode};

use super::{finding, rounded};
use crate::diagnose::{Finding, Health};
use crate::embedded::error::Failure;

/// Most rows that are counted.
const MOST_COUNTED: i64 = 1_000_000;
/// A larger file is not checked: reading it all takes from the disk what everybody waits for.
const MOST_CHECKED: u64 = 512 << 20;

// The slash of `dead/` is followed by the zero in ASCII.
const READY: &str = "SELECT count(*) FROM (SELECT 1 FROM message INDEXED BY message_ready
    WHERE due_ms IS NULL AND (place < 'dead/' OR place >= 'dead0') LIMIT ?1)";
const DEAD: &str = "SELECT count(*) FROM (SELECT 1 FROM message INDEXED BY message_ready
    WHERE due_ms IS NULL AND place >= 'dead/' AND place < 'dead0' LIMIT ?1)";
const DELAYED: &str = "SELECT count(*) FROM (SELECT 1 FROM message INDEXED BY message_delayed
    WHERE due_ms IS NOT NULL LIMIT ?1)";

/// Counts what is in the file.
pub(super) fn backlog(connection: &Connection) -> Finding {
    let count = |sql| -> Result<String, Failure> {
        let count: i64 = connection.query_row(sql, [MOST_COUNTED], |row| row.get(0))?;
        Ok(match count < MOST_COUNTED {
            true => count.to_string(),
            false => format!("at least {MOST_COUNTED}"),
        })
    };
    let counted = || {
        let (ready, delayed, dead) = (count(READY)?, count(DELAYED)?, count(DEAD)?);
        Ok(format!("{ready} tasks wait or run, {delayed} wait for their time, {dead} are dead"))
    };
    match counted() {
        Ok(found) => finding("backlog", Health::Good, found),
        Err(failure) => failed("backlog", failure),
    }
}

/// Lets SQLite look at every page, where that does not take too long.
pub(super) fn integrity(connection: &Connection, size: u64) -> Finding {
    let by_hand = "stop the process and run: sqlite3 leveret.db 'PRAGMA quick_check'";
    if size > MOST_CHECKED {
        let limit = rounded(MOST_CHECKED);
        let found = format!("not checked: the file has {}, more than {limit}", rounded(size));
        return finding("integrity", Health::Good, found).mend(by_hand);
    }
    let checked = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
    match checked {
        Ok(answer) if answer == "ok" => {
            let found = format!("quick_check found nothing wrong in {}", rounded(size));
            finding("integrity", Health::Good, found)
        }
        Ok(answer) => finding("integrity", Health::Bad, format!("quick_check found: {answer}"))
            .mend(
                "stop the process, copy the folder, and restore a backup; without one, \
                 sqlite3 leveret.db .recover saves what can be read",
            ),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
            let found = format!("not checked to its end: the file has {}", rounded(size));
            finding("integrity", Health::Good, found).mend(by_hand)
        }
        Err(error) => failed("integrity", error.into()),
    }
}

fn failed(check: &str, failure: Failure) -> Finding {
    finding(check, Health::Bad, failure.why)
        .mend("stop the process, copy the folder, and look at the disk that holds it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_too_large_is_not_checked_and_that_is_said() {
        let connection = Connection::open_in_memory().unwrap();
        let checked = integrity(&connection, 1 << 20);
        assert!(checked.found.contains("nothing wrong"), "{checked:?}");
        let skipped = integrity(&connection, MOST_CHECKED + 1);
        assert!(skipped.found.starts_with("not checked: the file has 513MiB"), "{skipped:?}");
        assert!(skipped.mend.is_some());
    }

    #[test]
    fn what_cannot_be_counted_is_bad() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(backlog(&connection).health, Health::Bad);
    }
}
