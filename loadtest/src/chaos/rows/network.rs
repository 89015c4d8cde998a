//! Rows about the network between the roles and their servers, and about a store that refuses.

mod confirms;
mod garbled;
mod partition;
mod refused;
mod replies;
mod slow;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::row::{Row, SERVERS};
use crate::error::Error;
use crate::fleet::role::Role;
use crate::proxy::Proxy;
use crate::proxy::seen::Seen;

/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[
    Row {
        name: "F11",
        what: "confirms dropped for 30 %; broker killed between publish and confirm",
        on: SERVERS,
        run: |play| Box::pin(confirms::lost(play)),
    },
    Row {
        name: "F14",
        what: "silent partition between a worker and the broker; half-open connections",
        on: SERVERS,
        run: |play| Box::pin(partition::silent(play)),
    },
    Row {
        name: "I18",
        what: "what broker and store say cannot be read",
        on: SERVERS,
        run: |play| Box::pin(garbled::unreadable(play)),
    },
    Row {
        name: "F24",
        what: "10 % of the store's replies lost after the command was applied",
        on: SERVERS,
        run: |play| Box::pin(replies::lost(play)),
    },
    Row {
        name: "F25",
        what: "store out of memory, read-only, without permission, with another type at our key, without scripts",
        on: SERVERS,
        run: |play| Box::pin(refused::by_the_store(play)),
    },
    Row {
        name: "F38",
        what: "200 ms ± 100 latency and 256 kbit/s on both links",
        on: SERVERS,
        run: |play| Box::pin(slow::links(play)),
    },
];

/// Waits until a proxy has seen so much; false when it has not by then.
async fn has_seen(proxy: &Proxy, patience: Duration, enough: impl Fn(Seen) -> bool) -> bool {
    let began = Instant::now();
    while !enough(proxy.seen()) {
        if began.elapsed() > patience {
            return false;
        }
        sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Waits until a worker says that it is not ready, and tells how long it took; nothing where it says so too late.
async fn is_not_ready_within(worker: &Role, patience: Duration) -> Option<Duration> {
    let began = Instant::now();
    while worker.is_ready().await {
        if began.elapsed() > patience {
            return None;
        }
        sleep(Duration::from_millis(20)).await;
    }
    Some(began.elapsed())
}

/// Returns what a worker has counted, such as `leveret_parks_total{cause="busy"}`; 0 where it has not.
async fn counted(worker: &Role, metric: &str) -> Result<u64, Error> {
    let wrong = |error: reqwest::Error| Error::unexpected("a worker", error.to_string());
    let asked = reqwest::get(format!("{}/metrics", worker.url())).await.map_err(wrong)?;
    let text = asked.text().await.map_err(wrong)?;
    let line = text.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' '));
    Ok(line.and_then(|count| count.parse().ok()).unwrap_or_default())
}
