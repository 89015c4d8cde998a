//! `leveret dead replay`: a fresh start for dead tasks.
//!
//! Repeating it doubles nothing: a letter is replayed under the next replay number, and two copies
//! of one replay run once.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::bulk::{self, Order, Verb};
use super::walk;
use crate::args::Replay;
use crate::client::{Client, about, part};
use crate::command::each::Each;
use crate::error::Error;
use crate::report::Format;

const VERB: Verb = Verb { name: "replay", path: "/v1/dead/replay" };

/// Replays dead letters.
///
/// # Cancel safety
/// Dropped, what was replayed until then stays so, and the rest stays dead.
pub(super) async fn run(arguments: &Replay, client: &Client, format: Format) -> Result<(), Error> {
    let bulk = &arguments.bulk;
    if !bulk.chosen.ids.is_empty() {
        return named(arguments, client, format).await;
    }
    let mut order = Order::of(bulk);
    order.queue.clone_from(&arguments.queue);
    order.class.clone_from(&arguments.class);
    if !bulk::goes_on(&VERB, &mut order, bulk, client, format).await? {
        return Ok(());
    }
    let answers = client.post_for_lines("replay dead letters", VERB.path, &order).await?;
    walk::follow(answers, client, format).await
}

async fn named(arguments: &Replay, client: &Client, format: Format) -> Result<(), Error> {
    let ids = &arguments.bulk.chosen.ids;
    if arguments.args.is_some() && ids.len() > 1 {
        return Err(Error::Argument {
            what: "--args".to_owned(),
            why: "they are the args of one task; name one id".to_owned(),
        });
    }
    let body = body(arguments)?;
    if arguments.bulk.dry_run {
        return bulk::show_named(ids, client, format).await;
    }
    let mut each = Each::of(ids.len());
    for id in ids {
        let path = format!("/v1/dead/{}/replay", part(id));
        each.note(client.post(about("replay task", id), &path, &body).await)?;
    }
    each.finish(format, &["id", "replay", "replaces"])
}

/// What the gateway is told of a task that was named; edited args stay byte for byte as they are.
fn body(arguments: &Replay) -> Result<Box<RawValue>, Error> {
    let mut members = Map::new();
    for (name, value) in [("queue", &arguments.queue), ("class", &arguments.class)] {
        if let Some(value) = value {
            members.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    if arguments.force {
        members.insert("force".to_owned(), true.into());
    }
    let mut text = Value::Object(members).to_string();
    if let Some(args) = &arguments.args {
        let args: &RawValue = serde_json::from_str(args).map_err(|error| Error::Argument {
            what: "--args".to_owned(),
            why: format!("it is not one JSON document: {error}"),
        })?;
        text.pop();
        let comma = if text.len() > 1 { "," } else { "" };
        text.push_str(&format!("{comma}\"args\":{}}}", args.get()));
    }
    RawValue::from_string(text).map_err(|error| Error::Argument {
        what: "--args".to_owned(),
        why: format!("it is not one JSON document: {error}"),
    })
}
