//! `leveret worker quiet|resume|resize|stop`: a signal that a worker takes within about a second.

use serde_json::{Value, json};

use crate::args::Addressed;
use crate::client::{Client, about, part};
use crate::confirm;
use crate::error::Error;
use crate::report::{self, Format};

/// The name that means every worker.
const ALL: &str = "all";

/// Leaves a signal for one worker, or for all.
///
/// # Cancel safety
/// Dropped, any of them may or may not have been told.
pub(super) async fn run(
    verb: &'static str,
    slots: Option<u32>,
    to: &Addressed,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    if to.worker == ALL && !to.yes {
        let to_what = slots.map(|slots| format!(" to {slots} slots")).unwrap_or_default();
        let way_out = "add --yes if it is meant, or name one worker";
        confirm::ask(&format!("{verb} all workers{to_what}"), way_out)?;
    }
    let body = slots.map_or_else(|| json!({}), |slots| json!({ "slots": slots }));
    let path = format!("/v1/workers/{}/{verb}", part(&to.worker));
    let answer = client.post(about(&format!("{verb} worker"), &to.worker), &path, &body).await?;
    if format != Format::Table {
        return Ok(report::one(format, &[], &answer)?);
    }
    let told: Vec<Value> = answer["workers"].as_array().into_iter().flatten().map(row).collect();
    report::rows(format, &["worker", "asked"], &with(told, verb))?;
    report::narrate("they are told within a second: `leveret worker list` shows what became of it");
    Ok(())
}

fn row(worker: &Value) -> Value {
    json!({ "worker": worker })
}

fn with(mut rows: Vec<Value>, verb: &str) -> Vec<Value> {
    for row in &mut rows {
        row["asked"] = verb.into();
    }
    rows
}
