//! The command line: commands, their arguments, and the flags that every command takes.
//!
//! Responsible for the shape only; what a command does is in [`crate::command`]. Each key of the
//! configuration has a flag of its own, made from the table of keys, so that no key can lack one.

use std::path::PathBuf;

use clap::{Args, FromArgMatches, Parser, Subcommand};
use leveret_common::config::KEYS;
use leveret_common::duration::DurationText;

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
    /// Sets a configuration key, as the key's own flag does
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    #[command(flatten)]
    pub(crate) keys: KeyFlags,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts gateway and worker in one process, without any configuration
    Dev,
    /// Starts a worker: performs tasks (needs broker.url and store.url)
    Worker,
    /// Starts the HTTP gateway (needs broker.url and store.url)
    Gateway,
    /// Enqueues tasks and shows what became of them
    #[command(subcommand)]
    Task(TaskCommand),
    /// Shows the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the version
    Version,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Enqueues one task, or many from NDJSON
    Enqueue(Box<Enqueue>),
    /// Shows a task
    Show {
        /// The task's id, or the text that it was enqueued with
        id: String,
    },
    /// Waits until a task has ended
    Wait {
        /// The task's id, or the text that it was enqueued with
        id: String,
        /// How long to wait; the task goes on after that
        #[arg(long, value_name = "DURATION", default_value = "1h")]
        timeout: DurationText,
    },
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

/// One task, or where many come from.
#[derive(Debug, Args)]
pub(crate) struct Enqueue {
    /// The kind, such as demo.echo
    #[arg(required_unless_present = "ndjson", conflicts_with = "ndjson")]
    pub(crate) kind: Option<String>,
    /// `-` reads the args from stdin
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["args", "args_file"])]
    pub(crate) stdin: Option<String>,
    /// The args: a JSON document
    #[arg(long, value_name = "JSON", conflicts_with = "args_file")]
    pub(crate) args: Option<String>,
    /// A file that holds the args: a JSON document
    #[arg(long, value_name = "FILE")]
    pub(crate) args_file: Option<PathBuf>,
    /// The queue; the default queue where it is not given
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// How urgent it is: critical, high, normal or low
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Starts no earlier than after this
    #[arg(long, value_name = "DURATION", conflicts_with = "at")]
    pub(crate) delay: Option<DurationText>,
    /// Starts no earlier than at this time, such as 2030-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// Makes the enqueue repeatable: same kind, key and args are one task
    #[arg(long, conflicts_with = "id")]
    pub(crate) key: Option<String>,
    /// Names the task: a UUID, or any text of yours
    #[arg(long)]
    pub(crate) id: Option<String>,
    /// Is not started later than this after the enqueue
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<DurationText>,
    /// Limits each attempt
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<DurationText>,
    /// Limits the number of attempts, the first included
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_attempts: Option<u32>,
    /// Adds a tag to find the task by
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) tags: Vec<(String, String)>,
    /// Waits until the task has ended, at most this long
    #[arg(long, value_name = "DURATION")]
    pub(crate) wait: Option<DurationText>,
    /// Reads many tasks: each line is a JSON object as POST /v1/tasks takes it
    #[arg(
        long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-",
        conflicts_with_all = [
            "args", "args_file", "queue", "class", "delay", "at", "key", "id", "expires",
            "timeout", "max_attempts", "tags", "wait",
        ]
    )]
    pub(crate) ndjson: Option<PathBuf>,
}

/// The flags of configuration keys that were given, as key path and text.
#[derive(Debug, Default)]
pub(crate) struct KeyFlags(pub(crate) Vec<(String, String)>);

impl Args for KeyFlags {
    fn augment_args(command: clap::Command) -> clap::Command {
        KEYS.iter().fold(command, |command, key| {
            let flag = key.flag().trim_start_matches('-').to_owned();
            // The few that people type each day are shown by -h, all of them by --help.
            let is_rare = !matches!(key.path, "data" | "gateway.listen" | "gateway.url");
            command.arg(
                clap::Arg::new(key.path)
                    .long(flag)
                    .global(true)
                    .value_name("VALUE")
                    .help(key.help.trim_end_matches('.'))
                    .hide_short_help(is_rare)
                    .help_heading("Configuration keys"),
            )
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for KeyFlags {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let given = |path: &str| matches.get_one::<String>(path).cloned();
        let pairs = KEYS.iter().filter_map(|key| Some((key.path.to_owned(), given(key.path)?)));
        Ok(Self(pairs.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write a name, an equals sign and a value".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

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
}
