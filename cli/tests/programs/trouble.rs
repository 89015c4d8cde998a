//! A program whose handler misbehaves as its args say: it blocks its thread, panics, ends the process, overflows its
//! stack, never comes back, or fails at first and wants to be tried again at one instant. Only `leveret-loadtest`
//! starts it.
//!
//! Each run is written into the journal that the args name: a line when it begins, one when it ends well.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use leveret::Program;
use leveret::common::clock::{Clock, Millis};
use leveret::prelude::*;
use leveret::worker::handler::Execution;
use serde::Deserialize;

/// How a handler misbehaves.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum How {
    Fine,
    Block,
    Panic,
    Abort,
    Exit,
    Overflow,
    Deadlock,
    Later,
}

#[derive(Debug, Deserialize)]
struct Order {
    /// The journal.
    journal: PathBuf,
    how: How,
    /// How long it takes.
    #[serde(default)]
    millis: u64,
    /// How many workers it kills before it behaves.
    #[serde(default)]
    kills: u32,
    /// When a failed one is due again, in milliseconds since 1970.
    #[serde(default)]
    due: u64,
}

async fn trouble(order: Order, run: Execution) -> Result<(), TaskError> {
    write(&order.journal, &run, "begin", "")?;
    let is_first = run.order.attempt == 1;
    match order.how {
        How::Block => block(Duration::from_millis(order.millis)),
        How::Panic if is_first => burst(),
        How::Later if is_first => {
            let after = Millis(order.due).since(SystemClock.now());
            return Err(TaskError::retry_in(after, "it is told to come again"));
        }
        How::Deadlock if is_first => std::future::pending().await,
        How::Abort if run.crashes < order.kills => std::process::abort(),
        How::Exit if run.crashes < order.kills => leave(),
        How::Overflow if run.crashes < order.kills => {
            fall(run.fence.0);
        }
        How::Fine
        | How::Panic
        | How::Deadlock
        | How::Abort
        | How::Exit
        | How::Overflow
        | How::Later => {
            tokio::time::sleep(Duration::from_millis(order.millis)).await;
        }
    }
    write(&order.journal, &run, "end", " 0")
}

/// Keeps its thread busy.
fn block(lasts: Duration) {
    let began = Instant::now();
    while began.elapsed() < lasts {
        std::hint::spin_loop();
    }
}

#[allow(clippy::panic, reason = "it is what the handler is for")]
fn burst() {
    panic!("a handler panics as it was told to");
}

#[allow(clippy::disallowed_methods, reason = "it is what the handler is for")]
fn leave() {
    std::process::exit(3);
}

/// Calls itself until there is no stack.
#[allow(unconditional_recursion, reason = "it is what the handler is for")]
fn fall(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 128]);
    fall(depth + 1) + room[usize::try_from(depth % 128).unwrap_or_default()]
}

/// Appends a line; of two that write at once, both are kept whole.
fn write(journal: &Path, run: &Execution, what: &str, code: &str) -> Result<(), TaskError> {
    let (id, attempt, fence, crashes) = (run.id, run.order.attempt, run.fence.0, run.crashes);
    let (worker, micros) = (std::process::id(), SystemClock.now().0 * 1_000);
    let line = format!("{what} {id} {attempt} {fence} {crashes} {worker} {micros}{code}\n");
    let mut file = std::fs::File::options().create(true).append(true).open(journal)?;
    Ok(file.write_all(line.as_bytes())?)
}

fn main() -> ExitCode {
    Program::new(Handlers::new().program("trouble").handle_as("trouble", trouble)).main()
}
