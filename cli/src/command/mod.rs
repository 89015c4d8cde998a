//! The commands, one file each. A role starts, waits for a signal and drains; every other command
//! asks the gateway or prints something and ends.

mod beat;
mod completions;
mod config;
mod dead;
pub(crate) mod dev;
mod doctor;
mod each;
mod export;
mod gateway;
mod man;
mod openapi;
mod pages;
mod probe;
mod queue;
mod relay;
mod schedule;
mod task;
mod version;
pub(crate) mod worker;

use leveret_common::config::{self as configuration, Loaded, Sources, environment};
use leveret_worker::Registry;

use crate::args::{Command, CommandLine, Shared};
use crate::assemble::Given;
use crate::error::Error;
use crate::signals::{Hangups, Signals};

/// Performs what the command line asks for; `own` are the handlers of the program, for its roles.
///
/// # Cancel safety
/// Dropped, a role ends at once, as if its process had been killed.
pub(crate) async fn perform(line: CommandLine, own: Registry) -> Result<(), Error> {
    let CommandLine { shared, command, name } = line;
    let format = shared.output;
    let given = |shared| Ok::<_, Error>(Given { settings: load(shared)?.settings, own, format });
    match command {
        Command::Openapi => openapi::run(),
        Command::Version => version::run(format),
        Command::Completions { shell } => completions::run(shell, &name),
        Command::Man(command) => man::run(&command, format),
        Command::Config(command) => config::run(&command, &load(shared)?, format),
        Command::Task(command) => task::run(command, &load(shared)?.settings, format).await,
        Command::Dead(command) => dead::run(command, &load(shared)?.settings, format).await,
        Command::Queue(command) => queue::run(command, &load(shared)?.settings, format).await,
        Command::Schedule(command) => schedule::run(command, || load(shared), format).await,
        Command::Doctor => doctor::run(load(shared)?.settings, format).await,
        Command::Probe(asked) => probe::run(&asked, &load(shared)?.settings, format).await,
        // The signals are caught before anything else, so that none of a role's life is without.
        Command::Dev => {
            let (signals, hangups) = (Signals::catch()?, Hangups::catch()?);
            dev::run(given(shared)?, signals, hangups).await
        }
        Command::Beat => {
            let (signals, hangups) = (Signals::catch()?, Hangups::catch()?);
            beat::run(given(shared)?, signals, hangups).await
        }
        Command::Relay { verb } => relay::run(verb, || given(shared)).await,
        Command::Worker { verb } => worker::run(verb, given(shared)?).await,
        Command::Gateway => {
            let signals = Signals::catch()?;
            gateway::run(given(shared)?, signals).await
        }
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
