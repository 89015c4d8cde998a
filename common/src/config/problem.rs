//! Where a value came from, and what is wrong with it.
//!
//! Responsible for [`Origin`] and for the report of all problems at once. Finding problems is the
//! readers' work. Guards one rule of the report: each problem says what, where, why and how to
//! mend it, and a secret appears in none.

use std::fmt;

/// Where a setting's value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// It follows from another key.
    Derived {
        /// The key it follows from.
        from: &'static str,
    },
    /// A line of the file.
    File {
        /// The file, as it was named.
        file: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// A variable of the environment, named whole.
    Environment(String),
    /// A flag of the command line, with its dashes.
    Flag(String),
}

/// One thing that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, the variable or the file.
    pub subject: String,
    /// Where it stands, unless that is the subject.
    pub origin: Option<Origin>,
    /// The value as it was written, cut and redacted.
    pub value: Option<String>,
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub mend: String,
}

/// Everything that is wrong with the configuration; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problem {
    pub(super) fn new(
        subject: impl Into<String>,
        why: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            subject: subject.into(),
            origin: None,
            value: None,
            why: why.into(),
            mend: mend.into(),
        }
    }

    pub(super) fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    pub(super) fn with_value(mut self, value: String) -> Self {
        self.value = Some(value);
        self
    }
}

impl Problems {
    /// Succeeds if there are none.
    pub(super) fn refuse_any(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }

    /// Returns the problems in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problems {}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Derived { from } => write!(formatter, "derived from {from}"),
            Self::File { file, line } => write!(formatter, "{file}:{line}"),
            Self::Environment(name) => write!(formatter, "environment {name}"),
            Self::Flag(name) => write!(formatter, "flag {name}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.subject)?;
        if let Some(value) = &self.value {
            write!(formatter, " = {value}")?;
        }
        if let Some(origin) = &self.origin {
            write!(formatter, " ({origin})")?;
        }
        write!(formatter, "\n  why:  {}\n  mend: {}", self.why, self.mend)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, noun) = (self.0.len(), if self.0.len() == 1 { "problem" } else { "problems" });
        write!(formatter, "failed to load the configuration: {count} {noun}")?;
        for problem in &self.0 {
            write!(formatter, "\n\n{problem}")?;
        }
        Ok(())
    }
}
