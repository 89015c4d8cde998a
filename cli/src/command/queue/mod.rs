//! `leveret queue …`: what waits, who serves it, and whether anybody may.

pub(super) mod pause;

use leveret_common::config::Settings;
use serde_json::{Value, json};

use crate::ago;
use crate::args::QueueCommand;
use crate::client::{Client, about, part};
use crate::command::each::Each;
use crate::error::Error;
use crate::report::{self, Format};

const COLUMNS: [&str; 7] = ["queue", "waiting", "oldest", "rate", "workers", "dead", "paused"];
const LANE: [&str; 5] = ["lane", "depth", "oldest", "consumers", "rate"];

/// Performs a command on queues.
///
/// # Cancel safety
/// Dropped, a queue may or may not have been paused or resumed.
pub(super) async fn run(
    command: QueueCommand,
    settings: &Settings,
    format: Format,
) -> Result<(), Error> {
    let client = Client::new(&settings.gateway)?;
    match command {
        QueueCommand::List => list(&client, format).await,
        QueueCommand::Show { queue } => show(&queue, &client, format).await,
        QueueCommand::Pause { queues, why } => {
            let body = why.map_or_else(|| json!({}), |why| json!({ "why": why }));
            change(&queues, "pause", &body, &client, format).await
        }
        QueueCommand::Resume { queues } => {
            change(&queues, "resume", &json!({}), &client, format).await
        }
    }
}

async fn list(client: &Client, format: Format) -> Result<(), Error> {
    let mut answer = client.get("list the queues", "/v1/queues").await?;
    let queues = match answer["queues"].take() {
        Value::Array(queues) => queues,
        _ => Vec::new(),
    };
    let rows: Vec<Value> = match format {
        Format::Table => queues.into_iter().map(row).collect(),
        Format::Json | Format::Jsonl => queues,
    };
    Ok(report::rows(format, &COLUMNS, &rows)?)
}

async fn show(queue: &str, client: &Client, format: Format) -> Result<(), Error> {
    let path = format!("/v1/queues/{}", part(queue));
    let found = client.get(about("show queue", queue), &path).await?;
    print(found, format)
}

/// Prints a queue: for programs as the gateway gave it, for people with its lanes in a table.
fn print(found: Value, format: Format) -> Result<(), Error> {
    if format != Format::Table {
        return Ok(report::one(format, &[], &found)?);
    }
    let lanes: Vec<Value> =
        found["lanes"].as_array().into_iter().flatten().cloned().map(lane).collect();
    let mut summary = row(found);
    if let Some(members) = summary.as_object_mut() {
        members.remove("lanes");
    }
    report::one(format, &COLUMNS, &summary)?;
    report::write("\n")?;
    Ok(report::rows(format, &LANE, &lanes)?)
}

async fn change(
    queues: &[String],
    verb: &'static str,
    body: &Value,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let mut each = Each::of(queues.len());
    for queue in queues {
        let path = format!("/v1/queues/{}/{verb}", part(queue));
        let answer = client.post(about(&format!("{verb} queue"), queue), &path, body).await;
        each.note(answer.map(|answer| match format {
            Format::Table => short(&answer, queue),
            Format::Json | Format::Jsonl => answer,
        }))?;
    }
    each.finish(format, &["queue", "paused"])
}

/// What a person is told of a queue that was just paused or resumed.
fn short(answer: &Value, queue: &str) -> Value {
    let otherwise = if answer["was_paused"] == false { "no, and it was not" } else { "no" };
    let paused = pause::text(&answer["paused"]).unwrap_or_else(|| otherwise.to_owned());
    json!({ "queue": queue, "paused": paused })
}

/// Makes a queue a row: its lanes are added up.
fn row(mut queue: Value) -> Value {
    let lanes = queue["lanes"].as_array().cloned().unwrap_or_default();
    queue["waiting"] = lanes.iter().filter_map(|lane| lane["depth"].as_u64()).sum::<u64>().into();
    let rate: f64 = lanes.iter().filter_map(|lane| lane["rate"].as_f64()).sum();
    queue["rate"] = per_second(rate).into();
    // Times of one form and zone are ordered as their texts are.
    let oldest = lanes.iter().filter(|lane| lane["oldest"].is_string());
    let oldest = oldest.min_by_key(|lane| lane["oldest"].as_str().map(str::to_owned));
    let most = lanes.iter().find(|lane| lane["oldest_at_most"].is_string());
    queue["oldest"] = oldest.or(most).and_then(age).map_or(Value::Null, Value::from);
    queue["paused"] = pause::text(&queue["paused"]).map_or(Value::Null, Value::from);
    queue
}

fn lane(mut lane: Value) -> Value {
    lane["oldest"] = age(&lane).map_or(Value::Null, Value::from);
    lane["rate"] = per_second(lane["rate"].as_f64().unwrap_or_default()).into();
    lane
}

/// Returns how long the oldest of a lane waits, or at most waits.
fn age(lane: &Value) -> Option<String> {
    let most = || Some(format!("<{}", lane["oldest_at_most"].as_str()?));
    ago::of(&lane["oldest"]).or_else(most)
}

fn per_second(rate: f64) -> String {
    // A sum of nothing is -0.
    let rate = rate + 0.0;
    if rate == 0.0 || rate >= 10.0 { format!("{rate:.0}/s") } else { format!("{rate:.1}/s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lanes_of_a_queue_are_added_up() {
        let queue = row(json!({
            "queue": "mail", "dead": 2, "workers": 1, "paused": null,
            "lanes": [
                { "lane": "mail.high", "depth": 3, "rate": 2.5, "oldest": null },
                { "lane": "mail.low", "depth": 4, "rate": 0.25, "oldest_at_most": "3m" },
            ],
        }));
        assert_eq!((&queue["waiting"], &queue["rate"]), (&json!(7), &json!("2.8/s")));
        assert_eq!((&queue["oldest"], &queue["paused"]), (&json!("<3m"), &Value::Null));
    }
}
