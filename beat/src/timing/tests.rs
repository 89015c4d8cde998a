//! What bounds an expression, and whether the other questions agree with `next`.

use chrono::DateTime;
use leveret_common::clock::Millis;
use leveret_common::schedule::Definition;
use proptest::prelude::*;

use super::*;

pub(super) fn at(text: &str) -> Millis {
    let instant = DateTime::parse_from_rfc3339(text).expect(text);
    Millis(u64::try_from(instant.timestamp_millis()).unwrap())
}

pub(super) fn definition(when: &str) -> Definition {
    Definition::new(when, "report.nightly".parse().unwrap())
}

pub(super) fn timing(definition: &Definition) -> Timing {
    Timing::new(&"report".parse().unwrap(), definition).unwrap()
}

pub(super) fn refused(definition: &Definition) -> Vec<(String, String)> {
    let problems = Timing::new(&"report".parse().unwrap(), definition).unwrap_err();
    problems.into_iter().map(|problem| (problem.field, problem.why)).collect()
}

#[test]
fn nothing_is_due_before_the_start_or_after_the_end() {
    let mut definition = definition("0 * * * *");
    definition.start = Some(at("2027-01-01T10:00:00Z"));
    definition.end = Some(at("2027-01-01T12:00:00Z"));
    let bounded = timing(&definition);
    let dues: Vec<Millis> = bounded.upcoming(Millis(0)).collect();
    let both = ["2027-01-01T10:00:00Z", "2027-01-01T11:00:00Z", "2027-01-01T12:00:00Z"].map(at);
    assert_eq!(dues, both, "both bounds count");
    definition.start = Some(Millis(both[0].0 + 1));
    definition.end = Some(Millis(both[2].0 - 1));
    let bounded = timing(&definition);
    assert_eq!(bounded.upcoming(Millis(0)).collect::<Vec<_>>(), [both[1]]);
    assert_eq!(bounded.latest(Millis(0), Millis(u64::MAX)), Some(both[1]));
    assert_eq!(bounded.newest(Millis(0), Millis(u64::MAX), 9), [both[1]]);
    assert_eq!(bounded.count(Millis(0), Millis(u64::MAX), 9), 1);
}

#[test]
fn the_answer_is_strictly_later_down_to_the_millisecond() {
    let minutely = timing(&definition("* * * * *"));
    let minute = at("2027-01-01T10:00:00Z");
    let later = Some(Millis(minute.0 + 60_000));
    assert_eq!(minutely.next(Millis(minute.0 - 1)), Some(minute));
    assert_eq!(minutely.next(minute), later);
    assert_eq!(minutely.next(Millis(minute.0 + 1)), later);
    assert_eq!(minutely.next(Millis(u64::MAX)), None);
    assert_eq!(minutely.next(Millis(0)), Some(Millis(60_000)));
}

#[test]
fn an_instant_is_due_once() {
    let mut once = definition("at 2027-01-01T09:00");
    once.zone = Some("Europe/Berlin".to_owned());
    let due = at("2027-01-01T08:00:00Z");
    assert_eq!(timing(&once).upcoming(Millis(0)).collect::<Vec<_>>(), [due]);
    assert_eq!(timing(&once).latest(Millis(0), due), Some(due));
    assert_eq!(timing(&once).latest(due, Millis(u64::MAX)), None);
    // Its own zone counts, and may be said twice.
    once.when = "at 2027-01-01T09:00 Asia/Tokyo".to_owned();
    assert_eq!(refused(&once)[0].0, "zone");
    once.zone = Some("Asia/Tokyo".to_owned());
    assert_eq!(timing(&once).zone(), Tz::Asia__Tokyo);
    once.zone = None;
    assert_eq!(timing(&once).next(Millis(0)), Some(at("2027-01-01T00:00:00Z")));
    // Two names of the same clocks do not contradict one another.
    once.when = "at 2027-01-01T09:00 Asia/Calcutta".to_owned();
    once.zone = Some("Asia/Kolkata".to_owned());
    assert_eq!(timing(&once).next(Millis(0)), Some(at("2027-01-01T03:30:00Z")));
}

#[test]
fn what_can_never_be_due_is_refused_and_what_is_over_says_so() {
    let mut daily = definition("0 2 * * *");
    daily.start = Some(at("9999-01-01T00:00:00Z"));
    let why = "nothing is ever due from then on; make it earlier";
    assert_eq!(refused(&daily), [("start".to_owned(), why.to_owned())]);
    // Between two occurrences.
    daily.start = Some(at("2027-01-01T03:00:00Z"));
    daily.end = Some(at("2027-01-02T01:00:00Z"));
    let why = "the first that would be due is 2027-01-02T02:00:00Z, later; make it later";
    assert_eq!(refused(&daily), [("end".to_owned(), why.to_owned())]);
    daily.end = Some(at("2027-01-02T02:00:00Z"));
    let (due, before) = (at("2027-01-02T02:00:00Z"), at("2027-01-02T01:59:59Z"));
    assert!(!timing(&daily).is_over(before));
    assert!(timing(&daily).is_over(due));
    // Days left out count as well.
    daily.exclude = vec!["2027-01-02".to_owned()];
    assert_eq!(refused(&daily)[0].0, "end");
    let mut once = definition("at 2027-01-01T09:00");
    once.end = Some(at("2027-01-01T08:59:59Z"));
    assert_eq!(refused(&once)[0].0, "end");
    // All of it in the past means something, and is over.
    let now = at("2026-06-01T00:00:00Z");
    for when in ["at 2020-01-01T00:00", "0 0 0 1 1 ? 1980"] {
        assert!(timing(&definition(when)).is_over(now), "{when}");
    }
    let mut ended = definition("0 2 * * *");
    ended.end = Some(at("2001-01-01T00:00:00Z"));
    assert!(timing(&ended).is_over(now));
    assert!(!timing(&definition("every 1s")).is_over(now));
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_field() {
    let mut wrong = definition("61 24 * * *");
    wrong.zone = Some("europe/berlin".to_owned());
    wrong.start = Some(Millis(2_000));
    wrong.end = Some(Millis(1_000));
    wrong.jitter = Some(MAX_JITTER + Duration::from_secs(1));
    wrong.exclude = vec!["christmas".to_owned(), "2027-12-31..2027-12-24".to_owned()];
    let problems = refused(&wrong);
    let fields: Vec<&str> = problems.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(fields, ["when", "when", "zone", "exclude", "exclude", "end", "jitter"]);
    for ((_, why), part) in problems.iter().zip([
        "minute, column 1: `61` is not within 0-59",
        "hour, column 4: `24` is not within 0-23",
        "did you mean `Europe/Berlin`?",
        "`christmas` is no day; write a date `2027-12-24`",
        "ends before it begins",
        "it lies before the start",
        "7d1s is too long; the most is 7d",
    ]) {
        assert!(why.contains(part), "{why}");
    }
}

#[test]
fn jitter_is_the_same_for_everybody_and_spreads_schedules() {
    let mut jittered = definition("0 2 * * *");
    jittered.jitter = Some(Duration::from_secs(600));
    let due = at("2027-01-01T02:00:00Z");
    let planned = |name: &str, due| {
        let timing = Timing::new(&name.parse().unwrap(), &jittered).unwrap();
        timing.planned(due).0 - due.0
    };
    // Written down: another build must not come to another result.
    assert_eq!([planned("report", due), planned("invoice", due)], [480_477, 399_998]);
    let spread: Vec<u64> = (0..1_000).map(|name| planned(&format!("s{name}"), due)).collect();
    assert!(spread.iter().all(|put_off| *put_off < 600_000));
    for tenth in 0..10 {
        let count = spread.iter().filter(|put_off| **put_off / 60_000 == tenth).count();
        assert!((60..140).contains(&count), "{count} of 1,000 in the {tenth}th minute");
    }
}

#[test]
fn a_schedule_says_when_it_is_due() {
    let mut said = definition("0 2 * * *");
    said.zone = Some("Europe/Berlin".to_owned());
    assert_eq!(timing(&said).words(), "at 02:00 each day, in Europe/Berlin");
    said.when = "every 90s".to_owned();
    assert_eq!(timing(&said).words(), "every 90 seconds");
    said.when = "at 2027-01-01T09:00 Europe/Berlin".to_owned();
    assert_eq!(timing(&said).words(), "once, at 09:00 on 1 January 2027, in Europe/Berlin");
    // Days left out are days of a zone.
    said.exclude = vec!["sat".to_owned()];
    assert_eq!(
        timing(&said).words(),
        "once, at 09:00 on 1 January 2027, in Europe/Berlin, but not on Saturday"
    );
    said.when = "every 90s".to_owned();
    assert_eq!(timing(&said).words(), "every 90 seconds, but not on Saturday, in Europe/Berlin");
    said.when = "0 2 * * *".to_owned();
    assert_eq!(timing(&said).words(), "at 02:00 each day, in Europe/Berlin, but not on Saturday");
    let mut said = definition("0 9 * * 1-5");
    said.exclude = ["12-24..01-02", "2027-05-06", "fri", "02-29"].map(str::to_owned).to_vec();
    let words = "at 09:00 on Monday to Friday, but not on Friday, 29 February of each year, \
                 24 December to 2 January of each year and 6 May 2027";
    assert_eq!(timing(&said).words(), words);
}

#[test]
fn a_timing_is_small() {
    // A beat keeps 100,000 of them; a wider field would be noticed here.
    assert!(size_of::<Timing>() <= 128, "{}", size_of::<Timing>());
}

fn expressions() -> impl Strategy<Value = Definition> {
    let when = prop::sample::select(vec![
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "0 */2 * * *",
        "0 0 * * 1",
        "0 0 1 * *",
        "0/20 * * * * ?",
        "0 0 12 ? * 6L",
        "every 90s phase 7s",
        "every 11h",
        "every 1s",
        "* 30 * * * ?",
        "at 2026-10-25T02:30",
    ]);
    let zone = prop::sample::select(vec!["UTC", "Europe/Berlin", "Australia/Lord_Howe"]);
    let exclude = prop::sample::subsequence(
        vec!["sat", "10-25..10-26", "2026-10-20..2026-11-20", "12-31..01-01"],
        0..3,
    );
    let jitter = prop::option::of((1..200_000_u64).prop_map(Duration::from_millis));
    let bound = || prop::option::of(bound());
    (when, zone, exclude, jitter, bound(), bound()).prop_map(
        |(when, zone, exclude, jitter, start, end)| {
            let mut definition = definition(when);
            definition.zone = Some(zone.to_owned());
            definition.exclude = exclude.into_iter().map(str::to_owned).collect();
            definition.jitter = jitter;
            (definition.start, definition.end) = match (start, end) {
                (Some(start), Some(end)) => (Some(start.min(end)), Some(start.max(end))),
                bounds => bounds,
            };
            // The one instant may be what is left out.
            if definition.when.starts_with("at") {
                definition.exclude.clear();
            }
            // Bounds that leave nothing are refused.
            let name = "report".parse().unwrap();
            if Timing::new(&name, &definition).is_err() {
                (definition.start, definition.end) = (None, None);
            }
            definition
        },
    )
}

/// Around the autumn change of 2026 in Berlin.
fn bound() -> impl Strategy<Value = Millis> {
    let change = at("2026-10-25T01:00:00Z").0;
    prop_oneof![change - 7_200_000..change + 7_200_000, change - 864_000_000..change + 864_000_000,]
        .prop_map(Millis)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_latest_the_newest_and_the_count_are_those_of_going_through_all(
        definition in expressions(),
        after in bound(),
        length in prop_oneof![0..20_000_u64, 0..10_000_000_u64, 0..864_000_000_u64],
        most in 0..20_usize,
    ) {
        let timing = timing(&definition);
        let until = Millis(after.0 + length);
        let all: Vec<Millis> =
            timing.upcoming(after).take_while(|due| *due <= until).take(3_000).collect();
        prop_assert!(all.is_sorted_by(|one, next| one < next));
        prop_assert!(all.iter().all(|due| *due > after));
        // Beyond that the enumeration would be the slow part.
        prop_assume!(all.len() < 3_000);
        prop_assert_eq!(timing.latest(after, until), all.last().copied());
        prop_assert_eq!(timing.newest(after, until, most), &all[all.len().saturating_sub(most)..]);
        prop_assert_eq!(timing.count(after, until, u64::MAX), all.len() as u64);
        prop_assert_eq!(timing.count(after, until, most as u64), all.len().min(most) as u64);
    }

    #[test]
    fn an_occurrence_is_within_its_bounds_and_not_on_a_day_left_out(
        definition in expressions(),
        after in bound(),
    ) {
        let timing = timing(&definition);
        for due in timing.upcoming(after).take(20) {
            prop_assert!(definition.start.is_none_or(|start| due >= start));
            prop_assert!(definition.end.is_none_or(|end| due <= end));
            let seconds = i64::try_from(due.0 / 1_000).unwrap();
            let local = DateTime::from_timestamp(seconds, 0).unwrap().with_timezone(&timing.zone());
            let (day, date) = (local.format("%a").to_string(), local.format("%m-%d").to_string());
            let dated = local.format("%Y-%m-%d").to_string();
            for exclusion in &definition.exclude {
                let excluded = match exclusion.as_str() {
                    "sat" => day == "Sat",
                    "10-25..10-26" => date == "10-25" || date == "10-26",
                    "12-31..01-01" => date == "12-31" || date == "01-01",
                    _ => ("2026-10-20".to_owned()..="2026-11-20".to_owned()).contains(&dated),
                };
                prop_assert!(!excluded, "{exclusion}: {local}");
            }
        }
    }

    #[test]
    fn jitter_keeps_the_order_and_never_reaches_the_next_occurrence(
        definition in expressions(),
        after in bound(),
    ) {
        let timing = timing(&definition);
        let jitter = definition.jitter.unwrap_or_default().as_millis();
        let dues: Vec<Millis> = timing.upcoming(after).take(30).collect();
        for due in &dues {
            let planned = timing.planned(*due);
            prop_assert!(planned >= *due);
            prop_assert!(u128::from(planned.0 - due.0) < jitter.max(1));
            prop_assert_eq!(planned, timing.clone().planned(*due));
            if let Some(next) = timing.next(*due) {
                prop_assert!(planned < next);
                prop_assert!(planned < timing.planned(next));
            }
        }
    }
}
