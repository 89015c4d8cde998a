//! One request for each of several things that were named.
//!
//! One that fails does not stop the others: it is told, and the exit code is that of the first.

use serde_json::Value;

use crate::error::Error;
use crate::report::{self, Format};

/// What became of each.
pub(super) struct Each {
    total: usize,
    answers: Vec<Value>,
    failed: Vec<Error>,
}

impl Each {
    /// Begins with `total` things.
    pub(super) const fn of(total: usize) -> Self {
        Self { total, answers: Vec::new(), failed: Vec::new() }
    }

    /// Takes what became of one; one alone fails as it is.
    pub(super) fn note(&mut self, answer: Result<Value, Error>) -> Result<(), Error> {
        match answer {
            Ok(answer) => self.answers.push(answer),
            Err(error) if self.total == 1 => return Err(error),
            Err(error) => {
                report::complain(&error);
                self.failed.push(error);
            }
        }
        Ok(())
    }

    /// Prints what was answered, one alone as what it is, and fails where any did.
    pub(super) fn finish(self, format: Format, columns: &[&str]) -> Result<(), Error> {
        match self.answers.as_slice() {
            [answer] if self.total == 1 => report::one(format, columns, answer)?,
            [] => {}
            answers => report::rows(format, columns, answers)?,
        }
        match self.failed.first() {
            None => Ok(()),
            Some(first) => {
                let (failed, exit) = (self.failed.len(), first.exit());
                Err(Error::SomeFailed { failed, total: self.total, exit })
            }
        }
    }
}
