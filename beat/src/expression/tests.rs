//! What five fields, words, `every` and `at` mean away from changes of the clocks.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::*;

pub(super) fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect(text).to_utc()
}

pub(super) fn read(text: &str) -> Expression {
    text.parse().unwrap_or_else(|why| panic!("{why}"))
}

/// The first instants after `after`, in UTC.
pub(super) fn firings(expression: &str, after: &str, count: usize, form: &str) -> Vec<String> {
    let expression = read(expression);
    let first = expression.next(Tz::UTC, utc(after));
    let instants = std::iter::successors(first, |after| expression.next(Tz::UTC, *after));
    instants.take(count).map(|instant| instant.format(form).to_string()).collect()
}

fn minutes(expression: &str, after: &str, count: usize) -> Vec<String> {
    firings(expression, after, count, "%a %m-%d %H:%M")
}

const START: &str = "2026-06-01T00:00:00Z"; // a Monday

#[test]
fn zero_and_seven_and_its_name_are_sunday() {
    for day in ["0", "7", "SUN", "sun"] {
        let fires = minutes(&format!("0 9 * * {day}"), START, 2);
        assert_eq!(fires, ["Sun 06-07 09:00", "Sun 06-14 09:00"], "{day}");
    }
    for weekend in ["6-7", "SAT-SUN", "6,0"] {
        let fires = minutes(&format!("0 9 * * {weekend}"), START, 3);
        assert_eq!(fires, ["Sat 06-06 09:00", "Sun 06-07 09:00", "Sat 06-13 09:00"], "{weekend}");
    }
    assert_eq!(minutes("0 0 * * SUN-MON", START, 2), ["Sun 06-07 00:00", "Mon 06-08 00:00"]);
}

#[test]
fn day_of_month_or_day_of_week_fires_when_both_are_restricted() {
    let fires = minutes("0 0 13 * 5", START, 4);
    assert_eq!(fires, ["Fri 06-05 00:00", "Fri 06-12 00:00", "Sat 06-13 00:00", "Fri 06-19 00:00"]);
}

#[test]
fn a_day_field_that_begins_with_a_star_is_no_restriction_as_in_crontab() {
    let fires = minutes("0 0 */2 * 1", START, 3);
    assert_eq!(fires, ["Mon 06-15 00:00", "Mon 06-29 00:00", "Mon 07-13 00:00"]);
    let fires = minutes("0 0 13 * */2", START, 2);
    assert_eq!(fires, ["Sat 06-13 00:00", "Thu 08-13 00:00"]);
}

#[test]
fn lists_ranges_and_steps_are_read() {
    let fires = minutes("0-30/15,50 9 * JUN-AUG MON", START, 5);
    let monday = ["Mon 06-01 09:00", "Mon 06-01 09:15", "Mon 06-01 09:30", "Mon 06-01 09:50"];
    assert_eq!(fires[..4], monday);
    assert_eq!(fires[4], "Mon 06-08 09:00");
    assert_eq!(minutes("*/60 */24 * * *", START, 2), ["Tue 06-02 00:00", "Wed 06-03 00:00"]);
    assert_eq!(minutes("05 09 * * *", START, 1), ["Mon 06-01 09:05"]);
}

#[test]
fn what_goes_beyond_crontab_is_read() {
    assert_eq!(minutes("0 0 L * ?", START, 2), ["Tue 06-30 00:00", "Fri 07-31 00:00"]);
    assert_eq!(minutes("0 0 l-3 * *", START, 2), ["Sat 06-27 00:00", "Tue 07-28 00:00"]);
    assert_eq!(minutes("0 0 LW * *", "2026-05-01T00:00:00Z", 1), ["Fri 05-29 00:00"]);
    assert_eq!(minutes("0 0 13W * *", START, 1), ["Fri 06-12 00:00"]);
    assert_eq!(minutes("0 0 * * 5L", START, 1), ["Fri 06-26 00:00"]);
    assert_eq!(minutes("0 0 ? * FRI#3", START, 1), ["Fri 06-19 00:00"]);
    let both = minutes("0 0 1,LW * MON#2,0L", START, 4);
    assert_eq!(both, ["Mon 06-08 00:00", "Sun 06-28 00:00", "Tue 06-30 00:00", "Wed 07-01 00:00"]);
}

#[test]
fn words_stand_for_their_fields() {
    for (word, fires) in [
        ("@hourly", "Mon 06-01 01:00"),
        ("@daily", "Tue 06-02 00:00"),
        ("@Midnight", "Tue 06-02 00:00"),
        ("@weekly", "Sun 06-07 00:00"),
        ("@monthly", "Wed 07-01 00:00"),
        ("@yearly", "Fri 01-01 00:00"),
        ("@annually", "Fri 01-01 00:00"),
    ] {
        assert_eq!(minutes(word, START, 1), [fires], "{word}");
    }
}

#[test]
fn an_interval_is_counted_from_1970_whoever_asks_and_wherever() {
    let times = |text| firings(text, START, 3, "%H:%M:%S");
    assert_eq!(times("every 90s"), ["00:01:30", "00:03:00", "00:04:30"]);
    assert_eq!(times("EVERY 1h30m PHASE 15s"), ["00:00:15", "01:30:15", "03:00:15"]);
    let week = firings("every 7d", "1970-01-01T00:00:00Z", 2, "%a %F");
    assert_eq!(week, ["Thu 1970-01-08", "Thu 1970-01-15"]);
    let first = firings("every 366d", "1969-07-20T00:00:00Z", 2, "%F");
    assert_eq!(first, ["1970-01-01", "1971-01-02"]);
    // The night on which the clocks of Berlin go forward is an hour shorter, the interval is not.
    let hourly = read("every 1h");
    let spring = utc("2026-03-29T00:30:00Z");
    assert_eq!(hourly.next(Tz::Europe__Berlin, spring), Some(utc("2026-03-29T01:00:00Z")));
}

#[test]
fn an_instant_comes_once() {
    for (text, instant) in [
        ("at 2027-01-01T09:00", "2027-01-01T08:00:00Z"),
        ("at 2027-07-01T09:00:30", "2027-07-01T07:00:30Z"),
        ("AT 2027-01-01T09:00 America/New_York", "2027-01-01T14:00:00Z"),
        ("at 2027-01-01T09:00:00+02:00", "2027-01-01T07:00:00Z"),
        ("at 2027-01-01T09:00:00Z", "2027-01-01T09:00:00Z"),
        // In the gap, and in the fold, of Berlin.
        ("at 2027-03-28T02:30", "2027-03-28T01:00:00Z"),
        ("at 2027-10-31T02:30", "2027-10-31T00:30:00Z"),
    ] {
        let (once, instant) = (read(text), utc(instant));
        let next = |after| once.next(Tz::Europe__Berlin, after);
        assert_eq!(next(utc(START)), Some(instant), "{text}");
        assert_eq!(next(instant - chrono::TimeDelta::nanoseconds(1)), Some(instant), "{text}");
        assert_eq!(next(instant), None, "{text}");
    }
}

#[test]
fn the_answer_is_strictly_later_down_to_the_nanosecond() {
    let minutely = read("* * * * *");
    let next = |after| minutely.next(Tz::UTC, utc(after)).unwrap();
    assert_eq!(next("2026-06-01T00:00:00Z"), utc("2026-06-01T00:01:00Z"));
    assert_eq!(next("2026-06-01T00:00:00.000000001Z"), utc("2026-06-01T00:01:00Z"));
    assert_eq!(next("2026-05-31T23:59:59.999999999Z"), utc("2026-06-01T00:00:00Z"));
}

#[test]
fn a_rare_date_is_found() {
    assert_eq!(firings("0 0 29 2 *", "2092-03-01T00:00:00Z", 2, "%F"), ["2096-02-29"]);
    // A fifth Monday in February, once in 28 years.
    let rare = firings("0 0 0 ? 2 2#5", "1970-01-01T00:00:00Z", 9, "%F");
    assert_eq!(rare, ["1988-02-29", "2016-02-29", "2044-02-29", "2072-02-29"]);
}

#[test]
fn years_outside_of_1970_to_2099_hold_nothing_and_are_no_panic() {
    for text in ["* * * * *", "0 0 * * *", "0 0 29 2 *", "* * * * * ?", "every 1s", "every 366d"] {
        let expression = read(text);
        for zone in [Tz::UTC, Tz::Asia__Tokyo, Tz::America__New_York, Tz::Pacific__Kiritimati] {
            let next = |after| expression.next(zone, after);
            for late in [DateTime::<Utc>::MAX_UTC, utc("2100-01-01T12:00:00Z")] {
                assert_eq!(next(late), None, "{text} {zone}");
            }
            for early in [DateTime::<Utc>::MIN_UTC, utc("1969-12-29T00:00:00Z")] {
                let first = next(early).unwrap();
                assert!(first >= utc("1969-12-31T00:00:00Z"), "{text} {zone}: {first}");
            }
            assert!(next(utc("2093-12-31T00:00:00Z")).is_some(), "{text} {zone}");
            for hour in 0..60 {
                let after = utc("2099-12-30T00:00:00Z") + chrono::TimeDelta::hours(hour);
                let last = next(after).unwrap_or(after);
                assert!(last < utc("2100-01-01T12:00:00Z"), "{text} {zone}: {last}");
            }
        }
    }
}

#[test]
fn an_expression_is_shown_as_it_was_written() {
    assert_eq!(read("  0 9 * *  MON ").to_string(), "0 9 * *  MON");
    assert_eq!(read("@daily").as_str(), "@daily");
}

#[test]
fn an_expression_is_small() {
    // A beat keeps 100,000 of them; a wider field would be noticed here.
    assert!(size_of::<Expression>() <= 72, "{}", size_of::<Expression>());
}
