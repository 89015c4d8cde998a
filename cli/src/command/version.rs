//! `leveret version`.

use serde_json::json;

use crate::error::Error;
use crate::report::{self, Format};

/// Prints the version.
pub(super) fn run(format: Format) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Table => report::write(&format!("leveret {version}\n"))?,
        Format::Json | Format::Jsonl => report::one(format, &[], &json!({ "version": version }))?,
    }
    Ok(())
}
