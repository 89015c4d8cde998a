//! `leveret task enqueue --ndjson`: many tasks, streamed to the gateway.

use std::path::Path;

use leveret_common::config::settings::GatewaySettings;

use crate::client::Client;
use crate::error::Error;
use crate::feed::{Feed, Limits};
use crate::report::Format;

/// Most lines of one request: larger ones are no faster, and each is in memory as a whole.
const LINES: u32 = 1_000;
/// Longest line: the largest payload that can be configured is 8 MiB.
const LINE_BYTES: usize = 9 << 20;

/// Enqueues every line of `file`.
///
/// # Cancel safety
/// Dropped, lines may or may not have been accepted.
pub(super) async fn run(
    file: &Path,
    settings: &GatewaySettings,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    // The gateway may have another configuration; then it says so, and fewer are sent.
    let lines = LINES.min(settings.max_batch);
    let limits = Limits { lines: usize::try_from(lines).unwrap_or(1), line_bytes: LINE_BYTES };
    let feed = Feed {
        operation: "enqueue the tasks",
        path: "/v1/tasks",
        noun: "tasks",
        limits,
        last: None,
    };
    feed.run(file, client, format).await
}
