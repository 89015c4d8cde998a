//! Says an expression in English: which times, then which days, then which months and years.
//!
//! Speaks from what was read, not from the text, so that equal timetables sound equal. Guards that
//! the words are exact: whoever reads them knows every instant that is meant.

mod dates;
mod shape;
mod times;

use std::fmt::Display;

use chrono::{DateTime, NaiveDateTime};

use super::Kind;

/// Seconds of a day.
const DAY: u32 = 86_400;

/// Says an expression.
pub(super) fn words(kind: &Kind) -> String {
    match kind {
        Kind::Wall(wall) => {
            let times = times::words(wall, dates::is_each_day(wall));
            let dates = dates::words(wall, wall.hours != times::ALL_HOURS);
            format!("{times}{dates}")
        }
        Kind::Every { interval, phase } => every(*interval, *phase),
        Kind::Instant(second) => format!("once, {} UTC", moment(*second)),
        Kind::Local { wall, zone: None } => format!("once, {}", moment(*wall)),
        Kind::Local { wall, zone: Some(zone) } => format!("once, {}, in {zone}", moment(*wall)),
    }
}

/// `every 90 seconds`; from a day on which days those are is told by where they are counted from.
fn every(interval: u32, phase: u32) -> String {
    let mut words = format!("every {}", each(interval));
    if phase > 0 {
        words.push_str(&format!(", {} after the turn", span(phase)));
    }
    if interval >= DAY {
        words.push_str(", counted from 1970-01-01 UTC");
    }
    words
}

/// `at 09:00 on 1 January 2027`.
fn moment(second: i64) -> String {
    let shown: NaiveDateTime = DateTime::from_timestamp(second, 0).unwrap_or_default().naive_utc();
    let form = if second % 60 == 0 { "at %H:%M on %-d %B %Y" } else { "at %H:%M:%S on %-d %B %Y" };
    shown.format(form).to_string()
}

/// The length of an interval behind `every`: `hour`, `90 seconds`.
fn each(seconds: u32) -> String {
    let span = span(seconds);
    match span.strip_prefix("1 ") {
        Some(unit) if !unit.contains(' ') => unit.to_owned(),
        _ => span,
    }
}

/// `90 seconds`, `1 hour and 30 minutes`.
fn span(seconds: u32) -> String {
    if seconds < 120 && seconds != 60 {
        return counted(seconds, "second");
    }
    let parts = [
        (seconds / 86_400, "day"),
        (seconds / 3_600 % 24, "hour"),
        (seconds / 60 % 60, "minute"),
        (seconds % 60, "second"),
    ];
    listed(parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| counted(*count, unit)))
}

fn counted(count: u32, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.pop() {
        None => String::new(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} and {last}", items.join(", ")),
    }
}

/// `1st`, `2nd`, `3rd`, `11th`.
fn ordinal(number: u8) -> String {
    let ending = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
