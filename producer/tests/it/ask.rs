//! Questions about tasks.

use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::store::TaskState;
use tokio::time::{Instant, timeout};

use crate::world::World;

const LONG: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_wait_ends_when_the_task_is_done_and_has_the_result() {
    let world = World::new();
    let id = world.producer.task("demo.echo", &1).await.unwrap().id;
    let waiting = world.producer.wait(id, LONG);
    let working = async {
        let hold = world.claim(id).await;
        world.mark_done(id, hold).await;
        world.note_done(id, "{\"n\":1}").await;
    };
    let (view, ()) = timeout(LONG / 2, async { tokio::join!(waiting, working) }).await.unwrap();
    let view = view.unwrap().unwrap();
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("{\"n\":1}")));
}

#[tokio::test]
async fn a_wait_has_the_result_although_its_note_comes_after_the_mark() {
    let world = World::new();
    let id = world.producer.task("demo.echo", &1).await.unwrap().id;
    let hold = world.claim(id).await;
    world.mark_done(id, hold).await;
    let waiting = world.producer.wait(id, LONG);
    let working = async {
        world.records.looked.notified().await;
        world.note_done(id, "7").await;
    };
    let (view, ()) = timeout(LONG / 2, async { tokio::join!(waiting, working) }).await.unwrap();
    assert_eq!(view.unwrap().unwrap().result.as_deref(), Some("7"));
}

#[tokio::test]
async fn a_wait_does_not_last_for_a_note_that_never_comes() {
    let world = World::new();
    let id = world.producer.task("demo.echo", &1).await.unwrap().id;
    let hold = world.claim(id).await;
    world.mark_done(id, hold).await;
    let view = timeout(LONG / 2, world.producer.wait(id, LONG)).await.unwrap();
    assert_eq!(view.unwrap().unwrap().state, TaskState::Done);
}

#[tokio::test]
async fn a_wait_that_runs_out_tells_where_the_task_stands() {
    let world = World::new();
    let id = world.producer.task("demo.echo", &1).await.unwrap().id;
    let began = Instant::now();
    let wait = Duration::from_millis(60);
    let view = world.producer.wait(id, wait).await.unwrap().unwrap();
    assert_eq!(view.state, TaskState::Queued);
    assert!(began.elapsed() >= wait);
}

#[tokio::test]
async fn a_task_that_nobody_knows_is_nothing() {
    let world = World::new();
    let id = TaskId::mint();
    assert!(world.producer.find(id).await.unwrap().is_none());
    assert!(world.producer.wait(id, Duration::from_millis(20)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_wait_survives_a_store_that_is_away_for_a_while() {
    let world = World::new();
    let id = world.producer.task("demo.echo", &1).await.unwrap().id;
    world.records.away.store(true, Ordering::SeqCst);
    assert!(world.producer.wait(id, Duration::from_millis(20)).await.unwrap_err().retryable());
    let waiting = world.producer.wait(id, LONG);
    let working = async {
        let hold = world.claim(id).await;
        world.mark_done(id, hold).await;
        world.records.away.store(false, Ordering::SeqCst);
        world.note_done(id, "1").await;
    };
    let (view, ()) = timeout(LONG / 2, async { tokio::join!(waiting, working) }).await.unwrap();
    assert_eq!(view.unwrap().unwrap().state, TaskState::Done);
}
