//! The days on which the clocks change, one named case each.

use chrono_tz::Tz;

use super::tests::{read, utc};

/// All firings in a span, in local time with the offset.
fn between(expression: &str, zone: Tz, from: &str, until: &str) -> Vec<String> {
    let expression = read(expression);
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
    let daily = read("30 2 * * *");
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
fn a_repeating_expression_fires_in_both_passes_of_the_fold() {
    for repeating in ["*/30 2 * * *", "0 0/30 2 * * ?", "*/30 2-2 * * *"] {
        let autumn = between(repeating, BERLIN, AUTUMN.0, AUTUMN.1);
        let expected = ["25 02:00+02:00", "25 02:30+02:00", "25 02:00+01:00", "25 02:30+01:00"];
        assert_eq!(autumn, expected, "{repeating}");
    }
    let twohourly = between("0 */2 * * *", BERLIN, AUTUMN.0, "2026-10-25T04:00:00Z");
    let expected = ["25 00:00+02:00", "25 02:00+02:00", "25 02:00+01:00", "25 04:00+01:00"];
    assert_eq!(twohourly, expected);
}

#[test]
fn a_repeating_expression_that_leaves_hours_out_fires_once_for_those_in_the_gap() {
    let spring = between("*/30 2 * * *", BERLIN, SPRING.0, SPRING.1);
    assert_eq!(spring, ["29 03:00+02:00"]);
    let spring = between("*/30 1-3 * * *", BERLIN, SPRING.0, SPRING.1);
    assert_eq!(spring, ["29 01:00+01:00", "29 01:30+01:00", "29 03:00+02:00", "29 03:30+02:00"]);
    let twohourly = between("30 */2 * * *", BERLIN, SPRING.0, "2026-03-29T03:00:00Z");
    assert_eq!(twohourly, ["29 00:30+01:00", "29 03:00+02:00", "29 04:30+02:00"]);
}

#[test]
fn an_expression_of_every_hour_goes_on_by_the_hour_whatever_the_clocks_do() {
    for hourly in ["15 * * * *", "0 15 * * * ?", "15 0-23 * * *"] {
        let spring = between(hourly, BERLIN, SPRING.0, "2026-03-29T02:00:00Z");
        assert_eq!(spring, ["29 00:15+01:00", "29 01:15+01:00", "29 03:15+02:00"], "{hourly}");
        assert_eq!(between(hourly, BERLIN, SPRING.0, SPRING.1).len(), 23, "{hourly}");
        assert_eq!(between(hourly, BERLIN, AUTUMN.0, AUTUMN.1).len(), 25, "{hourly}");
    }
    assert_eq!(between("*/5 * * * *", BERLIN, SPRING.0, SPRING.1).len(), 23 * 12);
    assert_eq!(
        between("* * * * * ?", BERLIN, "2026-10-25T00:59:58Z", "2026-10-25T01:00:02Z"),
        ["25 02:59+02:00", "25 02:00+01:00", "25 02:00+01:00"]
    );
}

#[test]
fn seconds_do_not_decide_whether_the_times_are_fixed() {
    let spring = between("*/20 30 2 * * ?", BERLIN, SPRING.0, SPRING.1);
    assert_eq!(spring, ["29 03:00+02:00"]);
    let autumn = between("*/20 30 2 * * ?", BERLIN, AUTUMN.0, AUTUMN.1);
    assert_eq!(autumn, ["25 02:30+02:00"; 3]);
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
    // By a watch, what is due each hour is 90 minutes apart there.
    let hourly = between(
        "15 * * * *",
        Tz::Australia__Lord_Howe,
        "2026-10-03T14:00:00Z",
        "2026-10-03T17:00:00Z",
    );
    assert_eq!(hourly, ["04 01:15+10:30", "04 03:15+11:00"]);
}

#[test]
fn a_whole_day_that_was_skipped_fires_at_its_end() {
    // Samoa crossed the date line: 30 December 2011 does not exist.
    let fires =
        between("30 2 * * *", Tz::Pacific__Apia, "2011-12-29T10:00:00Z", "2011-12-31T09:00:00Z");
    assert_eq!(fires, ["29 02:30-10:00", "31 00:00+14:00", "31 02:30+14:00"]);
}
