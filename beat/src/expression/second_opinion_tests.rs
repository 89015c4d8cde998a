//! The crates `croner` and `cron` as a second opinion, where they mean the same.
//!
//! Both are asked in UTC: what happens when the clocks change is a rule of ours. `croner` is left
//! out where it differs by design or has no such form: `*/2` in one of two restricted day fields is
//! a restriction to it, and it has no `L-3`, no range that goes round and no workday next to a day
//! that the month does not have. `cron` wants both day fields to match (so at most one is restricted
//! for it), counts Sunday as 1 (so numbers are shifted), and has no `L`, `W` and `#`. What the
//! differences come to is asserted below.

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use proptest::prelude::*;

use super::tests::{read, utc};

/// A field as text, for us and, with its numbers shifted, for `cron`.
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
    fn for_cron()(
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

fn ours(first: u32, last: u32) -> impl Strategy<Value = String> {
    field(first, last, 0).prop_map(|(ours, _)| ours)
}

fn day() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ours(1, 28),
        1 => Just("L".to_owned()),
        1 => Just("LW".to_owned()),
        1 => (1..=28_u32).prop_map(|day| format!("{day}W")),
    ]
}

fn weekday() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ours(1, 6),
        1 => (1..=6_u32).prop_map(|day| format!("{day}L")),
        1 => (1..=6_u32, 1..=5_u32).prop_map(|(day, nth)| format!("{day}#{nth}")),
        1 => prop::sample::select(vec!["MON", "TUE-SAT", "FRI"]).prop_map(str::to_owned),
    ]
}

prop_compose! {
    /// Five fields, the day fields both restricted at times.
    fn crontabs()(
        minute in ours(0, 59),
        hour in ours(0, 23),
        day in day(),
        month in ours(1, 12),
        weekday in weekday(),
    ) -> String {
        [minute, hour, day, month, weekday].join(" ")
    }
}

prop_compose! {
    fn quartzes()(
        second in ours(0, 59),
        minute in ours(0, 59),
        hour in ours(0, 23),
        day in day(),
        month in ours(1, 12),
        weekday in weekday(),
        by_weekday: bool,
    ) -> String {
        let open = || "?".to_owned();
        let (day, weekday) = if by_weekday { (open(), weekday) } else { (day, open()) };
        [second, minute, hour, day, month, weekday].join(" ")
    }
}

fn instant() -> impl Strategy<Value = DateTime<Utc>> {
    // 2000 to 2070: the rarest of these comes once in 28 years.
    (946_684_800_i64..3_155_760_000).prop_map(|second| Utc.timestamp_opt(second, 0).unwrap())
}

fn by_croner(cron: &Cron, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    cron.find_next_occurrence(&after, false).ok()
}

fn by_cron(expression: &str, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let schedule: cron::Schedule = expression.parse().expect(expression);
    let next = schedule.after(&after.with_timezone(&zone)).next();
    next.map(|instant| instant.to_utc())
}

#[test]
fn cron_differs_as_described() {
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

#[test]
fn croner_differs_as_described() {
    let next = |expression: &str, after: &str| {
        let cron: Cron = expression.parse().unwrap();
        let next = cron.find_next_occurrence(&utc(after).with_timezone(&Tz::Europe__Berlin), false);
        next.unwrap().format("%d %H:%M%:z").to_string()
    };
    // What the clocks' changes do depends on how many times there are.
    assert_eq!(next("30 2 * * *", "2026-03-28T22:59:59Z"), "29 03:00+02:00");
    assert_eq!(next("0,30 2 * * *", "2026-03-28T22:59:59Z"), "30 02:00+02:00");
    assert_eq!(next("30 2 * * *", "2026-10-25T00:30:00Z"), "26 02:30+01:00");
    assert_eq!(next("0,30 2 * * *", "2026-10-25T00:30:00Z"), "25 02:00+01:00");
    // A Monday, or an uneven day.
    assert_eq!(next("0 0 */2 * 1", "2026-06-02T00:00:00Z"), "03 00:00+02:00");
    for beyond in ["0 0 L-3 * *", "0 22-4 * * *", "0 0 * * FRI-MON"] {
        assert!(beyond.parse::<Cron>().is_err(), "{beyond}");
    }
    // Slips that it reads as something.
    assert!("0 0 * * SUNMON".parse::<Cron>().is_ok());
    assert!("1,,2 * * * *".parse::<Cron>().is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(384))]

    #[test]
    fn cron_agrees((ours, theirs) in for_cron(), start in instant()) {
        let expression = read(&ours);
        let mut after = start;
        for _ in 0..4 {
            let next = expression.next(Tz::UTC, after);
            prop_assert_eq!(next, by_cron(&theirs, Tz::UTC, after), "{} after {}", ours, after);
            after = next.unwrap();
        }
    }

    #[test]
    fn croner_agrees_on_five_fields(text in crontabs(), start in instant()) {
        let expression = read(&text);
        let theirs: Cron = text.parse().unwrap();
        let mut after = start;
        for _ in 0..4 {
            let next = expression.next(Tz::UTC, after);
            prop_assert_eq!(next, by_croner(&theirs, after), "{} after {}", text, after);
            after = next.unwrap();
        }
    }

    #[test]
    fn croner_agrees_on_six_fields(text in quartzes(), start in instant()) {
        let expression = read(&text);
        let parser = CronParser::builder().seconds(Seconds::Required).alternative_weekdays(true);
        let theirs = parser.build().parse(&text).unwrap();
        let mut after = start;
        for _ in 0..4 {
            let Some(next) = expression.next(Tz::UTC, after) else { break };
            prop_assert_eq!(Some(next), by_croner(&theirs, after), "{} after {}", text, after);
            after = next;
        }
    }
}
