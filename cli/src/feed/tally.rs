//! What became of the lines so far: counted, shown, and the first refusals told.

use serde_json::{Value, json};

use crate::client::Refusal;
use crate::error::Error;
use crate::progress::Progress;
use crate::report::{self, Format};

/// How many refusals are told one by one.
const TOLD: usize = 10;

/// What became of the lines so far.
pub(super) struct Tally {
    noun: &'static str,
    format: Format,
    bar: Progress,
    accepted: u64,
    repeated: u64,
    refused: u64,
    /// The last line up to which all are answered for.
    pub(super) answered: u64,
    told: Vec<String>,
}

impl Tally {
    pub(super) fn new(noun: &'static str, format: Format) -> Self {
        let bar = Progress::count(noun);
        let (accepted, repeated, refused, answered) = (0, 0, 0, 0);
        Self { noun, format, bar, accepted, repeated, refused, answered, told: Vec::new() }
    }

    /// Counts and prints an answer; returns what the line was refused for.
    pub(super) fn note(
        &mut self,
        number: u64,
        mut answer: Value,
    ) -> Result<Option<Refusal>, Error> {
        answer["line"] = number.into();
        if self.format == Format::Jsonl {
            self.bar.aside(|| report::line(&answer))?;
        }
        self.bar.more(1);
        let Some(refusal) = Refusal::of_line(&answer) else {
            self.accepted += 1;
            self.repeated += u64::from(answer["repeated"] == true);
            return Ok(None);
        };
        self.refused += 1;
        self.bar.say(format!("({} refused)", self.refused));
        if self.told.len() < TOLD {
            self.told.push(format!("line {number}: {refusal}"));
        }
        Ok(Some(refusal))
    }

    /// Tells the refusals and the counts.
    pub(super) fn finish(&self) -> Result<(), Error> {
        self.bar.finish();
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

    /// Fails where a line was refused.
    pub(super) const fn judge(&self) -> Result<(), Error> {
        match self.refused {
            0 => Ok(()),
            refused => {
                Err(Error::SomeRefused { refused, total: self.accepted + refused, noun: self.noun })
            }
        }
    }
}
