//! What is wrong with an expression: where, why, and what to write instead.

use std::fmt;

/// Why a text is not an expression: everything that is wrong with it, at least one problem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    text: Box<str>,
    problems: Vec<Problem>,
}

/// One thing that is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// The field; none where it is the expression as a whole.
    pub field: Option<Field>,
    /// Where it stands in the whole text, in characters from 1.
    pub column: usize,
    /// What is wrong, in half a sentence.
    pub why: String,
    /// What may be written there, with its range.
    pub takes: Option<&'static str>,
    /// What was probably meant.
    pub suggestion: Option<String>,
}

/// A part of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// Second of the minute.
    Second,
    /// Minute of the hour.
    Minute,
    /// Hour of the day.
    Hour,
    /// Day of the month.
    DayOfMonth,
    /// Month of the year.
    Month,
    /// Day of the week.
    DayOfWeek,
    /// Year.
    Year,
    /// How long it is from one instant of `every` to the next.
    Interval,
    /// How long after the turn of an interval it is due.
    Phase,
    /// The instant of `at`.
    Instant,
    /// The zone of `at`.
    Zone,
}

impl ExpressionError {
    pub(super) fn new(text: &str, problems: Vec<Problem>) -> Self {
        Self { text: excerpt(text, super::MAX_LENGTH).into(), problems }
    }

    /// Returns everything that is wrong, in the order of the text.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "failed to read the expression `{}`: ", self.text)?;
        for (place, problem) in self.problems.iter().enumerate() {
            let gap = if place == 0 { "" } else { "; " };
            write!(f, "{gap}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ExpressionError {}

impl Problem {
    pub(super) fn new(column: usize, why: impl Into<String>) -> Self {
        Self { field: None, column, why: shown(&why.into()), takes: None, suggestion: None }
    }

    pub(super) fn of(mut self, field: Field, takes: &'static str) -> Self {
        (self.field, self.takes) = (Some(field), Some(takes));
        self
    }

    pub(super) fn suggest(mut self, suggestion: impl Into<String>) -> Self {
        self.suggestion = Some(shown(&suggestion.into()));
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(field) = self.field {
            write!(f, "{field}, ")?;
        }
        write!(f, "column {}: {}", self.column, self.why)?;
        if let Some(takes) = self.takes {
            write!(f, "; write {takes}")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; did you mean `{suggestion}`?")?;
        }
        Ok(())
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Second => "second",
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
            Self::Year => "year",
            Self::Interval => "interval",
            Self::Phase => "phase",
            Self::Instant => "instant",
            Self::Zone => "zone",
        })
    }
}

/// Keeps a message short and printable whatever was sent.
pub(crate) fn excerpt(text: &str, most: usize) -> String {
    printable(text).take(most).collect()
}

fn shown(text: &str) -> String {
    printable(text).collect()
}

/// Writes what a terminal would obey, or not show, as `\u{1b}`. Whatever went through it once, a
/// second time leaves as it is.
fn printable(text: &str) -> impl Iterator<Item = char> {
    text.chars().flat_map(|c| {
        let is_plain = matches!(c, '\'' | '"' | '\\');
        let escaped = (!is_plain).then(|| c.escape_debug());
        is_plain.then_some(c).into_iter().chain(escaped.into_iter().flatten())
    })
}

/// Returns the name that is most like what was written, where one is like it.
pub(super) fn nearest<'n>(
    written: &str,
    names: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    let written = excerpt(written, 64).to_ascii_lowercase();
    let likeness =
        |name: &str| strsim::normalized_damerau_levenshtein(&written, &name.to_ascii_lowercase());
    let judged = names.into_iter().map(|name| (likeness(name), name));
    let near = judged.filter(|(likeness, _)| *likeness >= 0.6);
    near.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, name)| name)
}
