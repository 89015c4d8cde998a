//! `leveret task wait`: until a task has ended, and how.

use std::time::Duration;

use leveret_common::store::TaskState;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::Instant;

use super::show;
use crate::client::Client;
use crate::error::Error;
use crate::report::Format;

/// Waits for a task's end, prints the task and fails unless it is done.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(
    id: &str,
    within: Duration,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    // Asked with a wait, the gateway waits for a task that nobody knows yet too; a slip of the pen
    // should not take a minute to be told.
    client.task(id, None).await?;
    let task = until_ended(client, id, within).await?;
    show::print(&task, format)?;
    judge(id, &task)
}

/// Asks until the task has ended. One that was just enqueued may not be known yet.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn until_ended(
    client: &Client,
    id: &str,
    within: Duration,
) -> Result<Value, Error> {
    let began = Instant::now();
    loop {
        let left = within.saturating_sub(began.elapsed());
        let task = client.task(id, Some(whole_millis(left))).await?;
        if state(&task).is_some_and(TaskState::is_final) {
            return Ok(task);
        }
        if within <= began.elapsed() {
            let state = task["state"].as_str().unwrap_or("not ended").to_owned();
            return Err(Error::TimedOut { id: id.to_owned(), state, waited: within });
        }
    }
}

/// Fails unless the task is done.
pub(super) fn judge(id: &str, task: &Value) -> Result<(), Error> {
    if state(task) == Some(TaskState::Done) {
        return Ok(());
    }
    let mut why = String::new();
    if let Some(reason) = task["reason"].as_str() {
        why.push_str(&format!(" ({reason})"));
    }
    if let Some(error) = show::error_text(&task["error"]) {
        why.push_str(&format!(": {error}"));
    }
    let state = task["state"].as_str().unwrap_or_default().to_owned();
    Err(Error::EndedBadly { id: id.to_owned(), state, why })
}

/// Reads the state; a newer gateway may have one that is not known here, which is no end.
pub(super) fn state(task: &Value) -> Option<TaskState> {
    TaskState::deserialize(&task["state"]).ok()
}

/// Drops what is finer than a millisecond: a wait in a URL should be readable.
fn whole_millis(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
