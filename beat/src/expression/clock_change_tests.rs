//! The days on which the clocks change, one named case each.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect(text).to_utc()
}

/// All firings in a span, in local time with the offset.
fn between(expression: &str, zone: Tz, from: &str, until: &str) -> Vec<String> {
    let expression: Expression = expression.parse().unwrap();
    let mut instants = Vec::new();
    let mut instant = utc(from);
    while let Some(next) = expression.next(zone, instant).filter(|next| *next < utc(until)) {
        instants.push(next.with_timezone(&zone).format("%d %H:%M%:z").to_string());
        instant = next;
    }
    instants
}

const BERLIN: Tz = Tz::Europe__Berlin;
// Local midnight to local midnight: the clocks go from 02:00 to 03:00 on 29 March 2026 ...
const SPRING: (&str, &str) = ("2026-03-28T22:59:59Z", "2026-03-29T22:00:00Z");
// ... and from 03:00 back to 02:00 on 25 October 2026.
const AUTUMN: (&str, &str) = ("2026-10-24T21:59:59Z", "2026-10-25T23:00:00Z");

#[test]
fn a_daily_time_in_the_gap_fires_once_at_the_first_instant_after_it() {
    let fires = between("30 2 * * *", BERLIN, "2026-03-27T23:00:00Z", "2026-03-30T22:00:00Z");
    assert_eq!(fires, ["28 02:30+01:00", "29 03:00+02:00", "30 02:30+02:00"]);
}

#[test]
fn a_daily_time_in_the_fold_fires_once_the_first_time() {
    let fires = between("30 2 * * *", BERLIN, "2026-10-23T22:00:00Z", "2026-10-26T23:00:00Z");
    assert_eq!(fires, ["24 02:30+02:00", "25 02:30+02:00", "26 02:30+01:00"]);
}

#[test]
fn the_next_day_is_the_answer_when_asked_between_the_two_passes_of_the_fold() {
    let daily: Expression = "30 2 * * *".parse().unwrap();
    for after in ["2026-10-25T00:30:00Z", "2026-10-25T00:45:00Z", "2026-10-25T01:10:00Z"] {
        assert_eq!(daily.next(BERLIN, utc(after)), Some(utc("2026-10-26T01:30:00Z")), "{after}");
    }
}

#[test]
fn several_fixed_times_in_the_gap_fire_once_together() {
    let fires = between("0,30 1,2,3 * * *", BERLIN, SPRING.0, SPRING.1);
    assert_eq!(fires, ["29 01:00+01:00", "29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00"]);
}

#[test]
fn several_fixed_times_in_the_fold_fire_once_each() {
    let fires = between("0,30 2,3 * * *", BERLIN, AUTUMN.0, AUTUMN.1);
    assert_eq!(fires, ["25 02:00+02:00", "25 02:30+02:00", "25 03:00+01:00", "25 03:30+01:00"]);
}

#[test]
fn a_repeating_expression_skips_the_gap_and_fires_in_both_passes_of_the_fold() {
    let spring = between("*/30 1-3 * * *", BERLIN, SPRING.0, SPRING.1);
    assert_eq!(spring, ["29 01:00+01:00", "29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00"]);
    let autumn = between("*/30 2 * * *", BERLIN, AUTUMN.0, AUTUMN.1);
    assert_eq!(autumn, ["25 02:00+02:00", "25 02:30+02:00", "25 02:00+01:00", "25 02:30+01:00"]);
    assert_eq!(between("15 * * * *", BERLIN, SPRING.0, SPRING.1).len(), 23);
    assert_eq!(between("15 * * * *", BERLIN, AUTUMN.0, AUTUMN.1).len(), 25);
}

#[test]
fn a_gap_at_midnight_moves_the_firing_within_its_day() {
    // Cairo, 24 April 2026: 00:00 becomes 01:00.
    let fires =
        between("0 0 * * *", Tz::Africa__Cairo, "2026-04-23T12:00:00Z", "2026-04-25T12:00:00Z");
    assert_eq!(fires, ["24 01:00+03:00", "25 00:00+03:00"]);
}

#[test]
fn a_change_of_half_an_hour_is_no_special_case() {
    // Lord Howe Island: forward by 30 minutes on 4 October 2026, back on 5 April 2026.
    let spring = between(
        "15 2 * * *",
        Tz::Australia__Lord_Howe,
        "2026-10-03T14:00:00Z",
        "2026-10-04T13:00:00Z",
    );
    assert_eq!(spring, ["04 02:30+11:00"]);
    let autumn = between(
        "45 1 * * *",
        Tz::Australia__Lord_Howe,
        "2026-04-04T13:00:00Z",
        "2026-04-05T13:30:00Z",
    );
    assert_eq!(autumn, ["05 01:45+11:00"]);
}

#[test]
fn a_whole_day_that_was_skipped_fires_at_its_end() {
    // Samoa crossed the date line: 30 December 2011 does not exist.
    let fires =
        between("30 2 * * *", Tz::Pacific__Apia, "2011-12-29T10:00:00Z", "2011-12-31T09:00:00Z");
    assert_eq!(fires, ["29 02:30-10:00", "31 00:00+14:00", "31 02:30+14:00"]);
}

#[test]
fn croner_alone_would_treat_one_time_and_two_times_differently() {
    let next = |expression: &str, after: &str| {
        let cron: Cron = expression.parse().unwrap();
        let next = cron.find_next_occurrence(&utc(after).with_timezone(&BERLIN), false);
        next.unwrap().format("%d %H:%M%:z").to_string()
    };
    assert_eq!(next("30 2 * * *", SPRING.0), "29 03:00+02:00");
    assert_eq!(next("0,30 2 * * *", SPRING.0), "30 02:00+02:00");
    assert_eq!(next("30 2 * * *", "2026-10-25T00:30:00Z"), "26 02:30+01:00");
    assert_eq!(next("0,30 2 * * *", "2026-10-25T00:30:00Z"), "25 02:00+01:00");
}
