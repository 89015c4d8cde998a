//! What a test has go wrong, and that the product treats it as it treats the real thing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use leveret_common::id::Fence;
use leveret_worker::handler::State;
use leveret_worker::harness::{Became, Harness};
use leveret_worker::{Config, Handlers, TaskError};

use super::{Welcome, app, failure};

type Calls = Arc<AtomicU32>;

async fn counted(_: Welcome, State(calls): State<Calls>) -> Result<u32, TaskError> {
    Ok(calls.fetch_add(1, Ordering::SeqCst) + 1)
}

fn counting() -> (Harness, Calls) {
    let calls = Calls::default();
    (Harness::new(Handlers::new().state(Arc::clone(&calls)).handle(counted)), calls)
}

#[tokio::test]
async fn planned_failures_come_one_after_the_other_and_the_handler_is_not_called() {
    let (mut app, calls) = counting();
    app.fail_next::<Welcome>("connection refused");
    app.panic_next::<Welcome>("out of bounds");
    let id = app.enqueue(Welcome { user_id: 1 }).await.unwrap().id;

    let first = app.perform_one().await.unwrap().became;
    let Became::Retry { at, class, error } = first else { panic!("{first}") };
    assert_eq!((class.as_str(), error.as_str()), ("error", "connection refused"));
    assert!(at > app.now());
    let waits = app.enqueued::<Welcome>().remove(0);
    assert_eq!((waits.attempt, waits.error.as_deref()), (2, Some("connection refused")));
    assert_eq!(waits.due_in, at.since(app.now()));
    app.advance(waits.due_in);
    let second = app.perform_one().await.unwrap().became;
    assert_eq!(second.error(), Some("the handler panicked: out of bounds"));
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    assert_eq!(app.run_until_over(id).await.result::<u32>(), 1);
}

#[tokio::test]
async fn a_planned_answer_is_whatever_a_handler_may_answer() {
    let (mut app, _) = counting();
    app.fail_next::<Welcome>(TaskError::dead("no such user").of_class("unknown-user"));
    let Became::Dead { reason, class, error } = app.perform(Welcome { user_id: 1 }).await else {
        panic!("not dead")
    };
    assert_eq!(
        (reason.as_str(), class.as_str(), error.as_str()),
        ("handler", "unknown-user", "no such user")
    );
    assert_eq!(app.dead()[0].class, "unknown-user");

    let wait = Duration::from_secs(60);
    app.fail_next_of("mail.hello", TaskError::snooze(wait));
    let snoozed = app.perform(Welcome { user_id: 2 }).await;
    assert_eq!(snoozed, Became::Snoozed { until: app.now().after(wait) });
}

#[tokio::test]
async fn a_worker_that_dies_first_costs_a_crash_and_no_attempt() {
    let (mut app, calls) = counting();
    app.crash_before_next::<Welcome>();
    app.enqueue(Welcome { user_id: 1 }).await.unwrap();
    assert_eq!(app.perform_one().await.unwrap().became, Became::Crashed);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    app.assert_enqueued::<Welcome>(|_| true);
    let again = app.perform_one().await.unwrap();
    assert_eq!((again.attempt, again.became.result::<u32>()), (1, 1));
}

#[tokio::test]
async fn a_worker_that_dies_after_the_work_has_it_done_twice_under_a_greater_fence() {
    async fn fenced(_: Welcome, fence: Fence, seen: State<Seen>) -> Result<(), TaskError> {
        seen.0.lock().await.push(fence.0);
        Ok(())
    }
    type Seen = Arc<tokio::sync::Mutex<Vec<u64>>>;
    let seen = Seen::default();
    let mut app = Harness::new(Handlers::new().state(Arc::clone(&seen)).handle(fenced));
    app.crash_after_next::<Welcome>();
    app.enqueue(Welcome { user_id: 1 }).await.unwrap();
    let summary = app.run_until_idle().await;
    let became: Vec<_> = summary.of::<Welcome>().map(ToString::to_string).collect();
    assert_eq!(became, ["back in its lane, because its worker died", "done"]);
    let seen = seen.lock().await;
    assert!(seen.len() == 2 && seen[0] < seen[1], "{seen:?}");
}

#[tokio::test]
async fn a_task_that_takes_its_workers_down_is_poison() {
    let calls = Calls::default();
    let handlers = Handlers::new().state(Arc::clone(&calls)).handle(counted);
    let mut app = Harness::with_config(handlers, Config { max_crashes: 2, ..Config::default() });
    for _ in 0..5 {
        app.crash_after_next::<Welcome>();
    }
    let id = app.enqueue(Welcome { user_id: 1 }).await.unwrap().id;
    let Became::Dead { reason, .. } = app.run_until_over(id).await else { panic!("not dead") };
    assert_eq!((reason.as_str(), calls.load(Ordering::SeqCst)), ("poison", 2));
}

#[tokio::test]
async fn all_that_a_worker_performs_dies_with_it() {
    let (mut app, _) = counting();
    for user_id in 0..4 {
        app.enqueue(Welcome { user_id }).await.unwrap();
    }
    app.crash_before_next::<Welcome>();
    let died = app.perform_at_once(4).await;
    assert!(died.of::<Welcome>().all(|became| *became == Became::Crashed), "{died}");
    assert_eq!(died.attempts(), 4);
    let summary = app.run_until_idle().await;
    assert_eq!((summary.attempts(), summary.done()), (4, 4), "{summary}");
}

#[tokio::test]
async fn nothing_is_planned_for_a_kind_that_nobody_performs() {
    let mut app = app();
    let told = failure(|| app.fail_next_of("email.welcom", "refused"));
    assert!(told.ends_with("did you mean \"email.welcome\"?"), "{told}");
}
