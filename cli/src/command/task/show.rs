//! `leveret task show`: where a task stands, and what became of each attempt.

use serde_json::Value;

use crate::client::Client;
use crate::error::Error;
use crate::report::{self, Format};

/// What people look for first.
const FIRST: [&str; 15] = [
    "id",
    "kind",
    "state",
    "attempt",
    "progress",
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
    tell_progress(&mut task);
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

/// Puts what an attempt said of itself into one line.
fn tell_progress(of: &mut Value) {
    let Some(progress) = of.get_mut("progress") else { return };
    let percent =
        progress.get("percent").and_then(Value::as_u64).map(|percent| format!("{percent}%"));
    let message = progress.get("message").and_then(Value::as_str).map(str::to_owned);
    let checkpoint = progress.get("checkpoint").and_then(Value::as_u64);
    let checkpoint = checkpoint.map(|bytes| format!("checkpoint of {bytes} bytes"));
    let said: Vec<_> = [percent, message, checkpoint].into_iter().flatten().collect();
    let (attempt, at) = (&progress["attempt"], progress["at"].as_str().unwrap_or("?"));
    *progress = format!("{} (attempt {attempt}, {at})", said.join(", ")).into();
}

fn tell_error(of: &mut Value) {
    if let Some(error) = of.get_mut("error")
        && let Some(text) = error_text(error)
    {
        *error = text.into();
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_an_attempt_said_of_itself_is_one_line() {
        let line = |progress: Value| {
            let mut task = json!({ "progress": progress });
            tell_progress(&mut task);
            task["progress"].as_str().unwrap().to_owned()
        };
        let (attempt, at) = (2, "2026-11-05T10:00:00Z");
        let all = json!({
            "attempt": attempt, "at": at, "percent": 40, "message": "page 4", "checkpoint": 10,
        });
        let told = "40%, page 4, checkpoint of 10 bytes (attempt 2, 2026-11-05T10:00:00Z)";
        assert_eq!(line(all), told);
        let one = json!({ "attempt": attempt, "at": at, "percent": 0 });
        assert_eq!(line(one), "0% (attempt 2, 2026-11-05T10:00:00Z)");
        let mut silent = json!({ "id": "x" });
        tell_progress(&mut silent);
        assert_eq!(silent, json!({ "id": "x" }));
    }
}
