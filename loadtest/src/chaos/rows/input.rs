//! Rows about what comes in: bytes that mean nothing, args of the wrong shape, kinds and versions that nobody knows yet.

mod carried;
mod malformed;
mod sender;
mod unknown;
mod upgrade;

use super::super::row::{Row, SERVERS};
use crate::ground::On;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F33",
        what: "malformed messages of every sort among good ones",
        on: SERVERS,
        run: |play| Box::pin(malformed::published(play)),
    },
    Row {
        name: "F34",
        what: "args that a new schema does not allow; kinds and versions that nobody knows, or not yet",
        on: &On::ALL,
        run: |play| Box::pin(unknown::waits_for_a_deploy(play)),
    },
    Row {
        name: "F45",
        what: "rolling upgrade to workers of a newer envelope, back, and forward again",
        on: &On::ALL,
        run: |play| Box::pin(upgrade::rolled(play)),
    },
];
