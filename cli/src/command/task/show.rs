//! `leveret task show`: where a task stands, and what became of each attempt.

use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::report::{self, Format};

/// What people look for first.
const FIRST: [&str; 14] = [
    "id",
    "kind",
    "state",
    "attempt",
    "result",
    "reason",
    "error",
    "next_at",
    "running",
    "queue",
    "class",
    "key",
    "origin_id",
    "enqueued_at",
];
const ACT: [&str; 5] = ["action", "replay", "with", "at", "by"];
const ATTEMPT: [&str; 6] = ["attempt", "outcome", "ended_at", "next_at", "worker", "error"];

/// Shows a task.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(id: &str, client: &Client, format: Format) -> Result<(), Error> {
    let task = client.task(id, None).await?;
    print(&task, format)
}

/// Prints a task: for programs as the gateway gave it, for people with its attempts in a table.
pub(super) fn print(task: &Value, format: Format) -> Result<(), Error> {
    if format != Format::Table {
        return Ok(report::one(format, &[], task)?);
    }
    let mut task = task.clone();
    tell_error(&mut task);
    let mut attempts = list(&mut task, "history");
    let acts = list(&mut task, "acts");
    report::one(format, &FIRST, &task)?;
    if !attempts.is_empty() {
        attempts.iter_mut().for_each(tell_error);
        report::write("\n")?;
        report::rows(format, &ATTEMPT, &attempts)?;
    }
    if !acts.is_empty() {
        report::write("\n")?;
        report::rows(format, &ACT, &acts)?;
    }
    Ok(())
}

/// Takes a list out of a task, to be shown in a table of its own.
fn list(task: &mut Value, name: &str) -> Vec<Value> {
    match task.as_object_mut().and_then(|members| members.remove(name)) {
        Some(Value::Array(items)) => items,
        Some(_) | None => Vec::new(),
    }
}

/// Returns an error as people read it: its class and its message.
pub(super) fn error_text(error: &Value) -> Option<String> {
    let (class, message) = (error.get("class")?.as_str()?, error.get("message")?.as_str()?);
    Some(format!("{class}: {message}"))
}

fn tell_error(of: &mut Value) {
    if let Some(error) = of.get_mut("error")
        && let Some(text) = error_text(error)
    {
        *error = text.into();
    }
}
