//! `leveret schedule list`, `show` and `next`: what the timetable holds and what came of it.

use std::time::Duration;

use leveret_common::clock::{Clock, SystemClock};
use serde_json::{Map, Value, json};

use super::time;
use crate::ago;
use crate::args::{Coming, Origin};
use crate::client::{Client, about, part};
use crate::command::pages::Pages;
use crate::command::queue::pause;
use crate::error::Error;
use crate::report::{self, Format};

/// Most schedules of one request.
const PAGE: u64 = 1_000;
/// What a table shows of a schedule.
const COLUMNS: [&str; 6] = ["schedule", "when", "next", "last", "source", "paused"];
/// What a table shows of an occurrence.
const OCCURRENCE: [&str; 6] = ["due", "cause", "fate", "late", "task", "state"];
/// What people look for first.
const FIRST: [&str; 16] = [
    "schedule",
    "words",
    "when",
    "zone",
    "next",
    "paused",
    "problems",
    "kind",
    "args",
    "queue",
    "class",
    "description",
    "source",
    "revision",
    "created_at",
    "changed_at",
];

/// Which schedules are listed.
pub(super) struct Wish {
    pub(super) paused: bool,
    pub(super) source: Option<Origin>,
    pub(super) limit: Option<u64>,
}

/// Lists schedules by name.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(wish: &Wish, client: &Client, format: Format) -> Result<(), Error> {
    let mut query = String::new();
    if wish.paused {
        query.push_str("&paused=true");
    }
    if let Some(source) = wish.source {
        query.push_str(&format!("&source={}", source.as_str()));
    }
    let schedules = Pages {
        operation: "list the schedules",
        path: "/v1/schedules",
        query,
        member: "schedules",
        page: PAGE,
        columns: &COLUMNS,
        row: |schedule| row(&schedule),
    };
    let printed = schedules.print(wish.limit.unwrap_or(u64::MAX), client, format).await?;
    if printed.more {
        report::narrate("there are more: see --limit");
    }
    if printed.nothing && format == Format::Table {
        report::narrate(match wish.paused || wish.source.is_some() {
            true => "no schedule is like that; without --paused and --source all are listed",
            false => {
                "no schedule is there; make one: `leveret schedule create NAME --when @daily \
                 --kind KIND`"
            }
        });
    }
    Ok(())
}

/// Shows one schedule with its last occurrences.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn show(name: &str, client: &Client, format: Format) -> Result<(), Error> {
    let path = format!("/v1/schedules/{}", part(name));
    let mut found = client.get(about("show schedule", name), &path).await?;
    let operation = about("list the occurrences of schedule", name);
    let mut answer = client.get(operation, &format!("{path}/occurrences")).await?;
    let occurrences = answer["occurrences"].take();
    if format != Format::Table {
        found["occurrences"] = occurrences;
        return Ok(report::one(format, &[], &found)?);
    }
    report::one(format, &FIRST, &whole(&found))?;
    let rows: Vec<Value> = occurrences.as_array().into_iter().flatten().map(occurrence).collect();
    if !rows.is_empty() {
        report::heading("Last occurrences")?;
        report::rows(format, &OCCURRENCE, &rows)?;
    }
    Ok(())
}

/// Shows when a schedule is due next.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn next(
    name: &str,
    coming: &Coming,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let mut path = format!("/v1/schedules/{}/next?n={}", part(name), coming.number);
    if let Some(from) = &coming.from {
        let zone = time::zone_of(name, from, client).await?;
        let from = time::beginning(Some(from), zone)?;
        path.push_str(&format!("&from={}", part(&time::utc(from))));
    }
    let answer = client.get(about("foretell schedule", name), &path).await?;
    let next = answer["next"].as_array().cloned().unwrap_or_default();
    match format {
        Format::Json => report::one(format, &[], &answer)?,
        Format::Jsonl => report::rows(format, &[], &next)?,
        Format::Table if next.is_empty() => {
            report::narrate("nothing is due any more: the schedule is over");
        }
        Format::Table => time::print(time::zone(&answer["zone"]), &next)?,
    }
    Ok(())
}

/// Makes a schedule a row of a table.
pub(super) fn row(schedule: &Value) -> Value {
    json!({
        "schedule": schedule["name"],
        "when": words(schedule),
        "next": ahead(&schedule["next"]["planned"]),
        "last": last(&schedule["last"]),
        "source": schedule["source"]["from"],
        "paused": pause::text(&schedule["paused"]),
    })
}

/// Says when it is due; what is wrong with it where it cannot be read.
fn words(schedule: &Value) -> Value {
    match schedule["words"].as_str() {
        Some(words) => words.into(),
        None => format!("unreadable: {}", report::plain(&schedule["definition"]["when"])).into(),
    }
}

/// Returns how long it is until a time, such as `in 3h`.
fn ahead(at: &Value) -> Option<String> {
    let at = time::parsed(at)?;
    let now = SystemClock.now();
    Some(match at <= now {
        true => "now".to_owned(),
        false => format!("in {}", ago::rough(at.since(now))),
    })
}

/// Says what came of the last occurrence, when and how late.
fn last(last: &Value) -> Option<String> {
    let ago = ago::of(&last["due"])?;
    Some(match last["fate"].as_str()? {
        "fired" => match last["lateness_ms"].as_u64() {
            // Less is on time to a person.
            Some(0..1_000) => format!("{ago} ago"),
            Some(_) => format!("{ago} ago, {} late", late(last)?),
            None => format!("{ago} ago, {}", cause(last)),
        },
        _ => format!("{ago} ago, {}", fate(last)),
    })
}

fn late(occurrence: &Value) -> Option<String> {
    let lateness = occurrence["lateness_ms"].as_u64()?;
    // A person does not read milliseconds beside hours.
    Some(match lateness {
        0..10_000 => format!("{lateness}ms"),
        _ => ago::rough(Duration::from_millis(lateness)),
    })
}

fn cause(occurrence: &Value) -> &str {
    match occurrence["cause"].as_str().unwrap_or_default() {
        "run-now" => "asked for",
        "backfill" => "backfilled",
        "catch-up" => "caught up",
        cause => cause,
    }
}

/// Says what became of an occurrence; of several that were left out, how many.
fn fate(occurrence: &Value) -> String {
    let fate = occurrence["fate"].as_str().unwrap_or_default();
    let why = occurrence["why"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    match occurrence["count"].as_u64() {
        Some(count) if count > 1 => format!("{count} {fate}{why}"),
        _ => format!("{fate}{why}"),
    }
}

/// Makes an occurrence a row of a table.
fn occurrence(occurrence: &Value) -> Value {
    let by = occurrence["by"].as_str().map(|by| format!(" by {by}")).unwrap_or_default();
    json!({
        "due": occurrence["due"],
        "cause": format!("{}{by}", cause(occurrence)),
        "fate": fate(occurrence),
        "late": late(occurrence),
        "task": occurrence["task"],
        "state": occurrence["state"],
    })
}

/// Makes a schedule one thing for people: what it says beside what is known of it.
fn whole(schedule: &Value) -> Value {
    let said = schedule["definition"].as_object().cloned().unwrap_or_default();
    let known = [
        ("schedule", schedule["name"].clone()),
        ("words", schedule["words"].clone()),
        ("next", next_told(&schedule["next"])),
        ("paused", pause::text(&schedule["paused"]).into()),
        ("source", source(&schedule["source"]).into()),
    ];
    let known = known.map(|(name, value)| (name.to_owned(), value));
    let rest = ["problems", "revision", "created_at", "changed_at"];
    let rest = rest.map(|name| (name.to_owned(), schedule[name].clone()));
    said.into_iter().chain(known).chain(rest).collect::<Map<_, _>>().into()
}

fn next_told(next: &Value) -> Value {
    match (next["local"].as_str(), ahead(&next["planned"])) {
        (Some(local), Some(ahead)) => format!("{local} ({ahead})").into(),
        _ => Value::Null,
    }
}

/// Says where a schedule comes from.
pub(super) fn source(source: &Value) -> String {
    let from = report::plain(&source["from"]);
    let named = ["path", "program", "by"].into_iter().find_map(|name| source[name].as_str());
    named.map_or_else(|| from.clone(), |named| format!("{from} {named}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_one_row() {
        let row = row(&json!({
            "name": "report.nightly", "words": "at 02:00 each day",
            "source": { "from": "file", "path": "schedules.toml" },
            "paused": { "by": "ann@box", "at": null, "why": "holidays" },
            "next": null,
            "last": { "due": "2020-01-01T00:00:00Z", "fate": "fired", "lateness_ms": 7_500 },
        }));
        assert_eq!(row["schedule"], "report.nightly");
        assert_eq!((&row["source"], &row["next"]), (&json!("file"), &Value::Null));
        assert_eq!(row["paused"], "ann@box: holidays");
        assert!(row["last"].as_str().unwrap().ends_with("d ago, 7500ms late"), "{row}");
    }

    #[test]
    fn what_was_left_out_says_why_and_how_many() {
        let skipped = json!({ "fate": "skipped", "why": "missed", "count": 40, "due": "x" });
        assert_eq!(fate(&skipped), "40 skipped: missed");
        assert_eq!(fate(&json!({ "fate": "waiting" })), "waiting");
        assert_eq!(late(&json!({ "lateness_ms": 7_200_000 })).as_deref(), Some("2h"));
        assert_eq!(late(&skipped), None);
        let on_time = json!({ "fate": "fired", "lateness_ms": 12, "due": "2020-01-01T00:00:00Z" });
        assert!(last(&on_time).unwrap().ends_with("d ago"));
    }

    #[test]
    fn a_source_is_told_with_its_name() {
        assert_eq!(source(&json!({ "from": "code", "program": "shop" })), "code shop");
        assert_eq!(source(&json!({ "from": "api" })), "api");
    }
}
