//! `leveret openapi`.

use crate::error::Error;
use crate::report;

/// Prints the OpenAPI document of the HTTP API. It is JSON whatever the output's form.
pub(super) fn run() -> Result<(), Error> {
    let document = leveret_gateway::openapi();
    report::write(&format!("{document}\n"))?;
    Ok(())
}
