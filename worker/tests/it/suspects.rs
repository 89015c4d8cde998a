//! Tasks that have crashed a worker: one at a time, the last start alone, and who waits for that
//! pays nothing (rule P2). What kills real processes is in `cli`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leveret_common::broker::{Destination, Publish};
use leveret_common::envelope::{Envelope, Order};
use leveret_common::id::{Fence, Owner, TaskId, Token};
use leveret_common::ledger::{Cancel, Cancelling, Entry, Held, Hold, Toll};
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::TaskState;
use leveret_common::testkit::eventually;
use leveret_worker::handler::{echo, from_fn};
use leveret_worker::{Config, Execution, Handler};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::place::{DEADLINE, Place, Running, config, kind};

on_every_backend! {
    who_waits_for_a_turn_is_not_charged_for_the_suspect_whose_turn_it_is,
    a_suspect_that_cannot_run_alone_soon_keeps_nobody_else_from_running,
    a_suspect_that_waits_can_be_cancelled_at_once,
}

/// The crashes that each start was told of, in order.
type Starts = Arc<Mutex<Vec<u32>>>;

/// A handler that notes its start, and ends if it is to.
fn notes(starts: &Starts, ends: bool) -> Arc<dyn Handler> {
    let starts = Arc::clone(starts);
    from_fn(move |_: Value, execution: Execution| {
        starts.lock().unwrap().push(execution.crashes);
        async move { if ends { Ok(execution.crashes) } else { std::future::pending().await } }
    })
}

/// Tells of each task whether somebody holds it, and its crashes.
async fn held(place: &Place, ids: &[TaskId]) -> Vec<(bool, u32)> {
    let entries = place.backend.ledger.entries(ids).await.unwrap();
    let of = |entry| match entry {
        Some(Entry::Running(running)) => (true, running.toll.crashes),
        Some(Entry::Waiting(waiting)) => (false, waiting.toll.crashes),
        other => panic!("neither running nor waiting: {other:?}"),
    };
    entries.into_iter().map(of).collect()
}

async fn who_waits_for_a_turn_is_not_charged_for_the_suspect_whose_turn_it_is(place: Place) {
    const TASKS: usize = 4;
    let (first_starts, second_starts, third_starts) =
        (Starts::default(), Starts::default(), Starts::default());
    let work = |starts, ends| place.work(vec![kind("demo.note", notes(starts, ends))], config());
    let first = work(&first_starts, false).await;
    let mut ids = Vec::new();
    for _ in 0..TASKS {
        ids.push(place.producer.task("demo.note", &()).await.unwrap().id);
    }
    eventually(DEADLINE, "all run", || async { first_starts.lock().unwrap().len() == TASKS }).await;
    first.kill().await;

    let second = work(&second_starts, false).await;
    eventually(DEADLINE, "one runs and the others wait without a claim", || async {
        let mut held = held(&place, &ids).await;
        held.sort_unstable();
        held == [(false, 1), (false, 1), (false, 1), (true, 1)]
    })
    .await;
    assert_eq!(*second_starts.lock().unwrap(), [1]);
    second.kill().await;

    let _third = work(&third_starts, true).await;
    for id in &ids {
        assert_eq!(place.wait(*id).await.state, TaskState::Done);
    }
    let mut crashes = third_starts.lock().unwrap().clone();
    crashes.sort_unstable();
    assert_eq!(crashes, [1, 1, 1, 2], "only the one that ran is charged for the second worker");
}

/// A worker on which a task runs for hours, and a suspect that has to wait for the end of that.
struct Crowded {
    worker: Running,
    suspect: TaskId,
    starts: Arc<AtomicUsize>,
    /// Ends the long task.
    finish: Arc<Notify>,
}

async fn crowded(place: &Place) -> Crowded {
    let (finish, starts) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let long = {
        let finish = Arc::clone(&finish);
        from_fn(move |_: Value, _| {
            let finish = Arc::clone(&finish);
            async move {
                finish.notified().await;
                Ok(())
            }
        })
    };
    let counts = {
        let starts = Arc::clone(&starts);
        from_fn(move |_: Value, execution: Execution| {
            starts.fetch_add(1, Ordering::SeqCst);
            async move { Ok(execution.crashes) }
        })
    };
    let kinds =
        vec![kind("demo.long", long), kind("demo.suspect", counts), kind("demo.echo", echo())];
    let worker = place.work(kinds, Config { slots: 2, ..config() }).await;
    let hours = Duration::from_secs(20 * 3_600);
    let neighbour = place.producer.task("demo.long", &()).timeout(hours).await.unwrap().id;
    place.until(neighbour, TaskState::Running).await;

    // As it is left behind by the second worker that died with it.
    let suspect = TaskId::mint();
    let claim = Held {
        id: suspect,
        hold: Hold { owner: Owner::mint(), fence: Fence(1) },
        token: Token::draw(),
        order: Order::FIRST,
        toll: Toll { starts: 2, crashes: 1, charged: Fence(0) },
        ttl: Duration::from_secs(600),
    };
    place.backend.ledger.reassert(&[claim]).await.unwrap();
    let task = Envelope::new(suspect, "demo.suspect".parse().unwrap(), "null".into());
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let publish = Publish { to, wire: task.to_wire() };
    place.backend.broker.publish(&[publish]).await.remove(0).unwrap();
    eventually(DEADLINE, "it has been taken over and waits", || async {
        held(place, &[suspect]).await == [(false, 2)]
    })
    .await;
    Crowded { worker, suspect, starts, finish }
}

async fn a_suspect_that_cannot_run_alone_soon_keeps_nobody_else_from_running(place: Place) {
    let Crowded { worker: _worker, suspect, starts, finish } = crowded(&place).await;
    for n in 0..3 {
        let id = place.producer.task("demo.echo", &json!(n)).await.unwrap().id;
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    assert_eq!(starts.load(Ordering::SeqCst), 0, "it has a neighbour");
    finish.notify_one();
    let view = place.wait(suspect).await;
    assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some("2")));
    assert_eq!((view.attempt, starts.load(Ordering::SeqCst)), (1, 1));
}

async fn a_suspect_that_waits_can_be_cancelled_at_once(place: Place) {
    let Crowded { worker, suspect, starts, finish } = crowded(&place).await;
    let ask = [Cancel { id: suspect, replay: 0, ttl: Duration::from_secs(600) }];
    let answer = place.backend.ledger.cancel(&ask).await.unwrap().remove(0);
    assert_eq!(answer, Cancelling::Cancelled, "nobody holds it");
    finish.notify_one();
    // Behind it in the same lane, and after the time for which it is parked.
    let later = place.producer.task("demo.echo", &()).delay(6 * config().dead_man());
    assert_eq!(place.wait(later.await.unwrap().id).await.state, TaskState::Done);
    assert_eq!(place.wait(suspect).await.state, TaskState::Cancelled);
    assert_eq!(starts.load(Ordering::SeqCst), 0);
    worker.drain().await;
}
