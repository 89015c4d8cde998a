//! Schedules that a program declares next to its handlers.

use std::sync::Arc;

use leveret_beat::timetable::Timetable;
use leveret_common::backend::Backend;
use leveret_common::decorator::{Faults, Faulty, Moment, ScheduleCall};
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::StoreErrorKind;
use leveret_common::testkit::eventually;
use leveret_worker::handler::{RegistryError, echo};
use leveret_worker::{Registry, Worker, WorkerError};

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    the_timetable_holds_what_the_program_that_started_last_declares,
}

fn says(when: &str) -> Definition {
    Definition::new(when, "echo".parse().unwrap())
}

fn registry(program: Option<&str>, schedules: &[(&str, &str)]) -> Registry {
    let mut registry = Registry::default();
    registry.add(kind("echo", echo())).unwrap();
    if let Some(program) = program {
        registry.program(program);
    }
    for (name, when) in schedules {
        registry.schedule(name.parse().unwrap(), says(when)).unwrap();
    }
    registry
}

/// Lists the schedules with what they say and where they come from.
async fn listed(place: &Place) -> Vec<(String, String, Source)> {
    let listed = Timetable::new(place.producer.clone()).list(None, 100).await.unwrap();
    let entries = listed.into_iter().map(|scheduled| scheduled.entry);
    entries.map(|entry| (entry.name.to_string(), entry.definition.when, entry.source)).collect()
}

async fn until(place: &Place, expected: &[(&str, &str, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, when, program)| {
            let source = Source::Code { program: (*program).to_owned() };
            ((*name).to_owned(), (*when).to_owned(), source)
        })
        .collect();
    eventually(DEADLINE, "the timetable holds them", || async { listed(place).await == expected })
        .await;
}

async fn the_timetable_holds_what_the_program_that_started_last_declares(place: Place) {
    let start = |registry| place.work_in(place.backend.clone(), registry, config());
    let first = start(registry(Some("billing"), &[("a", "@hourly"), ("b", "@daily")])).await;
    until(&place, &[("a", "@hourly", "billing"), ("b", "@daily", "billing")]).await;
    let other = start(registry(Some("reports"), &[("r", "@weekly"), ("a", "@yearly")])).await;
    let with_r =
        [("a", "@hourly", "billing"), ("b", "@daily", "billing"), ("r", "@weekly", "reports")];
    until(&place, &with_r).await;
    // A deploy: the next version starts while this one runs.
    let second = start(registry(Some("billing"), &[("b", "@weekly"), ("c", "@daily")])).await;
    let deployed =
        [("b", "@weekly", "billing"), ("c", "@daily", "billing"), ("r", "@weekly", "reports")];
    until(&place, &deployed).await;
    first.drain().await;
    // A worker that declares nothing and is not named changes nothing.
    let silent = start(registry(None, &[])).await;
    // One that is named and declares nothing any more takes its own away.
    let last = start(registry(Some("billing"), &[])).await;
    until(&place, &[("r", "@weekly", "reports")]).await;
    for worker in [other, second, silent, last] {
        worker.drain().await;
    }
}

#[tokio::test]
async fn a_schedule_that_means_nothing_keeps_the_worker_from_starting() {
    let place = Place::embedded();
    let mut wrong = registry(Some("billing"), &[("a", "61 * * * *"), ("b", "@daily")]);
    let mut definition = says("@daily");
    definition.max_attempts = Some(0);
    wrong.schedule("c".parse().unwrap(), definition).unwrap();
    let Err(error) = Worker::new(place.backend, wrong, config()) else { panic!("it was taken") };
    assert!(matches!(error, WorkerError::Schedules(_)), "{error}");
    let said = error.to_string();
    let start =
        "failed to declare schedules: nothing was changed, because 2 things are wrong: a: when: ";
    assert!(said.starts_with(start), "{said}");
    assert!(said.contains("; c: max_attempts: it is 0; it must be within 1 and 1000"), "{said}");
}

#[test]
fn a_schedule_is_declared_once() {
    let mut registry = registry(None, &[("a", "@daily")]);
    let error = registry.schedule("a".parse().unwrap(), says("@daily")).unwrap_err();
    assert_eq!(error, RegistryError::ScheduledTwice("a".parse().unwrap()));
    assert_eq!(
        error.to_string(),
        "failed to declare schedule a: it is declared already; remove one of the two"
    );
}

#[tokio::test]
async fn a_program_without_a_name_is_called_like_its_executable() {
    let place = Place::embedded();
    let registry = registry(None, &[("a", "@daily")]);
    let worker = place.work_in(place.backend.clone(), registry, config()).await;
    let executable = std::env::current_exe().unwrap();
    let program = executable.file_stem().unwrap().to_str().unwrap();
    until(&place, &[("a", "@daily", program)]).await;
    worker.drain().await;
}

#[tokio::test]
async fn a_store_that_fails_is_asked_until_it_holds_what_is_declared() {
    let place = Place::embedded();
    let faults = Faults::scripted();
    let refused = StoreErrorKind::Unavailable;
    faults.fail_schedules(ScheduleCall::Page, 1, Moment::Before, refused);
    faults.fail_schedules(ScheduleCall::Change, 1, Moment::After, refused);
    let schedules =
        Arc::new(Faulty::new(Arc::clone(&place.backend.schedules), Arc::clone(&faults)));
    let backend = Backend { schedules, ..place.backend.clone() };
    let registry = registry(Some("billing"), &[("a", "@hourly"), ("b", "@daily")]);
    let worker = place.work_in(backend, registry, config()).await;
    until(&place, &[("a", "@hourly", "billing"), ("b", "@daily", "billing")]).await;
    worker.drain().await;
    assert_eq!(faults.struck(), 2);
}
