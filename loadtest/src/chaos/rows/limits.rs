//! Rows about the limits of the machine: disks that are full, and everything due at once.

mod disk;
mod retries;

use super::super::row::Row;
use crate::ground::On;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F37",
        what: "disk full under the logs, the store and the broker, or under the embedded file",
        on: &On::ALL,
        run: |play| Box::pin(disk::full(play)),
    },
    Row {
        name: "F41",
        what: "retries of very many tasks due in the same second",
        on: &On::ALL,
        run: |play| Box::pin(retries::all_at_once(play)),
    },
];
