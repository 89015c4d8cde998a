//! Explains an expression: in words, by its next instants, and by the days on which the clocks change.
//!
//! Pure: what a person is shown before anything is stored. What happens at a change of the clocks
//! is the expression's rule; here it is only pointed out.

use chrono::{DateTime, NaiveDate, NaiveTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::expression::{Expression, firing};

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// In words.
    pub words: String,
    /// Its next instants.
    pub upcoming: Vec<Upcoming>,
}

/// One instant of an expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Upcoming {
    /// The instant.
    pub due: DateTime<Utc>,
    /// What the wall clock shows then.
    pub local: DateTime<Tz>,
    /// The change of the clocks on that day of the zone, where there is one.
    pub clock_change: Option<ClockChange>,
}

/// A change of a zone's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockChange {
    /// The first instant with the new offset.
    pub at: DateTime<Utc>,
    /// By how much: forward (a gap, times that do not exist) where positive, back (a fold, times
    /// that happen twice) where negative.
    pub by: TimeDelta,
}

/// Explains an expression: its words and its first `most` instants strictly after `from`.
///
/// An expression that names its own zone is explained in that one.
#[must_use]
pub fn explain(expression: &Expression, zone: Tz, from: DateTime<Utc>, most: usize) -> Explanation {
    let zone = expression.zone().unwrap_or(zone);
    let dues =
        std::iter::successors(expression.next(zone, from), |due| expression.next(zone, *due));
    let upcoming = dues.take(most).map(|due| upcoming(zone, due)).collect();
    Explanation { words: expression.words(), upcoming }
}

/// Shows one instant in a zone.
#[must_use]
pub fn upcoming(zone: Tz, due: DateTime<Utc>) -> Upcoming {
    let local = due.with_timezone(&zone);
    Upcoming { due, local, clock_change: clock_change(zone, due) }
}

/// Returns the change of the clocks on the day of `zone` that `instant` falls on.
#[must_use]
pub fn clock_change(zone: Tz, instant: DateTime<Utc>) -> Option<ClockChange> {
    let day = instant.with_timezone(&zone).date_naive();
    // A day that the clocks jump into begins with the jump, so the second before it counts too.
    let second_before = |day: NaiveDate| {
        let begins = firing::first_instant(zone, day.and_time(NaiveTime::MIN))?;
        begins.checked_sub_signed(TimeDelta::seconds(1)).map(|second| second.timestamp())
    };
    let (mut before, mut after) = (second_before(day)?, second_before(day.succ_opt()?)?);
    let offset = |second: i64| {
        let at = DateTime::from_timestamp(second, 0)?;
        Some(zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc())
    };
    let (old, new) = (offset(before)?, offset(after)?);
    if old == new {
        return None;
    }
    while after - before > 1 {
        let middle = before + (after - before) / 2;
        if offset(middle)? == old {
            before = middle;
        } else {
            after = middle;
        }
    }
    let by = TimeDelta::seconds(i64::from(new - old));
    Some(ClockChange { at: DateTime::from_timestamp(after, 0)?, by })
}
