//! What a run of many schedules found.

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::{mebibytes, percentile};
use crate::schedules::{Found, Loaded};

/// Prints what was found.
pub fn print(found: &Found, as_json: bool) {
    if as_json {
        println!("{}", machine(found));
        return;
    }
    println!("{}", found.on.name());
    println!("{}", people(found));
    super::verdict(&found.failures());
}

fn machine(found: &Found) -> Value {
    let loaded: Vec<Value> = found.loaded.iter().map(of_loaded).collect();
    json!({
        "on": found.on.name(), "loaded": loaded,
        "due_at_once": found.due, "confirmed": found.late.len(), "resting": found.resting,
        "late_ms": { "least": found.late.first(), "p50": percentile(&found.late, 50),
            "p99": percentile(&found.late, 99), "most": found.late.last() },
        "redis_used_memory_peak_bytes": found.redis_peak, "does_not_hold": found.failures(),
    })
}

fn of_loaded(loaded: &Loaded) -> Value {
    json!({
        "schedules": loaded.schedules, "made_seconds": loaded.made.as_secs_f64(),
        "read_seconds": loaded.read.as_secs_f64(),
        "made_peak_pss_bytes": loaded.made_peak, "peak_pss_bytes": loaded.peak,
        "rest_pss_bytes": loaded.rest, "empty_pss_bytes": loaded.empty,
        "bytes_per_schedule": loaded.each(),
    })
}

fn people(found: &Found) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    let mut row = |what: String, value: String| {
        table.add_row([what, value]);
    };
    for loaded in &found.loaded {
        let n = loaded.schedules;
        let seconds = |took: std::time::Duration| format!("{:.2} s", took.as_secs_f64());
        row(format!("{n} schedules made in"), seconds(loaded.made));
        row(format!("{n} schedules read at the next start in"), seconds(loaded.read));
        row(
            format!("{n} schedules, PSS at most as made, at most, at rest, without any"),
            [loaded.made_peak, loaded.peak, loaded.rest, loaded.empty].map(mebibytes).join(", "),
        );
        row(format!("{n} schedules, each"), format!("{} bytes", loaded.each()));
    }
    let ms = |percent| match percentile(&found.late, percent) {
        Some(late) => format!("{late} ms"),
        None => "-".to_owned(),
    };
    row(format!("{} due at once, confirmed", found.due), found.late.len().to_string());
    row("late, p50, p99, most".to_owned(), [50, 99, 100].map(ms).join(", "));
    if let Some(peak) = found.redis_peak {
        row("Redis, used_memory_peak".to_owned(), mebibytes(peak));
    }
    table
}
