//! Long tasks: the delivery is acked before the run, and a parked copy stands for the task.
//!
//! What becomes of them when their worker is killed is shown with whole processes (`cli`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use leveret_common::broker::Place as Rest;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_producer::Request;
use leveret_worker::handler::{Reply, echo, from_fn};
use leveret_worker::{Config, Execution, TaskError};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    the_copies_of_a_long_task_come_back_while_it_runs_and_it_runs_once,
    a_long_task_fails_is_tried_again_and_is_followed_up_like_any_other,
    a_drain_gives_a_long_task_back_long_before_its_copy_comes,
    a_task_that_brings_its_own_limit_is_long_by_that,
}

/// The kinds of these tests may run for 20 s: too long for a broker that waits for 6.
fn impatient() -> Config {
    Config { consumer_timeout: Duration::from_secs(6), ..config() }
}

async fn the_copies_of_a_long_task_come_back_while_it_runs_and_it_runs_once(place: Place) {
    let (starts, finish) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let long = {
        let (starts, finish) = (Arc::clone(&starts), Arc::clone(&finish));
        from_fn(move |_: Value, _| {
            starts.fetch_add(1, Ordering::SeqCst);
            let finish = Arc::clone(&finish);
            async move {
                finish.notified().await;
                Ok(())
            }
        })
    };
    let config = Config { slots: 2, ..impatient() };
    let dead_man = config.dead_man();
    let kinds = vec![kind("demo.long", long), kind("demo.echo", echo())];
    let _worker = place.work(kinds, config).await;
    let id = place.producer.task("demo.long", &()).await.unwrap().id;
    // Twice as long as a copy is parked: each of these comes after a copy that was due before it.
    for _ in 0..2 {
        let later = place.producer.task("demo.echo", &()).delay(dead_man * 3 / 2);
        assert_eq!(place.wait(later.await.unwrap().id).await.state, TaskState::Done);
    }
    assert_eq!(place.producer.find(id).await.unwrap().unwrap().state, TaskState::Running);
    finish.notify_one();
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt, view.history.len()), (TaskState::Done, 1, 1));
    // The last copy comes when it is done, and is ignored.
    let later = place.producer.task("demo.echo", &()).delay(dead_man * 2);
    place.wait(later.await.unwrap().id).await;
    assert_eq!(starts.load(Ordering::SeqCst), 1);
}

async fn a_long_task_fails_is_tried_again_and_is_followed_up_like_any_other(place: Place) {
    let long = from_fn(|_: Value, execution: Execution| async move {
        match execution.order.attempt {
            1 => Err(TaskError::failed("not-yet", "")),
            2 => Err(TaskError::snooze(Duration::from_millis(10))),
            _ => Ok(Reply::new("at last")?.follow_up(Request::new("demo.echo", &json!(1)))),
        }
    });
    let doomed = from_fn(|_: Value, _| async move { Err::<(), _>(TaskError::dead("no")) });
    let kinds = [kind("demo.long", long), kind("demo.doomed", doomed), kind("demo.echo", echo())];
    let _worker = place.work(kinds.to_vec(), impatient()).await;
    let id = place.producer.task("demo.long", &()).await.unwrap().id;
    let doomed = place.producer.task("demo.doomed", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 3));
    assert_eq!(view.result.as_deref(), Some(r#""at last""#));
    let next = id.follow_up(0, &"demo.echo".parse().unwrap(), b"1", 0);
    assert_eq!(place.wait(next).await.state, TaskState::Done);
    assert_eq!(place.wait(doomed).await.state, TaskState::Dead);
    let letters = [Rest::Dead(QueueName::default())];
    assert_eq!(place.backend.broker.survey(&letters).await.unwrap()[0].depth, 1);
}

async fn a_drain_gives_a_long_task_back_long_before_its_copy_comes(place: Place) {
    let begun = Arc::new(Notify::new());
    let endless = {
        let begun = Arc::clone(&begun);
        from_fn(move |_: Value, execution: Execution| {
            let begun = Arc::clone(&begun);
            async move {
                begun.notify_one();
                execution.cancel.cancelled().await;
                Err::<(), _>(TaskError::failed("stopped", "told to stop"))
            }
        })
    };
    let ttl = DEADLINE * 2;
    let patient = || Config { heartbeat_ttl: ttl, ..impatient() };
    let worker = place.work(vec![kind("demo.long", endless)], patient()).await;
    let id = place.producer.task("demo.long", &json!(1)).max_attempts(1).await.unwrap().id;
    begun.notified().await;
    let lane = Rest::Lane(Lane::new(QueueName::default(), Class::Normal));
    let drained = Instant::now();
    worker.drain().await;
    eventually(DEADLINE, "it is in its lane", || async {
        place.backend.broker.survey(std::slice::from_ref(&lane)).await.unwrap()[0].depth == 1
    })
    .await;
    let counts = from_fn(|_: Value, execution: Execution| async move { Ok(execution.crashes) });
    let _other = place.work(vec![kind("demo.long", counts)], patient()).await;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(view.result.as_deref(), Some("0"), "no crash is charged");
    assert!(drained.elapsed() < patient().dead_man(), "{:?}", drained.elapsed());
}

async fn a_task_that_brings_its_own_limit_is_long_by_that(place: Place) {
    let lane = Rest::Lane(Lane::new(QueueName::default(), Class::Normal));
    let finish = Arc::new(Notify::new());
    let waits = {
        let finish = Arc::clone(&finish);
        from_fn(move |_: Value, _| {
            let finish = Arc::clone(&finish);
            async move {
                finish.notified().await;
                Ok(())
            }
        })
    };
    let config = Config { slots: 1, ..config() };
    let _worker = place.work(vec![kind("demo.waits", waits)], config).await;
    let task = || place.producer.task("demo.waits", &());
    let hours = Duration::from_secs(20 * 3_600);
    let long = task().timeout(hours).await.unwrap().id;
    place.until(long, TaskState::Running).await;
    let short = task().await.unwrap().id;
    let resting = task().await.unwrap().id;
    // With one slot one delivery is held: not that of the long task, which is acked.
    eventually(DEADLINE, "the second delivery is in hand", || async {
        place.backend.broker.survey(std::slice::from_ref(&lane)).await.unwrap()[0].depth == 1
    })
    .await;
    for id in [long, short, resting] {
        finish.notify_one();
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
}
