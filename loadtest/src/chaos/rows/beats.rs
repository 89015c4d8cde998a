//! Rows about beats: killed, stopped, without a lock, with wrong clocks, away for long.

mod away;
mod changes;
mod clocks;
mod killed;
mod leading;
mod one_of_three;
mod stopped;
mod table;
mod timepiece;
mod unlocked;

use super::super::row::Row;
use crate::ground::On;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F27",
        what: "leading beat killed before the publish, unconfirmed, confirmed, saved",
        on: &On::ALL,
        run: |play| Box::pin(killed::holds(play)),
    },
    Row {
        name: "F28",
        what: "leading beat stopped for five leases, then continued; on servers three beats, and the lock taken from whoever leads",
        on: &On::ALL,
        run: |play| Box::pin(stopped::holds(play)),
    },
    Row {
        name: "F31",
        what: "clock an hour ahead, an hour behind, a day ahead, of all beats, and on servers of one in three; both changes of the clocks",
        on: &On::ALL,
        run: |play| Box::pin(clocks::holds(play)),
    },
    Row {
        name: "F32",
        what: "no beat for 30 days",
        on: &On::ALL,
        run: |play| Box::pin(away::holds(play)),
    },
];
