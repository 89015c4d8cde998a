//! `leveret task cancel`: waiting tasks are not run, running ones are told to stop.

use leveret_common::store::TaskState;
use serde_json::{Value, json};

use super::wait;
use crate::args::Cancel;
use crate::client::{Client, about, part};
use crate::command::each::Each;
use crate::error::Error;
use crate::report::Format;

/// Cancels tasks, and waits for their ends where that is asked for.
///
/// # Cancel safety
/// Dropped, any of them may or may not have been cancelled.
pub(super) async fn run(arguments: &Cancel, client: &Client, format: Format) -> Result<(), Error> {
    let mut each = Each::of(arguments.ids.len());
    for id in &arguments.ids {
        each.note(cancel(id, arguments, client).await)?;
    }
    each.finish(format, &["id", "state", "worker", "until"])
}

async fn cancel(id: &str, arguments: &Cancel, client: &Client) -> Result<Value, Error> {
    let body = if arguments.force { json!({ "force": true }) } else { json!({}) };
    let path = format!("/v1/tasks/{}/cancel", part(id));
    let answer = client.post(about("cancel task", id), &path, &body).await?;
    let Some(patience) = arguments.wait else { return Ok(answer) };
    if answer["state"] == TaskState::Cancelled.as_str() {
        return Ok(answer);
    }
    let task = wait::until_ended(client, id, patience.get()).await?;
    if wait::state(&task) == Some(TaskState::Cancelled) {
        return Ok(json!({ "id": task["id"], "state": task["state"] }));
    }
    // It had succeeded, or failed for good, before its handler heard of it.
    wait::judge(id, &task)?;
    let why = ": it had succeeded before it could be stopped".to_owned();
    Err(Error::EndedBadly { id: id.to_owned(), state: "done".to_owned(), why })
}
