//! `leveret-loadtest`: proofs with the full numbers.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use leveret_loadtest::chaos::{self, Playbill, Row, rows};
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
    /// Play rows of the fault matrix: real faults on real processes, and servers of their own.
    Chaos(Chaos),
}

#[derive(Args)]
struct Chaos {
    /// Which rows, such as F10,F21.
    #[arg(long, value_delimiter = ',', value_parser = row, required_unless_present_any = ["all", "list"])]
    row: Vec<&'static Row>,
    /// All of them.
    #[arg(long, conflicts_with = "row")]
    all: bool,
    /// Say which rows there are, and play none.
    #[arg(long)]
    list: bool,
    /// On which backends, as far as a row applies there.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = On::ALL)]
    on: Vec<On>,
    /// What chance goes by; drawn for each play and told where it is red.
    #[arg(long)]
    seed: Option<u64>,
    /// How often each row is played.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// For how many minutes a soak (F51) lasts.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Have each fault last as long as the matrix says, and not only until it is felt.
    #[arg(long)]
    full: bool,
    /// Print one JSON line per play instead of a table.
    #[arg(long)]
    json: bool,
    /// Write what was found into the table of this page.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "docs/faults.md")]
    write_table: Option<PathBuf>,
}

fn row(name: &str) -> Result<&'static Row, String> {
    rows::find(name).ok_or_else(|| "there is no such row; --list says which there are".to_owned())
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
        Run::Chaos(chaos) => chaos.play(),
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

impl Chaos {
    /// Plays what was asked for; true where all of it holds.
    fn play(self) -> bool {
        if self.list {
            chaos::report::list();
            return true;
        }
        let rows = if self.all { rows::all() } else { self.row };
        let Self { on, seed, repeat, minutes, full, json, write_table, .. } = self;
        let playbill = Playbill { rows, on, seed, repeat, minutes, is_full: full };
        let played = tokio::runtime::Runtime::new().map(|runtime| {
            runtime.block_on(playbill.play_until(chaos::interrupted(), |played| {
                chaos::report::tell(played, json);
            }))
        });
        let played = match played {
            Ok(Some(played)) => played,
            Ok(None) => {
                chaos::report::complain("interrupted; its processes and servers are gone");
                return false;
            }
            Err(error) => {
                chaos::report::complain(&error.to_string());
                return false;
            }
        };
        if !json {
            chaos::report::table(&played);
        }
        let written = write_table.map(|page| chaos::report::write(&played, &page));
        let written = written.unwrap_or(Ok(())).map_err(|error| {
            chaos::report::complain(&error.to_string());
        });
        written.is_ok() && !played.is_empty() && played.iter().all(chaos::Played::is_green)
    }
}
