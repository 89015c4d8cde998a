//! A brute-force oracle for the calendar: every day, every minute, every second is looked at.
//!
//! The oracle knows a field as what its items mean, and asks of each day and each second by itself
//! whether they hold; the code it judges works on whole months and sets. In UTC: changes of the
//! clocks have an oracle of their own.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Days, NaiveDate, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::Expression;

/// One item of a list of numbers.
#[derive(Debug, Clone, Copy)]
enum Item {
    One(u32),
    Range(u32, u32),
    Stepped(u32, u32, u32),
    /// To the end of the field, with Quartz.
    From(u32, u32),
}

/// A field of numbers.
#[derive(Debug, Clone)]
enum Numbers {
    Every,
    EachStep(u32),
    Items(Vec<Item>),
}

#[derive(Debug, Clone, Copy)]
enum DayItem {
    Number(Item),
    Last(u32),
    Near(u32),
    NearLast(u32),
}

#[derive(Debug, Clone, Copy)]
enum WeekItem {
    Number(Item),
    Last(u32),
    Nth(u32, u32),
}

#[derive(Debug, Clone)]
struct Calendar {
    is_quartz: bool,
    days: Option<Vec<DayItem>>,
    weekdays: Option<Vec<WeekItem>>,
    months: Numbers,
}

impl Item {
    fn text(self) -> String {
        match self {
            Self::One(value) => value.to_string(),
            Self::Range(first, last) => format!("{first}-{last}"),
            Self::Stepped(first, last, step) => format!("{first}-{last}/{step}"),
            Self::From(first, step) => format!("{first}/{step}"),
        }
    }

    /// By counting from the first value on, round the end of the field where it has to.
    fn has(self, value: u32, field: &RangeInclusive<u32>) -> bool {
        let (first, last, step) = match self {
            Self::One(value) => (value, value, 1),
            Self::Range(first, last) => (first, last, 1),
            Self::Stepped(first, last, step) => (first, last, step),
            Self::From(first, step) => (first, *field.end(), step),
        };
        let (mut at, mut count) = (first, 0);
        loop {
            if at == value && count % step == 0 {
                return true;
            }
            if at == last {
                return false;
            }
            at = if at == *field.end() { *field.start() } else { at + 1 };
            count += 1;
        }
    }
}

impl Numbers {
    fn text(&self) -> String {
        match self {
            Self::Every => "*".to_owned(),
            Self::EachStep(step) => format!("*/{step}"),
            Self::Items(items) => listed(items.iter().map(|item| item.text())),
        }
    }

    fn has(&self, value: u32, field: RangeInclusive<u32>) -> bool {
        match self {
            Self::Every => true,
            Self::EachStep(step) => (value - field.start()).is_multiple_of(*step),
            Self::Items(items) => items.iter().any(|item| item.has(value, &field)),
        }
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn length(day: NaiveDate) -> u32 {
    (28..=31).rev().find(|last| day.with_day(*last).is_some()).unwrap()
}

impl DayItem {
    fn text(self) -> String {
        match self {
            Self::Number(item) => item.text(),
            Self::Last(0) => "L".to_owned(),
            Self::Last(before) => format!("L-{before}"),
            Self::Near(day) => format!("{day}W"),
            Self::NearLast(0) => "LW".to_owned(),
            Self::NearLast(before) => format!("L-{before}W"),
        }
    }

    fn has(self, day: NaiveDate) -> bool {
        let length = length(day);
        // Of all workdays of the month the one with the least distance.
        let is_nearest = |wanted: u32| {
            (1..=length).contains(&wanted) && {
                let workdays = (1..=length).filter(|number| {
                    day.with_day(*number).unwrap().weekday().num_days_from_monday() < 5
                });
                workdays.min_by_key(|number| number.abs_diff(wanted)) == Some(day.day())
            }
        };
        match self {
            Self::Number(item) => item.has(day.day(), &(1..=31)),
            Self::Last(before) => day.day() + before == length,
            Self::Near(wanted) => is_nearest(wanted),
            Self::NearLast(before) => length > before && is_nearest(length - before),
        }
    }
}

impl WeekItem {
    /// Days of the week are 0 to 6 from Sunday here; Quartz counts from 1.
    fn text(self, shift: u32) -> String {
        match self {
            Self::Number(Item::One(day)) => Item::One(day + shift).text(),
            Self::Number(Item::Range(first, last)) => {
                Item::Range(first + shift, last + shift).text()
            }
            Self::Number(Item::Stepped(first, last, step)) => {
                Item::Stepped(first + shift, last + shift, step).text()
            }
            Self::Number(Item::From(first, step)) => Item::From(first + shift, step).text(),
            Self::Last(day) => format!("{}L", day + shift),
            Self::Nth(day, nth) => format!("{}#{nth}", day + shift),
        }
    }

    fn has(self, day: NaiveDate) -> bool {
        let weekday = day.weekday().num_days_from_sunday();
        match self {
            Self::Number(item) => item.has(weekday, &(0..=6)),
            Self::Last(wanted) => weekday == wanted && day.month() != (day + Days::new(7)).month(),
            Self::Nth(wanted, nth) => {
                let so_far = (1..=day.day())
                    .filter(|number| day.with_day(*number).unwrap().weekday() == day.weekday());
                weekday == wanted && so_far.count() == nth as usize
            }
        }
    }
}

impl Calendar {
    fn text(&self, times: &str) -> String {
        let open = if self.is_quartz { "?" } else { "*" };
        let days = self.days.as_ref().map(|items| listed(items.iter().map(|item| item.text())));
        let shift = u32::from(self.is_quartz);
        let weekdays =
            self.weekdays.as_ref().map(|items| listed(items.iter().map(|item| item.text(shift))));
        let every = if days.is_none() && weekdays.is_none() { "*" } else { open };
        let days = days.unwrap_or_else(|| every.to_owned());
        let weekdays = weekdays.unwrap_or_else(|| open.to_owned());
        format!("{times} {days} {} {weekdays}", self.months.text())
    }

    fn has(&self, day: NaiveDate) -> bool {
        let by_day = self.days.as_ref().map(|items| items.iter().any(|item| item.has(day)));
        let by_week = self.weekdays.as_ref().map(|items| items.iter().any(|item| item.has(day)));
        self.months.has(day.month(), 1..=12)
            && match (by_day, by_week) {
                (Some(by_day), Some(by_week)) => by_day || by_week,
                (one, other) => one.or(other).unwrap_or(true),
            }
    }
}

fn item(first: u32, last: u32, is_quartz: bool) -> impl Strategy<Value = Item> {
    let pair = move || {
        (first..=last, first..=last).prop_map(move |(one, other)| {
            // Only Quartz lets a range go round.
            if is_quartz { (one, other) } else { (one.min(other), one.max(other)) }
        })
    };
    let step = 1..=(last - first);
    prop_oneof![
        3 => (first..=last).prop_map(Item::One),
        2 => pair().prop_map(|(first, last)| Item::Range(first, last)),
        1 => (pair(), step.clone()).prop_map(|((first, last), step)| Item::Stepped(first, last, step)),
        1 => (first..=last, step).prop_map(move |(first, step)| {
            if is_quartz { Item::From(first, step) } else { Item::One(first) }
        }),
    ]
}

fn numbers(first: u32, last: u32, is_quartz: bool) -> impl Strategy<Value = Numbers> {
    prop_oneof![
        2 => Just(Numbers::Every),
        1 => (1..=last - first).prop_map(Numbers::EachStep),
        4 => prop::collection::vec(item(first, last, is_quartz), 1..4).prop_map(Numbers::Items),
    ]
}

fn days(is_quartz: bool) -> impl Strategy<Value = Vec<DayItem>> {
    let item = prop_oneof![
        3 => item(1, 31, is_quartz).prop_map(DayItem::Number),
        1 => (0..=30_u32).prop_map(DayItem::Last),
        1 => prop_oneof![1..=31_u32, 29..=31_u32].prop_map(DayItem::Near),
        1 => (0..=30_u32).prop_map(DayItem::NearLast),
    ];
    prop::collection::vec(item, 1..4)
}

fn weekdays(is_quartz: bool) -> impl Strategy<Value = Vec<WeekItem>> {
    let item = prop_oneof![
        3 => item(0, 6, is_quartz).prop_map(WeekItem::Number),
        1 => (0..=6_u32).prop_map(WeekItem::Last),
        1 => (0..=6_u32, 1..=5_u32).prop_map(|(day, nth)| WeekItem::Nth(day, nth)),
    ];
    prop::collection::vec(item, 1..4)
}

fn calendar(is_quartz: bool) -> impl Strategy<Value = Calendar> {
    let both = (prop::option::of(days(is_quartz)), prop::option::of(weekdays(is_quartz)));
    (both, numbers(1, 12, is_quartz), any::<bool>()).prop_map(
        move |((days, weekdays), months, by_day)| {
            // Quartz takes one of the two.
            let days = days.filter(|_| !is_quartz || by_day);
            let weekdays = weekdays.filter(|_| !is_quartz || !by_day);
            Calendar { is_quartz, days, weekdays, months }
        },
    )
}

/// An instant between 1970 and 2095.
fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    (0..3_944_678_400_i64).prop_map(|second| Utc.timestamp_opt(second, 0).unwrap())
}

/// What the expression names after `from`, up to `until`; nothing where it is never due at all.
fn by_expression(text: &str, from: DateTime<Utc>, until: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let expression: Expression = match text.parse() {
        Ok(expression) => expression,
        // Such as 30 February. Anything else that is refused is a fault of the test or of ours.
        Err(why) => {
            assert!(why.to_string().contains("never due"), "{why}");
            return Vec::new();
        }
    };
    let next = |after: &DateTime<Utc>| expression.next(Tz::UTC, *after).filter(|at| *at <= until);
    std::iter::successors(next(&from), next).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_day_of_four_years_is_the_oracles(
        calendar in any::<bool>().prop_flat_map(calendar),
        from in instant(),
    ) {
        let text = calendar.text(if calendar.is_quartz { "0 0 0" } else { "0 0" });
        let first = from.date_naive() + Days::new(1);
        let days = first.iter_days().take(1_461);
        let expected: Vec<NaiveDate> = days.filter(|day| calendar.has(*day)).collect();
        let until = (first + Days::new(1_460)).and_hms_opt(12, 0, 0).unwrap().and_utc();
        let found = by_expression(&text, from, until);
        prop_assert!(found.iter().all(|at| at.num_seconds_from_midnight() == 0));
        let found: Vec<NaiveDate> = found.into_iter().map(|at| at.date_naive()).collect();
        prop_assert_eq!(found, expected, "{} after {}", text, from);
    }

    #[test]
    fn every_minute_of_two_days_is_the_oracles(
        minutes in numbers(0, 59, false),
        hours in numbers(0, 23, false),
        from in instant(),
    ) {
        let text = format!("{} {} * * *", minutes.text(), hours.text());
        let until = from + TimeDelta::days(2);
        let begin = from.with_second(0).unwrap() + TimeDelta::minutes(1);
        let all = (0..2_880).map(|minute| begin + TimeDelta::minutes(minute));
        let expected: Vec<_> = all
            .filter(|at| hours.has(at.hour(), 0..=23) && minutes.has(at.minute(), 0..=59))
            .filter(|at| *at <= until)
            .collect();
        prop_assert_eq!(by_expression(&text, from, until), expected, "{} after {}", text, from);
    }

    #[test]
    fn every_second_of_three_hours_is_the_oracles(
        seconds in numbers(0, 59, true),
        minutes in numbers(0, 59, true),
        hours in numbers(0, 23, true),
        calendar in calendar(true),
        from in instant(),
    ) {
        let text = calendar.text(&format!("{} {} {}", seconds.text(), minutes.text(), hours.text()));
        let until = from + TimeDelta::hours(3);
        let all = (1..=10_800).map(|second| from + TimeDelta::seconds(second));
        let mut today = (from.date_naive(), calendar.has(from.date_naive()));
        let mut has_day = |day: NaiveDate| {
            if today.0 != day {
                today = (day, calendar.has(day));
            }
            today.1
        };
        let has_second: Vec<bool> = (0..60).map(|second| seconds.has(second, 0..=59)).collect();
        let has_minute: Vec<bool> = (0..60).map(|minute| minutes.has(minute, 0..=59)).collect();
        let expected: Vec<_> = all
            .filter(|at| has_second[at.second() as usize] && has_minute[at.minute() as usize])
            .filter(|at| hours.has(at.hour(), 0..=23) && has_day(at.date_naive()))
            .collect();
        prop_assert_eq!(by_expression(&text, from, until), expected, "{} after {}", text, from);
    }
}
