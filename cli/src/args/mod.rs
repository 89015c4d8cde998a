//! The command line: commands, their arguments, and the flags that every command takes.
//!
//! Responsible for the shape only; what a command does is in [`crate::command`]. Each key of the
//! configuration has a flag of its own, made from the table of keys, so that no key can lack one.

#[cfg(test)]
mod advised;
mod dead;
pub(crate) mod examples;
mod fleet;
mod keys;
mod relay;
mod schedule;
mod task;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
pub(crate) use clap_complete::Shell;

pub(crate) use self::dead::{Bulk, Chosen, DeadCommand, Group, Replay};
pub(crate) use self::fleet::{Addressed, QueueCommand, WorkerCommand};
use self::keys::KeyFlags;
pub(crate) use self::relay::RelayCommand;
pub(crate) use self::schedule::{Backfill, Coming, Origin, Said, ScheduleCommand, Update, Write};
pub(crate) use self::task::{Cancel, Enqueue, TaskCommand};
use crate::report::Format;

/// The program's name.
pub(crate) const NAME: &str = "leveret";

/// Returns the command line of a program that calls itself `name`, with what its help shows beside the
/// arguments.
fn command(name: &str) -> clap::Command {
    if name == NAME {
        return examples::shown(CommandLine::command());
    }
    CommandLine::command()
        .name(name.to_owned())
        .bin_name(name.to_owned())
        .version(concat!("with Leveret ", env!("CARGO_PKG_VERSION")))
        .about("Performs tasks with handlers of its own, and operates them")
        .long_about(None)
}

/// Returns the command line as it is offered to shells and on man pages: without `help` as a
/// command, and without the flags of keys that no help shows. They are all global, so the root has
/// them.
pub(crate) fn offered(name: &str) -> clap::Command {
    let whole = command(name);
    let root = clap::Command::new(name.to_owned())
        .version(whole.get_version().unwrap_or_default().to_owned())
        .propagate_version(true)
        .subcommand_required(true)
        .disable_help_subcommand(true)
        .about(whole.get_about().cloned().unwrap_or_default())
        .long_about(whole.get_long_about().cloned().unwrap_or_default())
        .args(whole.get_arguments().filter(|argument| !argument.is_hide_set()).cloned());
    root.subcommands(whole.get_subcommands().cloned())
}

/// A task broker and a worker fleet.
///
/// `leveret dev` starts everything in one process, without any configuration.
#[derive(Debug, Parser)]
#[command(name = "leveret", version, propagate_version = true, arg_required_else_help = true)]
pub(crate) struct CommandLine {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(subcommand)]
    pub(crate) command: Command,
    /// What the program calls itself
    #[arg(skip)]
    pub(crate) name: String,
}

impl CommandLine {
    /// Reads the arguments of a program, its name first, that calls itself `name`.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = OsString>,
        name: &str,
    ) -> Result<Self, clap::Error> {
        let mut command = command(name);
        let mut matches = command.try_get_matches_from_mut(arguments)?;
        let line =
            Self::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
        Ok(Self { name: name.to_owned(), ..line })
    }
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// How data is printed on stdout
    #[arg(
        short,
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "FORM",
        display_order = 900
    )]
    pub(crate) output: Format,
    /// The configuration file; without this, leveret.toml where it exists
    #[arg(long, global = true, value_name = "FILE", display_order = 901)]
    pub(crate) config: Option<PathBuf>,
    /// Sets a configuration key, as the key's own flag does: `leveret config --help` lists them
    #[arg(
        long, global = true, value_name = "KEY=VALUE", value_parser = pair, display_order = 902
    )]
    pub(crate) set: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) keys: KeyFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts gateway, worker and beat in one process, without any configuration
    Dev,
    /// Starts a worker, or looks after those that run
    ///
    /// Without a verb it starts a worker, which performs tasks (needs broker.url and store.url). The
    /// verbs speak to the gateway about workers that run.
    Worker {
        #[command(subcommand)]
        verb: Option<WorkerCommand>,
    },
    /// Starts the HTTP gateway (needs broker.url and store.url)
    Gateway,
    /// Starts a beat, which puts in what the timetable asks for (needs broker.url and store.url)
    ///
    /// Any number of them may run: one leads, the others stand by. SIGHUP has it read its
    /// timetable file again.
    Beat,
    /// Starts a relay, which hands on the tasks of an outbox in your own database, or looks into it
    ///
    /// Without a verb it starts a relay (needs outbox.url, broker.url and store.url). Any number of
    /// them may run.
    Relay {
        #[command(subcommand)]
        verb: Option<RelayCommand>,
    },
    /// Shows the timetable, changes it, and says when what is due
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Enqueues tasks, shows what became of them, cancels them
    #[command(subcommand)]
    Task(TaskCommand),
    /// Lists dead letters, and replays, discards, exports or imports them
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Shows queues, and pauses or resumes them everywhere
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Looks for what is wrong, or soon will be, and says how to mend it
    Doctor,
    /// Asks a role on this machine whether it is ready, for health checks
    ///
    /// It asks the address that the configuration gives to the role (gateway.listen, worker.listen,
    /// beat.listen, relay.listen). Exit code 0: it is; 10: it says no, and why; 4: nothing answers there.
    Probe(Asked),
    /// Shows the configuration, and lists its keys with --help
    #[command(subcommand, after_help = keys::listing())]
    Config(ConfigCommand),
    /// Prints what a shell needs to complete commands, flags and values
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Prints the man page of a command, or writes those of all into a folder
    Man(ManCommand),
    /// Prints the OpenAPI document of the HTTP API, as the gateway serves it
    Openapi,
    /// Prints the version
    Version,
}

/// Who is asked, and what.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The role; without it each that listens on this machine is asked, and one at least has to
    #[arg(value_enum)]
    pub(crate) role: Option<ProbedRole>,
    /// Asks whether it is alive, not whether it is ready
    #[arg(long)]
    pub(crate) live: bool,
}

/// A role that has a door to ask at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProbedRole {
    /// All in one process; it has the gateway's door
    Dev,
    Gateway,
    Worker,
    Beat,
    Relay,
}

impl ProbedRole {
    /// Returns the name of the command that starts it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Beat => "beat",
            Self::Relay => "relay",
        }
    }
}

/// Which man pages, and where to.
#[derive(Debug, Args)]
pub(crate) struct ManCommand {
    /// The command, such as task enqueue; without it, the page of leveret itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) command: Vec<String>,
    /// Writes the pages of all commands into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints every key with its value; secrets are printed as ***
    Show {
        /// Tells where each value came from
        #[arg(long)]
        origin: bool,
    },
}

/// Reads a name and a value.
fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write a name, an equals sign and a value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use leveret_common::config::KEYS;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn each_key_has_the_flag_that_its_origin_names() {
        for key in KEYS {
            let line = ["leveret", "version", &key.flag(), "some=text"];
            let parsed = CommandLine::read(line.map(OsString::from), NAME).unwrap();
            assert_eq!(parsed.shared.keys.0, [(key.path.to_owned(), "some=text".to_owned())]);
        }
    }

    #[test]
    fn help_shows_few_keys_and_that_of_config_lists_all() {
        let help = |words: &[&str]| {
            let line = [&["leveret"][..], words, &["--help"]].concat();
            CommandLine::read(line.into_iter().map(OsString::from), NAME).unwrap_err().to_string()
        };
        for words in [&["task", "cancel"][..], &["dead"], &["dev"], &["worker"]] {
            let text = help(words);
            assert!(text.contains("leveret config --help"), "{text}");
            assert!(text.contains("--gateway-url"), "{text}");
            assert!(!text.contains("--broker-url"), "{text}");
        }
        let text = help(&["config"]);
        for key in KEYS {
            assert!(text.contains(&format!("{} <VALUE>", key.flag())), "{} is missing", key.path);
        }
    }

    #[test]
    fn a_bulk_verb_needs_ids_or_a_filter_or_all_of_them_and_takes_only_one() {
        let refused = |words: &[&str]| {
            let line = [&["leveret", "dead"][..], words].concat();
            CommandLine::read(line.into_iter().map(OsString::from), NAME).is_err()
        };
        for verb in ["replay", "discard"] {
            assert!(refused(&[verb]));
            assert!(refused(&[verb, "a", "--all"]));
            assert!(refused(&[verb, "--filter", "queue:mail", "--all"]));
            assert!(refused(&[verb, "--filter", ""]));
            assert!(refused(&[verb, "--filter", "colour:red"]));
            assert!(!refused(&[verb, "a", "b"]));
            assert!(!refused(&[verb, "--filter", "queue:mail"]));
            assert!(!refused(&[verb, "--all"]));
            assert!(!refused(&[verb, "--all", "--rate", "0.5"]));
            assert!(refused(&[verb, "a", "--rate", "5"]));
            assert!(refused(&[verb, "--all", "--rate", "0"]));
        }
        assert!(refused(&["replay", "--all", "--args", "{}"]));
    }
}
