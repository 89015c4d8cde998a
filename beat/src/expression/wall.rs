//! Which wall-clock times a list of fields names: sets of bits, and a search through the calendar.
//!
//! Knows no zone; [`super::firing`] does, for which it keeps what to do at a change. A time is in
//! seconds since 1970-01-01T00:00:00 of the wall clock. Guards that a search is bounded: month by
//! month it looks at the 130 years that there are, 1,560 months at most, and skips the years and
//! months that cannot match.

use super::days::Days;
use super::firing::Clocks;

/// The first year that there is.
pub(super) const FIRST_YEAR: u16 = 1970;
/// The last year that there is.
pub(super) const LAST_YEAR: u16 = 2099;
/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;
/// The first second of the wall clock after the last year.
pub(super) const END: i64 = 47_482 * DAY;

/// A set of years, one bit each from [`FIRST_YEAR`].
pub(super) type Years = [u64; 3];

/// The wall-clock times that a list of fields names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wall {
    pub(super) seconds: u64,
    pub(super) minutes: u64,
    /// `None` for every year.
    pub(super) years: Option<Box<Years>>,
    pub(super) hours: u32,
    pub(super) days: Days,
    /// Bits 1 to 12.
    pub(super) months: u16,
    /// What they do when the clocks change.
    pub(super) clocks: Clocks,
}

impl Wall {
    /// Returns the first matching time strictly after `after`.
    pub(super) fn next(&self, after: i64) -> Option<i64> {
        let from = after.checked_add(1)?.max(0);
        if from >= END {
            return None;
        }
        let (today, second) = (from.div_euclid(DAY), from.rem_euclid(DAY));
        let (mut year, mut month, day) = date(today);
        let mut first = today - i64::from(day) + 1;
        let mut days = self.days_in(year, month, first) >> day;
        if days & 1 == 1
            && let Some(time) = self.time_from(second)
        {
            return Some(today * DAY + time);
        }
        days = days >> 1 << 1 << day;
        while days == 0 {
            (year, month) = self.month_after(year, month)?;
            first = days_before(year, month);
            days = self.days.of_month(length(year, month), weekday(first));
        }
        let day = first + i64::from(days.trailing_zeros()) - 1;
        Some(day * DAY + self.first_time())
    }

    /// Returns the matching days of a month that begins on the day `first`, bits 1 to 31.
    fn days_in(&self, year: u16, month: u8, first: i64) -> u32 {
        if self.months >> month & 1 == 0 || !self.has_year(year) {
            return 0;
        }
        self.days.of_month(length(year, month), weekday(first))
    }

    fn has_year(&self, year: u16) -> bool {
        self.years.as_ref().is_none_or(|years| {
            let bit = usize::from(year - FIRST_YEAR);
            years[bit / 64] >> (bit % 64) & 1 == 1
        })
    }

    /// Returns the first matching month after `month` of `year`.
    fn month_after(&self, year: u16, month: u8) -> Option<(u16, u8)> {
        if let Some(month) = first_from(u64::from(self.months), month + 1)
            && self.has_year(year)
        {
            return Some((year, month));
        }
        let year = (year + 1..=LAST_YEAR).find(|year| self.has_year(*year))?;
        Some((year, first_from(u64::from(self.months), 1)?))
    }

    /// Returns the first matching second of a day, from `second` on.
    fn time_from(&self, second: i64) -> Option<i64> {
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        let (hour, minute, second) = (hour as u8, minute as u8, second as u8);
        let hours = u64::from(self.hours);
        if hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = first_from(self.seconds, second)
            {
                return Some(time(hour, minute, second));
            }
            if let Some(minute) = first_from(self.minutes, minute + 1) {
                return Some(time(hour, minute, lowest(self.seconds)));
            }
        }
        let hour = first_from(hours, hour + 1)?;
        Some(time(hour, lowest(self.minutes), lowest(self.seconds)))
    }

    fn first_time(&self) -> i64 {
        time(lowest(u64::from(self.hours)), lowest(self.minutes), lowest(self.seconds))
    }
}

/// Returns the lowest bit from `from` on.
fn first_from(set: u64, from: u8) -> Option<u8> {
    let rest = set.checked_shr(u32::from(from))?;
    (rest != 0).then(|| lowest(rest) + from)
}

fn lowest(set: u64) -> u8 {
    set.trailing_zeros() as u8
}

fn time(hour: u8, minute: u8, second: u8) -> i64 {
    i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second)
}

/// Returns the day of the week on which a day falls, 0 for Sunday.
fn weekday(day: i64) -> u32 {
    // 1970-01-01 was a Thursday.
    (day + 4).rem_euclid(7) as u32
}

/// Returns the length of a month. From 1970 to 2099 each fourth year is a leap year.
fn length(year: u16, month: u8) -> u32 {
    match month {
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to the first of a month.
fn days_before(year: u16, month: u8) -> i64 {
    const BEFORE: [u16; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let years = i64::from(year - FIRST_YEAR);
    // 1972 is the first leap year; its 29 February counts from March on.
    let leap_days = (years + 1) / 4 + i64::from(month > 2 && year.is_multiple_of(4));
    years * 365 + leap_days + i64::from(BEFORE[usize::from(month) - 1])
}

/// Returns the year, month and day of the month of a day of [`FIRST_YEAR`] to [`LAST_YEAR`].
fn date(day: i64) -> (u16, u8, u8) {
    // Counted from 1968-03-01, so that each leap day ends a span of four years.
    let day = day as u32 + 671;
    let (span, day) = (day / 1_461, day % 1_461);
    let year = (day / 365).min(3);
    let day = day - year * 365;
    // March to July and August to December are 153 days each.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = 1968 + 4 * span + year + u32::from(month >= 10);
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year as u16, month as u8, day_of_month as u8)
}
