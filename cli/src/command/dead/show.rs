//! `leveret dead show`: what failed, when, and with which args.

use super::list;
use crate::client::{Client, about, part};
use crate::error::Error;
use crate::report::{self, Format};

/// What people look for first.
const FIRST: [&str; 13] = [
    "id",
    "kind",
    "queue",
    "reason",
    "error",
    "attempt",
    "replay",
    "died_at",
    "first_failed_at",
    "origin",
    "key",
    "args",
    "args_size",
];

/// Shows a dead letter.
///
/// # Cancel safety
/// Only asks; taken in hand to be shown in full, the letter goes back.
pub(super) async fn run(
    id: &str,
    is_full: bool,
    client: &Client,
    format: Format,
) -> Result<(), Error> {
    let full = if is_full { "?full=true" } else { "" };
    let path = format!("/v1/dead/{}{full}", part(id));
    let mut letter = client.get(about("show the dead letter of task", id), &path).await?;
    if format == Format::Table {
        if let Some(text) = list::error(&letter) {
            letter["error"] = text.into();
        }
        if letter["args_whole"] == false {
            report::narrate("the args are cut; --full shows all of them");
        }
        if let Some(members) = letter.as_object_mut() {
            members.remove("args_whole");
            members.remove("error_class");
        }
    }
    Ok(report::one(format, &FIRST, &letter)?)
}
