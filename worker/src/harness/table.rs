//! What waits, as a table for people.

use std::time::Duration;

use leveret_common::duration;

use super::Enqueued;

/// Most rows that are shown.
const ROWS: usize = 50;
/// Most characters of args that are shown.
const ARGS: usize = 100;

const HEAD: [&str; 6] = ["kind", "lane", "due", "attempt", "key or id", "args"];

/// Writes the table.
pub(super) fn of(waiting: &[Enqueued]) -> String {
    if waiting.is_empty() {
        return "nothing is enqueued".to_owned();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(waiting.iter().take(ROWS).map(row));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; HEAD.len()]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut lines: Vec<_> = rows.iter().map(line).collect();
    if waiting.len() > ROWS {
        lines.push(format!("  and {} more", waiting.len() - ROWS));
    }
    format!("enqueued:\n{}", lines.join("\n"))
}

fn row(one: &Enqueued) -> [String; HEAD.len()] {
    let due = match one.due_in {
        Duration::ZERO => "now".to_owned(),
        wait => format!("in {}", duration::format(wait)),
    };
    let name = one.key.as_ref().map_or_else(|| one.id.to_string(), |key| format!("{key:?}"));
    let text = one.args.to_string();
    let mut args: String = text.chars().take(ARGS).collect();
    if args.len() < text.len() {
        args.push('…');
    }
    let (kind, lane) = (one.kind.to_string(), one.lane.to_string());
    [kind, lane, due, one.attempt.to_string(), name, args]
}
