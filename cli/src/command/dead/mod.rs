//! `leveret dead …`: dead letters, through a gateway.

mod bulk;
mod discard;
mod export;
mod import;
mod list;
mod reindex;
mod replay;
mod show;
mod walk;

use leveret_common::config::Settings;

use crate::args::DeadCommand;
use crate::client::Client;
use crate::error::Error;
use crate::report::Format;

/// Performs a command on dead letters.
///
/// # Cancel safety
/// Dropped, what was done until then stays done.
pub(super) async fn run(
    command: DeadCommand,
    settings: &Settings,
    format: Format,
) -> Result<(), Error> {
    let client = Client::new(&settings.gateway)?;
    match command {
        DeadCommand::List { filter, group: Some(group), .. } => {
            list::groups(filter.as_ref(), group, &client, format).await
        }
        DeadCommand::List { filter, limit, group: None } => {
            list::letters(filter.as_ref(), limit, &client, format).await
        }
        DeadCommand::Show { id, full } => show::run(&id, full, &client, format).await,
        DeadCommand::Replay(arguments) => replay::run(&arguments, &client, format).await,
        DeadCommand::Discard(arguments) => discard::run(&arguments, &client, format).await,
        DeadCommand::Export { filter, file } => {
            export::run(filter.as_ref(), file.as_deref(), &client, format).await
        }
        DeadCommand::Import { file } => {
            import::run(file.as_deref(), &settings.gateway, &client, format).await
        }
        DeadCommand::Reindex { queue } => reindex::run(queue.as_deref(), &client, format).await,
    }
}
