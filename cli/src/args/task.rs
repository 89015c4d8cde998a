//! The arguments of `leveret task …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use leveret_common::duration::DurationText;

use super::pair;

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
    /// Cancels tasks: those that wait are not run, those that run are told to stop
    Cancel(Cancel),
    /// Says where a task is, why it is not done and what to do
    Explain {
        /// The task's id, or the text that it was enqueued with
        id: String,
    },
}

/// What is to be cancelled.
#[derive(Debug, Args)]
pub(crate) struct Cancel {
    /// The tasks' ids, or the texts that they were enqueued with
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Waits until they have ended, at most this long
    #[arg(
        long, value_name = "DURATION", num_args = 0..=1, require_equals = true,
        default_missing_value = "1m"
    )]
    pub(crate) wait: Option<DurationText>,
    /// Cancels ids that nobody knows too: their messages may still come
    #[arg(long)]
    pub(crate) force: bool,
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
