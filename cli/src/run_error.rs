//! Why a role of a program failed, as the program's `main` sees it.

use std::fmt;

use leveret_common::config::Problems;

use crate::error::Error;

/// Tells why a role of a program failed: what, on what, why, and how to mend it.
///
/// Its `Debug` is the same sentence, so that a `main` that returns it tells people no less.
pub struct RunError(Error);

impl RunError {
    /// Returns the exit code that the command `leveret` ends with for the same reason, see
    /// `docs/exit-codes.md`.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.0.exit().code()
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(to)
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, to)
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl From<Problems> for RunError {
    fn from(problems: Problems) -> Self {
        Self(problems.into())
    }
}
