//! `leveret dead reindex`: the list of dead letters is written anew from the letters.

use serde_json::json;

use super::walk;
use crate::client::Client;
use crate::error::Error;
use crate::report::Format;

/// Walks the dead letters of one queue, or of all.
///
/// # Cancel safety
/// Dropped, part of the list is written anew; every letter stays.
pub(super) async fn run(queue: Option<&str>, client: &Client, format: Format) -> Result<(), Error> {
    let body = queue.map_or_else(|| json!({}), |queue| json!({ "queue": queue }));
    let answers =
        client.post_for_lines("list dead letters anew", "/v1/dead/reindex", &body).await?;
    walk::follow(answers, client, format).await
}
