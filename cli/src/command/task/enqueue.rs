//! `leveret task enqueue KIND`: one task.
//!
//! Every enqueue carries an id or a key: where the user gives none, an id is minted here, so that
//! an enqueue of unknown fate can be repeated without doubling the task.

use std::collections::BTreeMap;
use std::path::Path;

use leveret_common::duration::DurationText;
use leveret_common::id::TaskId;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::io::AsyncReadExt;

use super::{show, wait};
use crate::args::Enqueue;
use crate::client::Client;
use crate::error::{Error, Loss};
use crate::feed::input;
use crate::report::{self, Format};

/// Largest args document that is read; the gateway's own limit is at most 8 MiB.
const MAX_ARGS: u64 = 9 << 20;

/// A task as `POST /v1/tasks` takes it. What is wrong with a name or a limit is the gateway's to
/// say.
#[derive(Debug, Serialize)]
struct Submission {
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    args: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

/// Enqueues a task, and waits for its end where that is asked for.
///
/// # Cancel safety
/// Dropped, the task may or may not have been accepted.
pub(super) async fn run(arguments: Enqueue, client: &Client, format: Format) -> Result<(), Error> {
    let patience = arguments.wait;
    let submission = submission(arguments).await?;
    let accepted = client.post("enqueue the task", "/v1/tasks", &submission).await;
    let accepted = accepted.map_err(|error| repeatable(error, &submission))?;
    let Some(patience) = patience else {
        return Ok(report::one(format, &["id", "state"], &accepted)?);
    };
    let id = accepted["id"].as_str().unwrap_or_default();
    report::narrate(&format!("task {id} is accepted; waiting for its end"));
    let task = wait::until_ended(client, id, patience.get()).await?;
    show::print(&task, format)?;
    wait::judge(id, &task)
}

async fn submission(arguments: Enqueue) -> Result<Submission, Error> {
    let args = args(&arguments).await?;
    let minted = || TaskId::mint().to_string();
    let id = match &arguments.key {
        Some(_) => None,
        None => Some(arguments.id.unwrap_or_else(minted)),
    };
    Ok(Submission {
        kind: arguments.kind.unwrap_or_default(),
        args,
        queue: arguments.queue,
        class: arguments.class,
        delay: arguments.delay,
        at: arguments.at,
        key: arguments.key,
        id,
        expires: arguments.expires,
        timeout: arguments.timeout,
        max_attempts: arguments.max_attempts,
        tags: arguments.tags.into_iter().collect(),
    })
}

/// Reads the args from wherever they are; they stay byte for byte what they are.
async fn args(arguments: &Enqueue) -> Result<Option<Box<RawValue>>, Error> {
    let (what, text) = if let Some(text) = &arguments.args {
        ("--args".to_owned(), text.clone())
    } else if let Some(file) = &arguments.args_file {
        (input::shown(file), read(file).await?)
    } else if arguments.stdin.is_some() {
        let file = Path::new(input::STDIN);
        (input::shown(file), read(file).await?)
    } else {
        return Ok(None);
    };
    RawValue::from_string(text).map(Some).map_err(|error| Error::Argument {
        what,
        why: format!(
            "it is not one JSON document: {error}; write JSON, such as '{{\"user_id\": 7}}' (text \
             needs its own quotes: '\"hello\"')"
        ),
    })
}

async fn read(file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let opened = input::open(file).await?;
    let size = opened.take(MAX_ARGS + 1).read_to_string(&mut text).await;
    let size = size.map_err(|error| Error::unreadable(&input::shown(file), &error))?;
    if size as u64 > MAX_ARGS {
        let why = format!(
            "it has more than {MAX_ARGS} bytes: store the data elsewhere and send a reference"
        );
        return Err(Error::Argument { what: input::shown(file), why });
    }
    Ok(text)
}

/// Tells how to repeat an enqueue whose answer was lost.
fn repeatable(error: Error, sent: &Submission) -> Error {
    match (error, &sent.id) {
        (Error::Unreachable { operation, url, why, loss, .. }, Some(id))
            if loss != Loss::Absent =>
        {
            let note = format!(
                "; the request may have arrived: repeat it with --id {id}, so that it cannot be \
                 doubled"
            );
            Error::Unreachable { operation, url, why, note, loss }
        }
        (error, _) => error,
    }
}
