//! Occurrences that somebody asks for: run now, and backfill.

use std::time::Duration;

use leveret_beat::timetable::{Range, TimetableError};
use leveret_common::clock::Millis;
use leveret_common::store::{Cause, Fate, TaskState};

use crate::world::{NOON, World, everywhere, named, says};

everywhere! {
    a_schedule_runs_now_once_for_each_nonce,
    a_range_is_backfilled_once_for_each_nonce,
}

const HOUR: u64 = 3_600_000;

fn hours_ago(hours: u64) -> Millis {
    Millis(NOON.0 - hours * HOUR)
}

async fn a_schedule_runs_now_once_for_each_nonce(world: World) {
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    world.timetable.pause(&name, "anna", None).await.unwrap();
    let first = world.timetable.run_now(&name, Some("now-7"), "bob").await.unwrap();
    let put = (first.due, first.is_repeated, first.nonce.as_str());
    assert_eq!(put, (Some(NOON), false, "now-7"));
    world.clock.advance(Duration::from_secs(5));
    let again = world.timetable.run_now(&name, Some("now-7"), "bob").await.unwrap();
    assert_eq!((again.task, again.is_repeated), (first.task, true));
    assert_eq!(again.due, first.due, "it is told when the task was due, not when it was asked for");
    let own = world.timetable.run_now(&name, None, "bob").await.unwrap();
    let other = world.timetable.run_now(&name, None, "bob").await.unwrap();
    assert_ne!(own.task, other.task);
    let repeated = world.timetable.run_now(&name, Some(&own.nonce), "bob").await.unwrap();
    assert_eq!((repeated.task, repeated.is_repeated), (own.task, true));
    assert_eq!(world.depth("default.normal").await, 3);
    let seen = world.timetable.occurrences(&name).await.unwrap();
    assert_eq!(seen.len(), 3, "{seen:?}");
    let last = seen.last().unwrap();
    assert_eq!(last.occurrence.fate, Fate::Fired { task: first.task });
    assert_eq!((last.occurrence.cause, last.occurrence.due), (Cause::RunNow, NOON));
    assert_eq!(last.occurrence.by.as_deref(), Some("bob"));
    assert_eq!(last.occurrence.revision, 2);
    assert_eq!(last.state, Some(TaskState::Queued));
}

async fn a_range_is_backfilled_once_for_each_nonce(world: World) {
    let name = named("a");
    let mut hourly = says("@hourly");
    // The hours of the day before are left out.
    hourly.exclude = vec!["2026-12-31".to_owned()];
    world.timetable.create(&name, hourly, "anna").await.unwrap();
    let range = Range { from: hours_ago(14), to: NOON };
    let done = world.timetable.backfill(&name, range, Some("fill"), "bob").await.unwrap();
    let dues: Vec<_> =
        done.tasks.iter().map(|task| NOON.since(task.due.unwrap()).as_secs() / 3_600).collect();
    assert_eq!(dues, [12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    assert_eq!((done.rest, done.nonce.as_str()), (None, "fill"));
    assert!(done.tasks.iter().all(|task| !task.is_repeated));
    let again = world.timetable.backfill(&name, range, Some("fill"), "bob").await.unwrap();
    assert!(again.tasks.iter().all(|task| task.is_repeated));
    let ids = |tasks: &[leveret_beat::timetable::PutIn]| {
        tasks.iter().map(|task| task.task).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again.tasks), ids(&done.tasks));
    assert_eq!(world.depth("default.normal").await, 13);
    let other = world.timetable.backfill(&name, range, None, "bob").await.unwrap();
    assert!(other.tasks.iter().all(|task| !task.is_repeated));
    assert_eq!(world.depth("default.normal").await, 26);
    let seen = world.timetable.occurrences(&name).await.unwrap();
    // Ten of each are noted.
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|seen| seen.occurrence.cause == Cause::Backfill));
    assert_eq!(seen[0].occurrence.due, NOON);
}

#[tokio::test]
async fn a_long_range_is_backfilled_in_pieces() {
    let world = World::new();
    let name = named("a");
    world.timetable.create(&name, says("every 1s"), "anna").await.unwrap();
    let mut range = Range { from: Millis(NOON.0 - 2_500_000), to: NOON };
    let mut nonce = None;
    let mut dues = Vec::new();
    loop {
        let done = world.timetable.backfill(&name, range, nonce.as_deref(), "bob").await.unwrap();
        assert!(done.tasks.len() <= 1_000);
        dues.extend(done.tasks.iter().filter_map(|task| task.due));
        nonce = Some(done.nonce);
        match done.rest {
            Some(rest) => range.from = rest,
            None => break,
        }
    }
    let all: Vec<_> = (0..2_500).map(|second| Millis(range.to.0 - second * 1_000)).rev().collect();
    assert_eq!(dues, all);
    assert_eq!(world.depth("default.normal").await, 2_500);
}

#[tokio::test]
async fn a_backfill_that_fails_half_way_is_repeated_without_doubling_anything() {
    let world = World::new();
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    world.broker.take_only(4);
    let range = Range { from: hours_ago(10), to: NOON };
    let error = world.timetable.backfill(&name, range, None, "bob").await.unwrap_err();
    assert!(error.retryable(), "{error}");
    let said = error.to_string();
    let TimetableError::Backfill { nonce, done, due, rest, .. } = error else { panic!("{said}") };
    assert_eq!((done, due, rest), (4, hours_ago(5), hours_ago(6)));
    let start = "failed to put in all of a backfill of schedule a: 4 tasks are in, the one that was \
                 due at 2027-01-01T07:00:00Z is not:";
    assert!(said.starts_with(start), "{said}");
    assert!(
        said.ends_with(&format!("ask again from 2027-01-01T06:00:00Z, with the nonce {nonce}")),
        "{said}"
    );
    world.broker.take_only(usize::MAX);
    let rest = Range { from: rest, ..range };
    let done = world.timetable.backfill(&name, rest, Some(&nonce), "bob").await.unwrap();
    assert_eq!(done.tasks.len(), 6);
    let whole = world.timetable.backfill(&name, range, Some(&nonce), "bob").await.unwrap();
    assert!(whole.tasks.iter().all(|task| task.is_repeated), "{whole:?}");
    assert_eq!(world.depth("default.normal").await, 10);
}

#[tokio::test]
async fn a_run_that_fails_tells_the_nonce_that_makes_it_safe_to_repeat() {
    let world = World::new();
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    world.broker.take_only(0);
    let error = world.timetable.run_now(&name, None, "bob").await.unwrap_err();
    let said = error.to_string();
    let TimetableError::Enqueue { nonce, task, .. } = error else { panic!("{said}") };
    assert!(said.ends_with(&format!("ask again with the nonce {nonce}, which makes that safe")));
    assert!(world.timetable.occurrences(&name).await.unwrap().is_empty());
    world.broker.take_only(usize::MAX);
    assert_eq!(world.timetable.run_now(&name, Some(&nonce), "bob").await.unwrap().task, task);
}

#[tokio::test]
async fn what_expires_is_measured_from_when_it_is_asked_for() {
    let world = World::new();
    let name = named("a");
    let mut brief = says("@hourly");
    brief.expires = Some(Duration::from_secs(60));
    world.timetable.create(&name, brief, "anna").await.unwrap();
    let range = Range { from: hours_ago(3), to: NOON };
    let done = world.timetable.backfill(&name, range, None, "bob").await.unwrap();
    assert_eq!(done.tasks.len(), 3);
    let seen = world.timetable.occurrences(&name).await.unwrap();
    assert!(seen.iter().all(|seen| seen.state == Some(TaskState::Queued)), "{seen:?}");
}

#[tokio::test]
async fn a_range_that_is_none_and_a_nonce_that_is_none_are_refused() {
    let world = World::new();
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    let later = Millis(NOON.0 + 1);
    for (from, to, nonce, said) in [
        (
            NOON,
            NOON,
            None,
            "to: it lies before from (2027-01-01T12:00:00.001Z); nothing lies between",
        ),
        (
            NOON,
            later,
            None,
            "to: it lies in the future; what is due after now (2027-01-01T12:00:00Z)",
        ),
        (hours_ago(1), NOON, Some(""), "nonce: "),
    ] {
        let error =
            world.timetable.backfill(&name, Range { from, to }, nonce, "bob").await.unwrap_err();
        assert!(error.to_string().starts_with(said), "{error}");
        assert!(matches!(error, TimetableError::Invalid(_)));
    }
    let error = world.timetable.run_now(&name, Some(&"x".repeat(129)), "bob").await.unwrap_err();
    assert!(error.to_string().starts_with("nonce: "), "{error}");
    assert_eq!(world.depth("default.normal").await, 0);
}
