//! `leveret task …`: everything here speaks to a gateway.

mod bulk;
mod cancel;
mod enqueue;
mod explain;
mod show;
mod wait;

use leveret_common::config::Settings;

use crate::args::TaskCommand;
use crate::client::Client;
use crate::error::Error;
use crate::report::Format;

/// Performs a command on tasks.
///
/// # Cancel safety
/// Dropped, a task may or may not have been enqueued.
pub(super) async fn run(
    command: TaskCommand,
    settings: &Settings,
    format: Format,
) -> Result<(), Error> {
    let client = Client::new(&settings.gateway)?;
    match command {
        TaskCommand::Enqueue(arguments) => match &arguments.ndjson {
            Some(file) => bulk::run(file, &settings.gateway, &client, format).await,
            None => enqueue::run(*arguments, &client, format).await,
        },
        TaskCommand::Show { id } => show::run(&id, &client, format).await,
        TaskCommand::Wait { id, timeout } => wait::run(&id, timeout.get(), &client, format).await,
        TaskCommand::Cancel(arguments) => cancel::run(&arguments, &client, format).await,
        TaskCommand::Explain { id } => explain::run(&id, &client, format).await,
    }
}
