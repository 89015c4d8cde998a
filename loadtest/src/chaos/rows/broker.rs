//! Rows about the broker: stopped, killed, full, without connections, without a queue, without rights.

mod alarms;
mod connections;
mod lost;
mod queues;
mod rights;

use super::super::row::{Row, SERVERS};

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F9",
        what: "broker stopped and started under load",
        on: SERVERS,
        run: |play| Box::pin(lost::stopped_and_started(play)),
    },
    Row {
        name: "F10",
        what: "broker killed ten times under load",
        on: SERVERS,
        run: |play| Box::pin(lost::killed_ten_times(play)),
    },
    Row {
        name: "F12",
        what: "memory alarm and disk alarm of the broker",
        on: SERVERS,
        run: |play| Box::pin(alarms::raised(play)),
    },
    Row {
        name: "F17",
        what: "every connection to the broker closed each 2 s",
        on: SERVERS,
        run: |play| Box::pin(connections::closed_again_and_again(play)),
    },
    Row {
        name: "F18",
        what: "queue deleted with its consumers, channel closed by the broker",
        on: SERVERS,
        run: |play| Box::pin(queues::deleted_and_channel_closed(play)),
    },
    Row {
        name: "F44",
        what: "permission revoked and password rotated under load",
        on: SERVERS,
        run: |play| Box::pin(rights::revoked(play)),
    },
];
