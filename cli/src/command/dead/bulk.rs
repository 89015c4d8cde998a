//! What the verbs that change dead letters have in common: which letters, whether it is meant, and
//! what it would do.

use serde::Serialize;
use serde_json::Value;

use super::list;
use crate::args::{Bulk, Chosen};
use crate::client::{Client, about, part};
use crate::command::each::Each;
use crate::confirm::{self, WAY_OUT};
use crate::error::Error;
use crate::report::{self, Format};

/// What the gateway is told of a bulk verb; what is absent is left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Order {
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    all: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    dry_run: bool,
}

impl Order {
    /// Names the letters that were chosen otherwise than by id.
    pub(super) fn of(bulk: &Bulk) -> Self {
        Self {
            filter: bulk.chosen.filter.as_ref().map(ToString::to_string),
            all: bulk.chosen.all,
            limit: bulk.limit,
            rate: bulk.rate,
            ..Self::default()
        }
    }
}

/// A verb, as it is told: "replay" and the gateway's path for it.
pub(super) struct Verb {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
}

/// Asks whether it is meant. `true`: go on; `false`: it was a dry run, and its answer is printed.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn goes_on(
    verb: &Verb,
    order: &mut Order,
    bulk: &Bulk,
    client: &Client,
    format: Format,
) -> Result<bool, Error> {
    if bulk.dry_run {
        order.dry_run = true;
        print(&foresee(verb, order, client).await?, format)?;
        return Ok(false);
    }
    if bulk.yes {
        return Ok(true);
    }
    let which = chosen(&bulk.chosen, bulk.limit);
    if !confirm::can_ask() {
        let what = format!("{} {which}", verb.name);
        confirm::ask(&what, WAY_OUT)?;
    }
    order.dry_run = true;
    let foreseen = foresee(verb, order, client).await?;
    order.dry_run = false;
    let number = matching(&foreseen);
    confirm::ask(&format!("{} {which} (the list has {number})", verb.name), WAY_OUT)?;
    Ok(true)
}

async fn foresee(verb: &Verb, order: &Order, client: &Client) -> Result<Value, Error> {
    client.post(format!("foresee what `dead {}` does", verb.name), verb.path, order).await
}

/// Prints what a dry run found.
fn print(foreseen: &Value, format: Format) -> Result<(), Error> {
    if format != Format::Table {
        return Ok(report::one(format, &[], foreseen)?);
    }
    report::write(&format!("{} dead letters match; nothing was done\n", matching(foreseen)))?;
    let examples = foreseen["examples"].as_array().cloned().unwrap_or_default();
    let examples: Vec<Value> = examples.into_iter().map(list::row).collect();
    match examples.is_empty() {
        true => Ok(()),
        false => {
            report::heading("Some of them")?;
            Ok(report::rows(format, &list::COLUMNS, &examples)?)
        }
    }
}

/// Says how many the list has; it is not looked through to its end where there are very many.
fn matching(foreseen: &Value) -> String {
    let more = if foreseen["complete"] == false { "more than " } else { "" };
    format!("{more}{}", foreseen["matching"])
}

fn chosen(chosen: &Chosen, limit: Option<u64>) -> String {
    let most = limit.map(|limit| format!("at most {limit} of ")).unwrap_or_default();
    match &chosen.filter {
        Some(filter) => format!("{most}the dead letters that match `{filter}`"),
        None => format!("{most}all dead letters of all queues"),
    }
}

/// Shows the letters that were named, instead of changing them.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn show_named(
    ids: &[String],
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let mut each = Each::of(ids.len());
    for id in ids {
        let operation = about("show the dead letter of task", id);
        let letter = client.get(operation, &format!("/v1/dead/{}", part(id))).await;
        each.note(letter.map(|letter| match format {
            Format::Table => list::row(letter),
            Format::Json | Format::Jsonl => letter,
        }))?;
    }
    each.finish(format, &list::COLUMNS)
}
