//! A walk of dead letters as the gateway tells it: how far it is, twice a second, and its end.
//!
//! Guards that an answer without an end is a failure: what was done until then is done, and the
//! rest is not.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::{Answers, Client, Refusal};
use crate::error::Error;
use crate::progress::Progress;
use crate::report::{self, Format};

/// What became of letters, in the order in which it is told.
const TOTALS: [&str; 9] = [
    "total",
    "taken",
    "replayed",
    "replaced",
    "discarded",
    "returned",
    "superseded",
    "kept",
    "failed",
];

/// Follows a walk to its end and prints what it did.
///
/// # Cancel safety
/// Dropped, the walk ends after the letters in hand.
pub(super) async fn follow(
    mut answers: Answers,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let bar = Progress::through("dead letters");
    let mut queues: BTreeMap<String, Value> = BTreeMap::new();
    while let Some(line) = answers.next().await? {
        let line: Value = serde_json::from_slice(&line).map_err(|_| answers.alien(&line))?;
        if format == Format::Jsonl {
            bar.aside(|| report::line(&line))?;
        }
        let refusal = Refusal::of_line(&line);
        if let (Some(refusal), Some(queue)) = (&refusal, line["queue"].as_str()) {
            // Passed over; the others go on, and the last line says that it is not all.
            bar.aside(|| report::narrate(&format!("queue {queue} is passed over: {refusal}")));
            continue;
        }
        if let Some(refusal) = refusal {
            bar.finish();
            tell(&queues);
            let operation = answers.operation().clone();
            return Err(Error::Refused { operation, refusal: Box::new(refusal) });
        }
        if line["finished"] == true {
            bar.finish();
            return match format {
                Format::Jsonl => Ok(()),
                Format::Json => Ok(report::one(format, &TOTALS, &line["totals"])?),
                Format::Table => Ok(report::one(format, &TOTALS, &without_zeros(&line["totals"]))?),
            };
        }
        queues.insert(report::plain(&line["queue"]), line["walked"].clone());
        bar.at(sum(&queues, "taken"), sum(&queues, "total"));
        bar.say(so_far(&queues));
    }
    bar.finish();
    tell(&queues);
    let note = "what was done until then stays done: the same command goes on with the rest";
    let why = "the answer broke off".to_owned();
    Err(client.broken_off(answers.operation().clone(), why, note))
}

/// Leaves out what did not happen, apart from how many there were.
fn without_zeros(totals: &Value) -> Value {
    let members = totals.as_object().cloned().unwrap_or_default();
    let happened = |(name, value): &(String, Value)| name == "total" || *value != 0;
    Value::Object(members.into_iter().filter(happened).collect())
}

fn sum(queues: &BTreeMap<String, Value>, name: &str) -> u64 {
    queues.values().filter_map(|walked| walked[name].as_u64()).sum()
}

/// Tells what was done, as far as anything was.
fn so_far(queues: &BTreeMap<String, Value>) -> String {
    let done = ["replayed", "replaced", "discarded", "returned", "superseded"];
    let counts = done.iter().map(|name| (sum(queues, name), name));
    let told: Vec<_> = counts
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| format!("{number} {name}"))
        .collect();
    told.join(", ")
}

/// Says how far a walk came that did not come to its end.
fn tell(queues: &BTreeMap<String, Value>) {
    let told = so_far(queues);
    if !told.is_empty() {
        report::narrate(&format!("until then: {told}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn several_queues_are_counted_together() {
        let mail = json!({ "total": 10, "taken": 4, "replayed": 3, "kept": 1 });
        let files = json!({ "total": 5, "taken": 5, "replayed": 1, "superseded": 4 });
        let queues = [("mail".to_owned(), mail), ("files".to_owned(), files)].into();
        assert_eq!((sum(&queues, "taken"), sum(&queues, "total")), (9, 15));
        assert_eq!(so_far(&queues), "4 replayed, 4 superseded");
    }

    #[test]
    fn what_did_not_happen_is_left_out() {
        let totals = json!({ "total": 0, "taken": 0, "replayed": 2 });
        assert_eq!(without_zeros(&totals), json!({ "total": 0, "replayed": 2 }));
    }
}
