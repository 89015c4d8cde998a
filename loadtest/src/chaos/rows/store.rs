//! Rows about the store: restarted empty, wiped, hanging.

mod lost;
mod wiped;

use super::super::row::{Row, SERVERS};

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F20",
        what: "store restarted empty under load",
        on: SERVERS,
        run: |play| Box::pin(lost::restarted_empty(play)),
    },
    Row {
        name: "F21",
        what: "store wiped five times under load, while a detached task runs, and among many tasks",
        on: SERVERS,
        run: |play| Box::pin(lost::wiped_five_times(play)),
    },
    Row {
        name: "F22",
        what: "store hangs",
        on: SERVERS,
        run: |play| Box::pin(lost::hanging(play)),
    },
];
