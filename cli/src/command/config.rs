//! `leveret config show`: every key with its value, and on request where the value came from.

use leveret_common::config::{Loaded, Row};
use serde_json::{Value, json};

use crate::args::ConfigCommand;
use crate::error::Error;
use crate::report::{self, Format};

/// Prints the configuration; secrets are redacted where the rows are made.
pub(super) fn run(command: &ConfigCommand, loaded: &Loaded, format: Format) -> Result<(), Error> {
    let ConfigCommand::Show { origin } = command;
    let row = |Row { key, value, origin: from }: Row| match origin {
        true => json!({ "key": key, "value": value, "origin": from.to_string() }),
        false => json!({ "key": key, "value": value }),
    };
    let rows: Vec<Value> = loaded.rows().into_iter().map(row).collect();
    let columns: &[&str] = if *origin { &["key", "value", "origin"] } else { &["key", "value"] };
    Ok(report::rows(format, columns, &rows)?)
}
