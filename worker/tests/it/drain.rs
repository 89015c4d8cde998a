//! The end of a worker: in order, and as if it was killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use leveret_common::broker::Place as Rest;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_worker::handler::{echo, from_fn};
use leveret_worker::{Config, Execution};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::place::{DEADLINE, Place, config, endless, kind};

on_every_backend! {
    a_drain_lets_running_tasks_finish_and_starts_no_new_ones,
    a_task_that_outlasts_the_grace_runs_elsewhere_and_no_attempt_is_charged,
    a_worker_that_is_dropped_ends_as_if_it_was_killed,
}

async fn a_drain_lets_running_tasks_finish_and_starts_no_new_ones(place: Place) {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let starts = Arc::new(AtomicU32::new(0));
    let slow = {
        let (begun, finish, starts) = (begun.clone(), finish.clone(), starts.clone());
        from_fn(move |_: Value, _| {
            let (begun, finish, starts) = (begun.clone(), finish.clone(), starts.clone());
            async move {
                starts.fetch_add(1, Ordering::SeqCst);
                begun.notify_one();
                finish.notified().await;
                Ok(())
            }
        })
    };
    let config = Config { slots: 1, grace: DEADLINE, ..config() };
    let worker = place.work(vec![kind("demo.slow", slow)], config).await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(place.producer.task("demo.slow", &()).await.unwrap().id);
    }
    begun.notified().await;
    worker.ask_to_stop();
    // What was prefetched and not started is back in its lane while the first one still runs.
    let lane = Rest::Lane(Lane::new(QueueName::default(), Class::Normal));
    eventually(DEADLINE, "the others are returned", || async {
        place.backend.broker.survey(std::slice::from_ref(&lane)).await.unwrap()[0].depth == 2
    })
    .await;
    finish.notify_one();
    worker.drain().await;
    assert_eq!(starts.load(Ordering::SeqCst), 1);
    assert_eq!(place.wait(ids[0]).await.state, TaskState::Done);
    let _other = place.work(vec![kind("demo.slow", echo())], crate::place::config()).await;
    for id in &ids[1..] {
        let view = place.wait(*id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    }
}

async fn a_task_that_outlasts_the_grace_runs_elsewhere_and_no_attempt_is_charged(place: Place) {
    let begun = Arc::new(Notify::new());
    let endless = {
        let begun = begun.clone();
        from_fn(move |_: Value, execution: Execution| {
            let begun = begun.clone();
            async move {
                begun.notify_one();
                execution.cancel.cancelled().await;
                Err::<(), _>(leveret_worker::TaskError::failed("stopped", "told to stop"))
            }
        })
    };
    let worker = place.work(vec![kind("demo.endless", endless)], config()).await;
    let id = place.producer.task("demo.endless", &json!(1)).max_attempts(1).await.unwrap().id;
    begun.notified().await;
    let stopping = Instant::now();
    worker.drain().await;
    assert!(stopping.elapsed() < Duration::from_secs(5), "{:?}", stopping.elapsed());
    assert!(place.backend.fleet.workers().await.unwrap().is_empty(), "its heartbeat is gone");
    let _other = place.work(vec![kind("demo.endless", echo())], config()).await;
    let view = place.wait(id).await;
    // One attempt was all it had: had the drain charged it, it would be dead.
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    assert_eq!(view.history.len(), 1, "{:?}", view.history);
}

async fn a_worker_that_is_dropped_ends_as_if_it_was_killed(place: Place) {
    let (handler, begun, dropped) = endless();
    let config = Config { slots: 1, ..config() };
    let worker = place.work(vec![kind("demo.endless", handler)], config.clone()).await;
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(place.producer.task("demo.endless", &json!(n)).await.unwrap().id);
    }
    begun.notified().await;
    // Whoever still asks about it must not keep its deliveries.
    let status = Arc::clone(&worker.status);
    worker.kill().await;
    dropped.notified().await;
    eventually(DEADLINE, "its heartbeat ends", || async {
        place.backend.fleet.workers().await.unwrap().is_empty()
    })
    .await;
    assert!(!status.is_ready());
    let crashes = from_fn(|_: Value, execution: Execution| async move { Ok(execution.crashes) });
    let _other = place.work(vec![kind("demo.endless", crashes)], config).await;
    for (id, crashes) in ids.iter().zip(["1", "0", "0"]) {
        let view = place.wait(*id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
        assert_eq!(view.result.as_deref(), Some(crashes), "what ran is charged, the rest is not");
    }
}
