//! `leveret worker list` and `show`: what the workers that live say of themselves.

use serde_json::{Value, json};

use crate::ago;
use crate::client::{Client, about, part};
use crate::error::Error;
use crate::report::{self, Format};

const COLUMNS: [&str; 9] =
    ["worker", "at", "state", "slots", "rate", "memory", "up", "queues", "version"];
const LANE: [&str; 4] = ["lane", "consuming", "waiting", "rate"];
const FIRST: [&str; 12] = [
    "worker",
    "host",
    "pid",
    "state",
    "slots",
    "in_use",
    "attempts",
    "memory",
    "version",
    "started_at",
    "heartbeat_age_ms",
    "kinds",
];

/// Lists the workers that live.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(client: &Client, format: Format) -> Result<(), Error> {
    let mut answer = client.get("list the workers", "/v1/workers").await?;
    let workers = match answer["workers"].take() {
        Value::Array(workers) => workers,
        _ => Vec::new(),
    };
    let rows: Vec<Value> = match format {
        Format::Table => workers.iter().map(row).collect(),
        Format::Json | Format::Jsonl => workers,
    };
    report::rows(format, &COLUMNS, &rows)?;
    if rows.is_empty() && format == Format::Table {
        report::narrate("no worker lives; start one with `leveret worker` or `leveret dev`");
    }
    Ok(())
}

/// Shows one worker.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn show(worker: &str, client: &Client, format: Format) -> Result<(), Error> {
    let path = format!("/v1/workers/{}", part(worker));
    let mut found = client.get(about("show worker", worker), &path).await?;
    if format != Format::Table {
        return Ok(report::one(format, &[], &found)?);
    }
    found["worker"] = owner(&found);
    found["memory"] = memory(&found).into();
    let lanes: Vec<Value> =
        found["lanes"].as_array().into_iter().flatten().cloned().map(lane).collect();
    let running: Vec<Value> = found["running"].as_array().cloned().unwrap_or_default();
    if let Some(members) = found.as_object_mut() {
        for told_apart in ["lanes", "running", "owner", "at"] {
            members.remove(told_apart);
        }
    }
    report::one(format, &FIRST, &found)?;
    report::write("\n")?;
    report::rows(format, &LANE, &lanes)?;
    if !running.is_empty() {
        report::heading("Running")?;
        for id in &running {
            report::write(&format!("{}\n", report::plain(id)))?;
        }
    }
    Ok(())
}

/// Makes a worker a row of a table.
fn row(worker: &Value) -> Value {
    let number = |name: &str| worker[name].as_u64().unwrap_or_default();
    let lanes = || worker["lanes"].as_array().into_iter().flatten();
    let rate: f64 = lanes().filter_map(|lane| lane["rate"].as_f64()).sum();
    let mut queues: Vec<&str> = lanes()
        .filter_map(|lane| lane["lane"].as_str()?.rsplit_once('.').map(|(queue, _)| queue))
        .collect();
    queues.dedup();
    json!({
        "worker": owner(worker),
        "at": format!("{}:{}", report::plain(&worker["host"]), worker["pid"]),
        "state": worker["state"],
        "slots": format!("{}/{}", number("in_use"), number("slots")),
        "rate": format!("{:.1}/s", rate + 0.0),
        "memory": memory(worker),
        "up": ago::of(&worker["started_at"]),
        "queues": queues,
        "version": worker["version"],
    })
}

fn lane(mut lane: Value) -> Value {
    lane["rate"] = format!("{:.1}/s", lane["rate"].as_f64().unwrap_or_default()).into();
    lane
}

fn owner(worker: &Value) -> Value {
    worker.get("owner").unwrap_or(&worker["worker"]).clone()
}

/// Writes bytes for people; a dash where the system does not say.
fn memory(worker: &Value) -> String {
    match worker["memory"].as_u64().unwrap_or_default() {
        0 => "-".to_owned(),
        bytes => format!("{} MiB", bytes.div_ceil(1 << 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_is_one_row() {
        let row = row(&json!({
            "owner": "a1", "host": "box", "pid": 7, "state": "quiet", "slots": 16, "in_use": 3,
            "memory": 20_971_521, "version": "0.1.0", "started_at": null,
            "lanes": [
                { "lane": "mail.high", "rate": 1.25 }, { "lane": "mail.low", "rate": 0.25 },
                { "lane": "files.normal", "rate": 0.0 },
            ],
        }));
        assert_eq!((&row["worker"], &row["at"]), (&json!("a1"), &json!("box:7")));
        assert_eq!((&row["slots"], &row["rate"]), (&json!("3/16"), &json!("1.5/s")));
        assert_eq!((&row["queues"], &row["memory"]), (&json!(["mail", "files"]), &json!("21 MiB")));
    }
}
