//! A brute-force oracle around changes of the clocks: every minute is looked at.
//!
//! The oracle shares nothing with the code it judges but the zone's offsets: it walks along UTC,
//! reads the wall clock, and sees a gap or a fold as the wall clock jumping.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::tests::read;

/// A field of minutes or hours.
#[derive(Debug, Clone)]
pub(super) enum Values {
    Star,
    StarStep(u32),
    List(BTreeSet<u32>),
}

/// Five fields, as their meaning.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) minutes: Values,
    pub(super) hours: Values,
    pub(super) weekdays: Option<BTreeSet<u32>>,
}

impl Values {
    pub(super) fn list(values: impl IntoIterator<Item = u32>) -> Self {
        Self::List(values.into_iter().collect())
    }

    fn text(&self) -> String {
        match self {
            Self::Star => "*".to_owned(),
            Self::StarStep(step) => format!("*/{step}"),
            Self::List(values) => values.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        }
    }

    fn has(&self, value: u32) -> bool {
        match self {
            Self::Star => true,
            Self::StarStep(step) => value.is_multiple_of(*step),
            Self::List(values) => values.contains(&value),
        }
    }
}

impl Table {
    pub(super) fn text(&self) -> String {
        let weekdays = self.weekdays.clone().map_or(Values::Star, Values::List);
        format!("{} {} * * {}", self.minutes.text(), self.hours.text(), weekdays.text())
    }

    fn has(&self, wall: NaiveDateTime) -> bool {
        let weekday = wall.weekday().num_days_from_sunday();
        self.minutes.has(wall.minute())
            && self.hours.has(wall.hour())
            && self.weekdays.as_ref().is_none_or(|weekdays| weekdays.contains(&weekday))
    }

    /// Times that come twice count once.
    fn is_fixed(&self) -> bool {
        matches!((&self.minutes, &self.hours), (Values::List(_), Values::List(_)))
    }

    /// Times that are jumped over count.
    fn moves(&self) -> bool {
        (0..24).any(|hour| !self.hours.has(hour))
    }
}

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// All firings of `table` after `from`, up to `until`, by looking at every minute between.
///
/// Begins `before` that, so as to have seen the first pass of a fold that `from` lies in.
pub(super) fn every_minute(
    table: &Table,
    zone: Tz,
    (before, from, until): (TimeDelta, DateTime<Utc>, DateTime<Utc>),
) -> Vec<DateTime<Utc>> {
    let mut instant = from.with_second(0).unwrap() - before;
    let mut latest = (instant - MINUTE).with_timezone(&zone).naive_local();
    let mut fires = Vec::new();
    while instant <= until {
        let wall = instant.with_timezone(&zone).naive_local();
        let is_second_pass = wall <= latest;
        let mut skipped = latest + MINUTE;
        let mut is_due = table.has(wall) && !(table.is_fixed() && is_second_pass);
        while table.moves() && skipped < wall {
            is_due |= table.has(skipped);
            skipped += MINUTE;
        }
        if is_due && instant > from {
            fires.push(instant);
        }
        latest = latest.max(wall);
        instant += MINUTE;
    }
    fires
}

/// All firings of the table's text after `from`, up to `until`, each strictly later.
pub(super) fn by_expression(
    table: &Table,
    zone: Tz,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
) -> Vec<DateTime<Utc>> {
    let expression = read(&table.text());
    let mut fires = Vec::new();
    let mut instant = from;
    while let Some(next) = expression.next(zone, instant).filter(|next| *next <= until) {
        assert!(next > instant, "{} in {zone} after {instant}: {next}", table.text());
        fires.push(next);
        instant = next;
    }
    fires
}

fn some_of(first: u32, last: u32) -> impl Strategy<Value = Values> {
    prop_oneof![
        1 => Just(Values::Star),
        1 => (2..30_u32).prop_map(Values::StarStep),
        4 => prop::collection::btree_set(first..=last, 1..5).prop_map(Values::List),
    ]
}

fn hours() -> impl Strategy<Value = Values> {
    prop_oneof![
        1 => Just(Values::Star),
        1 => (2..5_u32).prop_map(Values::StarStep),
        3 => prop::collection::btree_set(0..=4_u32, 1..5).prop_map(Values::List),
        1 => prop::collection::btree_set(0..=23_u32, 1..5).prop_map(Values::List),
    ]
}

fn table() -> impl Strategy<Value = Table> {
    let weekdays = prop::option::weighted(0.2, prop::collection::btree_set(0..=6_u32, 3..7));
    (some_of(0, 59), hours(), weekdays).prop_map(|(minutes, hours, weekdays)| Table {
        minutes,
        hours,
        weekdays,
    })
}

/// Changes of the clocks, in UTC: ordinary ones, half an hour, at midnight, three hours, a day.
fn change() -> impl Strategy<Value = (Tz, DateTime<Utc>)> {
    let at = |zone, year, month, day, hour, minute| {
        (zone, Utc.with_ymd_and_hms(year, month, day, hour, minute, 0).unwrap())
    };
    prop::sample::select(vec![
        at(Tz::Europe__Berlin, 2026, 3, 29, 1, 0),
        at(Tz::Europe__Berlin, 2026, 10, 25, 1, 0),
        at(Tz::America__New_York, 2026, 3, 8, 7, 0),
        at(Tz::America__New_York, 2026, 11, 1, 6, 0),
        at(Tz::Australia__Lord_Howe, 2026, 4, 4, 15, 0),
        at(Tz::Australia__Lord_Howe, 2026, 10, 3, 15, 30),
        at(Tz::Africa__Cairo, 2026, 4, 23, 22, 0),
        at(Tz::Africa__Cairo, 2026, 10, 29, 21, 0),
        at(Tz::Antarctica__Casey, 2010, 3, 4, 15, 0),
        at(Tz::Pacific__Apia, 2011, 12, 30, 10, 0),
        at(Tz::Asia__Kolkata, 2026, 1, 1, 0, 0),
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn every_firing_around_a_change_is_the_oracles(
        table in table(),
        (zone, change) in change(),
        seconds_before in 0..100_000_i64,
    ) {
        let from = change - TimeDelta::seconds(seconds_before);
        let until = change + TimeDelta::hours(30);
        let expected = every_minute(&table, zone, (TimeDelta::days(2), from, until));
        let fires = by_expression(&table, zone, (from, until));
        prop_assert_eq!(fires, expected, "{} in {} after {}", table.text(), zone, from);
    }

    #[test]
    fn asking_from_any_instant_between_two_firings_gives_the_later_one(
        table in table(),
        (zone, change) in change(),
        offset in -100_000..20_000_i64,
    ) {
        let expression = read(&table.text());
        let after = change + TimeDelta::seconds(offset);
        let next = expression.next(zone, after).unwrap();
        let between = after + (next - after) / 2;
        prop_assert_eq!(expression.next(zone, between.min(next - TimeDelta::nanoseconds(1))), Some(next));
    }
}
