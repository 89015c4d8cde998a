//! Removes what has expired, a little with every commit.
//!
//! A commit sweeps about as many rows as it wrote, so tables cannot outgrow what is alive and no
//! commit becomes long. What is expired but not yet swept is invisible: every reader compares.

use super::error::Failure;
use super::transaction::{Transaction, signed};

/// Fewest rows swept from each table in one commit, where there are that many.
const LEAST: usize = 16;

const SWEEPS: [&str; 4] = [
    "DELETE FROM ledger WHERE id IN
        (SELECT id FROM ledger WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM enqueued WHERE id IN
        (SELECT id FROM enqueued WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM attempt WHERE (id, seq) IN
        (SELECT id, seq FROM attempt WHERE expires_ms <= ?1 LIMIT ?2)",
    "DELETE FROM result WHERE id IN
        (SELECT id FROM result WHERE expires_ms <= ?1 LIMIT ?2)",
];

/// Sweeps at most about `written` expired rows from each table.
pub(super) fn step(to: &Transaction, written: usize) -> Result<(), Failure> {
    let most = i64::try_from(written.max(LEAST)).unwrap_or(i64::MAX);
    let now = signed(to.now());
    for sweep in SWEEPS {
        to.execute(sweep, (now, most))?;
    }
    Ok(())
}
