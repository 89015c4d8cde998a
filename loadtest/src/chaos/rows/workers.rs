//! Rows about workers and the gateway: killed, drained, stopped, blocked, and tasks that come more than once.

mod blocked;
mod dies;
mod drained;
mod gateway;
mod innocents;
mod kill_table;
mod killed;
mod lasting;
mod repeated;
mod soak;
mod stopped;
mod trouble;

use super::super::row::{Row, SERVERS};
use crate::ground::On;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F1",
        what: "worker killed at every step of settling, beside another, with a detached task, among many tasks",
        on: &On::ALL,
        run: |play| Box::pin(kill_table::holds(play)),
    },
    Row {
        name: "F2",
        what: "worker drained while idle, busy, with tasks not started, with a task longer than its grace, detached",
        on: &On::ALL,
        run: |play| Box::pin(drained::holds(play)),
    },
    Row {
        name: "F4",
        what: "worker stopped for three heartbeat TTLs, then continued",
        on: SERVERS,
        run: |play| Box::pin(stopped::holds(play)),
    },
    Row {
        name: "F6",
        what: "handlers block all their threads for three heartbeat TTLs",
        on: &On::ALL,
        run: |play| Box::pin(blocked::holds(play)),
    },
    Row {
        name: "F7",
        what: "handler panics, aborts, exits, overflows its stack, never comes back",
        on: &On::ALL,
        run: |play| Box::pin(dies::holds(play)),
    },
    Row {
        name: "F19",
        what: "task longer than the broker waits for an ack, its worker killed in the middle",
        on: &On::ALL,
        run: |play| Box::pin(lasting::holds(play)),
    },
    Row {
        name: "F42",
        what: "49 innocent tasks beside one that kills its worker",
        on: &On::ALL,
        run: |play| Box::pin(innocents::holds(play)),
    },
    Row {
        name: "F47",
        what: "every message published three times",
        on: SERVERS,
        run: |play| Box::pin(repeated::holds(play)),
    },
    Row {
        name: "F49",
        what: "gateway killed before the publish, unconfirmed, confirmed, recorded; the client repeats its request",
        on: &On::ALL,
        run: |play| Box::pin(gateway::holds(play)),
    },
    Row {
        name: "F51",
        what: "soak: a random mix of faults under load",
        on: &On::ALL,
        run: |play| Box::pin(soak::holds(play)),
    },
];
