//! The command line: commands, their arguments, and the flags that every command takes.
//!
//! Responsible for the shape only; what a command does is in [`crate::command`]. Each key of the
//! configuration has a flag of its own, made from the table of keys, so that no key can lack one.

#[cfg(test)]
mod advised;
mod dead;
mod fleet;
mod keys;
mod schedule;
mod task;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub(crate) use self::dead::{Bulk, Chosen, DeadCommand, Group, Replay};
pub(crate) use self::fleet::{Addressed, QueueCommand, WorkerCommand};
use self::keys::KeyFlags;
pub(crate) use self::schedule::{Backfill, Coming, Origin, Said, ScheduleCommand, Update, Write};
pub(crate) use self::task::{Cancel, Enqueue, TaskCommand};
use crate::report::Format;

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
}

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Shared {
    /// How data is printed on stdout
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORM")]
    pub(crate) output: Format,
    /// The configuration file; without this, leveret.toml where it exists
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Sets a configuration key, as the key's own flag does: `leveret config --help` lists them
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = pair)]
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
    /// Shows the configuration, and lists its keys with --help
    #[command(subcommand, after_help = keys::listing())]
    Config(ConfigCommand),
    /// Prints the version
    Version,
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
            let parsed = CommandLine::try_parse_from(line).unwrap();
            assert_eq!(parsed.shared.keys.0, [(key.path.to_owned(), "some=text".to_owned())]);
        }
    }

    #[test]
    fn help_shows_few_keys_and_that_of_config_lists_all() {
        let help = |words: &[&str]| {
            let line = [&["leveret"][..], words, &["--help"]].concat();
            CommandLine::try_parse_from(line).unwrap_err().to_string()
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
            CommandLine::try_parse_from(line).is_err()
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
