//! What six and seven fields mean, as Quartz has it.

use chrono_tz::Tz;

use super::tests::{firings, read, utc};

fn seconds(expression: &str, after: &str, count: usize) -> Vec<String> {
    firings(expression, after, count, "%a %m-%d %H:%M:%S")
}

fn days(expression: &str, after: &str, count: usize) -> Vec<String> {
    firings(expression, after, count, "%a %Y-%m-%d")
}

const START: &str = "2026-06-01T00:00:00Z"; // a Monday

#[test]
fn the_second_comes_first_and_the_year_last() {
    let fires = seconds("15,45 30 9 1 6 ?", START, 2);
    assert_eq!(fires, ["Mon 06-01 09:30:15", "Mon 06-01 09:30:45"]);
    let fires = firings("0 0 0 1 1 ? 2028-2032/2,2099", START, 9, "%F");
    assert_eq!(fires, ["2028-01-01", "2030-01-01", "2032-01-01", "2099-01-01"]);
    assert_eq!(firings("0 0 0 1 1 ? */40", START, 9, "%Y"), ["2050", "2090"]);
}

#[test]
fn one_is_sunday() {
    assert_eq!(days("0 0 0 ? * 1", START, 1), ["Sun 2026-06-07"]);
    assert_eq!(days("0 0 0 ? * 7", START, 1), ["Sat 2026-06-06"]);
    assert_eq!(days("0 0 0 ? * SUN", START, 1), ["Sun 2026-06-07"]);
    let workdays = days("0 0 0 ? * 2-6", "2026-06-04T12:00:00Z", 2);
    assert_eq!(workdays, ["Fri 2026-06-05", "Mon 2026-06-08"]);
}

#[test]
fn a_start_with_a_step_goes_on_to_the_end_of_the_field() {
    let fires = seconds("0 10/20 9 * * ?", START, 4);
    let expected =
        ["Mon 06-01 09:10:00", "Mon 06-01 09:30:00", "Mon 06-01 09:50:00", "Tue 06-02 09:10:00"];
    assert_eq!(fires, expected);
    assert_eq!(seconds("0 /30 9 * * ?", START, 2), ["Mon 06-01 09:00:00", "Mon 06-01 09:30:00"]);
    assert_eq!(
        days("0 0 0 ? * 2/3", START, 3),
        ["Thu 2026-06-04", "Mon 2026-06-08", "Thu 2026-06-11"]
    );
    // The step of the first day of the month begins anew each month.
    assert_eq!(
        days("0 0 0 20/10 * ?", START, 3),
        ["Sat 2026-06-20", "Tue 2026-06-30", "Mon 2026-07-20"]
    );
}

#[test]
fn a_range_may_go_round_the_end_of_its_field() {
    let night = seconds("0 0 22-2/2 * * ?", START, 4);
    let expected =
        ["Mon 06-01 02:00:00", "Mon 06-01 22:00:00", "Tue 06-02 00:00:00", "Tue 06-02 02:00:00"];
    assert_eq!(night, expected);
    let weekend = days("0 0 0 ? * FRI-MON", "2026-06-01T12:00:00Z", 5);
    let expected =
        ["Fri 2026-06-05", "Sat 2026-06-06", "Sun 2026-06-07", "Mon 2026-06-08", "Fri 2026-06-12"];
    assert_eq!(weekend, expected);
    let winter = firings("0 0 0 1 NOV-FEB ?", START, 5, "%m");
    assert_eq!(winter, ["11", "12", "01", "02", "11"]);
    assert_eq!(firings("50-10/10 0 0 * * ?", START, 3, "%S"), ["10", "50", "00"]);
    assert_eq!(
        days("0 0 0 30-2 * ?", START, 3),
        ["Tue 2026-06-02", "Tue 2026-06-30", "Wed 2026-07-01"]
    );
}

#[test]
fn the_last_day_and_days_before_it_follow_the_month() {
    assert_eq!(
        days("0 0 0 L 2 ?", "2027-01-01T00:00:00Z", 2),
        ["Sun 2027-02-28", "Tue 2028-02-29"]
    );
    assert_eq!(days("0 0 0 L-3 * ?", START, 2), ["Sat 2026-06-27", "Tue 2026-07-28"]);
    // Thirty days before the last: only months of 31 days have one.
    assert_eq!(
        days("0 0 0 L-30 * ?", START, 3),
        ["Wed 2026-07-01", "Sat 2026-08-01", "Thu 2026-10-01"]
    );
    assert_eq!(
        days("0 0 0 L,L-1,15 6 ?", START, 3),
        ["Mon 2026-06-15", "Mon 2026-06-29", "Tue 2026-06-30"]
    );
}

#[test]
fn the_nearest_workday_never_leaves_the_month() {
    // 1 August 2026 is a Saturday, 31 May 2026 a Sunday.
    assert_eq!(days("0 0 0 1W 8 ?", START, 1), ["Mon 2026-08-03"]);
    assert_eq!(days("0 0 0 31W 5 ?", "2026-05-01T00:00:00Z", 1), ["Fri 2026-05-29"]);
    assert_eq!(
        days("0 0 0 LW * ?", "2026-05-01T00:00:00Z", 2),
        ["Fri 2026-05-29", "Tue 2026-06-30"]
    );
    // 13 June 2026 is a Saturday, 14 June a Sunday: the Friday before, the Monday after.
    assert_eq!(days("0 0 0 13W 6 ?", START, 1), ["Fri 2026-06-12"]);
    assert_eq!(days("0 0 0 14W 6 ?", START, 1), ["Mon 2026-06-15"]);
    // Three days before the last of June is Saturday 27; the workday next to it is Friday 26.
    assert_eq!(days("0 0 0 L-3W 6 ?", START, 1), ["Fri 2026-06-26"]);
    // A month without a 31st has no workday next to it: not even April 2027, which ends on a Friday.
    assert_eq!(days("0 0 0 31W 4,5 ?", "2027-04-01T00:00:00Z", 1), ["Mon 2027-05-31"]);
    assert_eq!(days("0 0 0 31W * ?", START, 2), ["Fri 2026-07-31", "Mon 2026-08-31"]);
}

#[test]
fn the_last_and_the_nth_of_a_weekday_are_found() {
    assert_eq!(days("0 0 0 ? * 6L", START, 2), ["Fri 2026-06-26", "Fri 2026-07-31"]);
    assert_eq!(days("0 0 0 ? * FRIL", START, 1), ["Fri 2026-06-26"]);
    assert_eq!(days("0 0 0 ? * 6#3", START, 2), ["Fri 2026-06-19", "Fri 2026-07-17"]);
    // Most months have no fifth Friday: they are left out.
    assert_eq!(days("0 0 0 ? * FRI#5", START, 2), ["Fri 2026-07-31", "Fri 2026-10-30"]);
    // By itself it is the last day of the week, as in Quartz.
    assert_eq!(days("0 0 0 ? * L", START, 2), ["Sat 2026-06-06", "Sat 2026-06-13"]);
    let mixed = days("0 0 0 ? * MON,WED#2", START, 4);
    assert_eq!(mixed, ["Mon 2026-06-08", "Wed 2026-06-10", "Mon 2026-06-15", "Mon 2026-06-22"]);
}

#[test]
fn a_day_field_may_be_every_day_or_open() {
    for every in ["0 0 0 * * ?", "0 0 0 ? * *"] {
        assert_eq!(days(every, START, 2), ["Tue 2026-06-02", "Wed 2026-06-03"], "{every}");
    }
}

#[test]
fn every_second_is_found_across_the_end_of_a_year() {
    let expression = read("* * * * * ?");
    let mut instant = utc("2027-12-31T23:59:58Z");
    for expected in ["2027-12-31T23:59:59Z", "2028-01-01T00:00:00Z", "2028-01-01T00:00:01Z"] {
        instant = expression.next(Tz::UTC, instant).unwrap();
        assert_eq!(instant, utc(expected));
    }
}
