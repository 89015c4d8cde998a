//! Every zone there is, over ten years: each change of its clocks, judged by the oracle.

use std::collections::BTreeSet;

use chrono::{DateTime, Offset, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use super::oracle_tests::{Table, Values, by_expression, every_minute};
use super::tests::{read, utc};

fn offset(zone: Tz, second: i64) -> i32 {
    let utc = DateTime::from_timestamp(second, 0).unwrap().naive_utc();
    zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()
}

/// The changes of a zone's clocks: the first second with another offset, with both offsets.
fn changes(zone: Tz, from: &str, until: &str) -> Vec<(i64, i32, i32)> {
    let (mut day, until) = (utc(from).timestamp(), utc(until).timestamp());
    let mut changes = Vec::new();
    while day < until {
        let (mut before, mut after) = (day, day + 86_400);
        let (old, new) = (offset(zone, before), offset(zone, after));
        while old != new && after - before > 1 {
            let middle = (before + after) / 2;
            if offset(zone, middle) == old { before = middle } else { after = middle }
        }
        if old != new {
            changes.push((after, old, new));
        }
        day += 86_400;
    }
    changes
}

/// Timetables that are due in the hours that the change adds or takes away.
fn tables(change: i64, old: i32, new: i32) -> Vec<Table> {
    let begins = change + i64::from(old.min(new));
    let middle = DateTime::from_timestamp(begins + i64::from((new - old).abs()) / 2, 0).unwrap();
    let (hour, minute) = (middle.hour(), middle.minute());
    let table = |minutes, hours| Table { minutes, hours, weekdays: None };
    vec![
        table(Values::list([minute]), Values::list([hour])),
        table(
            Values::list([0, minute, 59]),
            Values::list([hour, (hour + 1) % 24, (hour + 23) % 24]),
        ),
        table(Values::StarStep(20), Values::list([hour])),
        table(Values::list([minute]), Values::StarStep(2)),
        table(Values::list([minute]), Values::Star),
        table(Values::StarStep(7), Values::Star),
    ]
}

#[test]
fn every_zone_keeps_the_rules_at_every_change_of_ten_years() {
    let mut judged = BTreeSet::new();
    for zone in TZ_VARIANTS {
        for (change, old, new) in changes(zone, "2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z") {
            // Most zones share their changes with others.
            if !judged.insert((change, old, new)) {
                continue;
            }
            let length = TimeDelta::seconds(i64::from((new - old).abs()));
            let at = DateTime::from_timestamp(change, 0).unwrap();
            let (from, until) =
                (at - length - TimeDelta::minutes(70), at + length + TimeDelta::minutes(130));
            for table in tables(change, old, new) {
                for from in [from, at - TimeDelta::minutes(1), at, at + length / 2] {
                    let span = (length + TimeDelta::hours(1), from, until);
                    let expected = every_minute(&table, zone, span);
                    let fires = by_expression(&table, zone, (from, until));
                    assert_eq!(fires, expected, "{} in {zone} after {from}", table.text());
                }
            }
        }
    }
    assert!(judged.len() > 150, "{} changes were judged", judged.len());
}

#[test]
fn in_every_zone_each_day_of_ten_years_has_its_firing_once() {
    let daily = [read("30 2 * * *"), read("0 0 0 * * ?")];
    for zone in TZ_VARIANTS {
        for expression in &daily {
            let mut instant = utc("2020-01-01T12:00:00Z");
            let mut dates = BTreeSet::new();
            for _ in 0..3_652 {
                let next = expression.next(zone, instant).unwrap();
                assert!(next > instant, "{expression} in {zone} after {instant}: {next}");
                let date = next.with_timezone(&zone).date_naive();
                assert!(dates.insert(date), "{expression} in {zone} comes twice on {date}");
                instant = next;
            }
            let (first, last) = (dates.first().unwrap(), dates.last().unwrap());
            let days = (*last - *first).num_days() + 1;
            assert_eq!(days, 3_652, "{expression} in {zone} leaves days out");
        }
    }
}

#[test]
fn second_by_second_the_wall_clock_is_followed_through_every_sort_of_change() {
    for (zone, at) in [
        (Tz::Europe__Berlin, "2026-03-29T01:00:00Z"),
        (Tz::Europe__Berlin, "2026-10-25T01:00:00Z"),
        (Tz::Australia__Lord_Howe, "2026-04-04T15:00:00Z"),
        (Tz::Australia__Lord_Howe, "2026-10-03T15:30:00Z"),
        (Tz::Africa__Cairo, "2026-10-29T21:00:00Z"),
        // Forward by 44 minutes and 30 seconds.
        (Tz::Africa__Monrovia, "1972-01-07T00:44:30Z"),
    ] {
        let expression = read("0/11 0/3 * * * ?");
        let at = utc(at).timestamp();
        let has = |instant: i64| {
            let wall = instant + i64::from(offset(zone, instant));
            wall.rem_euclid(60) % 11 == 0 && wall.div_euclid(60).rem_euclid(60) % 3 == 0
        };
        let expected: Vec<i64> = (at - 7_300..at + 7_300).filter(|second| has(*second)).collect();
        let mut fires = Vec::new();
        let mut instant = DateTime::<Utc>::from_timestamp(at - 7_301, 0).unwrap();
        while let Some(next) =
            expression.next(zone, instant).filter(|next| next.timestamp() < at + 7_300)
        {
            fires.push(next.timestamp());
            instant = next;
        }
        assert_eq!(fires, expected, "{zone}");
    }
}
