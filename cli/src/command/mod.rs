//! The commands, one file each. A role starts, waits for a signal and drains; every other command
//! asks the gateway or prints something and ends.

mod beat;
mod config;
mod dead;
mod dev;
mod doctor;
mod each;
mod export;
mod gateway;
mod pages;
mod queue;
mod schedule;
mod task;
mod version;
mod worker;

use leveret_common::config::{self as configuration, Loaded, Sources, environment};

use crate::args::{Command, CommandLine, Shared};
use crate::error::Error;
use crate::signals::{Hangups, Signals};

/// Performs what the command line asks for.
///
/// # Cancel safety
/// Dropped, a role ends at once, as if its process had been killed.
pub(crate) async fn perform(line: CommandLine) -> Result<(), Error> {
    let CommandLine { shared, command } = line;
    let format = shared.output;
    match command {
        Command::Version => version::run(format),
        Command::Config(command) => config::run(&command, &load(shared)?, format),
        Command::Task(command) => task::run(command, &load(shared)?.settings, format).await,
        Command::Dead(command) => dead::run(command, &load(shared)?.settings, format).await,
        Command::Queue(command) => queue::run(command, &load(shared)?.settings, format).await,
        Command::Schedule(command) => schedule::run(command, || load(shared), format).await,
        Command::Doctor => doctor::run(load(shared)?.settings, format).await,
        // The signals are caught before anything else, so that none of a role's life is without.
        Command::Dev => {
            let (signals, hangups) = (Signals::catch()?, Hangups::catch()?);
            dev::run(load(shared)?.settings, signals, hangups, format).await
        }
        Command::Beat => {
            let (signals, hangups) = (Signals::catch()?, Hangups::catch()?);
            beat::run(load(shared)?.settings, signals, hangups, format).await
        }
        Command::Worker { verb } => worker::run(verb, load(shared)?.settings, format).await,
        Command::Gateway => gateway::run(load(shared)?.settings, Signals::catch()?, format).await,
    }
}

fn load(shared: Shared) -> Result<Loaded, Error> {
    let mut flags = shared.set;
    flags.extend(shared.keys.0);
    let sources = Sources {
        file: shared.config,
        working_dir: ".".into(),
        environment: environment::read(),
        flags,
    };
    Ok(configuration::load(&sources)?)
}
