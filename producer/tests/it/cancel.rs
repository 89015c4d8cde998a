//! Cancel: what the ledger, the worker and the records are told.

use leveret_common::id::TaskId;
use leveret_common::ledger::{Cancelling, Ending};
use leveret_common::store::{Action, Signal, TaskRecord, TaskState};
use leveret_producer::{EnqueueError, Producer};

use crate::world::World;

async fn put_in(producer: &Producer) -> Result<TaskId, EnqueueError> {
    Ok(producer.task("demo.echo", &1).await?.id)
}

/// Asks from what is known, as beat and the gateway do.
async fn cancel(world: &World, id: TaskId) -> Cancelling {
    let entry = world.backend.ledger.entries(&[id]).await.unwrap().remove(0);
    let record = world.backend.records.find(&[id]).await.unwrap().remove(0);
    let ask = world.producer.cancel_of(id, entry.as_ref(), &record);
    world.producer.cancel(ask, "schedule a").await.unwrap()
}

#[tokio::test]
async fn a_task_that_waits_is_cancelled_and_it_is_written_down_who_did_it() {
    let world = World::new();
    let id = put_in(&world.producer).await.unwrap();
    let answer = cancel(&world, id).await;
    assert_eq!(answer, Cancelling::Cancelled);
    let view = world.producer.find(id).await.unwrap().unwrap();
    assert_eq!(view.state, TaskState::Cancelled);
    let record = world.backend.records.find(&[id]).await.unwrap().remove(0);
    assert_eq!(record.acts.len(), 1, "{:?}", record.acts);
    assert_eq!(record.acts[0].action, Action::Cancelled { replay: 0 });
    assert_eq!(record.acts[0].by, "schedule a");
}

#[tokio::test]
async fn the_worker_of_a_task_that_runs_is_told() {
    let world = World::new();
    let id = put_in(&world.producer).await.unwrap();
    let hold = world.claim(id).await;
    let answer = cancel(&world, id).await;
    assert_eq!(answer, Cancelling::Asked(hold));
    let heard = world.backend.signals.receive(hold.owner).await.unwrap();
    assert_eq!(heard, [Signal::Cancel { task: id, fence: hold.fence }]);
}

#[tokio::test]
async fn a_task_that_is_over_stays_as_it_is() {
    let world = World::new();
    let id = put_in(&world.producer).await.unwrap();
    let hold = world.claim(id).await;
    world.mark_done(id, hold).await;
    let answer = cancel(&world, id).await;
    assert_eq!(answer, Cancelling::Over(Ending::Done));
    let record = world.backend.records.find(&[id]).await.unwrap().remove(0);
    assert!(record.acts.is_empty(), "{:?}", record.acts);
}

#[tokio::test]
async fn a_record_that_cannot_be_written_does_not_keep_a_task_from_being_cancelled() {
    let world = World::new();
    let id = put_in(&world.producer).await.unwrap();
    let ask = world.producer.cancel_of(id, None, &TaskRecord::default());
    world.records.away.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = world.producer.cancel(ask, "schedule a").await.unwrap();
    assert_eq!(answer, Cancelling::Cancelled);
    world.records.away.store(false, std::sync::atomic::Ordering::SeqCst);
    let view = world.producer.find(id).await.unwrap().unwrap();
    assert_eq!(view.state, TaskState::Cancelled);
}

#[tokio::test]
async fn many_are_cancelled_with_an_answer_each() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(put_in(&world.producer).await.unwrap());
    }
    let hold = world.claim(ids[1]).await;
    let over = world.claim(ids[2]).await;
    world.mark_done(ids[2], over).await;
    let asks: Vec<_> =
        ids.iter().map(|id| world.producer.cancel_of(*id, None, &TaskRecord::default())).collect();
    let answers = world.producer.cancel_all(&asks, "schedule a").await.unwrap();
    let expected = [Cancelling::Cancelled, Cancelling::Asked(hold), Cancelling::Over(Ending::Done)];
    assert_eq!(answers, expected);
    let records = world.backend.records.find(&ids).await.unwrap();
    let noted: Vec<_> = records.iter().map(|record| record.acts.len()).collect();
    assert_eq!(noted, [1, 1, 0]);
    assert_eq!(world.producer.cancel_all(&[], "schedule a").await.unwrap(), []);
}
