//! Removes what has expired, a little with every commit.
//!
//! A commit sweeps about as many rows as it wrote, so tables cannot outgrow what is alive and no
//! commit becomes long. Tables that only people and dead letters write to are swept by one commit
//! of many, for all of them. What is expired but not yet swept is invisible: every reader compares.

use super::error::Failure;
use super::transaction::{Transaction, signed};

/// Fewest rows swept from each table at a time, where there are that many.
const LEAST: usize = 16;
/// Commits between two sweeps of the seldom tables: a look that finds nothing costs microseconds,
/// and every task pays for several commits.
const SELDOM: usize = 32;

const OFTEN_SWEPT: [&str; 4] = [
    "DELETE FROM ledger WHERE id IN
        (SELECT id FROM ledger WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM enqueued WHERE id IN
        (SELECT id FROM enqueued WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM attempt WHERE (id, seq) IN
        (SELECT id, seq FROM attempt WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM result WHERE id IN
        (SELECT id FROM result WHERE expires_ms <= ?1 LIMIT ?2)",
];
const SELDOM_SWEPT: [&str; 3] = [
    "DELETE FROM letter WHERE id IN
        (SELECT id FROM letter WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM interim WHERE id IN
        (SELECT id FROM interim WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM act WHERE (id, seq) IN
        (SELECT id, seq FROM act WHERE expires_ms <= ?1 LIMIT ?2)",
];

/// Sweeps behind the writer.
#[derive(Debug, Default)]
pub(super) struct Purge {
    /// Commits, and rows written in them, since the seldom tables were swept.
    commits: usize,
    written: usize,
}

impl Purge {
    /// Sweeps at most about `written` expired rows from each table.
    pub(super) fn step(&mut self, to: &Transaction, written: usize) -> Result<(), Failure> {
        sweep(to, &OFTEN_SWEPT, written.max(LEAST))?;
        self.commits += 1;
        self.written = self.written.saturating_add(written);
        if self.commits < SELDOM {
            return Ok(());
        }
        let Self { written, .. } = std::mem::take(self);
        sweep(to, &SELDOM_SWEPT, written.max(LEAST * SELDOM))
    }
}

fn sweep(to: &Transaction, sweeps: &[&str], most: usize) -> Result<(), Failure> {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let now = signed(to.now());
    for sweep in sweeps {
        to.execute(sweep, (now, most))?;
    }
    Ok(())
}
