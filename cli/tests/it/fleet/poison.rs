//! A task that kills its worker: a few starts, then a dead letter; its neighbours are not charged.

use leveret_common::id::TaskId;

use super::{Fleet, Ground};

/// The default of `worker.max_crashes`.
const MAX_CRASHES: usize = 3;

async fn a_killer_is_dead_after_three_starts(ground: Ground) {
    let fleet = Fleet::new(ground, 2).await;
    let killer = TaskId::mint();
    let worker = fleet.start("").await;
    fleet.enqueue(fleet.door(&worker), killer, "killer").await;
    worker.killed().await;
    for _ in 1..MAX_CRASHES {
        fleet.start_to_be_killed().await;
    }
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let over = fleet.over(&door, killer).await;
    assert_eq!((&over["state"], &over["reason"]), (&"dead".into(), &"poison".into()), "{over}");
    let crashes: Vec<u32> = fleet.runs(killer).iter().map(|run| run.crashes).collect();
    assert_eq!(crashes, [0, 1, 2]);

    let innocent = TaskId::mint();
    assert_eq!(fleet.enqueue(&door, innocent, "ok").await, Some(202));
    assert_eq!(fleet.over(&door, innocent).await["state"], "done");
    assert_eq!(fleet.runs(innocent)[0].crashes, 0);
}

#[tokio::test]
async fn a_killer_is_dead_after_three_starts_on_embedded() {
    a_killer_is_dead_after_three_starts(Ground::Embedded).await;
}

#[tokio::test]
async fn a_killer_is_dead_after_three_starts_on_rabbitmq_3() {
    if let Some(ground) = Ground::rabbitmq_3().await {
        a_killer_is_dead_after_three_starts(ground).await;
    }
}

#[tokio::test]
async fn a_killer_is_dead_after_three_starts_on_rabbitmq_4() {
    if let Some(ground) = Ground::rabbitmq_4().await {
        a_killer_is_dead_after_three_starts(ground).await;
    }
}
