//! `leveret dead export`: dead letters as NDJSON; they stay where they are.

use std::path::Path;

use leveret_common::filter::Filter;

use super::list;
use crate::client::Client;
use crate::command::export::Export;
use crate::error::Error;
use crate::report::Format;

/// Exports to `file`, or to stdout.
///
/// # Cancel safety
/// Dropped, a part of the file may be left under the name `FILE.partial`.
pub(super) async fn run(
    filter: Option<&Filter>,
    file: Option<&Path>,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let query = list::query(filter).replacen('&', "?", 1);
    let export = Export {
        operation: "export dead letters",
        path: &format!("/v1/dead/export{query}"),
        noun: "dead letters",
        precious: "it may be the only copy of letters that were discarded since",
    };
    export.run(file, client, format).await
}
