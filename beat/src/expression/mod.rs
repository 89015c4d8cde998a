//! An expression, and the instants it names.
//!
//! Five fields as in crontab(5), six or seven as in Quartz, words (`@daily`), intervals
//! (`every 90s`) and single instants (`at 2027-01-01T09:00`). `syntax` reads them, `wall` finds
//! the next wall-clock time that a list of fields names, and `firing` which instant that is in a
//! zone. Nothing here reads a clock. Guards that the answer is strictly later than the instant asked
//! about, that it is the same for everybody who asks, that it is found in bounded time, and that an
//! expression which was accepted is due at some time.

mod day_fields;
mod days;
mod field;
pub(crate) mod firing;
mod interval;
mod once;
mod problem;
mod syntax;
mod wall;
mod words;
pub mod zone;

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

pub(crate) use self::problem::excerpt;
pub use self::problem::{ExpressionError, Field, Problem};
pub(crate) use self::words::listed;

use self::wall::Wall;

/// The longest expression, in bytes: a list of every minute and every hour fits.
pub const MAX_LENGTH: usize = 512;

/// A parsed expression.
///
/// **Five fields** (crontab): minute, hour, day of month, month, day of week. 0 and 7 are Sunday;
/// names (`JAN`, `MON`) may be used; when day of month and day of week are both restricted, a day
/// that matches *either* counts, and a field that begins with `*` (such as `*/2`) is not restricted,
/// so that then *both* have to match. **Six or seven fields** (Quartz): a second before them, a year
/// (1970 to 2099) behind them, 1 is Sunday, ranges may wrap (`FRI-MON`, `22-4`), `5/15` means from 5
/// on each 15, and one of the day fields is `?`. Both know `L` (last day), `L-3`, `15W` (nearest
/// workday), `LW`, the last Friday (`FRIL`) and the third Friday (`FRI#3`).
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
    text: Box<str>,
    kind: Kind,
}

/// What an expression names.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    /// Times of the wall clock.
    Wall(Wall),
    /// Instants at one distance, in seconds.
    Every { interval: u32, phase: u32 },
    /// One instant.
    Instant(i64),
    /// One time of the wall clock.
    Local { wall: i64, zone: Option<Tz> },
}

impl Expression {
    /// Returns the first instant strictly after `after` at which the expression is due in `zone`.
    ///
    /// On days without a change of the clocks: when the wall clock shows a matching time. When the
    /// clocks change:
    ///
    /// - An expression of *fixed* times, whose minute and hour do not begin with `*` (nor are
    ///   `0/15`, with Quartz), is due for times that the clocks jump over once, at the first instant
    ///   after the gap, and for times that come twice only the first time.
    /// - An expression that *repeats* is due both times for times that come twice. For times that
    ///   the clocks jump over it is due at the first instant after the gap, unless it repeats in
    ///   every hour: then nothing is missing.
    ///
    /// `every` knows no clocks, and `at` is a fixed time. `None` when there is none before 2100.
    #[must_use]
    pub fn next(&self, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Every instant is a whole second: later than its fraction is later than the second.
        DateTime::from_timestamp(self.next_second(zone, after.timestamp())?, 0)
    }

    /// Returns the zone that the expression names itself, which only `at` can.
    #[must_use]
    pub const fn zone(&self) -> Option<Tz> {
        match self.kind {
            Kind::Local { zone, .. } => zone,
            Kind::Wall(_) | Kind::Every { .. } | Kind::Instant(_) => None,
        }
    }

    /// Whether an `at` that names its own zone names the same instant in `zone`; so does everything
    /// that names none.
    pub(crate) fn agrees_with(&self, zone: Tz) -> bool {
        match self.kind {
            Kind::Local { wall, zone: Some(own) } => {
                firing::first(own, wall) == firing::first(zone, wall)
            }
            Kind::Local { zone: None, .. }
            | Kind::Wall(_)
            | Kind::Every { .. }
            | Kind::Instant(_) => true,
        }
    }

    /// Whether it is due at other instants in another zone.
    #[must_use]
    pub const fn depends_on_zone(&self) -> bool {
        matches!(self.kind, Kind::Wall(_) | Kind::Local { zone: None, .. })
    }

    /// Says it in words: `at 02:00 on the last Friday of each month`.
    #[must_use]
    pub fn words(&self) -> String {
        words::words(&self.kind)
    }

    /// Returns the expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// [`Expression::next`] in seconds since 1970.
    pub(crate) fn next_second(&self, zone: Tz, after: i64) -> Option<i64> {
        let next = match &self.kind {
            Kind::Wall(wall) => {
                // The wall clock of no zone is a day ahead or behind.
                let after = after.max(-2 * wall::DAY);
                firing::next(zone, wall.clocks, after, |from| wall.next(from))?
            }
            Kind::Every { interval, phase } => {
                let (interval, phase) = (i64::from(*interval), i64::from(*phase));
                let turn = after.max(-1).saturating_sub(phase).div_euclid(interval) + 1;
                turn.checked_mul(interval)?.checked_add(phase)?
            }
            Kind::Instant(second) => *second,
            Kind::Local { wall, zone: own } => firing::first(own.unwrap_or(zone), *wall)?,
        };
        (next > after && next < wall::END).then_some(next)
    }
}

impl FromStr for Expression {
    type Err = ExpressionError;

    fn from_str(text: &str) -> Result<Self, ExpressionError> {
        match syntax::read(text) {
            Ok(kind) => Ok(Self { text: text.trim_ascii().into(), kind }),
            Err(problems) => Err(ExpressionError::new(text, problems)),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

#[cfg(test)]
mod calendar_tests;
#[cfg(test)]
mod clock_change_tests;
#[cfg(test)]
mod oracle_tests;
#[cfg(test)]
mod quartz_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod second_opinion_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod words_tests;
#[cfg(test)]
mod zones_tests;
