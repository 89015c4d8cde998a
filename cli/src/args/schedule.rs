//! The arguments of `leveret schedule …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use leveret_common::duration::DurationText;

use super::pair;

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduleCommand {
    /// Lists the schedules: when they are due, what is next, what came of the last
    List {
        /// Only those that are paused
        #[arg(long)]
        paused: bool,
        /// Only those from a timetable file, from a program's code, or made at run time
        #[arg(long, value_name = "FROM")]
        source: Option<Origin>,
        /// Most schedules; without it, all
        #[arg(long, value_name = "NUMBER")]
        limit: Option<u64>,
    },
    /// Shows a schedule with its last occurrences and what became of their tasks
    Show {
        /// The schedule
        name: String,
    },
    /// Makes a schedule
    Create(Box<Write>),
    /// Changes what a schedule says: only what is given, or with --file all of it
    Update(Box<Update>),
    /// Takes schedules away, with what is remembered of their occurrences
    Delete {
        /// The schedules
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Lets nothing of schedules be put in; what falls into the pause is not caught up with
    Pause {
        /// The schedules
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// The reason, for whoever wonders
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Lets paused schedules go on, from now
    Resume {
        /// The schedules
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
    /// Puts in a task of each schedule now; the timetable goes on as it is
    Run {
        /// The schedules
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// Makes it repeatable: the same schedule and key are one task
        #[arg(long)]
        key: Option<String>,
    },
    /// Shows when a schedule is due next
    Next {
        /// The schedule
        name: String,
        #[command(flatten)]
        coming: Coming,
    },
    /// Says what an expression means and when it is due; needs no server
    ///
    /// An expression has five fields (crontab), six or seven (Quartz), or is `@daily`, `every 90s`,
    /// `at 2027-01-01T09:00`. Put it in quotes: the shell reads `*` too.
    Explain {
        /// The expression, such as '30 2 * * *'
        #[arg(required = true, value_name = "EXPR")]
        when: Vec<String>,
        /// The IANA zone whose wall clock counts, such as Europe/Berlin; without it, UTC
        #[arg(long)]
        zone: Option<String>,
        #[command(flatten)]
        coming: Coming,
    },
    /// Puts in the tasks of all occurrences of a range in the past, whatever came of them before
    Backfill(Backfill),
    /// Makes and changes schedules from NDJSON, as an export writes it
    Import {
        /// The file to read; without it, stdin
        #[arg(long)]
        file: Option<PathBuf>,
        /// Changes schedules that are there and say something else
        #[arg(long)]
        replace: bool,
        /// Tells what would change; changes nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Writes the schedules as NDJSON
    Export {
        /// The file to write; without it, stdout
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Checks a timetable file and shows what it would change; changes nothing
    Plan {
        /// The timetable file, such as schedules.toml
        file: PathBuf,
        /// Only checks the file and shows what it says; asks no gateway
        #[arg(long)]
        offline: bool,
    },
}

/// Where a schedule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Origin {
    /// A timetable file.
    File,
    /// A program that declares it next to a handler.
    Code,
    /// Somebody who made it at run time.
    Api,
}

impl Origin {
    /// Returns its name, here and in the gateway's answers.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Code => "code",
            Self::Api => "api",
        }
    }
}

/// Which occurrences are shown.
#[derive(Debug, Args)]
pub(crate) struct Coming {
    /// From this time on, such as 2027-03-28 or 2027-03-28T01:00:00Z; without it, from now on
    #[arg(long, value_name = "TIME")]
    pub(crate) from: Option<String>,
    /// How many
    #[arg(
        short = 'n', long, value_name = "NUMBER", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1_000)
    )]
    pub(crate) number: u16,
}

/// A schedule to make.
#[derive(Debug, Args)]
pub(crate) struct Write {
    /// The schedule, such as report.nightly
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) said: Said,
    /// A file with all of it instead: one JSON object, or one TOML table
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

/// A schedule to change.
#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) write: Write,
    /// Takes away what the schedule says about this, such as zone or end
    #[arg(long, value_name = "FIELD", conflicts_with = "file")]
    pub(crate) clear: Vec<String>,
}

/// What a schedule says, as far as it is given.
#[derive(Debug, Default, PartialEq, Args)]
#[group(id = "said", multiple = true, conflicts_with = "file")]
pub(crate) struct Said {
    /// When it is due: an expression, such as '30 2 * * *', '@daily' or 'every 90s'
    #[arg(long, value_name = "EXPR")]
    pub(crate) when: Option<String>,
    /// The IANA zone whose wall clock counts, such as Europe/Berlin
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// The kind of its tasks
    #[arg(long)]
    pub(crate) kind: Option<String>,
    /// The args of its tasks: a JSON document
    #[arg(long, value_name = "JSON")]
    pub(crate) args: Option<String>,
    /// The queue of its tasks
    #[arg(long)]
    pub(crate) queue: Option<String>,
    /// How urgent its tasks are: critical, high, normal or low
    #[arg(long)]
    pub(crate) class: Option<String>,
    /// A task is not started later than this after it was due
    #[arg(long, value_name = "DURATION")]
    pub(crate) expires: Option<DurationText>,
    /// Limits each attempt of a task
    #[arg(long, value_name = "DURATION")]
    pub(crate) timeout: Option<DurationText>,
    /// Limits the number of attempts of a task, the first included
    #[arg(long, value_name = "NUMBER")]
    pub(crate) max_attempts: Option<u32>,
    /// Adds a tag to find its tasks by
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) tags: Vec<(String, String)>,
    /// Nothing is due before this time, such as 2027-01-31T08:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<String>,
    /// Nothing is due after this time
    #[arg(long, value_name = "TIME")]
    pub(crate) end: Option<String>,
    /// Puts each occurrence off by a time of its own below this
    #[arg(long, value_name = "DURATION")]
    pub(crate) jitter: Option<DurationText>,
    /// Which of the missed occurrences are put in late: skip, latest or all
    #[arg(long, value_name = "POLICY")]
    pub(crate) misfire: Option<String>,
    /// An occurrence is missed once it is this late
    #[arg(long, value_name = "DURATION")]
    pub(crate) misfire_after: Option<DurationText>,
    /// No missed occurrence is put in that is later than this
    #[arg(long, value_name = "DURATION")]
    pub(crate) misfire_window: Option<DurationText>,
    /// Most missed occurrences that are put in
    #[arg(long, value_name = "NUMBER")]
    pub(crate) misfire_max: Option<u32>,
    /// What becomes of an occurrence while the task before it runs: allow, skip, queue or cancel
    #[arg(long, value_name = "RULE")]
    pub(crate) overlap: Option<String>,
    /// Days on which nothing is due, such as 2027-12-24..2027-12-31, 12-25 or sat
    #[arg(long, value_name = "DAY", value_delimiter = ',')]
    pub(crate) exclude: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

/// A range to put in again, or for the first time.
#[derive(Debug, Args)]
pub(crate) struct Backfill {
    /// The schedule
    pub(crate) name: String,
    /// The first time that counts, such as 2027-03-28 or 2027-03-28T01:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) from: String,
    /// The last time that counts; without it, now
    #[arg(long, value_name = "TIME")]
    pub(crate) to: Option<String>,
    /// Makes it repeatable: the same occurrence and key are one task
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Tells how many there are, the first and the last; changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Does not ask before it begins
    #[arg(long, short)]
    pub(crate) yes: bool,
}
