//! What a run of a timetable found.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::percentile;
use crate::error::{Error, while_doing};
use crate::timetable::{Found, Row};

/// Prints what was found.
pub fn print(found: &Found, as_json: bool) {
    if as_json {
        println!("{}", machine(found));
        return;
    }
    let (killed, led) = found.killed;
    println!(
        "{}: {} schedules for {} s, {killed} beats killed, {led} of them leading",
        found.on.name(),
        found.rows.len(),
        found.plan.lasts.as_secs(),
    );
    println!("{}", people(found));
    super::verdict(&found.failures());
}

/// Writes every occurrence into a file, one JSON line each.
///
/// # Errors
/// When the file cannot be written.
pub fn list(found: &Found, path: &Path) -> Result<(), Error> {
    let write = || {
        let mut file = BufWriter::new(File::options().create(true).append(true).open(path)?);
        for row in &found.rows {
            for one in &row.occurrences {
                let line = json!({
                    "on": found.on.name(), "schedule": row.schedule, "due": one.text(),
                    "runs": one.runs, "late_ms": one.late,
                });
                writeln!(file, "{line}")?;
            }
        }
        file.flush()
    };
    write().map_err(while_doing(format!("write {}", path.display())))
}

fn machine(found: &Found) -> Value {
    let rows: Vec<Value> = found.rows.iter().map(of_row).collect();
    let lateness = found.lateness();
    json!({
        "on": found.on.name(), "seconds": found.plan.lasts.as_secs(),
        "killed": found.killed.0, "killed_leading": found.killed.1,
        "late_ms": { "least": lateness.first(), "p50": percentile(&lateness, 50),
            "p99": percentile(&lateness, 99), "most": lateness.last() },
        "schedules": rows, "does_not_hold": found.failures(),
    })
}

fn of_row(row: &Row) -> Value {
    let once = row.occurrences.iter().filter(|one| one.runs == 1).count();
    json!({
        "schedule": row.schedule, "when": row.when, "expected": row.occurrences.len(),
        "once": once, "otherwise": row.occurrences.len() - once + row.foreign.len(),
    })
}

fn people(found: &Found) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["schedule", "when", "due", "once", "otherwise", "late p50", "p99", "most"]);
    let mut line = |name: &str, when: &str, counts: [usize; 3], late: &[i64]| {
        let [due, once, otherwise] = counts.map(|count| count.to_string());
        let ms = |value: Option<i64>| value.map_or_else(|| "-".into(), |ms| format!("{ms} ms"));
        let (p50, p99) = (ms(percentile(late, 50)), ms(percentile(late, 99)));
        let most = ms(late.last().copied());
        table.add_row([name.into(), when.into(), due, once, otherwise, p50, p99, most]);
    };
    let mut all = [0; 3];
    for row in &found.rows {
        let mut late: Vec<i64> = row.occurrences.iter().filter_map(|one| one.late).collect();
        late.sort_unstable();
        let once = row.occurrences.iter().filter(|one| one.runs == 1).count();
        let otherwise = row.occurrences.len() - once + row.foreign.len();
        let counts = [row.occurrences.len(), once, otherwise];
        all = [all[0] + counts[0], all[1] + counts[1], all[2] + counts[2]];
        line(row.schedule.as_str(), &row.when, counts, &late);
    }
    line("all", "", all, &found.lateness());
    table
}
