//! `leveret dead discard`: dead letters are taken away for good.

use serde_json::json;

use super::bulk::{self, Order, Verb};
use super::walk;
use crate::args::Bulk;
use crate::client::{Client, about, part};
use crate::command::each::Each;
use crate::error::Error;
use crate::report::Format;

const VERB: Verb = Verb { name: "discard", path: "/v1/dead/discard" };

/// Discards dead letters.
///
/// # Cancel safety
/// Dropped, what was discarded until then stays so.
pub(super) async fn run(bulk: &Bulk, client: &Client, format: Format) -> Result<(), Error> {
    if !bulk.chosen.ids.is_empty() {
        return named(bulk, client, format).await;
    }
    let mut order = Order::of(bulk);
    if !bulk::goes_on(&VERB, &mut order, bulk, client, format).await? {
        return Ok(());
    }
    let answers = client.post_for_lines("discard dead letters", VERB.path, &order).await?;
    walk::follow(answers, client, format).await
}

async fn named(bulk: &Bulk, client: &Client, format: Format) -> Result<(), Error> {
    let ids = &bulk.chosen.ids;
    if bulk.dry_run {
        return bulk::show_named(ids, client, format).await;
    }
    let mut each = Each::of(ids.len());
    for id in ids {
        let path = format!("/v1/dead/{}/discard", part(id));
        let operation = about("discard the dead letter of task", id);
        each.note(client.post(operation, &path, &json!({})).await)?;
    }
    each.finish(format, &["id", "state"])
}
