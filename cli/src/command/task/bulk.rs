//! `leveret task enqueue --ndjson`: many tasks, streamed to the gateway in chunks.
//!
//! A line that is refused does not stop the others. Where no answer comes, the command stops and
//! says which lines are answered for, because later ones may or may not have arrived.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Value, json};

use super::lines::{Chunk, Lines};
use crate::client::{Client, Refusal};
use crate::error::Error;
use crate::exit::Exit;
use crate::report::{self, Format};

/// How many refusals are told one by one.
const TOLD: usize = 10;

/// Enqueues every line of `file`.
///
/// # Cancel safety
/// Dropped, lines may or may not have been accepted.
pub(super) async fn run(file: &Path, client: &Client, format: Format) -> Result<(), Error> {
    let mut lines = Lines::open(file).await?;
    let mut tally = Tally::new(format);
    while let Some(chunk) = lines.chunk().await? {
        if let Err(source) = tally.send(chunk, client).await {
            tally.finish()?;
            let answered = tally.answered;
            return Err(Error::Stopped { answered, source: Box::new(source) });
        }
    }
    tally.finish()?;
    match tally.refused {
        0 => Ok(()),
        refused => Err(Error::SomeRefused { refused, total: tally.accepted + refused }),
    }
}

/// What became of the lines so far.
struct Tally {
    format: Format,
    bar: ProgressBar,
    accepted: u64,
    repeated: u64,
    refused: u64,
    /// The last line up to which all are answered for.
    answered: u64,
    told: Vec<String>,
}

impl Tally {
    fn new(format: Format) -> Self {
        // Drawn on stderr, and only where that is a terminal.
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} tasks, {rate} {msg}")
        {
            let rate = |state: &ProgressState, to: &mut dyn fmt::Write| {
                // A bar that cannot be drawn is no failure of the command.
                let _ = write!(to, "{:.0}/s", state.per_sec());
            };
            bar.set_style(style.with_key("rate", rate));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { format, bar, accepted: 0, repeated: 0, refused: 0, answered: 0, told: Vec::new() }
    }

    async fn send(&mut self, mut chunk: Chunk, client: &Client) -> Result<(), Error> {
        let answers = client.enqueue_lines(chunk.body()).await?;
        let mut unavailable = None;
        let count = answers.len();
        for (number, answer) in chunk.numbers.iter().zip(answers) {
            if let Some(refusal) = self.note(*number, answer)? {
                unavailable = Some(refusal).filter(|refusal| refusal.exit() == Exit::Unreachable);
            }
            if unavailable.is_none() {
                self.answered = *number;
            }
        }
        let operation = "enqueue the tasks";
        if let Some(refusal) = unavailable {
            return Err(Error::Refused { operation, refusal: Box::new(refusal) });
        }
        if count < chunk.numbers.len() {
            let why = format!("{count} of {} lines were answered", chunk.numbers.len());
            return Err(client.broken_off(operation, why));
        }
        Ok(())
    }

    /// Counts and prints an answer; returns what the line was refused for.
    fn note(&mut self, number: u64, mut answer: Value) -> Result<Option<Refusal>, Error> {
        answer["line"] = number.into();
        if self.format == Format::Jsonl {
            self.bar.suspend(|| report::line(&answer))?;
        }
        self.bar.inc(1);
        let Some(refusal) = Refusal::of_line(&answer) else {
            self.accepted += 1;
            self.repeated += u64::from(answer["repeated"] == true);
            return Ok(None);
        };
        self.refused += 1;
        self.bar.set_message(format!("({} refused)", self.refused));
        if self.told.len() < TOLD {
            self.told.push(format!("line {number}: {refusal}"));
        }
        Ok(Some(refusal))
    }

    fn finish(&self) -> Result<(), Error> {
        self.bar.finish_and_clear();
        self.told.iter().for_each(|line| report::narrate(line));
        let untold = self.refused.saturating_sub(self.told.len() as u64);
        if untold > 0 {
            report::narrate(&format!("and {untold} more; -o jsonl prints an answer for each line"));
        }
        let counts = json!({
            "accepted": self.accepted, "repeated": self.repeated, "refused": self.refused,
        });
        match self.format {
            Format::Jsonl => report::narrate(&format!(
                "{} accepted ({} of them repeated), {} refused",
                self.accepted, self.repeated, self.refused
            )),
            Format::Table | Format::Json => {
                report::one(self.format, &["accepted", "repeated", "refused"], &counts)?;
            }
        }
        Ok(())
    }
}
