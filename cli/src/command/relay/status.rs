//! `leveret relay status`: what lies in the outbox, and why rows are in trouble.

use leveret_common::config::Settings;
use leveret_common::spawn::Spawner;
use leveret_outbox::relay::{Refused, Relay, Survey};
use serde_json::{Value, json};

use crate::assemble;
use crate::error::Error;
use crate::report::{self, Format};

/// Looks into the outbox and prints what it holds.
///
/// # Cancel safety
/// Only looks.
pub(super) async fn run(settings: &Settings, format: Format) -> Result<(), Error> {
    let address = assemble::outbox(settings)?.ok_or(Error::NoOutbox)?;
    let spawner = Spawner::new();
    let looked = Relay::survey(&address, &spawner).await;
    spawner.drained().await;
    print(&looked?, format)
}

fn print(survey: &Survey, format: Format) -> Result<(), Error> {
    let Survey { waiting, failing, refused, oldest, troubled } = survey;
    let seconds = oldest.map(|oldest| oldest.as_secs());
    let troubled: Vec<Value> = troubled.iter().map(row).collect();
    let mut shown = json!({
        "waiting": waiting, "failing": failing, "refused": refused, "oldest_seconds": seconds,
    });
    if format != Format::Table {
        shown["troubled"] = Value::from(troubled);
        return Ok(report::one(format, &[], &shown)?);
    }
    report::one(format, &["waiting", "failing", "refused", "oldest_seconds"], &shown)?;
    if troubled.is_empty() {
        return Ok(());
    }
    report::heading("rows in trouble, the first ones")?;
    Ok(report::rows(format, &["seq", "kind", "state", "problem"], &troubled)?)
}

fn row(Refused { seq, kind, problem, is_final }: &Refused) -> Value {
    let state = if *is_final { "refused" } else { "waits" };
    json!({ "seq": seq, "kind": kind, "state": state, "problem": problem })
}
