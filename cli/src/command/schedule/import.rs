//! `leveret schedule import`: schedules from NDJSON, checked as a whole before any is sent.

use std::path::Path;

use bytes::Bytes;
use leveret_beat::definition::Wanted;
use leveret_common::config::settings::GatewaySettings;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{list, plan};
use crate::client::Client;
use crate::command::export;
use crate::error::Error;
use crate::exit::Exit;
use crate::feed::input;
use crate::progress::Progress;
use crate::report::{self, Format};

/// Most schedules of one request.
const LINES: usize = 1_000;
/// About most bytes of one request.
const BYTES: usize = 4 << 20;

/// What is done with schedules that are there, and whether anything is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner {
    pub(super) replace: bool,
    pub(super) dry_run: bool,
}

/// Imports every line of `file`, or of stdin.
///
/// # Cancel safety
/// Dropped, any of the schedules may or may not be written; import them again.
pub(super) async fn run(
    file: Option<&Path>,
    manner: Manner,
    settings: &GatewaySettings,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let file = file.unwrap_or(Path::new(input::STDIN));
    let operation = || format!("import schedules from {}", input::shown(file)).into();
    let refuse = |flaws| Error::Flawed { operation: operation(), flaws, exit: Exit::Refused };
    let lines = read(file).await?;
    let mut wanted = Wanted::from_lines(&lines.concat());
    plan::timings(&mut wanted);
    if !wanted.flaws.is_empty() {
        return Err(refuse(wanted.flaws));
    }
    let Manner { replace, dry_run } = manner;
    let path = format!("/v1/schedules/import?replace={replace}&dry_run={dry_run}");
    let most = LINES.min(usize::try_from(settings.max_batch).unwrap_or(1)).max(1);
    let bar = Progress::count("schedules");
    let mut whole = Value::Null;
    for chunk in chunks(&lines, most) {
        let body = Bytes::from(chunk.concat());
        let answers = client.post_lines(operation(), &path, body).await?;
        add(&mut whole, answers.into_iter().next().unwrap_or_default());
        bar.more(chunk.len() as u64);
    }
    bar.finish();
    if dry_run {
        let flaws = plan::flaws(&whole);
        return if flaws.is_empty() { plan::print(&whole, format) } else { Err(refuse(flaws)) };
    }
    print(&whole, lines.len(), format)
}

/// Reads the lines that are schedules, each with its end.
async fn read(file: &Path) -> Result<Vec<String>, Error> {
    let mut text = String::new();
    let read = input::open(file).await?.read_to_string(&mut text).await;
    read.map_err(|error| Error::unreadable(&input::shown(file), &error))?;
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    // Blank lines are kept, so that what is wrong is told with its place.
    if lines.last().is_some_and(|line| export::is_last(line.as_bytes())) {
        lines.pop();
    }
    Ok(lines)
}

/// Parts the lines into requests of at most `most` lines, and of about [`BYTES`].
fn chunks(lines: &[String], most: usize) -> Vec<&[String]> {
    let mut chunks = Vec::new();
    let mut rest = lines;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |line: &&String| {
            bytes += line.len();
            bytes <= BYTES
        };
        let (chunk, behind) = rest.split_at(rest.iter().take(most).take_while(fits).count().max(1));
        chunks.push(chunk);
        rest = behind;
    }
    chunks
}

/// Adds up the answers to several requests: numbers as such, lists behind each other.
fn add(whole: &mut Value, answer: Value) {
    let Value::Object(members) = answer else { return };
    for (name, value) in members {
        let sum = match (&mut whole[&name], value) {
            (Value::Array(there), Value::Array(more)) => {
                there.extend(more);
                continue;
            }
            (Value::Number(there), Value::Number(more)) => {
                let number = |number: &serde_json::Number| number.as_u64().unwrap_or_default();
                (number(there) + number(&more)).into()
            }
            (_, value) => value,
        };
        whole[&name] = sum;
    }
}

fn print(done: &Value, total: usize, format: Format) -> Result<(), Error> {
    let left = done["left"].as_array().cloned().unwrap_or_default();
    if format == Format::Table {
        let number = |name: &str| done[name].as_array().map(Vec::len);
        let told = json!({
            "created": number("created"), "changed": number("changed"), "kept": done["kept"],
            "left": left.len(),
        });
        report::one(format, &["created", "changed", "kept", "left"], &told)?;
        left.iter().for_each(|one| report::narrate(&reason(one)));
    } else {
        report::one(format, &[], done)?;
    }
    match left.len() as u64 {
        0 => Ok(()),
        refused => Err(Error::SomeRefused { refused, total: total as u64, noun: "schedules" }),
    }
}

/// Says why a schedule was left as it is.
fn reason(left: &Value) -> String {
    let name = report::plain(&left["name"]);
    let from = || list::source(&left["source"]);
    match left["why"].as_str().unwrap_or_default() {
        "held" => format!("{name} is left as it is: it comes from {}", from()),
        "present" => format!("{name} is left as it is: it says something else; see --replace"),
        _ => {
            format!("{name} is left as it is: somebody else changed it meanwhile; import it again")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_bounded_in_lines_and_in_bytes() {
        let lines: Vec<String> = (0..5).map(|n| format!("{n}\n")).collect();
        let sizes: Vec<_> = chunks(&lines, 2).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [2, 2, 1]);
        let long = vec!["x".repeat(BYTES / 2 + 1), "y".repeat(BYTES + 1), "z".to_owned()];
        let sizes: Vec<_> = chunks(&long, 100).iter().map(|chunk| chunk.len()).collect();
        assert_eq!(sizes, [1, 1, 1]);
        assert!(chunks(&[], 2).is_empty());
    }

    #[test]
    fn answers_are_added_up() {
        let mut whole = Value::Null;
        add(&mut whole, json!({ "created": ["a"], "kept": 1, "source": { "from": "api" } }));
        add(&mut whole, json!({ "created": ["b"], "kept": 2, "source": { "from": "api" } }));
        let source = json!({ "from": "api" });
        assert_eq!(whole, json!({ "created": ["a", "b"], "kept": 3, "source": source }));
    }
}
