//! What a person is shown of an expression, and the days on which the clocks change.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use super::explain::{ClockChange, clock_change, explain};

fn utc(text: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(text).expect(text).to_utc()
}

#[test]
fn an_expression_is_shown_in_words_and_by_its_next_instants() {
    let shown =
        explain(&"30 2 * * *".parse().unwrap(), Tz::Europe__Berlin, utc("2026-03-27T12:00:00Z"), 3);
    assert_eq!(shown.words, "at 02:30 each day");
    let rows: Vec<_> = shown
        .upcoming
        .iter()
        .map(|one| (one.due.to_rfc3339(), one.local.to_rfc3339(), one.clock_change))
        .collect();
    let gap = ClockChange { at: utc("2026-03-29T01:00:00Z"), by: TimeDelta::hours(1) };
    let row = |due: &str, local: &str, change| (due.to_owned(), local.to_owned(), change);
    assert_eq!(
        rows,
        [
            row("2026-03-28T01:30:00+00:00", "2026-03-28T02:30:00+01:00", None),
            row("2026-03-29T01:00:00+00:00", "2026-03-29T03:00:00+02:00", Some(gap)),
            row("2026-03-30T00:30:00+00:00", "2026-03-30T02:30:00+02:00", None),
        ]
    );
}

#[test]
fn an_expression_with_its_own_zone_is_shown_in_that_one() {
    let once = "at 2027-01-01T09:00 Asia/Tokyo".parse().unwrap();
    let shown = explain(&once, Tz::UTC, utc("2026-01-01T00:00:00Z"), 5);
    assert_eq!(shown.upcoming.len(), 1);
    assert_eq!(shown.upcoming[0].local.to_rfc3339(), "2027-01-01T09:00:00+09:00");
}

#[test]
fn the_day_of_a_change_is_marked_from_its_first_to_its_last_second() {
    for (zone, change, by, first, last) in [
        // Back by an hour at 03:00.
        (
            Tz::Europe__Berlin,
            "2026-10-25T01:00:00Z",
            -60,
            "2026-10-24T22:00:00Z",
            "2026-10-25T22:59:59Z",
        ),
        // Forward at midnight: the day begins with it.
        (
            Tz::Africa__Cairo,
            "2026-04-23T22:00:00Z",
            60,
            "2026-04-23T22:00:00Z",
            "2026-04-24T20:59:59Z",
        ),
        // Back at midnight: the day ends with it.
        (
            Tz::Africa__Cairo,
            "2026-10-29T21:00:00Z",
            -60,
            "2026-10-28T21:00:00Z",
            "2026-10-29T21:59:59Z",
        ),
        (
            Tz::Australia__Lord_Howe,
            "2026-10-03T15:30:00Z",
            30,
            "2026-10-03T13:30:00Z",
            "2026-10-04T12:59:59Z",
        ),
        // A day is left out: the one behind it begins with the change.
        (
            Tz::Pacific__Apia,
            "2011-12-30T10:00:00Z",
            1_440,
            "2011-12-30T10:00:00Z",
            "2011-12-31T09:59:59Z",
        ),
    ] {
        let marked = Some(ClockChange { at: utc(change), by: TimeDelta::minutes(by) });
        let (first, last) = (utc(first), utc(last));
        assert_eq!(clock_change(zone, first), marked, "{zone} {first}");
        assert_eq!(clock_change(zone, last), marked, "{zone} {last}");
        let second = TimeDelta::seconds(1);
        assert_eq!(clock_change(zone, first - second), None, "{zone} before {first}");
        assert_eq!(clock_change(zone, last + second), None, "{zone} after {last}");
    }
    assert_eq!(clock_change(Tz::UTC, utc("2026-03-29T01:00:00Z")), None);
}
