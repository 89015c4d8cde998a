//! `leveret task explain`: where a task is, why it is not done, and what to do.

use serde_json::Value;

use crate::client::{Client, about, part};
use crate::command::queue::pause;
use crate::error::Error;
use crate::report::{self, Format};

/// What people look for first.
const FIRST: [&str; 12] = [
    "place",
    "queue",
    "lane",
    "class",
    "depth",
    "rate",
    "consumers",
    "until",
    "since",
    "worker",
    "reason",
    "error",
];

/// Explains a task. One that nobody knows is explained too.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(id: &str, client: &Client, format: Format) -> Result<(), Error> {
    let path = format!("/v1/tasks/{}/explain", part(id));
    let explained = client.get(about("explain task", id), &path).await?;
    if format != Format::Table {
        return Ok(report::one(format, &[], &explained)?);
    }
    let summary = report::plain(&explained["summary"]);
    report::write(&format!("{summary}\n\n"))?;
    let mut custody = shown(explained["custody"].clone());
    custody["id"] = explained["id"].clone();
    custody["state"] = explained["state"].clone();
    let first: Vec<_> = ["id", "state"].into_iter().chain(FIRST).collect();
    report::one(format, &first, &custody)?;
    list("Because", &explained["because"])?;
    list("What to do", &explained["do"])
}

/// Makes what is nested in a custody one text each, and leaves out what is told in sentences below.
fn shown(mut custody: Value) -> Value {
    let worker = &custody["worker"];
    if worker.is_object() {
        let text = |name: &str| report::plain(&worker[name]);
        let (host, pid, owner) = (text("host"), text("pid"), text("owner"));
        custody["worker"] = format!("{host}:{pid} ({owner})").into();
    }
    if let Some(pause) = pause::text(&custody["paused"]) {
        custody["paused"] = pause.into();
    }
    if let Some(members) = custody.as_object_mut() {
        members.remove("possibilities");
    }
    custody
}

fn list(title: &str, sentences: &Value) -> Result<(), Error> {
    let sentences = sentences.as_array().map(Vec::as_slice).unwrap_or_default();
    if sentences.is_empty() {
        return Ok(());
    }
    report::heading(title)?;
    for sentence in sentences {
        report::write(&format!("- {}\n", report::plain(sentence)))?;
    }
    Ok(())
}
