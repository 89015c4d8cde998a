//! A cron expression: five fields, as in crontab(5), and the instants it names.
//!
//! [`syntax`] decides what may be written, `croner` which wall-clock minutes a field list names,
//! and [`firing`] which instant each of those is in a zone. `croner` is asked for wall-clock times
//! only: its own rule for days on which the clocks change treats `0 2 * * *` and `0,30 2 * * *`
//! differently. Nothing here reads a clock. Guards that an expression which was accepted fires at
//! some time.

mod firing;
mod syntax;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// A parsed cron expression.
///
/// The fields are minute, hour, day of month, month and day of week. 0 and 7 are Sunday; names
/// (`JAN`, `MON`) may be used; when day of month and day of week are both restricted, a day that
/// matches *either* fires, and a field that begins with `*` (such as `*/2`) is not restricted, so
/// that then *both* have to match. Beyond crontab: `L` (last day), `LW`, `15W` (nearest workday),
/// `5L` (last Friday), `5#3` (third Friday), `?` for `*` in the day fields, and the words
/// `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly` and `@annually`.
///
/// # Examples
///
/// ```
/// use leveret_beat::{chrono::DateTime, chrono_tz::Europe::Berlin, expression::Expression};
///
/// let daily: Expression = "30 2 * * *".parse()?;
/// let evening = DateTime::parse_from_rfc3339("2026-03-28T20:00:00Z")?.to_utc();
/// // 02:30 does not exist on that morning: the clocks go from 02:00 to 03:00.
/// let next = daily.next(Berlin, evening).map(|instant| instant.to_rfc3339());
/// assert_eq!(next.as_deref(), Some("2026-03-29T01:00:00+00:00"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    text: String,
    cron: Cron,
    repeats: bool,
}

/// Why a text is not a cron expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("failed to read the cron expression `{text}`: {problem}")]
pub struct ExpressionError {
    text: String,
    problem: Problem,
}

/// What is wrong with an expression, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is longer than an expression needs to be.
    #[error("it has {0} characters; the limit is {max}", max = syntax::MAX_LENGTH)]
    TooLong(usize),
    /// Not five fields.
    #[error(
        "it has {0} fields; write five: minute, hour, day of month, month, day of week, \
         as in `30 2 * * *`"
    )]
    FieldCount(usize),
    /// A word that begins with `@` and is none of ours.
    #[error("there is no such word; the words are {words}", words = syntax::words())]
    UnknownWord,
    /// A part of a field that means nothing there.
    #[error("`{part}` means nothing in the field {field}, which takes {takes}")]
    Part {
        /// The field's name.
        field: &'static str,
        /// What was written.
        part: String,
        /// What may be written.
        takes: &'static str,
    },
    /// The fields are each well formed, but a range or number in them is not.
    #[error("{0}")]
    Value(String),
    /// No day has that date.
    #[error("it would never fire: no day has that day and month")]
    Never,
}

impl ExpressionError {
    /// Returns what is wrong.
    #[must_use]
    pub const fn problem(&self) -> &Problem {
        &self.problem
    }
}

impl Expression {
    /// Returns the first instant strictly after `after` at which the expression fires in `zone`.
    ///
    /// On days without a change of the clocks: when the wall clock shows a matching minute. When
    /// the clocks change, by the rule of cron(8):
    ///
    /// - An expression of *fixed* times, whose minute and hour do not begin with `*`, fires for
    ///   times that the clocks jump over once, at the first instant after the gap, and for times
    ///   that happen twice only the first time.
    /// - An expression that *repeats* within the day follows the wall clock: nothing for times
    ///   that do not exist, both times for times that happen twice.
    ///
    /// `None` when `after` or the answer lies outside of the years 1 to 4999.
    #[must_use]
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // chrono panics where a zone's offset leads out of its own calendar.
        if !(1..5_000).contains(&after.year()) {
            return None;
        }
        if self.repeats {
            firing::next_repeating(zone, after, |from| self.next_on_the_wall(from))
        } else {
            firing::next_fixed(zone, after, |from| self.next_on_the_wall(from))
        }
    }

    /// Returns the expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn next_on_the_wall(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&after, false).ok()
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        read(text).map_err(|problem| ExpressionError {
            text: text.chars().take(syntax::MAX_LENGTH).collect(),
            problem,
        })
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

fn read(text: &str) -> Result<Expression, Problem> {
    let fields = syntax::fields(text)?;
    let stepped_star = |field: &str| field.starts_with('*') && field != "*";
    let cron = CronParser::builder()
        .seconds(Seconds::Disallowed)
        .year(Year::Disallowed)
        // croner calls `*/2` a restriction, crontab does not.
        .dom_and_dow(stepped_star(&fields[2]) || stepped_star(&fields[4]))
        .build()
        .parse(&fields.join(" "))
        .map_err(|why| Problem::Value(why.to_string()))?;
    let repeats = fields[..2].iter().any(|field| field.starts_with('*'));
    let expression = Expression { text: text.trim().to_owned(), cron, repeats };
    match expression.next_on_the_wall(DateTime::UNIX_EPOCH.naive_utc()) {
        Some(_) => Ok(expression),
        None => Err(Problem::Never),
    }
}

#[cfg(test)]
mod clock_change_tests;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod second_opinion_tests;
#[cfg(test)]
mod tests;
