//! The crate `cron` as a second opinion, where both mean the same.
//!
//! They differ by design in four points, which the comparison leaves out: `cron` skips a fixed time
//! in a gap and repeats it in a fold (so the comparison runs in UTC, and in zones only away from
//! changes), wants both day fields to match (so at most one is restricted here), counts Sunday as 1
//! (so numbers are shifted), and has no `L`, `W` and `#`.

use chrono::{DateTime, Days, TimeZone, Utc};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

/// A field as text, for us and for `cron`; they differ only in the numbers of weekdays.
fn field(first: u32, last: u32, shift: u32) -> impl Strategy<Value = (String, String)> {
    let both = move |text: fn(u32, u32) -> String, a: u32, b: u32| {
        (text(a, b), text(a + shift, b + shift))
    };
    let pair = (first..=last, first..=last).prop_map(|(a, b)| (a.min(b), a.max(b)));
    prop_oneof![
        2 => Just(("*".to_owned(), "*".to_owned())),
        2 => (first..=last).prop_map(move |a| both(|a, _| a.to_string(), a, a)),
        1 => pair.clone().prop_map(move |(a, b)| both(|a, b| format!("{a}-{b}"), a, b)),
        1 => pair.clone().prop_map(move |(a, b)| both(|a, b| format!("{a},{b}"), a, b)),
        1 => (pair, 1..=6_u32).prop_map(move |((a, b), step)| {
            (format!("{a}-{b}/{step}"), format!("{}-{}/{step}", a + shift, b + shift))
        }),
    ]
}

prop_compose! {
    fn expressions()(
        minute in field(0, 59, 0),
        hour in field(0, 23, 0),
        day in field(1, 28, 0),
        month in field(1, 12, 0),
        weekday in field(0, 6, 1),
        by_weekday: bool,
    ) -> (String, String) {
        let star = || ("*".to_owned(), "*".to_owned());
        let (day, weekday) = if by_weekday { (star(), weekday) } else { (day, star()) };
        let ours = [&minute.0, &hour.0, &day.0, &month.0, &weekday.0];
        let theirs = [&minute.1, &hour.1, &day.1, &month.1, &weekday.1];
        (ours.map(String::as_str).join(" "), format!("0 {}", theirs.map(String::as_str).join(" ")))
    }
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // 2000 to 2090: `cron` ends in 2100.
    (946_684_800_i64..3_786_912_000).prop_map(|second| Utc.timestamp_opt(second, 0).unwrap())
}

fn their_next(expression: &str, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let schedule: cron::Schedule = expression.parse().expect(expression);
    let next = schedule.after(&after.with_timezone(&zone)).next();
    next.map(|instant| instant.to_utc())
}

/// Whether the zone's offset is the same a day earlier as a day later.
fn is_quiet(zone: Tz, instant: DateTime<Utc>) -> bool {
    let offset =
        |instant: DateTime<Utc>| instant.with_timezone(&zone).naive_local() - instant.naive_utc();
    offset(instant - Days::new(1)) == offset(instant + Days::new(1))
}

#[test]
fn the_differences_by_design_are_as_described() {
    let utc = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().to_utc();
    let times = |expression: &str, after: &str| {
        let schedule: cron::Schedule = expression.parse().unwrap();
        let start = utc(after).with_timezone(&Tz::Europe__Berlin);
        let next = schedule.after(&start).take(2);
        next.map(|instant| instant.format("%d %H:%M%:z").to_string()).collect::<Vec<_>>()
    };
    let gap = times("0 30 2 * * *", "2026-03-28T12:00:00Z");
    assert_eq!(gap, ["30 02:30+02:00", "31 02:30+02:00"]);
    let fold = times("0 30 2 * * *", "2026-10-24T12:00:00Z");
    assert_eq!(fold, ["25 02:30+02:00", "25 02:30+01:00"]);
    let both_days = times("0 0 0 13 * 6", "2026-06-01T00:00:00Z");
    assert_eq!(both_days, ["13 00:00+01:00", "13 00:00+02:00"]);
    assert!("0 0 0 * * 0".parse::<cron::Schedule>().is_err(), "Sunday is 1");
    for beyond in ["0 0 0 L * *", "0 0 0 15W * *", "0 0 0 * * 5#3"] {
        assert!(beyond.parse::<cron::Schedule>().is_err(), "{beyond}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn both_crates_agree_in_utc((ours, theirs) in expressions(), start in instant()) {
        let expression: Expression = ours.parse().unwrap();
        let mut after = start;
        for _ in 0..4 {
            let next = expression.next(Tz::UTC, after);
            prop_assert_eq!(next, their_next(&theirs, Tz::UTC, after), "{} after {}", ours, after);
            after = next.unwrap();
        }
    }

    #[test]
    fn both_crates_agree_in_a_zone_away_from_changes(
        (ours, theirs) in expressions(),
        start in instant(),
        zone in prop::sample::select(vec![
            Tz::Europe__Berlin, Tz::America__New_York, Tz::Asia__Kolkata, Tz::Australia__Lord_Howe,
        ]),
    ) {
        let expression: Expression = ours.parse().unwrap();
        let next = expression.next(zone, start).unwrap();
        prop_assume!(is_quiet(zone, start) && is_quiet(zone, next));
        prop_assert_eq!(Some(next), their_next(&theirs, zone, start), "{} after {}", ours, start);
    }
}
