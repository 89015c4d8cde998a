//! What a run of a backlog found.

use comfy_table::{Table, presets};
use serde_json::json;

use super::mebibytes;
use crate::backlog::Found;
use crate::watch::Sample;

/// Heights of a line that is drawn with text.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How wide such a line is.
const WIDTH: usize = 60;

/// Prints what was found.
pub fn print(found: &Found, as_json: bool) {
    if as_json {
        println!("{}", machine(found));
        return;
    }
    println!("{}: {} tasks, {} slots", found.on.name(), found.plan.tasks, found.plan.slots);
    println!("{}", people(found));
    println!("memory while draining  {}", drawn(&found.during_drain()));
    super::verdict(&found.failures());
}

fn machine(found: &Found) -> serde_json::Value {
    let (first, second) = found.halves();
    let peaks: serde_json::Map<_, _> =
        peaks(found).map(|(name, peak)| (name.to_owned(), peak.into())).collect();
    json!({
        "on": found.on.name(), "tasks": found.plan.tasks, "slots": found.plan.slots,
        "enqueue_seconds": found.enqueuing.as_secs_f64(),
        "enqueue_per_second": found.rate(found.enqueuing).round(),
        "drain_seconds": found.draining.as_secs_f64(),
        "drain_per_second": found.rate(found.draining).round(),
        "done": found.done, "ended_otherwise": found.others, "left": found.left,
        "peak_pss_bytes": peaks, "drain_pss_halves_bytes": [first, second],
        "redis_used_memory_peak_bytes": found.redis_peak, "does_not_hold": found.failures(),
    })
}

fn people(found: &Found) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut row = |what: &str, value: String| {
        table.add_row([what.to_owned(), value]);
    };
    for (what, took) in [("enqueued", found.enqueuing), ("drained", found.draining)] {
        let rate = found.rate(took);
        row(what, format!("in {:.1} s, {rate:.0} per second", took.as_secs_f64()));
    }
    row("done", format!("{}, ended otherwise {}, left {}", found.done, found.others, found.left));
    for (name, peak) in peaks(found) {
        row(&format!("{name}, peak PSS"), mebibytes(peak));
    }
    if let Some(peak) = found.redis_peak {
        row("Redis, used_memory_peak", mebibytes(peak));
    }
    let (first, second) = found.halves();
    row(
        "first and second half of the drain",
        format!("{}, {}", mebibytes(first), mebibytes(second)),
    );
    table
}

fn peaks(found: &Found) -> impl Iterator<Item = (&'static str, u64)> {
    found
        .samples
        .iter()
        .map(|(name, samples)| (*name, samples.iter().map(|sample| sample.pss).max().unwrap_or(0)))
}

/// Draws samples as one line of text, from nothing to the highest.
fn drawn(samples: &[Sample]) -> String {
    let highest = samples.iter().map(|sample| sample.pss).max().unwrap_or(0).max(1);
    let wide = samples.len().div_ceil(WIDTH).max(1);
    let highs = samples.chunks(wide).map(|some| some.iter().map(|one| one.pss).max().unwrap_or(0));
    highs.map(|pss| HEIGHTS[usize::try_from(pss * 7 / highest).unwrap_or(7).min(7)]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_drawn_from_nothing_to_the_highest() {
        let samples: Vec<_> = [0, 50, 100].map(|pss| Sample { at: Duration::ZERO, pss }).to_vec();
        assert_eq!(drawn(&samples), "▁▄█");
        assert_eq!(drawn(&[]), "");
        assert!(
            drawn(&vec![Sample { at: Duration::ZERO, pss: 1 }; 1_000]).chars().count() <= WIDTH
        );
    }
}
