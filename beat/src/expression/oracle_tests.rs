//! A brute-force oracle around changes of the clocks: every minute is looked at.
//!
//! The oracle shares nothing with the code it judges but the zone's offsets: it walks along UTC,
//! reads the wall clock, and sees a gap or a fold as the wall clock jumping.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Table {
    minutes: Option<BTreeSet<u32>>,
    hours: Option<BTreeSet<u32>>,
    weekdays: Option<BTreeSet<u32>>,
}

impl Table {
    fn text(&self) -> String {
        let field = |values: &Option<BTreeSet<u32>>| match values {
            None => "*".to_owned(),
            Some(values) => values.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
        };
        format!("{} {} * * {}", field(&self.minutes), field(&self.hours), field(&self.weekdays))
    }

    fn has(&self, wall: NaiveDateTime) -> bool {
        let has = |values: &Option<BTreeSet<u32>>, value| {
            values.as_ref().is_none_or(|values| values.contains(&value))
        };
        has(&self.minutes, wall.minute())
            && has(&self.hours, wall.hour())
            && has(&self.weekdays, wall.weekday().num_days_from_sunday())
    }

    fn is_fixed(&self) -> bool {
        self.minutes.is_some() && self.hours.is_some()
    }
}

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// All firings of `table` after `from`, up to `until`, by looking at every minute between.
fn every_minute(
    table: &Table,
    zone: Tz,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    // Begins two days early, so as to have seen the first pass of a fold that `from` lies in.
    let mut instant = from - TimeDelta::days(2);
    let mut latest = (instant - MINUTE).with_timezone(&zone).naive_local();
    let mut fires = Vec::new();
    while instant <= until {
        let wall = instant.with_timezone(&zone).naive_local();
        let is_second_pass = wall <= latest;
        let mut skipped = latest + MINUTE;
        let mut is_due = table.has(wall) && !(table.is_fixed() && is_second_pass);
        while table.is_fixed() && skipped < wall {
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

fn some_of(first: u32, last: u32) -> impl Strategy<Value = Option<BTreeSet<u32>>> {
    prop::option::weighted(0.8, prop::collection::btree_set(first..=last, 1..5))
}

fn table() -> impl Strategy<Value = Table> {
    let hours = prop_oneof![3 => some_of(0, 4), 1 => some_of(0, 23)];
    (
        some_of(0, 59),
        hours,
        prop::option::weighted(0.2, prop::collection::btree_set(0..=6_u32, 3..7)),
    )
        .prop_map(|(minutes, hours, weekdays)| Table { minutes, hours, weekdays })
}

/// Changes of the clocks, in UTC: ordinary ones, half an hour, at midnight, a whole day.
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
        let expression: Expression = table.text().parse().unwrap();
        let from = change - TimeDelta::seconds(seconds_before);
        let until = change + TimeDelta::hours(30);
        let minute = from.with_second(0).unwrap();
        let mut expected = every_minute(&table, zone, minute, until);
        expected.retain(|instant| *instant > from);
        let mut fires = Vec::new();
        let mut instant = from;
        while let Some(next) = expression.next(zone, instant).filter(|next| *next <= until) {
            prop_assert!(next > instant);
            fires.push(next);
            instant = next;
        }
        prop_assert_eq!(fires, expected, "{} in {} after {}", table.text(), zone, from);
    }

    #[test]
    fn asking_from_any_instant_between_two_firings_gives_the_later_one(
        table in table(),
        (zone, change) in change(),
        offset in -100_000..20_000_i64,
    ) {
        let expression: Expression = table.text().parse().unwrap();
        let after = change + TimeDelta::seconds(offset);
        let next = expression.next(zone, after).unwrap();
        let between = after + (next - after) / 2;
        prop_assert_eq!(expression.next(zone, between.min(next - TimeDelta::nanoseconds(1))), Some(next));
    }
}
