//! Tasks for the program whose handler misbehaves as it is told.

use leveret_common::id::TaskId;
use serde_json::{Value, json};

use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::settings::Settings;

/// The kind that it performs.
pub(super) const KIND: &str = "trouble";

/// Returns settings without the kinds of the shipped program.
pub(super) fn settings() -> Settings {
    Settings { has_kinds: false, ..Settings::default() }
}

/// Returns a task that makes trouble: how, for how long, and how many workers it kills before it behaves.
pub(super) fn task(fleet: &Fleet, id: TaskId, how: &str, millis: u64, kills: u32) -> Value {
    let args = json!({
        "journal": fleet.journal.path(), "how": how, "millis": millis, "kills": kills,
    });
    json!({ "kind": KIND, "id": id, "args": args })
}

/// Puts such a task in.
pub(super) async fn put(fleet: &Fleet, how: &str, millis: u64) -> Result<TaskId, Error> {
    let id = TaskId::mint();
    fleet.put_as(id, KIND, task(fleet, id, how, millis, 0)).await.map(|()| id)
}
