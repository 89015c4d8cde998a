//! `leveret-loadtest`: proofs with the full numbers.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use leveret_loadtest::backlog::{self, Plan};
use leveret_loadtest::ground::On;
use leveret_loadtest::report;

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
        /// How many tasks.
        #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
        tasks: u64,
        /// On which backends.
        #[arg(long, value_enum, value_delimiter = ',', default_values_t = On::ALL)]
        on: Vec<On>,
        /// Tasks that run at once.
        #[arg(long, default_value_t = 64)]
        slots: u32,
        /// Print one JSON line per backend instead of a table.
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    let CommandLine { run: Run::Backlog { tasks, on, slots, json } } = CommandLine::parse();
    let mut holds = true;
    for on in on {
        match backlog::run(on, &Plan { tasks, slots }) {
            Ok(found) => {
                holds &= found.failures().is_empty();
                report::print(&found, json);
            }
            Err(error) => {
                holds = false;
                report::complain(on, &error);
            }
        }
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
