//! How fast the next instant is found, beside `croner` and `cron` on the same expressions.
//!
//! One iteration is one `next`, from the instant that the one before gave: a walk through time, as
//! a beat walks. `cargo bench -p leveret-beat --bench next`; divide a second by the time shown.

#![allow(clippy::expect_used, reason = "a bench that cannot begin has nothing to measure")]
#![allow(missing_docs, reason = "criterion's macros make public items")]

use std::hint::black_box;
use std::str::FromStr;

use criterion::{Criterion, criterion_group, criterion_main};
use croner::Cron;
use croner::parser::{CronParser, Seconds};
use leveret_beat::chrono::{DateTime, Utc};
use leveret_beat::chrono_tz::Tz;
use leveret_beat::expression::Expression;
use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use leveret_common::schedule::Definition;

const BERLIN: Tz = Tz::Europe__Berlin;

/// A name, ours, and what `croner` and `cron` are asked, where they have a form for it.
const EXPRESSIONS: [(&str, &str, Option<&str>, Option<&str>); 8] = [
    ("minutely", "* * * * *", Some("* * * * *"), Some("0 * * * * *")),
    (
        "quarter-hours-at-work",
        "*/15 9-17 * * 1-5",
        Some("*/15 9-17 * * 1-5"),
        Some("0 */15 9-17 * * 2-6"),
    ),
    ("daily", "30 2 * * *", Some("30 2 * * *"), Some("0 30 2 * * *")),
    ("weekly", "0 9 * * MON", Some("0 9 * * MON"), Some("0 0 9 * * MON")),
    ("last-friday", "0 0 2 ? * 6L", Some("0 0 2 ? * 6L"), None),
    ("workday-before-the-last", "0 0 2 L-3W * ?", None, None),
    ("leap-day", "0 0 29 2 *", Some("0 0 29 2 *"), Some("0 0 0 29 2 *")),
    ("fifth-monday-of-february", "0 0 0 ? 2 2#5", Some("0 0 0 ? 2 2#5"), None),
];

fn begin() -> DateTime<Utc> {
    DateTime::from_timestamp(1_798_761_600, 0).expect("2027 is a year")
}

/// Measures a walk that begins anew where it ends.
fn walk(
    criterion: &mut Criterion,
    name: &str,
    mut next: impl FnMut(DateTime<Utc>) -> Option<DateTime<Utc>>,
) {
    let mut at = begin();
    criterion.bench_function(name, |bencher| {
        bencher.iter(|| at = black_box(next(black_box(at))).unwrap_or_else(begin));
    });
}

fn next(criterion: &mut Criterion) {
    for (name, ours, by_croner, by_cron) in EXPRESSIONS {
        let expression: Expression = ours.parse().expect(ours);
        walk(criterion, &format!("leveret/{name}"), |at| expression.next(BERLIN, at));
        if let Some(text) = by_croner {
            let parser = CronParser::builder()
                .seconds(Seconds::Optional)
                .alternative_weekdays(text.contains('?'));
            let cron: Cron = parser.build().parse(text).expect(text);
            walk(criterion, &format!("croner/{name}"), |at| {
                let next = cron.find_next_occurrence(&at.with_timezone(&BERLIN), false);
                next.ok().filter(|next| next < &end()).map(|next| next.to_utc())
            });
        }
        if let Some(text) = by_cron {
            let schedule = cron::Schedule::from_str(text).expect(text);
            walk(criterion, &format!("cron/{name}"), |at| {
                schedule.after(&at.with_timezone(&BERLIN)).next().map(|next| next.to_utc())
            });
        }
    }
}

/// The end of our calendar, so that all walk through the same years.
fn end() -> DateTime<Utc> {
    DateTime::from_timestamp(4_102_444_800, 0).expect("2100 is a year")
}

/// What a sparse expression costs at worst: all years are looked through, and none is found.
fn nothing_left(criterion: &mut Criterion) {
    let rare: Expression = "0 0 0 ? 2 2#5".parse().expect("a rare day");
    let once: Expression = "0 0 0 L-30W * ? 1970".parse().expect("one year");
    let month_by_month: Expression = "0 0 0 ? * 1#5 2099".parse().expect("the last year");
    let early = DateTime::from_timestamp(0, 0).expect("1970 is a year");
    let late = DateTime::from_timestamp(3_500_000_000, 0).expect("2080 is a year");
    criterion.bench_function("worst/rare-day-from-2072", |bencher| {
        bencher.iter(|| black_box(rare.next(BERLIN, black_box(late))));
    });
    criterion.bench_function("worst/no-year-left", |bencher| {
        bencher.iter(|| black_box(once.next(BERLIN, black_box(late))));
    });
    criterion.bench_function("worst/the-last-year-from-1970", |bencher| {
        bencher.iter(|| black_box(month_by_month.next(BERLIN, black_box(early))));
    });
}

/// The questions of a beat: a schedule is read from its definition, and asked for what it missed.
fn timing(criterion: &mut Criterion) {
    let name = "report.nightly".parse().expect("a name");
    let mut definition =
        Definition::new("*/15 9-17 * * 1-5", "report.nightly".parse().expect("a kind"));
    definition.zone = Some("Europe/Berlin".to_owned());
    definition.exclude = vec!["12-24..01-02".to_owned()];
    let timing = Timing::new(&name, &definition).expect("a definition");
    criterion.bench_function("timing/read", |bencher| {
        bencher.iter(|| black_box(Timing::new(&name, black_box(&definition))));
    });
    let until = Millis(1_798_761_600_000);
    let month_ago = Millis(until.0 - 30 * 86_400_000);
    criterion.bench_function("timing/latest-of-a-month", |bencher| {
        bencher.iter(|| black_box(timing.latest(black_box(month_ago), until)));
    });
}

criterion_group!(benches, next, nothing_left, timing);
criterion_main!(benches);
