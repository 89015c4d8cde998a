//! What a command prints: data on stdout, narration on stderr.
//!
//! Responsible for the three forms of data (a table for people, JSON, JSON lines) and for nothing
//! about its meaning. Guards: stdout holds data only, so it can be piped; colours appear only on a
//! terminal; a reader that closes the pipe early is no failure.

mod fit;

use std::io::{self, IsTerminal, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table, Width,
};
use serde_json::Value;

/// Blanks between columns.
const GAP: u16 = 2;

/// The form of data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON document on each line.
    Jsonl,
}

/// Prints a list: `columns` name the members of each row that a table shows. On a terminal a row
/// takes one line, and what does not fit is cut; elsewhere nothing is.
pub(crate) fn rows(format: Format, columns: &[&str], rows: &[Value]) -> io::Result<()> {
    match format {
        Format::Table => {
            let mut table = table();
            let titles = columns.iter().map(|name| Cell::new(name.to_uppercase()));
            let mut header = Row::from(titles.map(|title| title.add_attribute(Attribute::Bold)));
            header.max_height(1);
            table.set_header(header);
            for row in rows {
                let mut row = Row::from(columns.iter().map(|name| cell(name, &row[*name])));
                row.max_height(1);
                table.add_row(row);
            }
            if let Some(width) = table.width() {
                let widths = table.column_max_content_widths();
                let fitted = fit::fit(columns, &widths, width, GAP);
                let last = fitted.len().saturating_sub(1);
                let wide = |(at, width)| if at == last { width } else { width + GAP };
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_constraints(
                    fitted
                        .into_iter()
                        .enumerate()
                        .map(wide)
                        .map(|width| ColumnConstraint::Absolute(Width::Fixed(width))),
                );
            }
            lines(table)
        }
        Format::Json => write(&format!("{:#}\n", Value::from(rows))),
        Format::Jsonl => rows.iter().try_for_each(line),
    }
}

/// Prints one thing: as a table, a line for each member that has a value, those of `first` first.
pub(crate) fn one(format: Format, first: &[&str], thing: &Value) -> io::Result<()> {
    match format {
        Format::Table => {
            let mut table = table();
            let members = thing.as_object();
            let named = first.iter().filter_map(|name| members?.get_key_value(*name));
            // Members that this program does not know yet are shown all the same.
            let others = members.into_iter().flatten();
            let others = others.filter(|(name, _)| !first.contains(&name.as_str()));
            for (name, value) in named.chain(others).filter(|(_, value)| !value.is_null()) {
                let text = plain(value);
                let text = match colour(name, value) {
                    Some(colour) => Cell::new(text).fg(colour),
                    None => Cell::new(text),
                };
                table.add_row([Cell::new(name).add_attribute(Attribute::Bold), text]);
            }
            if table.width().is_some() {
                table.set_content_arrangement(ContentArrangement::Dynamic);
                table.set_constraints([ColumnConstraint::ContentWidth]);
            }
            lines(table)
        }
        Format::Json => write(&format!("{thing:#}\n")),
        Format::Jsonl => line(thing),
    }
}

/// Prints a heading above what follows.
pub(crate) fn heading(text: &str) -> io::Result<()> {
    match io::stdout().is_terminal() {
        true => write(&format!("\n\u{1b}[1m{text}\u{1b}[0m\n")),
        false => write(&format!("\n{text}\n")),
    }
}

/// Prints one JSON document on a line of its own.
pub(crate) fn line(thing: &Value) -> io::Result<()> {
    write(&format!("{thing}\n"))
}

/// Prints a line that is JSON already; false when nobody reads any more.
pub(crate) fn raw_line(line: &[u8]) -> io::Result<bool> {
    put(&[line, b"\n"])
}

/// Prints `text` as it is.
pub(crate) fn write(text: &str) -> io::Result<()> {
    put(&[text.as_bytes()]).map(|_| ())
}

fn put(parts: &[&[u8]]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let written = parts.iter().try_for_each(|part| out.write_all(part)).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// Tells people what happens.
pub(crate) fn narrate(text: &str) {
    // Nobody is left to tell that nobody can be told.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Tells people why the command failed.
pub(crate) fn complain(error: &dyn std::error::Error) {
    let label = if io::stderr().is_terminal() { "\u{1b}[1;31merror:\u{1b}[0m" } else { "error:" };
    let mut text = format!("{label} {error}");
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let why = next.to_string();
        // Most errors tell their source in their own text.
        if !told.contains(&why) {
            text.push_str(&format!("\n  because: {why}"));
            told.push_str(&why);
        }
        cause = next.source();
    }
    narrate(&text);
}

fn table() -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table
}

fn lines(mut table: Table) -> io::Result<()> {
    let last = table.column_count().saturating_sub(1);
    for (at, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, if at == last { 0 } else { GAP }));
    }
    let text: String = table.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    write(&text)
}

/// Writes a value of a list: on one line, coloured where that helps.
fn cell(name: &str, value: &Value) -> Cell {
    let text = Cell::new(plain(value).replace(['\n', '\t'], " "));
    match colour(name, value) {
        Some(colour) => text.fg(colour),
        None => text,
    }
}

/// Returns the colour of what people look for; it is used on a terminal only.
fn colour(name: &str, value: &Value) -> Option<Color> {
    match (name, value.as_str()?) {
        ("health", "good") | ("state", "done" | "running") => Some(Color::Green),
        ("health", "risky")
        | ("state", "retrying" | "quiet" | "draining" | "cancelling")
        | ("paused", _) => Some(Color::Yellow),
        ("health", "bad") | ("state", "dead") => Some(Color::Red),
        _ => None,
    }
}

/// Writes a value for people: text without quotes, a dash for what is absent. A handler's words
/// may hold anything; escape sequences must not reach the terminal.
pub(crate) fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => {
            let shown = |c: char| match c {
                '\n' | '\t' => c.to_string(),
                c if c.is_control() => c.escape_default().to_string(),
                c => c.to_string(),
            };
            text.chars().map(shown).collect()
        }
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(plain).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn people_see_text_without_quotes_and_a_dash_for_nothing() {
        assert_eq!(plain(&json!("a b")), "a b");
        assert_eq!(plain(&json!(null)), "-");
        assert_eq!(plain(&json!(["a", "b"])), "a, b");
        assert_eq!(plain(&json!({"n": 1})), r#"{"n":1}"#);
        assert_eq!(plain(&json!("red \u{1b}[31m\nline")), "red \\u{1b}[31m\nline");
    }
}
