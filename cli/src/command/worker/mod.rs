//! `leveret worker`: without a verb the role itself, with one what people ask of workers that run.

mod ask;
mod list;
pub(crate) mod role;

use crate::args::WorkerCommand;
use crate::assemble::Given;
use crate::client::Client;
use crate::error::Error;
use crate::signals::Signals;

/// Performs tasks, or a command on workers that do.
///
/// # Cancel safety
/// Dropped, running tasks are cut and run again elsewhere; a worker may or may not have been told.
pub(super) async fn run(verb: Option<WorkerCommand>, given: Given) -> Result<(), Error> {
    let Some(verb) = verb else {
        return role::run(given, Signals::catch()?).await;
    };
    let (client, format) = (Client::new(&given.settings.gateway)?, given.format);
    match verb {
        WorkerCommand::List => list::run(&client, format).await,
        WorkerCommand::Show { worker } => list::show(&worker, &client, format).await,
        WorkerCommand::Quiet(to) => ask::run("quiet", None, &to, &client, format).await,
        WorkerCommand::Resume(to) => ask::run("resume", None, &to, &client, format).await,
        WorkerCommand::Stop(to) => ask::run("stop", None, &to, &client, format).await,
        WorkerCommand::Resize { addressed, slots } => {
            ask::run("resize", Some(slots), &addressed, &client, format).await
        }
    }
}
