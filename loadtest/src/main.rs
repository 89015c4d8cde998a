//! `leveret-loadtest`: proofs with the full numbers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use leveret_loadtest::error::Error;
use leveret_loadtest::ground::On;
use leveret_loadtest::{backlog, report, schedules, timetable};

/// Proofs with the full numbers, on servers of their own.
#[derive(Parser)]
#[command(name = "leveret-loadtest", version)]
struct CommandLine {
    #[command(subcommand)]
    run: Run,
}

#[derive(Subcommand)]
enum Run {
    /// Enqueue many tasks from NDJSON while their queue is paused, then drain it; say what it took.
    Backlog {
        #[command(flatten)]
        shared: Shared,
        /// How many tasks.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
        tasks: u64,
        /// Tasks that run at once.
        #[arg(long, default_value_t = 64)]
        slots: u32,
    },
    /// Run twenty schedules, on servers under three beats of which one is killed again and again;
    /// say of each occurrence how often it was performed and how late.
    Timetable {
        #[command(flatten)]
        shared: Shared,
        /// For how many seconds occurrences are counted.
        #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u64).range(30..))]
        seconds: u64,
        /// Every how many seconds a beat is killed.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(10..))]
        kill_every: u64,
        /// Append every occurrence to this file, one JSON line each.
        #[arg(long, value_name = "FILE")]
        list: Option<PathBuf>,
    },
    /// Load many schedules, and have many due in the same second; say what it took.
    Schedules {
        #[command(flatten)]
        shared: Shared,
        /// How many schedules are loaded.
        #[arg(long, value_delimiter = ',', default_values_t = [10_000, 100_000])]
        loaded: Vec<u64>,
        /// How many are due in the same second.
        #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..))]
        due: u64,
    },
}

#[derive(Args)]
struct Shared {
    /// On which backends.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = On::ALL)]
    on: Vec<On>,
    /// Print one JSON line per backend instead of a table.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let holds = match CommandLine::parse().run {
        Run::Backlog { ref shared, tasks, slots } => shared.each(|on| {
            let found = backlog::run(on, &backlog::Plan { tasks, slots })?;
            report::backlog::print(&found, shared.json);
            Ok(found.failures().is_empty())
        }),
        Run::Timetable { ref shared, seconds, kill_every, list } => shared.each(|on| {
            let (lasts, kill_every) =
                (Duration::from_secs(seconds), Duration::from_secs(kill_every));
            let found = timetable::run(on, &timetable::Plan { lasts, kill_every })?;
            report::timetable::print(&found, shared.json);
            if let Some(path) = &list {
                report::timetable::list(&found, path)?;
            }
            Ok(found.failures().is_empty())
        }),
        Run::Schedules { ref shared, ref loaded, due } => shared.each(|on| {
            let found = schedules::run(on, &schedules::Plan { loaded: loaded.clone(), due })?;
            report::schedules::print(&found, shared.json);
            Ok(found.failures().is_empty())
        }),
    };
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl Shared {
    /// Makes a run on each backend; true where each holds what it claims.
    fn each(&self, run: impl Fn(On) -> Result<bool, Error>) -> bool {
        let mut holds = true;
        for on in &self.on {
            holds &= run(*on).unwrap_or_else(|error| {
                report::complain(*on, &error);
                false
            });
        }
        holds
    }
}
