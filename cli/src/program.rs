//! A program with handlers of its own, in the roles and with the commands of `leveret`.
//!
//! What the roles do is theirs ([`crate::command`]); here is what a program hands them. Guards that a
//! program and the command behave alike: both go the same way from settings to a drained process.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use leveret_common::config::Settings;
use leveret_worker::Registry;
use leveret_worker::handler::{IntoRegistry, RegistryError};

use crate::args::{CommandLine, NAME};
use crate::assemble::Given;
use crate::command;
use crate::error::Error;
use crate::exit::Exit;
use crate::report::{self, Format};
use crate::run_error::RunError;
use crate::signals::{Hangups, Signals};

/// Runs gateway, worker and beat in this process until Ctrl-C or SIGTERM, then drains.
///
/// It is [`Program::dev`] with the settings of `leveret.toml` and the environment
/// ([`settings`](crate::settings)): without any of these, on one SQLite file below `leveret-data`.
///
/// # Errors
/// [`RunError`]: what is wrong with handlers or settings, or what could not be opened.
///
/// # Cancel safety
/// Dropped, running tasks are cut and run again after the next start.
///
/// # Examples
/// ```no_run
/// use leveret::prelude::*;
///
/// # #[derive(serde::Serialize, serde::Deserialize, Task)]
/// # #[task(kind = "email.welcome", queue = "mail")]
/// # struct Welcome { user_id: u64 }
/// async fn welcome(args: Welcome) -> Result<u64, TaskError> {
///     Ok(args.user_id)
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), leveret::RunError> {
///     leveret::dev(Handlers::new().handle(welcome)).await
/// }
/// ```
pub async fn dev(handlers: impl IntoRegistry) -> Result<(), RunError> {
    Program::new(handlers).dev(crate::settings()?).await
}

/// A program with handlers of its own.
///
/// Its kinds are performed beside those of the configuration; a kind that both have is an error.
/// Schedules that its handlers declare are put into the timetable. Where tasks of its kinds are put
/// in by name, over HTTP for instance, they go to the queue that the type of their args names.
///
/// [`main`](Self::main) is the whole command line with them, [`run`](Self::run) the same on the caller's
/// runtime; [`dev`](Self::dev) and [`worker`](Self::worker) are one role each, for a program with a command
/// line of its own.
///
/// # Examples
/// All of it behind one command line: `shop dev`, `shop worker`, `shop task enqueue …`.
/// ```no_run
/// use std::process::ExitCode;
///
/// use leveret::Program;
/// use leveret::prelude::*;
///
/// # #[derive(serde::Serialize, serde::Deserialize, Task)]
/// # #[task(kind = "email.welcome", queue = "mail")]
/// # struct Welcome { user_id: u64 }
/// # async fn welcome(args: Welcome) -> Result<u64, TaskError> { Ok(args.user_id) }
/// fn main() -> ExitCode {
///     Program::new(Handlers::new().handle(welcome)).main()
/// }
/// ```
#[must_use = "a program does nothing until one of its verbs is called"]
pub struct Program {
    handlers: Result<Registry, RegistryError>,
}

impl Program {
    /// Creates a program of these handlers. What is wrong with them is told when it runs.
    pub fn new(handlers: impl IntoRegistry) -> Self {
        Self { handlers: handlers.into_registry() }
    }

    /// Runs gateway, worker and beat in this process until Ctrl-C or SIGTERM, then drains; a second
    /// signal ends it at once. What it listens on and performs is printed to stdout.
    ///
    /// It needs no server: without `broker.url` and `store.url` it keeps everything below `data`.
    /// It serves `worker.queues` and every queue that one of the kinds goes to, and performs
    /// `demo.echo`, too. The signals are caught from the first poll on.
    ///
    /// # Errors
    /// [`RunError`]: what is wrong with handlers or settings, or what could not be opened.
    ///
    /// # Cancel safety
    /// Dropped, running tasks are cut and run again after the next start.
    pub async fn dev(self, settings: Settings) -> Result<(), RunError> {
        let (signals, hangups) = (Signals::catch()?, Hangups::catch()?);
        Ok(command::dev::run(self.given(settings)?, signals, hangups).await?)
    }

    /// Runs a worker on RabbitMQ and Redis until SIGTERM or Ctrl-C, then drains: one process of the
    /// fleet, as `leveret worker` is, with the same probes at `worker.listen`.
    ///
    /// It serves `worker.queues`; where these are `default` alone, the queues that its own kinds go
    /// to as well.
    ///
    /// # Errors
    /// [`RunError`], also where `broker.url` and `store.url` are not set.
    ///
    /// # Cancel safety
    /// Dropped, running tasks are cut and run again elsewhere.
    pub async fn worker(self, settings: Settings) -> Result<(), RunError> {
        let signals = Signals::catch()?;
        Ok(command::worker::role::run(self.given(settings)?, signals).await?)
    }

    /// Performs the command line of this process, on a runtime of its own, and returns the exit code.
    ///
    /// It takes the commands and flags of `leveret` and reads the same configuration. The roles
    /// `dev` and `worker` perform the program's handlers, `gateway` and `beat` know its queues and
    /// schemas; all other commands are those of `leveret`, under the program's name.
    #[must_use]
    pub fn main(self) -> ExitCode {
        match self.command_line(std::env::args_os()) {
            Ok((line, own)) => finish(block_on(command::perform(line, own))),
            Err(exit) => exit,
        }
    }

    /// Performs a command line as [`Self::main`] does, on the caller's runtime: for state that is
    /// made asynchronously. `arguments` begin with the program's name.
    ///
    /// # Cancel safety
    /// Dropped, a role ends at once, as if its process had been killed.
    pub async fn run(self, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
        match self.command_line(arguments) {
            Ok((line, own)) => finish(command::perform(line, own).await),
            Err(exit) => exit,
        }
    }

    fn given(self, settings: Settings) -> Result<Given, Error> {
        Ok(Given { settings, own: self.handlers?, format: Format::default() })
    }

    fn command_line(
        self,
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<(CommandLine, Registry), ExitCode> {
        let arguments: Vec<OsString> = arguments.into_iter().collect();
        let name = arguments.first().map(Path::new).and_then(Path::file_name);
        let name = name.map_or("program".into(), OsStr::to_string_lossy);
        let line = read(arguments.clone(), &name)?;
        let own = self.handlers.map_err(|why| finish(Err(why.into())))?;
        Ok((line, own))
    }
}

/// Performs a command line of the command `leveret`, the program's name first, and returns the exit
/// code: what the binary `leveret` is. A program with handlers is [`Program::main`].
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match read(arguments, NAME) {
        Ok(line) => finish(block_on(command::perform(line, Registry::default()))),
        Err(exit) => exit,
    }
}

fn block_on(command: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    leveret_common::failpoint::arm();
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|source| Error::System { operation: "start threads", source })?;
    let ended = runtime.block_on(command);
    // Does not wait for what a second signal cut, nor for a read of a terminal that never ends.
    runtime.shutdown_background();
    ended
}

/// Reads a command line; where it asks for nothing that can be done, what is to be said is said.
fn read(
    arguments: impl IntoIterator<Item = OsString>,
    name: &str,
) -> Result<CommandLine, ExitCode> {
    CommandLine::read(arguments, name).map_err(|told| {
        // Help and version are data and go to stdout; whoever closed it has seen enough.
        let _ = told.print();
        if told.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
    })
}

/// Tells people why it failed, if it did.
fn finish(ended: Result<(), Error>) -> ExitCode {
    match ended {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            report::complain(&error);
            error.exit().into()
        }
    }
}
