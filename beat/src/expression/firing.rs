//! From wall-clock times to instants: what the clocks' changes do to a timetable.
//!
//! Knows zones, not expressions: the matching wall-clock times come from a function that returns
//! the next one. Both searches rest on one fact: along ascending wall-clock times, the first
//! instant of each never goes back, and neither does the last instant of each. So the first match
//! beyond a bound is the earliest one, and no day has to be treated apart. Seconds since 1970, of
//! UTC or of the wall clock; a search looks at a handful of wall-clock times, whatever is asked.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// What a timetable does when the clocks change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clocks {
    /// Fixed times: one in a gap moves to its end, one that comes twice counts the first time.
    Fixed,
    /// Repeats within certain hours: one in a gap moves to its end, one that comes twice counts
    /// both times.
    Repeating,
    /// Repeats in every hour: there is none in a gap, one that comes twice counts both times.
    Hourly,
}

/// Where a wall-clock time is among the instants.
enum Found {
    At(i64),
    Twice(i64, i64),
    /// Nowhere: the instant at which the clocks jump over it, and what they show then.
    Gap {
        end: i64,
        shown: i64,
    },
}

/// Returns the first instant after `after` at which a timetable is due.
pub(super) fn next(
    zone: Tz,
    clocks: Clocks,
    after: i64,
    next_on_the_wall: impl Fn(i64) -> Option<i64>,
) -> Option<i64> {
    let local = after.checked_add(i64::from(offset(zone, after)?))?;
    let first = |from: i64| {
        let mut wall = from;
        loop {
            wall = next_on_the_wall(wall)?;
            let instant = match find(zone, wall)? {
                Found::At(only) => only,
                Found::Twice(first, _) => first,
                Found::Gap { shown, .. } if clocks == Clocks::Hourly => {
                    wall = shown - 1;
                    continue;
                }
                Found::Gap { end, .. } => end,
            };
            if instant > after {
                return Some(instant);
            }
        }
    };
    let (pass, other) = match find(zone, local)? {
        Found::Twice(first, second) => (first, second),
        // What the clock shows exists; and where it shows that once, no earlier time is to come.
        Found::At(_) | Found::Gap { .. } => return first(local),
    };
    // In a fold. Its second pass begins with the time that the clocks go back to.
    let length = other - pass;
    let back = fold(zone, pass, other)?;
    let is_second_pass = after >= back.instant;
    if clocks == Clocks::Fixed {
        // All of a second pass has been: it is left in one step, not time by time.
        return first(if is_second_pass { back.shown + length - 1 } else { local });
    }
    let second = |from: i64| {
        let wall = next_on_the_wall(from)?;
        match find(zone, wall)? {
            Found::At(instant) | Found::Twice(_, instant) => Some(instant),
            Found::Gap { .. } => first(wall - 1),
        }
    };
    if is_second_pass {
        return second(local);
    }
    match (first(local), second(back.shown - 1)) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Returns the first instant at which the clocks of a zone show a time, or at which they jump over
/// it.
pub(crate) fn first_instant(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(first(zone, wall.and_utc().timestamp())?, 0)
}

/// [`first_instant`] in seconds.
pub(super) fn first(zone: Tz, wall: i64) -> Option<i64> {
    Some(match find(zone, wall)? {
        Found::At(instant) | Found::Twice(instant, _) | Found::Gap { end: instant, .. } => instant,
    })
}

/// The instant at which clocks go back, and what they show then.
struct Back {
    instant: i64,
    shown: i64,
}

/// Finds the change between the two instants at which the same time is shown.
fn fold(zone: Tz, mut first: i64, mut second: i64) -> Option<Back> {
    let old = offset(zone, first)?;
    while second - first > 1 {
        let middle = first + (second - first) / 2;
        if offset(zone, middle)? == old {
            first = middle;
        } else {
            second = middle;
        }
    }
    Some(Back { instant: second, shown: second + i64::from(offset(zone, second)?) })
}

fn find(zone: Tz, wall: i64) -> Option<Found> {
    let shown = DateTime::from_timestamp(wall, 0)?.naive_utc();
    Some(match zone.offset_from_local_datetime(&shown) {
        MappedLocalTime::Single(only) => Found::At(wall - seconds(&only)),
        MappedLocalTime::Ambiguous(first, second) => {
            Found::Twice(wall - seconds(&first), wall - seconds(&second))
        }
        MappedLocalTime::None => {
            let end = GapInfo::new(&shown, &zone)?.end?;
            Found::Gap { end: end.timestamp(), shown: end.naive_local().and_utc().timestamp() }
        }
    })
}

fn offset(zone: Tz, instant: i64) -> Option<i32> {
    let utc = DateTime::from_timestamp(instant, 0)?.naive_utc();
    Some(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

fn seconds(offset: &impl Offset) -> i64 {
    i64::from(offset.fix().local_minus_utc())
}
