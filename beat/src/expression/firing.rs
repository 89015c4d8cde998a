//! From wall-clock times to instants: what the clocks' changes do to a timetable.
//!
//! Knows zones, not expressions: the matching wall-clock times come from a function that returns
//! the next one. Both searches rest on one fact: along ascending wall-clock times, the first
//! instant of each never goes back, and neither does the last instant of each. So the first match
//! beyond a bound is the earliest one, and no day has to be treated apart.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// Returns the first instant after `after` at which a timetable of fixed times fires: the first
/// instant of each wall-clock time, or the end of the gap that swallowed it.
pub(super) fn next_fixed(
    zone: Tz,
    after: DateTime<Utc>,
    next_on_the_wall: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<DateTime<Utc>> {
    let mut wall = after.with_timezone(&zone).naive_local();
    loop {
        wall = next_on_the_wall(wall)?;
        let instant = match zone.from_local_datetime(&wall) {
            MappedLocalTime::Single(only) => only,
            MappedLocalTime::Ambiguous(first, _) => first,
            MappedLocalTime::None => end_of_gap(zone, wall)?,
        };
        if instant > after {
            return Some(instant.to_utc());
        }
    }
}

/// Returns the first instant after `after` at which a timetable that repeats fires: every instant
/// at which the wall clock shows a matching time.
pub(super) fn next_repeating(
    zone: Tz,
    after: DateTime<Utc>,
    next_on_the_wall: impl Fn(NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<DateTime<Utc>> {
    let local = after.with_timezone(&zone).naive_local();
    let find = |from: NaiveDateTime, choose: fn(DateTime<Tz>, DateTime<Tz>) -> DateTime<Tz>| {
        let mut wall = from;
        loop {
            wall = next_on_the_wall(wall)?;
            let instant = match zone.from_local_datetime(&wall) {
                MappedLocalTime::Single(only) => only,
                MappedLocalTime::Ambiguous(first, second) => choose(first, second),
                MappedLocalTime::None => continue,
            };
            if instant > after {
                return Some(instant.to_utc());
            }
        }
    };
    let first_pass = find(local, |first, _| first)?;
    // During the first pass of a repeated hour its second pass is still to come, with wall-clock
    // times from the start of the fold on; the fold is as long as the clocks go back.
    let start = match zone.from_local_datetime(&local) {
        MappedLocalTime::Ambiguous(first, second) if after < second => {
            local.checked_sub_signed(second - first)?
        }
        _ => local,
    };
    let second_pass = find(start, |_, second| second)?;
    Some(first_pass.min(second_pass))
}

fn end_of_gap(zone: Tz, wall: NaiveDateTime) -> Option<DateTime<Tz>> {
    GapInfo::new(&wall, &zone)?.end
}
