//! What an expression means away from changes of the clocks, and what is refused.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect(text).to_utc()
}

fn firings(expression: &str, after: &str, count: usize) -> Vec<String> {
    let expression: Expression = expression.parse().unwrap();
    let mut instant = utc(after);
    (0..count)
        .map(|_| {
            instant = expression.next(Tz::UTC, instant).unwrap();
            instant.format("%a %m-%d %H:%M").to_string()
        })
        .collect()
}

fn refused(text: &str) -> String {
    text.parse::<Expression>().expect_err(text).to_string()
}

const START: &str = "2026-06-01T00:00:00Z"; // a Monday

#[test]
fn zero_and_seven_and_its_name_are_sunday() {
    for day in ["0", "7", "SUN", "sun"] {
        let fires = firings(&format!("0 9 * * {day}"), START, 2);
        assert_eq!(fires, ["Sun 06-07 09:00", "Sun 06-14 09:00"], "{day}");
    }
    let weekend = firings("0 9 * * 6-7", START, 3);
    assert_eq!(weekend, ["Sat 06-06 09:00", "Sun 06-07 09:00", "Sat 06-13 09:00"]);
}

#[test]
fn day_of_month_or_day_of_week_fires_when_both_are_restricted() {
    let fires = firings("0 0 13 * 5", START, 4);
    assert_eq!(fires, ["Fri 06-05 00:00", "Fri 06-12 00:00", "Sat 06-13 00:00", "Fri 06-19 00:00"]);
}

#[test]
fn a_day_field_that_begins_with_a_star_is_no_restriction_as_in_crontab() {
    let fires = firings("0 0 */2 * 1", START, 3);
    assert_eq!(fires, ["Mon 06-15 00:00", "Mon 06-29 00:00", "Mon 07-13 00:00"]);
}

#[test]
fn lists_ranges_and_steps_are_read() {
    let fires = firings("0-30/15,50 9 * JUN-AUG MON", START, 5);
    let monday = ["Mon 06-01 09:00", "Mon 06-01 09:15", "Mon 06-01 09:30", "Mon 06-01 09:50"];
    assert_eq!(fires[..4], monday);
    assert_eq!(fires[4], "Mon 06-08 09:00");
}

#[test]
fn what_goes_beyond_crontab_is_read() {
    assert_eq!(firings("0 0 L * ?", START, 2), ["Tue 06-30 00:00", "Fri 07-31 00:00"]);
    assert_eq!(firings("0 0 LW * *", "2026-05-01T00:00:00Z", 1), ["Fri 05-29 00:00"]);
    assert_eq!(firings("0 0 13W * *", START, 1), ["Fri 06-12 00:00"]);
    assert_eq!(firings("0 0 * * 5L", START, 1), ["Fri 06-26 00:00"]);
    assert_eq!(firings("0 0 ? * FRI#3", START, 1), ["Fri 06-19 00:00"]);
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
        assert_eq!(firings(word, START, 1), [fires], "{word}");
    }
}

#[test]
fn the_answer_is_strictly_later_down_to_the_nanosecond() {
    let minutely: Expression = "* * * * *".parse().unwrap();
    let next = |after| minutely.next(Tz::UTC, utc(after)).unwrap();
    assert_eq!(next("2026-06-01T00:00:00Z"), utc("2026-06-01T00:01:00Z"));
    assert_eq!(next("2026-06-01T00:00:00.000000001Z"), utc("2026-06-01T00:01:00Z"));
    assert_eq!(next("2026-05-31T23:59:59.999999999Z"), utc("2026-06-01T00:00:00Z"));
}

#[test]
fn a_rare_date_is_found() {
    let leap: Expression = "0 0 29 2 *".parse().unwrap();
    let next = leap.next(Tz::UTC, utc("2096-03-01T00:00:00Z"));
    assert_eq!(next, Some(utc("2104-02-29T00:00:00Z")));
}

#[test]
fn the_end_of_the_calendar_is_none_and_not_a_panic() {
    for text in ["* * * * *", "0 0 * * *", "0 0 29 2 *"] {
        let expression: Expression = text.parse().unwrap();
        for zone in [Tz::UTC, Tz::Asia__Tokyo, Tz::America__New_York] {
            for after in [DateTime::<Utc>::MAX_UTC, DateTime::<Utc>::MIN_UTC] {
                assert_eq!(expression.next(zone, after), None, "{text} {zone}");
            }
            assert!(expression.next(zone, utc("0001-01-01T00:00:00Z")).is_some());
            assert!(expression.next(zone, utc("4990-01-01T00:00:00Z")).is_some());
            let _ = expression.next(zone, utc("4999-12-31T23:59:59Z"));
        }
    }
}

#[test]
fn text_that_is_no_expression_is_refused_with_what_to_write() {
    for (text, part) in [
        ("", "it has 0 fields; write five"),
        ("* * * *", "it has 4 fields"),
        ("0 * * * * *", "it has 6 fields"),
        ("@reboot", "the words are @hourly, @daily"),
        ("60 * * * *", "out of bounds"),
        ("* 24 * * *", "out of bounds"),
        ("* * 0 * *", "out of bounds"),
        ("* * * 13 *", "out of bounds"),
        ("* * * * 8", "out of bounds"),
        ("5-1 * * * *", "out of bounds"),
        ("*/0 * * * *", "Step cannot be zero"),
        ("1,,2 * * * *", "`` means nothing in the field minute"),
        ("1, * * * *", "`` means nothing in the field minute"),
        ("-1 * * * *", "`-1` means nothing in the field minute"),
        ("0/10 * * * *", "`0/10` means nothing in the field minute, which takes 0-59"),
        ("1,* * * * *", "`*` means nothing in the field minute"),
        ("0 0 L-3 * *", "`L-3` means nothing in the field day of month"),
        ("0 0 * * SUNMON", "`SUNMON` means nothing in the field day of week"),
        ("0 0 * MON *", "`MON` means nothing in the field month"),
        ("0 0 * * +1", "`+1` means nothing in the field day of week"),
        ("0 0 * * 5#6", "Nth specifier out of bounds"),
        ("0 0 30 2 *", "it would never fire"),
        ("0 0 31 4,6,9,11 *", "it would never fire"),
        ("0 0 * * \u{0663}", "means nothing in the field day of week"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(message.starts_with("failed to read the cron expression `"), "{message}");
    }
    assert!(refused(&"0,".repeat(300)).contains("it has 600 characters; the limit is 512"));
}

proptest::proptest! {
    #[test]
    fn any_text_is_answered(text in "[0-9*/,\\-?LW#@A-Z ]{0,40}|.{0,40}") {
        let _ = text.parse::<Expression>();
    }
}
