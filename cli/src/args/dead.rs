//! The arguments of `leveret dead …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use leveret_common::filter::Filter;

#[derive(Debug, Subcommand)]
pub(crate) enum DeadCommand {
    /// Lists dead letters, newest first, or counts them in groups
    List {
        /// Only those that match, such as 'kind:email.* reason:handler age>1h'
        #[arg(long)]
        filter: Option<Filter>,
        /// Most letters
        #[arg(long, value_name = "NUMBER", default_value_t = 50, conflicts_with = "group")]
        limit: u64,
        /// Counts them by what they have in common
        #[arg(long, value_name = "BY")]
        group: Option<Group>,
    },
    /// Shows a dead letter: what failed, when, and with which args
    Show {
        /// The task's id, or the text that it was enqueued with
        id: String,
        /// Takes the letter in hand to show its args whole
        #[arg(long)]
        full: bool,
    },
    /// Gives dead tasks a fresh start
    Replay(Box<Replay>),
    /// Takes dead letters away for good
    Discard(Bulk),
    /// Writes dead letters as NDJSON; they stay where they are
    Export {
        /// Only those that match
        #[arg(long)]
        filter: Option<Filter>,
        /// The file to write; without it, stdout
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Puts exported dead letters back
    Import {
        /// The file to read; without it, stdin
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Writes the list of dead letters anew, from the letters themselves
    Reindex {
        /// Only those of this queue
        #[arg(long)]
        queue: Option<String>,
    },
}

/// What dead letters are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Their kind.
    Kind,
    /// Their queue.
    Queue,
    /// Why they are dead.
    Reason,
    /// The class of the last failure.
    ErrorClass,
}

impl Group {
    /// Returns its name, here and in the gateway's query.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Queue => "queue",
            Self::Reason => "reason",
            Self::ErrorClass => "error-class",
        }
    }
}

/// Which letters: some by id, those that match, or all.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Chosen {
    /// The tasks' ids, or the texts that they were enqueued with
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// All that match, such as 'kind:email.* reason:handler age>1h'
    #[arg(long, value_parser = narrowing)]
    pub(crate) filter: Option<Filter>,
    /// All dead letters of all queues
    #[arg(long)]
    pub(crate) all: bool,
}

/// What every bulk verb takes.
#[derive(Debug, Args)]
pub(crate) struct Bulk {
    #[command(flatten)]
    pub(crate) chosen: Chosen,
    /// Most letters
    #[arg(long, value_name = "NUMBER", conflicts_with = "ids")]
    pub(crate) limit: Option<u64>,
    /// Most per second
    #[arg(long, value_name = "NUMBER", value_parser = rate, conflicts_with = "ids")]
    pub(crate) rate: Option<f64>,
    /// Tells how many there are and shows a few; changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not ask before it begins
    #[arg(long, short)]
    pub(crate) yes: bool,
}

/// What is to be replayed, and how.
#[derive(Debug, Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) bulk: Bulk,
    /// Puts them into this queue instead of the one they came from
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// Puts them into this class: critical, high, normal or low
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// Enqueues one task anew with these args instead: a JSON document
    #[arg(long, value_name = "JSON", conflicts_with_all = ["filter", "all", "limit", "rate"])]
    pub(crate) args: Option<String>,
    /// Replays tasks that have succeeded since, or were cancelled
    #[arg(long, conflicts_with_all = ["filter", "all"])]
    pub(crate) force: bool,
}

/// Reads a filter that leaves something out: an empty one is `--all`, said by accident.
fn narrowing(text: &str) -> Result<Filter, String> {
    let filter: Filter = text.parse().map_err(|error| format!("{error}"))?;
    if filter.is_empty() {
        return Err("it is empty; write --all for all dead letters".to_owned());
    }
    Ok(filter)
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(rate),
        _ => Err("write a number above 0, such as 50 or 0.5".to_owned()),
    }
}
