//! What plays found: for people, for programs, and as the table of `docs/faults.md`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the report is what the run is for")]

use std::collections::BTreeMap;
use std::path::Path;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use super::row::Row;
use super::{Played, rows};
use crate::error::{Error, while_doing};
use crate::oracle::{Finding, Window};

const BEGIN: &str = "<!-- begin faults -->";
const END: &str = "<!-- end faults -->";
const HEAD: &str = "\
| row | what | backend | accepted | done | dead | lost | second runs by window | unexplained | time to recover |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
";
/// Most of what does not hold that is printed one by one.
const SHOWN: usize = 20;

/// Says at once how a play went.
pub fn tell(played: &Played, as_json: bool) {
    if as_json {
        println!("{}", machine(played));
    }
    let (name, on, took) = (played.row.name, played.on.name(), played.took.as_secs());
    let failures = played.failures();
    if failures.is_empty() {
        eprintln!("{name} on {on}: green after {took} s");
        return;
    }
    eprintln!("{name} on {on}: RED after {took} s, seed {}", played.seed);
    for failure in failures.iter().take(SHOWN) {
        eprintln!("  {failure}");
    }
    if failures.len() > SHOWN {
        eprintln!("  and {} more", failures.len() - SHOWN);
    }
    if let Some(kept) = &played.kept {
        eprintln!("  logs and journal are in {}", kept.display());
    }
}

/// Says why nothing was played, or nothing written.
pub fn complain(why: &str) {
    eprintln!("chaos: {why}");
}

/// Prints all plays as one table.
pub fn table(all: &[Played]) {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "row",
        "backend",
        "",
        "accepted",
        "done",
        "dead",
        "lost",
        "second",
        "unexplained",
        "back",
        "took",
    ]);
    for played in all {
        let verdict = if played.is_green() { "green" } else { "RED" };
        let took = format!("{} s", played.took.as_secs());
        let none = Finding::default();
        let found = played.found.as_ref().unwrap_or(&none);
        let [accepted, done, dead, lost, second, unexplained, back] = cells(found);
        table.add_row([
            played.row.name.to_owned(),
            played.on.name().to_owned(),
            verdict.to_owned(),
            accepted,
            done,
            dead,
            lost,
            second,
            unexplained,
            back,
            took,
        ]);
    }
    println!("{table}");
}

/// Prints the rows that there are.
pub fn list() {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    for row in rows::all() {
        let on: Vec<&str> = row.on.iter().map(|on| on.name()).collect();
        table.add_row([row.name, row.what, &on.join(", ")]);
    }
    println!("{table}");
}

/// Writes what was found into the table of a page; rows that were not played stay as they were.
///
/// # Errors
/// When a play is red, when the page cannot be read or written, or has no place for a table.
pub fn write(all: &[Played], page: &Path) -> Result<(), Error> {
    let shown = page.display();
    if !all.iter().all(Played::is_green) {
        return Err(Error::unexpected(shown.to_string(), "is left as it is: a play is red"));
    }
    let text = std::fs::read_to_string(page).map_err(while_doing(format!("read {shown}")))?;
    let text = with_table(&text, all)
        .ok_or_else(|| Error::unexpected(shown.to_string(), format!("has no {BEGIN} and {END}")))?;
    std::fs::write(page, text).map_err(while_doing(format!("write {shown}")))
}

fn with_table(text: &str, all: &[Played]) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (table, after) = rest.split_once(END)?;
    let mut lines: BTreeMap<(u32, String, String), String> = BTreeMap::new();
    for line in table.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let (row, backend) = (cells.next()?, cells.nth(1)?);
        lines.insert((rows::number(row), row.to_owned(), backend.to_owned()), line.to_owned());
    }
    // Of several plays of one row the sums are told.
    let mut sums: BTreeMap<(u32, String, String), (&Row, Finding)> = BTreeMap::new();
    for played in all {
        let Ok(found) = &played.found else { continue };
        let (name, on) = (played.row.name, played.on.name());
        let key = (rows::number(name), name.to_owned(), on.to_owned());
        sums.entry(key).or_insert((played.row, Finding::default())).1.add(found.clone());
    }
    for (key, (row, found)) in sums {
        let line =
            format!("| {} | {} | {} | {} |", row.name, row.what, key.2, cells(&found).join(" | "));
        lines.insert(key, line);
    }
    let lines: String = lines.into_values().map(|line| line + "\n").collect();
    Some(format!("{before}{BEGIN}\n\n{HEAD}{lines}\n{END}{after}"))
}

/// Returns accepted, done, dead, lost, second runs, unexplained ones and the time to recover.
fn cells(found: &Finding) -> [String; 7] {
    let back =
        found.recovered.map_or("–".to_owned(), |after| format!("{:.1} s", after.as_secs_f64()));
    [
        found.accepted.to_string(),
        found.done.to_string(),
        found.dead.to_string(),
        found.lost.len().to_string(),
        by_window(&found.second_runs),
        found.unexplained.len().to_string(),
        back,
    ]
}

fn by_window(counts: &BTreeMap<Window, u64>) -> String {
    let told: Vec<String> =
        counts.iter().map(|(window, count)| format!("{}: {count}", window.number())).collect();
    if told.is_empty() { "0".to_owned() } else { told.join(", ") }
}

fn machine(played: &Played) -> Value {
    let none = Finding::default();
    let found = played.found.as_ref().unwrap_or(&none);
    let windows: serde_json::Map<String, Value> = found
        .second_runs
        .iter()
        .map(|(window, count)| (window.number().to_string(), (*count).into()))
        .collect();
    json!({
        "row": played.row.name, "what": played.row.what, "on": played.on.name(),
        "seed": played.seed, "seconds": played.took.as_secs_f64(),
        "accepted": found.accepted, "done": found.done, "dead": found.dead,
        "cancelled": found.cancelled, "expired": found.expired, "lost": found.lost,
        "second_runs": windows, "unexplained": found.unexplained,
        "recovered_seconds": found.recovered.map(|after| after.as_secs_f64()),
        "notes": found.notes, "does_not_hold": played.failures(), "kept": played.kept,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ground::On;

    static ROW: Row = Row {
        name: "F2",
        what: "drained",
        on: &[On::Embedded],
        run: |_| Box::pin(async { Ok(Finding::default()) }),
    };

    fn played(done: u64) -> Played {
        let second_runs = BTreeMap::from([(Window::Crash, 2)]);
        Played {
            row: &ROW,
            on: On::Embedded,
            seed: 1,
            found: Ok(Finding { accepted: done, done, second_runs, ..Finding::default() }),
            took: Duration::ZERO,
            kept: None,
        }
    }

    #[test]
    fn a_row_that_was_played_takes_the_place_of_its_line_and_others_stay() {
        let old = "| F10 | killed | embedded | 1 | 1 | 0 | 0 | 0 | 0 | – |\n\
                   | F2 | old | embedded | 9 | 9 | 0 | 0 | 0 | 0 | – |\n";
        let text = format!("Before.\n\n{BEGIN}\n\n{HEAD}{old}\n{END}\n\nAfter.\n");
        let new = with_table(&text, &[played(3), played(4)]).unwrap();
        assert!(new.starts_with("Before.") && new.ends_with("After.\n"), "{new}");
        assert!(
            new.contains("| F2 | drained | embedded | 7 | 7 | 0 | 0 | 1: 4 | 0 | – |"),
            "{new}"
        );
        assert!(!new.contains("old"), "{new}");
        assert!(new.find("| F2 ").unwrap() < new.find("| F10 ").unwrap(), "{new}");
        // Written twice it is the same.
        assert_eq!(with_table(&new, &[played(3), played(4)]), Some(new.clone()));
    }

    #[test]
    fn a_page_without_a_place_is_left_alone() {
        assert_eq!(with_table("No table.", &[played(1)]), None);
    }
}
