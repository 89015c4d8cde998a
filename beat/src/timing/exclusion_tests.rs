//! Which days are left out, and that looking for the next one that is not is bounded.

use chrono::DateTime;
use leveret_common::clock::Millis;

use super::tests::{at, definition, refused, timing};
use super::*;

fn days(when: &str, zone: &str, exclude: &[&str], from: &str, count: usize) -> Vec<String> {
    let mut definition = definition(when);
    definition.zone = Some(zone.to_owned());
    definition.exclude = exclude.iter().map(|text| (*text).to_owned()).collect();
    let timing = timing(&definition);
    let local = |due: Millis| {
        let instant = DateTime::from_timestamp_millis(i64::try_from(due.0).unwrap()).unwrap();
        instant.with_timezone(&timing.zone()).format("%a %F %H:%M").to_string()
    };
    timing.upcoming(at(from)).take(count).map(local).collect()
}

#[test]
fn dates_ranges_days_of_the_year_and_of_the_week_are_left_out() {
    let daily = |exclude: &[&str], from| days("0 9 * * *", "UTC", exclude, from, 2);
    assert_eq!(
        daily(&["2027-12-25"], "2027-12-24T12:00:00Z"),
        ["Sun 2027-12-26 09:00", "Mon 2027-12-27 09:00"]
    );
    assert_eq!(
        daily(&["2027-12-24..2027-12-31"], "2027-12-23T00:00:00Z"),
        ["Thu 2027-12-23 09:00", "Sat 2028-01-01 09:00"]
    );
    assert_eq!(
        daily(&["12-24..01-02"], "2028-12-23T00:00:00Z"),
        ["Sat 2028-12-23 09:00", "Wed 2029-01-03 09:00"]
    );
    assert_eq!(
        daily(&["sat", "SUN", "Monday"], "2027-12-24T00:00:00Z"),
        ["Fri 2027-12-24 09:00", "Tue 2027-12-28 09:00"]
    );
    // Overlapping ranges count together; 1 March is not 29 February.
    assert_eq!(
        daily(
            &["2027-02-27..2027-02-28", "02-29", "2027-02-01..2027-02-27"],
            "2027-01-31T12:00:00Z"
        ),
        ["Mon 2027-03-01 09:00", "Tue 2027-03-02 09:00"]
    );
    assert_eq!(daily(&["02-29"], "2028-02-28T12:00:00Z")[0], "Wed 2028-03-01 09:00");
}

#[test]
fn a_day_is_one_of_the_schedules_zone() {
    // 20:00 on the 24th in New York is the 25th in UTC.
    let fires = days("0 20 * * *", "America/New_York", &["12-25"], "2027-12-24T12:00:00Z", 2);
    assert_eq!(fires, ["Fri 2027-12-24 20:00", "Sun 2027-12-26 20:00"]);
}

#[test]
fn a_day_that_ends_twice_is_left_out_both_times() {
    // Cairo, 29 October 2026: at midnight the clocks go back to 23:00 of that day.
    let fires = days("*/30 * * * *", "Africa/Cairo", &["10-29"], "2026-10-28T20:29:00Z", 3);
    assert_eq!(fires, ["Wed 2026-10-28 23:30", "Fri 2026-10-30 00:00", "Fri 2026-10-30 00:30"]);
    // And the Azores, where 25 October 2026 begins twice.
    let fires = days("*/30 * * * *", "Atlantic/Azores", &["10-24"], "2026-10-23T23:00:00Z", 4);
    assert_eq!(
        fires,
        [
            "Fri 2026-10-23 23:30",
            "Sun 2026-10-25 00:00",
            "Sun 2026-10-25 00:30",
            "Sun 2026-10-25 00:00"
        ]
    );
}

#[test]
fn what_is_moved_out_of_a_gap_counts_on_the_day_it_moves_to() {
    // 30 December 2011 does not exist in Samoa; its 02:30 is due as the 31st begins.
    let fires = days("30 2 * * *", "Pacific/Apia", &["2011-12-30"], "2011-12-29T20:00:00Z", 2);
    assert_eq!(fires, ["Sat 2011-12-31 00:00", "Sat 2011-12-31 02:30"]);
}

#[test]
fn exclusions_that_leave_no_day_are_refused() {
    for (when, exclude) in [
        ("* * * * * ?", vec!["01-01..12-31"]),
        ("* * * * *", vec!["mon", "tue", "wed", "thu", "fri", "sat", "sun"]),
        ("* * * * *", vec!["1970-01-01..2099-12-31"]),
        ("0 0 25 12 *", vec!["12-25"]),
        ("at 2027-01-01T09:00", vec!["2027-01-01"]),
    ] {
        let mut definition = definition(when);
        definition.exclude = exclude.into_iter().map(str::to_owned).collect();
        let problems = refused(&definition);
        assert_eq!(problems[0].0, "exclude", "{when}");
        assert!(problems[0].1.contains("leaves no day"), "{problems:?}");
    }
}

#[test]
fn what_is_no_day_is_refused() {
    let mut definition = definition("0 9 * * *");
    let wrong = [
        "",
        "2027-13-01",
        "02-30",
        "2027-1-1",
        "1969-12-31",
        "25.12.",
        "12-24..2027-01-02",
        "..",
        "\u{e4}",
    ];
    definition.exclude = wrong.map(str::to_owned).to_vec();
    let problems = refused(&definition);
    assert_eq!(problems.len(), wrong.len(), "{problems:?}");
    assert!(problems.iter().all(|(_, why)| why.contains("is no day; write")), "{problems:?}");
    definition.exclude = vec!["12-25".to_owned(); MAX_EXCLUSIONS + 1];
    assert!(refused(&definition)[0].1.contains("it has 1001 entries; the limit is 1000"));
}

#[test]
fn many_exclusions_are_said_in_short() {
    let mut definition = definition("0 9 * * *");
    definition.exclude = (1..=9).map(|day| format!("2027-0{day}-01")).collect();
    assert!(timing(&definition).words().ends_with("1 April 2027, 1 May 2027 and 4 more"));
}
