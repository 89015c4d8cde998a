//! `leveret dead list`: the letters themselves, newest first, or how many of each sort there are.

use leveret_common::filter::Filter;
use serde_json::Value;

use crate::ago;
use crate::args::Group;
use crate::client::{Client, part};
use crate::command::pages::Pages;
use crate::error::Error;
use crate::report::{self, Format};

/// Most letters of one request.
const PAGE: u64 = 1_000;
/// What a table shows of a letter.
pub(super) const COLUMNS: [&str; 6] = ["id", "kind", "queue", "died", "reason", "error"];

/// Lists at most `limit` letters.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn letters(
    filter: Option<&Filter>,
    limit: u64,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let letters = Pages {
        operation: "list dead letters",
        path: "/v1/dead",
        query: query(filter),
        member: "letters",
        page: PAGE,
        columns: &COLUMNS,
        row,
    };
    if letters.print(limit, client, format).await?.more {
        report::narrate(&format!("these are the newest {limit}; there are more: see --limit"));
    }
    Ok(())
}

/// Counts the letters by what they have in common.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn groups(
    filter: Option<&Filter>,
    by: Group,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let path = format!("/v1/dead/groups?by={}{}", by.as_str(), query(filter));
    let answer = client.get("count dead letters", &path).await?;
    warn_of_lag(&answer["queues"]);
    if format == Format::Json {
        return Ok(report::one(format, &[], &answer)?);
    }
    let mut groups = answer["groups"].as_array().cloned().unwrap_or_default();
    let mut columns = vec!["value", "count", "oldest", "newest", "example"];
    if format == Format::Table {
        for group in &mut groups {
            group[by.as_str()] = group["value"].clone();
            for member in ["oldest", "newest"] {
                let time = group[member].clone();
                group[member] = ago::of(&time).map_or(time, Value::from);
            }
        }
        columns[0] = by.as_str();
    }
    report::rows(format, &columns, &groups)?;
    if format == Format::Table {
        let more = if answer["complete"] == false { "; there are more" } else { "" };
        report::narrate(&format!("{} in all{more}", answer["total"]));
    }
    Ok(())
}

/// Returns a filter as a part of a query.
pub(super) fn query(filter: Option<&Filter>) -> String {
    filter.map(|filter| format!("&filter={}", part(&filter.to_string()))).unwrap_or_default()
}

/// Says of which queues the list does not tell everything: what counts is in the queue.
fn warn_of_lag(queues: &Value) {
    for queue in queues.as_array().into_iter().flatten() {
        let (depth, listed) = (&queue["depth"], &queue["listed"]);
        if depth == listed {
            continue;
        }
        let name = report::plain(&queue["queue"]);
        report::narrate(&format!(
            "queue {name} holds {depth} dead letters and {listed} are listed; if that stays so, \
             `leveret dead reindex --queue {name}` writes the list anew"
        ));
    }
}

/// Makes a letter a row of a table.
pub(super) fn row(mut letter: Value) -> Value {
    ago::add(&mut letter, "died_at", "died");
    if let Some(text) = error(&letter) {
        letter["error"] = text.into();
    }
    letter
}

/// Returns what failed as people read it: the class and the message.
pub(super) fn error(letter: &Value) -> Option<String> {
    let message = letter["error"].as_str()?;
    let class = letter["error_class"].as_str().unwrap_or_default();
    Some(if class.is_empty() { message.to_owned() } else { format!("{class}: {message}") })
}
