//! When a task starts: never before it is due, and never after its expiry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_worker::handler::{echo, from_fn};
use leveret_worker::{Execution, Handler, TaskError};
use serde_json::Value;

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    a_wait_that_a_handler_asks_for_is_exact_and_never_cut_short,
    a_task_that_expires_while_it_is_delayed_is_not_started,
    a_task_that_expires_between_two_attempts_is_not_tried_again,
    a_task_that_expires_while_it_is_parked_is_not_started,
}

fn counting(starts: &Arc<AtomicU32>) -> Arc<dyn Handler> {
    let starts = Arc::clone(starts);
    from_fn(move |_: Value, _| {
        starts.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    })
}

async fn a_wait_that_a_handler_asks_for_is_exact_and_never_cut_short(place: Place) {
    // Below a delay queue's shortest, between two of them, and for several hops.
    const WAITS: [Duration; 3] =
        [Duration::from_millis(90), Duration::from_millis(700), Duration::from_millis(1_350)];
    let moody = from_fn(|_: Value, execution: Execution| async move {
        let asked = execution.order.attempt as usize - 1;
        match WAITS.get(asked % WAITS.len()) {
            Some(wait) if asked < WAITS.len() => Err(TaskError::snooze(*wait)),
            Some(wait) if asked < 2 * WAITS.len() => Err(TaskError::retry_in(*wait, "not yet")),
            _ => Ok(()),
        }
    });
    let _worker = place.work(vec![kind("demo.moody", moody)], config()).await;
    let task = place.producer.task("demo.moody", &()).max_attempts(7);
    let view = place.wait(task.await.unwrap().id).await;
    assert_eq!((view.state, view.history.len()), (TaskState::Done, 7), "{view:?}");
    for (pair, asked) in view.history.windows(2).zip(WAITS.iter().chain(&WAITS)) {
        let (note, next) = (&pair[0], &pair[1]);
        let due = note.next_at.unwrap();
        assert!(due >= note.started_at.unwrap().after(*asked), "{asked:?}: {note:?}");
        assert!(due <= note.ended_at.after(*asked), "{asked:?}: {note:?}");
        assert!(next.started_at.unwrap() >= due, "{asked:?}: early: {next:?}");
    }
}

async fn a_task_that_expires_while_it_is_delayed_is_not_started(place: Place) {
    let starts = Arc::new(AtomicU32::new(0));
    let (delay, expires) = (Duration::from_millis(300), Duration::from_millis(600));
    let task = place.producer.task("demo.late", &()).delay(delay).expires(expires);
    let id = task.await.unwrap().id;
    let soon = place.producer.task("demo.late", &()).delay(delay).expires(DEADLINE);
    let soon = soon.await.unwrap().id;
    // Nobody takes tasks until it is too late.
    let expired = place.backend.clock.now().after(expires);
    eventually(DEADLINE, "it is too late", || async { place.backend.clock.now() > expired }).await;
    let _worker = place.work(vec![kind("demo.late", counting(&starts))], config()).await;
    assert_eq!(place.wait(id).await.state, TaskState::Expired);
    assert_eq!(place.wait(soon).await.state, TaskState::Done);
    assert_eq!(starts.load(Ordering::SeqCst), 1);
}

async fn a_task_that_expires_between_two_attempts_is_not_tried_again(place: Place) {
    let fails = from_fn(|_: Value, _| async move {
        Err::<(), _>(TaskError::retry_in(Duration::from_millis(1_500), "not yet"))
    });
    let _worker = place.work(vec![kind("demo.fails", fails)], config()).await;
    let task = place.producer.task("demo.fails", &()).expires(Duration::from_secs(1));
    let view = place.wait(task.await.unwrap().id).await;
    assert_eq!(view.state, TaskState::Expired);
    let outcomes: Vec<_> = view.history.iter().map(|note| note.outcome.as_str()).collect();
    assert_eq!(outcomes, ["retry", "expired"]);
}

async fn a_task_that_expires_while_it_is_parked_is_not_started(place: Place) {
    let starts = Arc::new(AtomicU32::new(0));
    // Nobody knows the kind yet, so it is parked for 5 s.
    let old = place.work(vec![kind("demo.other", echo())], config()).await;
    let task = place.producer.task("demo.new", &()).expires(Duration::from_secs(2));
    let id = task.await.unwrap().id;
    let behind = place.producer.task("demo.other", &()).await.unwrap().id;
    place.wait(behind).await;
    old.drain().await;
    let _new = place.work(vec![kind("demo.new", counting(&starts))], config()).await;
    assert_eq!(place.wait(id).await.state, TaskState::Expired);
    assert_eq!(starts.load(Ordering::SeqCst), 0);
}
