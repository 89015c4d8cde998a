//! `leveret schedule create`, `update`, `delete`, `pause`, `resume` and `run`.

use leveret_common::id::TaskId;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::list;
use super::said::{self, Fields};
use crate::args::{Said, Update, Write};
use crate::client::{Client, about, part};
use crate::command::each::Each;
use crate::error::{Error, Loss};
use crate::report::{self, Format};

/// What a person is told of a schedule that was written.
const WRITTEN: [&str; 5] = ["schedule", "when", "next", "paused", "revision"];

/// What is there, as far as an update needs it.
#[derive(Debug, Deserialize)]
struct There {
    definition: Box<RawValue>,
    revision: u32,
}

/// Makes a schedule. Made again with the same words, it is answered with what is there.
///
/// # Cancel safety
/// Dropped, it may or may not have been made.
pub(super) async fn create(write: &Write, client: &Client, format: Format) -> Result<(), Error> {
    let name = &write.name;
    let mut fields = match &write.file {
        Some(file) => said::from_file(name, file).await?,
        None => Fields::default(),
    };
    fields.put(&write.said)?;
    let fields = fields.named(name);
    let answer = client.post(about("create schedule", name), "/v1/schedules", &fields).await?;
    if answer["repeated"] == true && format == Format::Table {
        report::narrate("it is there already, and says the same");
    }
    print(&answer, format)
}

/// Changes what a schedule says, unless somebody else changes it meanwhile.
///
/// # Cancel safety
/// Dropped, it may or may not have been changed.
pub(super) async fn update(update: &Update, client: &Client, format: Format) -> Result<(), Error> {
    let write = &update.write;
    let name = &write.name;
    let path = format!("/v1/schedules/{}", part(name));
    if let Some(file) = &write.file {
        let fields = said::from_file(name, file).await?;
        let answer = client.put(about("change schedule", name), &path, &fields).await?;
        return print(&answer, format);
    }
    if update.clear.is_empty() && write.said == Said::default() {
        return Err(Error::Argument {
            what: "the command line".to_owned(),
            why: "nothing is to be changed; say what, such as --when '@daily' or --clear zone, or \
                  name a --file"
                .to_owned(),
        });
    }
    let there: There = client.get_as(about("read schedule", name), &path).await?;
    let mut fields = Fields::read("the schedule", there.definition.get())?;
    for field in &update.clear {
        fields.clear(field)?;
    }
    fields.put(&write.said)?;
    let path = format!("{path}?revision={}", there.revision);
    print(&client.put(about("change schedule", name), &path, &fields).await?, format)
}

/// Deletes schedules.
///
/// # Cancel safety
/// Dropped, any of them may or may not be gone.
pub(super) async fn delete(names: &[String], client: &Client, format: Format) -> Result<(), Error> {
    let mut each = Each::of(names.len());
    for name in names {
        let path = format!("/v1/schedules/{}", part(name));
        each.note(client.delete(about("delete schedule", name), &path).await)?;
    }
    each.finish(format, &["name", "deleted"])
}

/// Pauses or resumes schedules.
///
/// # Cancel safety
/// Dropped, any of them may or may not be paused or resumed.
pub(super) async fn pause(
    names: &[String],
    verb: &'static str,
    body: &Value,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let mut each = Each::of(names.len());
    for name in names {
        let path = format!("/v1/schedules/{}/{verb}", part(name));
        let answer = client.post(about(&format!("{verb} schedule"), name), &path, body).await;
        each.note(answer.map(|answer| shown(answer, format)))?;
    }
    each.finish(format, &["schedule", "paused", "next"])
}

/// Puts in a task of each schedule.
///
/// # Cancel safety
/// Dropped, any of the tasks may or may not be in: ask again with the same key.
pub(super) async fn run(
    names: &[String],
    key: Option<&str>,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    // So that a task of unknown fate can be asked for again.
    let key = key.map_or_else(|| TaskId::mint().to_string(), str::to_owned);
    let mut each = Each::of(names.len());
    for name in names {
        let path = format!("/v1/schedules/{}/run", part(name));
        let operation = about("put in a task of schedule", name);
        let answer = client.post_with_key(operation, &path, &key, &json!({})).await;
        let answer = answer.map_err(|error| repeatable(error, &key));
        each.note(answer.map(|mut answer| {
            answer["schedule"] = name.as_str().into();
            answer
        }))?;
    }
    each.finish(format, &["schedule", "id"])
}

/// Adds to a failure of unknown fate how to ask again without doubling anything.
pub(super) fn repeatable(error: Error, key: &str) -> Error {
    match error {
        Error::Unreachable {
            operation,
            url,
            why,
            note,
            loss: loss @ (Loss::Late | Loss::Broken),
        } => {
            let note = format!("{note}; repeat it with --key {key}: so nothing is put in twice");
            Error::Unreachable { operation, url, why, note, loss }
        }
        other => other,
    }
}

fn print(answer: &Value, format: Format) -> Result<(), Error> {
    let warnings = answer["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    for warning in warnings.iter().filter_map(Value::as_str) {
        report::narrate(&format!("warning: {warning}"));
    }
    match format {
        Format::Table => Ok(report::one(format, &WRITTEN, &told(answer))?),
        Format::Json | Format::Jsonl => Ok(report::one(format, &[], answer)?),
    }
}

fn shown(answer: Value, format: Format) -> Value {
    match format {
        Format::Table => told(&answer),
        Format::Json | Format::Jsonl => answer,
    }
}

/// What a person is told of a schedule that was just changed.
fn told(answer: &Value) -> Value {
    let row = list::row(answer);
    let otherwise = if answer["was_paused"] == false { "no, and it was not" } else { "no" };
    let paused = if row["paused"].is_null() { otherwise.into() } else { row["paused"].clone() };
    json!({
        "schedule": row["schedule"], "when": row["when"], "next": row["next"], "paused": paused,
        "revision": answer["revision"],
    })
}
