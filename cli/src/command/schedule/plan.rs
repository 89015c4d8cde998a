//! `leveret schedule plan`: what a timetable file says, and what it would change.

use std::path::Path;

use bytes::Bytes;
use leveret_beat::definition::{Flaw, Wanted, Written};
use leveret_beat::timing::Timing;
use leveret_common::clock::{Clock, SystemClock};
use leveret_producer::Problem;
use serde_json::{Value, json};

use super::time;
use crate::client::Client;
use crate::error::Error;
use crate::report::{self, Format};
use crate::timekeeper;

/// What a table shows of a step.
const STEP: [&str; 3] = ["step", "schedule", "what"];
/// What a table shows of a schedule of the file.
const SAID: [&str; 4] = ["schedule", "when", "next", "kind"];

/// Checks the file, and shows what the leading beat would change if it read it.
///
/// # Cancel safety
/// Only asks.
pub(super) async fn run(file: &Path, client: &Client, format: Format) -> Result<(), Error> {
    let (wanted, _) = checked(file)?;
    let mut lines = String::new();
    for (name, definition) in &wanted.schedules {
        let line = json!({ "name": name, "definition": Written::new(definition) });
        lines.push_str(&format!("{line}\n"));
    }
    let operation = "plan what the file changes";
    let answers = client.post_lines(operation, "/v1/schedules/plan", Bytes::from(lines)).await?;
    let plan = answers.into_iter().next().unwrap_or_default();
    let flaws = flaws(&plan);
    timekeeper::sound(file, Wanted { flaws, ..wanted })?;
    print(&plan, format)
}

/// Checks the file as far as that needs nobody, and shows what it says.
pub(super) fn offline(file: &Path, format: Format) -> Result<(), Error> {
    let (wanted, timings) = checked(file)?;
    let now = SystemClock.now();
    let row = |((name, definition), timing): ((_, &_), &Timing)| {
        let next = timing.next(now).map(time::instant).map(time::utc);
        let mut row = json!({ "schedule": name, "when": timing.words(), "next": next });
        row["kind"] = json!(Written::new(definition))["kind"].take();
        row
    };
    let rows: Vec<Value> = wanted.schedules.iter().zip(&timings).map(row).collect();
    report::rows(format, &SAID, &rows)?;
    if format == Format::Table {
        report::narrate(&format!(
            "{} says {} schedules, and nothing in it is wrong",
            file.display(),
            rows.len()
        ));
    }
    Ok(())
}

/// Reads the file, and when each of its schedules is due, in their order.
fn checked(file: &Path) -> Result<(Wanted, Vec<Timing>), Error> {
    let mut wanted = timekeeper::read(file)?;
    let timings = timings(&mut wanted);
    Ok((timekeeper::sound(file, wanted)?, timings))
}

/// Returns when each schedule is due, and notes what is wrong about that.
pub(super) fn timings(wanted: &mut Wanted) -> Vec<Timing> {
    let mut timings = Vec::with_capacity(wanted.schedules.len());
    for (name, definition) in &wanted.schedules {
        match Timing::new(name, definition) {
            Ok(timing) => timings.push(timing),
            Err(problems) => {
                let flaws = problems.into_iter().map(|problem| Flaw::new(name.as_str(), problem));
                wanted.flaws.extend(flaws);
            }
        }
    }
    timings
}

/// Reads what is wrong according to the gateway.
pub(super) fn flaws(plan: &Value) -> Vec<Flaw> {
    let flaw = |told: &Value| {
        let text = |name: &str| report::plain(&told[name]);
        Flaw::new(text("place"), Problem::new(text("field"), text("why")))
    };
    plan["flaws"].as_array().into_iter().flatten().map(flaw).collect()
}

/// Prints a plan.
pub(super) fn print(plan: &Value, format: Format) -> Result<(), Error> {
    if format == Format::Json {
        return Ok(report::one(format, &[], plan)?);
    }
    let steps = plan["steps"].as_array().cloned().unwrap_or_default();
    if format == Format::Jsonl {
        return Ok(report::rows(format, &[], &steps)?);
    }
    let rows: Vec<Value> = steps.iter().map(row).collect();
    if !rows.is_empty() {
        report::rows(format, &STEP, &rows)?;
    }
    let count = |name: &str| plan[name].as_u64().unwrap_or_default();
    let left = match count("left") {
        0 => String::new(),
        left => format!(", {left} are left alone: they come from elsewhere"),
    };
    report::narrate(&format!(
        "{} to create, {} to change, {} to delete, {} as they are{left}",
        count("create"),
        count("change"),
        count("delete"),
        count("keep")
    ));
    Ok(())
}

fn row(step: &Value) -> Value {
    let said = step["definition"]["when"]
        .as_str()
        .map(|when| format!("{when}, {}", report::plain(&step["definition"]["kind"])));
    let differences: Vec<String> =
        step["differences"].as_array().into_iter().flatten().map(difference).collect();
    let what = match step["source"].is_object() {
        true => Some(format!("comes from {}", super::list::source(&step["source"]))),
        false if differences.is_empty() => said,
        false => Some(differences.join("; ")),
    };
    json!({ "step": step["step"], "schedule": step["name"], "what": what })
}

fn difference(difference: &Value) -> String {
    let shown = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        value => report::plain(value),
    };
    let (old, new) = (shown(&difference["old"]), shown(&difference["new"]));
    format!("{}: {old} becomes {new}", report::plain(&difference["field"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_one_row() {
        let changed = row(&json!({
            "name": "a", "step": "change",
            "differences": [
                { "field": "when", "old": "@daily", "new": "@hourly" },
                { "field": "zone", "old": "UTC", "new": null },
            ],
        }));
        assert_eq!(changed["what"], "when: @daily becomes @hourly; zone: UTC becomes nothing");
        let held =
            row(&json!({ "name": "a", "step": "held", "source": { "from": "api", "by": "ann" } }));
        assert_eq!(held["what"], "comes from api ann");
        let made = json!({ "when": "@daily", "kind": "k" });
        let made = row(&json!({ "name": "a", "step": "create", "definition": made }));
        assert_eq!(made["what"], "@daily, k");
    }
}
