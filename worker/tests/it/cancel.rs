//! What becomes of tasks that somebody cancels: before, between and during their attempts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::ledger::{Cancel, Cancelling, Ending, Entry};
use leveret_common::store::{Signal, TaskState};
use leveret_common::testkit::eventually;
use leveret_producer::Request;
use leveret_worker::handler::{Reply, echo, from_fn};
use leveret_worker::{Config, Execution, Handler, TaskError};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::away::Redis;
use crate::place::{DEADLINE, Place, config, endless, kind};

on_every_backend! {
    a_running_task_that_is_signalled_sees_its_token_and_ends_as_cancelled,
    a_cancel_whose_signal_got_lost_is_found_in_the_ledger,
    a_cancelled_handler_that_does_not_stop_is_dropped,
    a_task_that_succeeds_although_it_was_cancelled_is_done,
    a_task_that_was_cancelled_in_its_lane_never_starts,
    a_task_that_was_cancelled_between_two_attempts_has_no_second_one,
    a_cancel_is_for_the_claim_it_names,
    a_cancelled_long_task_ends_as_cancelled_and_its_copy_is_ignored,
    a_long_task_that_is_cancelled_and_drained_stays_so_while_its_copy_rests,
}

async fn cancel(place: &Place, id: TaskId) -> Cancelling {
    let ask = [Cancel { id, replay: 0, ttl: Duration::from_secs(600) }];
    place.backend.ledger.cancel(&ask).await.unwrap()[0]
}

/// Cancels as an operator does: the ledger first, then a signal to the holder.
async fn cancel_running(place: &Place, id: TaskId) {
    let Cancelling::Asked(hold) = cancel(place, id).await else { panic!("it does not run") };
    let signal = Signal::Cancel { task: id, fence: hold.fence };
    place.backend.signals.send(hold.owner, &[signal]).await.unwrap();
}

/// A handler that begins, waits for its token and fails, and how often it began.
fn waits_for_its_token(begun: &Arc<Notify>) -> (Arc<dyn Handler>, Arc<AtomicU32>) {
    let (begun, starts) = (Arc::clone(begun), Arc::new(AtomicU32::new(0)));
    let count = Arc::clone(&starts);
    let handler = from_fn(move |_: Value, execution: Execution| {
        let (begun, count) = (begun.clone(), count.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            begun.notify_one();
            execution.cancel.cancelled().await;
            Err::<(), _>(TaskError::failed("stopped", "told to stop"))
        }
    });
    (handler, starts)
}

async fn a_running_task_that_is_signalled_sees_its_token_and_ends_as_cancelled(place: Place) {
    let begun = Arc::new(Notify::new());
    let (handler, starts) = waits_for_its_token(&begun);
    // So rarely that only the signal can be in time.
    let seldom = Duration::from_secs(3_600);
    let config = Config { heartbeat: seldom, heartbeat_ttl: seldom * 3, ..config() };
    let _worker = place.work(vec![kind("demo.wait", handler)], config).await;
    let id = place.producer.task("demo.wait", &()).await.unwrap().id;
    begun.notified().await;
    cancel_running(&place, id).await;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Cancelled, 1));
    let note = view.history.last().unwrap();
    assert_eq!(note.outcome, "cancelled");
    assert_eq!((note.next_at, note.reason), (None, None), "nothing more comes of it");
    assert_eq!(
        note.failure.as_ref().unwrap().message,
        "the task was cancelled; then: told to stop"
    );
    assert_eq!(starts.load(Ordering::SeqCst), 1);
}

async fn a_cancel_whose_signal_got_lost_is_found_in_the_ledger(place: Place) {
    let begun = Arc::new(Notify::new());
    let (handler, _) = waits_for_its_token(&begun);
    let _worker = place.work(vec![kind("demo.wait", handler)], config()).await;
    let id = place.producer.task("demo.wait", &()).await.unwrap().id;
    begun.notified().await;
    assert!(matches!(cancel(&place, id).await, Cancelling::Asked(_)));
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
}

async fn a_cancelled_handler_that_does_not_stop_is_dropped(place: Place) {
    let (deaf, begun, dropped) = endless();
    let _worker = place.work(vec![kind("demo.deaf", deaf)], config()).await;
    let id = place.producer.task("demo.deaf", &()).await.unwrap().id;
    begun.notified().await;
    cancel_running(&place, id).await;
    dropped.notified().await;
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
    // The note of the attempt comes after the end that the ledger knows.
    let told = "the task was cancelled; stopped";
    eventually(DEADLINE, "it is noted how the attempt ended", || async {
        let view = place.producer.find(id).await.unwrap().unwrap();
        let failure = view.history.last().and_then(|note| note.failure.as_ref());
        failure.is_some_and(|failure| failure.message == told)
    })
    .await;
}

async fn a_task_that_succeeds_although_it_was_cancelled_is_done(place: Place) {
    let begun = Arc::new(Notify::new());
    let begin = Arc::clone(&begun);
    let polite = from_fn(move |_: Value, execution: Execution| {
        let begun = begin.clone();
        async move {
            begun.notify_one();
            execution.cancel.cancelled().await;
            Ok("in time")
        }
    });
    let _worker = place.work(vec![kind("demo.polite", polite)], config()).await;
    let id = place.producer.task("demo.polite", &()).await.unwrap().id;
    begun.notified().await;
    cancel_running(&place, id).await;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some(r#""in time""#)));
}

async fn a_task_that_was_cancelled_in_its_lane_never_starts(place: Place) {
    let (handler, starts) = waits_for_its_token(&Arc::default());
    let id = place.producer.task("demo.wait", &()).await.unwrap().id;
    assert_eq!(cancel(&place, id).await, Cancelling::Cancelled);
    let kinds = vec![kind("demo.wait", handler), kind("demo.echo", echo())];
    let _worker = place.work(kinds, Config { slots: 1, ..config() }).await;
    // It comes after the cancelled one.
    let last = place.producer.task("demo.echo", &json!(1)).await.unwrap().id;
    assert_eq!(place.wait(last).await.state, TaskState::Done);
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
    assert_eq!(starts.load(Ordering::SeqCst), 0);
}

async fn a_task_that_was_cancelled_between_two_attempts_has_no_second_one(place: Place) {
    let runs = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&runs);
    let wait = Duration::from_millis(700);
    let fail = from_fn(move |_: Value, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async move { Err::<(), _>(TaskError::retry_in(wait, "not now")) }
    });
    let kinds = vec![kind("demo.fail", fail), kind("demo.echo", echo())];
    let _worker = place.work(kinds, config()).await;
    let id = place.producer.task("demo.fail", &()).await.unwrap().id;
    place.until(id, TaskState::Retrying).await;
    assert_eq!(cancel(&place, id).await, Cancelling::Cancelled);
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
    // Enqueued now, it is due after the second attempt would have been.
    let last = place.producer.task("demo.echo", &json!(1)).delay(2 * wait).await.unwrap().id;
    place.wait(last).await;
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
}

async fn a_cancel_is_for_the_claim_it_names(place: Place) {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, finish) = (begun.clone(), finish.clone());
        from_fn(move |_: Value, execution: Execution| {
            let (begun, finish) = (begun.clone(), finish.clone());
            async move {
                begun.notify_one();
                tokio::select! {
                    () = finish.notified() => Ok("finished"),
                    () = execution.cancel.cancelled() => Ok("cancelled"),
                }
            }
        })
    };
    let _worker = place.work(vec![kind("demo.slow", slow)], config()).await;
    let id = place.producer.task("demo.slow", &()).await.unwrap().id;
    begun.notified().await;
    let worker = place.backend.fleet.workers().await.unwrap().remove(0);
    let fence = leveret_common::id::Fence(1);
    let (other, owner) = (TaskId::mint(), worker.owner);
    let signals =
        [Signal::Cancel { task: id, fence }, Signal::Cancel { task: other, fence }, Signal::Resume];
    place.backend.signals.send(owner, &signals).await.unwrap();
    place.heard(owner).await;
    finish.notify_one();
    assert_eq!(place.wait(id).await.result.as_deref(), Some(r#""finished""#));
}

/// The kinds of these tests may run for 20 s: too long for a broker that waits for 6.
fn impatient() -> Config {
    Config { consumer_timeout: Duration::from_secs(6), ..config() }
}

/// Waits until whatever copy is parked now has come and was looked at.
async fn copies_came(place: &Place, dead_man: Duration) {
    let later = place.producer.task("demo.echo", &json!(1)).delay(dead_man * 2);
    assert_eq!(place.wait(later.await.unwrap().id).await.state, TaskState::Done);
}

async fn a_cancelled_long_task_ends_as_cancelled_and_its_copy_is_ignored(place: Place) {
    let begun = Arc::new(Notify::new());
    let (handler, starts) = waits_for_its_token(&begun);
    let kinds = vec![kind("demo.wait", handler), kind("demo.echo", echo())];
    let _worker = place.work(kinds, impatient()).await;
    let id = place.producer.task("demo.wait", &()).await.unwrap().id;
    begun.notified().await;
    cancel_running(&place, id).await;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Cancelled, 1));
    copies_came(&place, impatient().dead_man()).await;
    assert_eq!(starts.load(Ordering::SeqCst), 1);
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
}

async fn a_long_task_that_is_cancelled_and_drained_stays_so_while_its_copy_rests(place: Place) {
    let begun = Arc::new(Notify::new());
    let (handler, starts) = waits_for_its_token(&begun);
    let kinds = vec![kind("demo.wait", handler), kind("demo.echo", echo())];
    // It learns nothing of the cancel by itself: the drain is what ends the run.
    let (seldom, retention) = (Duration::from_secs(3_600), Duration::from_secs(1));
    let deaf = Config { heartbeat: seldom, heartbeat_ttl: seldom * 3, ..impatient() };
    let worker = place.work(kinds.clone(), Config { retention, ..deaf }).await;
    let id = place.producer.task("demo.wait", &()).await.unwrap().id;
    begun.notified().await;
    assert!(matches!(cancel(&place, id).await, Cancelling::Asked(_)));
    worker.drain().await;
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
    // Nobody is there to take the copy, for longer than a short task's outcome is remembered.
    is_over(&place, retention).await;
    let _other = place.work(kinds, impatient()).await;
    copies_came(&place, impatient().dead_man()).await;
    assert_eq!(starts.load(Ordering::SeqCst), 1);
    assert_eq!(place.wait(id).await.state, TaskState::Cancelled);
}

/// Waits until so much time is over, by the store's clock.
async fn is_over(place: &Place, time: Duration) {
    let id = TaskId::mint();
    place.backend.ledger.cancel(&[Cancel { id, replay: 0, ttl: time }]).await.unwrap();
    eventually(DEADLINE, "the witness is forgotten", || async {
        place.backend.ledger.entries(&[id]).await.unwrap()[0].is_none()
    })
    .await;
}

/// Forgets everything, as a store without persistence does that starts again.
async fn wiped(place: Place, redis: Redis, id: TaskId) -> (Place, Redis) {
    let redis = redis.restart_empty();
    eventually(DEADLINE, "nothing is left", || async {
        place.backend.ledger.entries(&[id]).await.is_ok_and(|entries| entries[0].is_none())
    })
    .await;
    (place, redis)
}

/// A worker that neither hears of a cancel from the ledger nor writes its claims again after a wipe
/// within this test.
fn forgetful() -> Config {
    let seldom = Duration::from_secs(3_600);
    Config { heartbeat: seldom, heartbeat_ttl: seldom * 3, ..config() }
}

on_each_broker! {
    a_success_counts_although_its_cancel_was_wiped,
    a_cancel_that_was_wiped_is_recorded_again_for_as_long_as_a_copy_may_rest,
}

async fn a_success_counts_although_its_cancel_was_wiped(place: Place, redis: Redis) {
    let (begun, told, finish) =
        (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let polite = {
        let (begun, told, finish) = (begun.clone(), told.clone(), finish.clone());
        from_fn(move |_: Value, execution: Execution| {
            let (begun, told, finish) = (begun.clone(), told.clone(), finish.clone());
            async move {
                begun.notify_one();
                execution.cancel.cancelled().await;
                told.notify_one();
                finish.notified().await;
                Ok(Reply::new("in time")?.follow_up(Request::new("demo.echo", &json!(1))))
            }
        })
    };
    let kinds = vec![kind("demo.polite", polite), kind("demo.echo", echo())];
    let patient = Config { soft_grace: DEADLINE, ..forgetful() };
    let _worker = place.work(kinds, patient).await;
    let id = place.producer.task("demo.polite", &()).await.unwrap().id;
    begun.notified().await;
    cancel_running(&place, id).await;
    told.notified().await;
    let (place, _redis) = wiped(place, redis, id).await;
    finish.notify_one();
    let view = place.wait(id).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some(r#""in time""#)));
    let next = id.follow_up(0, &"demo.echo".parse().unwrap(), b"1", 0);
    assert_eq!(place.wait(next).await.state, TaskState::Done);
}

async fn a_cancel_that_was_wiped_is_recorded_again_for_as_long_as_a_copy_may_rest(
    place: Place,
    redis: Redis,
) {
    let (begun, told, finish) =
        (Arc::new(Notify::new()), Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (begun, told, finish) = (begun.clone(), told.clone(), finish.clone());
        from_fn(move |_: Value, execution: Execution| {
            let (begun, told, finish) = (begun.clone(), told.clone(), finish.clone());
            async move {
                begun.notify_one();
                execution.cancel.cancelled().await;
                told.notify_one();
                finish.notified().await;
                Err::<(), _>(TaskError::failed("stopped", "told to stop"))
            }
        })
    };
    let retention = Duration::from_secs(1);
    let patient = Config {
        soft_grace: DEADLINE,
        consumer_timeout: Duration::from_secs(6),
        retention,
        ..forgetful()
    };
    let worker = place.work(vec![kind("demo.slow", slow)], patient).await;
    let id = place.producer.task("demo.slow", &()).await.unwrap().id;
    begun.notified().await;
    cancel_running(&place, id).await;
    told.notified().await;
    let (place, _redis) = wiped(place, redis, id).await;
    finish.notify_one();
    let is_cancelled = || async {
        let entry = place.backend.ledger.entries(&[id]).await.unwrap().remove(0);
        let ended = matches!(&entry, Some(Entry::Settled(of)) if of.ending == Ending::Cancelled);
        assert!(entry.is_none() || ended, "{entry:?}");
        ended
    };
    eventually(DEADLINE, "the cancel is recorded again", is_cancelled).await;
    worker.drain().await;
    is_over(&place, retention).await;
    assert!(is_cancelled().await, "its parked copy would run");
}
