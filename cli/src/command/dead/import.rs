//! `leveret dead import`: exported dead letters are put back.

use std::path::Path;

use leveret_common::config::settings::GatewaySettings;

use crate::client::Client;
use crate::command::export;
use crate::error::Error;
use crate::feed::{Feed, Limits, input};
use crate::report::Format;

/// Most letters of one request.
const LINES: u32 = 500;
/// Longest line: an 8 MiB payload, each byte of it escaped.
const LINE_BYTES: usize = 64 << 20;

/// Imports every line of `file`, or of stdin.
///
/// # Cancel safety
/// Dropped, letters may or may not have been put back; one that is there twice is replayed once.
pub(super) async fn run(
    file: Option<&Path>,
    settings: &GatewaySettings,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let lines = usize::try_from(LINES.min(settings.max_batch)).unwrap_or(1);
    let feed = Feed {
        operation: "import dead letters",
        path: "/v1/dead/import",
        noun: "dead letters",
        limits: Limits { lines, line_bytes: LINE_BYTES },
        last: Some(export::is_last),
    };
    feed.run(file.unwrap_or(Path::new(input::STDIN)), client, format).await
}
