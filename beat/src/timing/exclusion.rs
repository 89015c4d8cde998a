//! Days on which nothing is due: dates, ranges of dates, days of each year, days of the week.
//!
//! A day is a day of the schedule's zone. Kept as sorted ranges and as sets, so that asking costs
//! the same however many were written. Guards that skipping is bounded: a range of dates is left in
//! one step, everything else day by day, and there are 47,482 days.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, Weekday};
use chrono_tz::Tz;
use leveret_producer::Problem;

use super::MAX_EXCLUSIONS;
use crate::expression::{excerpt, firing, listed};

const TAKES: &str = "write a date `2027-12-24`, a range `2027-12-24..2027-12-31`, a day of each \
                     year `12-25`, a range of each year `12-24..01-02`, or a day of the week `sat`";
/// Most items that are said one by one.
const SAID: usize = 6;

/// The days that a schedule leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Exclusions {
    /// Ranges of days since 1970, sorted, apart from one another.
    dates: Box<[(i32, i32)]>,
    /// Days of a leap year, one bit each.
    yearly: Option<Box<[u64; 6]>>,
    /// Days of the week, one bit each from Monday.
    weekdays: u8,
}

enum Exclusion {
    Dates(i32, i32),
    /// Days of a leap year; the first may be the greater one.
    Yearly(usize, usize),
    Weekday(Weekday),
}

impl Exclusions {
    /// Reads them; what is wrong goes to `problems`, under the field `exclude`.
    pub(super) fn read(texts: &[String], problems: &mut Vec<Problem>) -> Self {
        if texts.len() > MAX_EXCLUSIONS {
            let count = texts.len();
            let why =
                format!("it has {count} entries; the limit is {MAX_EXCLUSIONS}: write ranges");
            problems.push(Problem::new("exclude", why));
            return Self::default();
        }
        let mut exclusions = Self::default();
        let mut dates = Vec::new();
        for text in texts {
            match read(text.trim()) {
                Ok(Exclusion::Dates(first, last)) => dates.push((first, last)),
                Ok(Exclusion::Yearly(first, last)) => exclusions.add_yearly(first, last),
                Ok(Exclusion::Weekday(day)) => {
                    exclusions.weekdays |= 1 << day.num_days_from_monday();
                }
                Err(why) => problems.push(Problem::new("exclude", why)),
            }
        }
        exclusions.dates = merged(dates);
        exclusions
    }

    pub(super) fn is_empty(&self) -> bool {
        self.dates.is_empty() && self.yearly.is_none() && self.weekdays == 0
    }

    /// Returns `None` where the day of the instant `due` counts. Else an instant not before `due`
    /// up to which nothing counts, which is none at the end of the calendar. Instants are in
    /// seconds since 1970.
    pub(super) fn end_of_exclusion(&self, zone: Tz, due: i64) -> Option<Option<i64>> {
        if self.is_empty() {
            return None;
        }
        let day = DateTime::from_timestamp(due, 0)?.with_timezone(&zone).date_naive();
        let last = self.last_day(day)?;
        Some(second_before(zone, last.succ_opt(), due))
    }

    /// Returns the last of the days that are left out in one piece with `day`, where it is.
    fn last_day(&self, day: NaiveDate) -> Option<NaiveDate> {
        let number = day.to_epoch_days();
        let behind = self.dates.partition_point(|(first, _)| *first <= number);
        let range = behind.checked_sub(1).map(|place| self.dates[place]);
        if let Some((_, last)) = range.filter(|(_, last)| number <= *last) {
            return NaiveDate::from_epoch_days(last);
        }
        let of_week = self.weekdays >> day.weekday().num_days_from_monday() & 1 == 1;
        let of_year = self.yearly.as_ref().is_some_and(|yearly| {
            day_of_year(day).is_some_and(|of_year| yearly[of_year / 64] >> (of_year % 64) & 1 == 1)
        });
        (of_week || of_year).then_some(day)
    }

    fn add_yearly(&mut self, first: usize, last: usize) {
        let yearly = self.yearly.get_or_insert_default();
        let last = if last < first { last + 366 } else { last };
        for day in (first..=last).map(|day| day % 366) {
            yearly[day / 64] |= 1 << (day % 64);
        }
    }

    /// Says what is left out, for the words for a schedule; nothing where nothing is.
    pub(super) fn words(&self) -> Option<String> {
        let week = [Weekday::Mon, Weekday::Tue, Weekday::Wed, Weekday::Thu, Weekday::Fri];
        let week = week.into_iter().chain([Weekday::Sat, Weekday::Sun]);
        let week = week.filter(|day| self.weekdays >> day.num_days_from_monday() & 1 == 1);
        let mut items: Vec<String> = week.map(|day| said(day).to_owned()).collect();
        for (first, last) in self.yearly_runs() {
            items.push(match (leap_day(first), leap_day(last)) {
                (first, last) if first == last => {
                    format!("{} of each year", first.format("%-d %B"))
                }
                (first, last) => {
                    format!("{} to {} of each year", first.format("%-d %B"), last.format("%-d %B"))
                }
            });
        }
        let date = |day| NaiveDate::from_epoch_days(day).unwrap_or_default().format("%-d %B %Y");
        items.extend(self.dates.iter().map(|(first, last)| match first == last {
            true => date(*first).to_string(),
            false => format!("{} to {}", date(*first), date(*last)),
        }));
        if items.len() > SAID {
            let more = items.split_off(SAID - 1).len();
            items.push(format!("{more} more"));
        }
        (!items.is_empty()).then(|| listed(items))
    }

    /// Lists the runs of days of each year; a run round the turn of the year is one.
    fn yearly_runs(&self) -> Vec<(usize, usize)> {
        let Some(yearly) = &self.yearly else { return Vec::new() };
        let has = |day: usize| yearly[day % 366 / 64] >> (day % 366 % 64) & 1 == 1;
        let begins = (0..366).filter(|day| has(*day) && !has(day + 365));
        let run = |first: usize| {
            let last = (first..first + 366).take_while(|day| has(*day)).last().unwrap_or(first);
            (first, last % 366)
        };
        begins.map(run).collect()
    }
}

fn read(text: &str) -> Result<Exclusion, String> {
    if let Ok(day) = text.parse() {
        return Ok(Exclusion::Weekday(day));
    }
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    if let (Some(first), Some(last)) = (date(first), date(last)) {
        if first > last {
            return Err(format!("`{text}` ends before it begins; write the earlier date first"));
        }
        return Ok(Exclusion::Dates(first.to_epoch_days(), last.to_epoch_days()));
    }
    // 2000 is a leap year: 02-29 is a day of some years.
    let yearly = |text: &str| date(&format!("2000-{text}")).and_then(day_of_year);
    match (yearly(first), yearly(last)) {
        (Some(first), Some(last)) => Ok(Exclusion::Yearly(first, last)),
        _ => Err(format!("`{}` is no day; {TAKES}", excerpt(text, 40))),
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    if text.len() != 10 {
        return None;
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    (1970..2100).contains(&date.year()).then_some(date)
}

/// The place of a day in a leap year, from 0.
fn day_of_year(day: NaiveDate) -> Option<usize> {
    day.with_year(2000).map(|day| day.ordinal0() as usize)
}

fn leap_day(place: usize) -> NaiveDate {
    let ordinal = u32::try_from(place).unwrap_or_default() + 1;
    NaiveDate::from_yo_opt(2000, ordinal).unwrap_or_default()
}

fn merged(mut dates: Vec<(i32, i32)>) -> Box<[(i32, i32)]> {
    dates.sort_unstable();
    let mut merged: Vec<(i32, i32)> = Vec::with_capacity(dates.len());
    for (first, last) in dates {
        match merged.last_mut() {
            Some((_, end)) if first <= *end + 1 => *end = last.max(*end),
            _ => merged.push((first, last)),
        }
    }
    merged.into()
}

/// Returns the last second before the day `next` begins, but not one before `due`.
fn second_before(zone: Tz, next: Option<NaiveDate>, due: i64) -> Option<i64> {
    let begins = firing::first_instant(zone, next?.and_time(NaiveTime::MIN))?;
    Some(due.max(begins.timestamp() - 1))
}

const fn said(day: Weekday) -> &'static str {
    match day {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}
