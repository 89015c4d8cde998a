//! `leveret schedule explain`: what an expression means, by the rules that beat goes by. Asks
//! nobody.

use leveret_beat::timing::Timing;
use leveret_beat::timing::explain;
use leveret_common::clock::Millis;
use leveret_common::schedule::Definition;
use serde_json::{Value, json};

use super::time;
use crate::args::Coming;
use crate::error::Error;
use crate::report::{self, Format};

/// Explains an expression.
pub(super) fn run(
    when: &str,
    zone: Option<&str>,
    coming: &Coming,
    format: Format,
) -> Result<(), Error> {
    let timing = timing(when, zone)?;
    let zone = timing.zone();
    let from = time::beginning(coming.from.as_deref(), zone)?;
    let after = Millis(u64::try_from(from.timestamp_millis()).unwrap_or_default());
    let dues = timing.upcoming(after).take(usize::from(coming.number)).map(time::instant);
    let next = dues.map(|due| time::document(&explain::upcoming(zone, due)));
    let next: Vec<Value> = next.collect();
    if format == Format::Jsonl {
        return Ok(report::rows(format, &[], &next)?);
    }
    let mut said = json!({ "when": when, "zone": zone.name(), "words": timing.words() });
    if format == Format::Json {
        said["next"] = next.into();
        return Ok(report::one(format, &[], &said)?);
    }
    report::one(format, &["when", "words", "zone"], &said)?;
    if next.is_empty() {
        report::narrate(&format!("nothing is due after {}", time::utc(from)));
        return Ok(());
    }
    report::write("\n")?;
    time::print(zone, &next)
}

/// Reads the expression as a schedule's is read.
fn timing(when: &str, zone: Option<&str>) -> Result<Timing, Error> {
    // Neither says anything about when it is due.
    let (Ok(name), Ok(kind)) = ("explained".parse(), "explained".parse()) else {
        return Err(Error::invalid("explain the expression", Vec::new()));
    };
    let mut definition = Definition::new(when, kind);
    definition.zone = zone.map(str::to_owned);
    Timing::new(&name, &definition)
        .map_err(|problems| Error::invalid("explain the expression", problems))
}
