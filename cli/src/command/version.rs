//! `leveret version`.

use serde_json::json;

use crate::error::Error;
use crate::report::{self, Format};

/// Prints the version.
pub(super) fn run(format: Format) -> Result<(), Error> {
    let version = env!("CARGO_PKG_VERSION");
    match format {
        Format::Table => report::write(&format!("leveret {version}\n"))?,
        Format::Json | Format::Jsonl => {
            let told = json!({ "version": version, "features": features() });
            report::one(format, &[], &told)?;
        }
    }
    Ok(())
}

/// Names what was compiled in that no release has.
fn features() -> Vec<&'static str> {
    let mut features = Vec::new();
    if leveret_common::failpoint::COMPILED_IN {
        features.push("failpoints");
    }
    if leveret_common::sabotage::COMPILED_IN {
        features.push("sabotage");
    }
    features
}
