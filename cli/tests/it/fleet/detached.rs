//! Long tasks run detached: their copies come back while they run, and find them when nobody does.

use std::time::{Duration, Instant};

use leveret_common::id::TaskId;
use leveret_common::testkit::eventually;
use nix::sys::signal::Signal;

use super::fleet_process::FleetProcess;
use super::losses::{flush, next_database};
use super::rest::Letters;
use super::{DEADLINE, Fleet, Ground, HEARTBEAT_TTL};

/// How long the copy of a detached task is parked. Each worker here has a slot beside that of the long
/// task, for what shows that time has passed.
const DEAD_MAN: Duration = HEARTBEAT_TTL.saturating_mul(3);

impl Fleet {
    /// Enqueues a long task and waits until it runs.
    async fn long_task_runs(&self, door: &str) -> TaskId {
        let id = TaskId::mint();
        assert_eq!(self.enqueue(door, id, "long-slow").await, Some(202));
        eventually(DEADLINE, "it runs", || async { self.runs(id).len() == 1 }).await;
        id
    }

    /// Waits until every copy that was parked by now has come back.
    pub(super) async fn copies_come_back(&self, door: &str) {
        let behind = TaskId::mint();
        let wait = format!("{}ms", (DEAD_MAN + HEARTBEAT_TTL).as_millis());
        let task = serde_json::json!({ "kind": "ok", "id": behind, "delay": wait });
        let sent = self.client.post(format!("{door}/v1/tasks")).json(&task).send();
        assert_eq!(sent.await.unwrap().status(), 202);
        self.over(door, behind).await;
    }

    fn let_it_finish(&self) {
        std::fs::write(self.folder.path().join("go"), "").unwrap();
    }

    async fn comes_to_rest(&self, workers: Vec<FleetProcess>) {
        if matches!(self.ground, Ground::Servers { .. }) {
            self.works_until_rest(workers, Letters::None).await;
        }
    }
}

async fn a_long_task_runs_once_while_its_copies_come_and_go(ground: Ground) {
    let fleet = Fleet::new(ground, 2).await;
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let id = fleet.long_task_runs(&door).await;
    fleet.copies_come_back(&door).await;
    fleet.copies_come_back(&door).await;
    assert_eq!(fleet.show(&door, id).await.unwrap()["state"], "running");
    fleet.let_it_finish();
    let over = fleet.over(&door, id).await;
    assert_eq!((&over["state"], &over["attempt"]), (&"done".into(), &1.into()), "{over}");
    fleet.copies_come_back(&door).await;
    fleet.comes_to_rest(vec![worker]).await;
    assert_eq!(fleet.runs(id).len(), 1, "{:?}", fleet.runs(id));
}

async fn a_long_task_of_a_killed_worker_runs_elsewhere(ground: Ground) {
    let fleet = Fleet::new(ground, 2).await;
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let id = fleet.long_task_runs(&door).await;
    fleet.copies_come_back(&door).await;
    worker.kill().await;
    fleet.let_it_finish();
    let other = fleet.start("").await;
    let door = fleet.door(&other).to_owned();
    let over = fleet.over(&door, id).await;
    assert_eq!((&over["state"], &over["attempt"]), (&"done".into(), &1.into()), "{over}");
    fleet.comes_to_rest(vec![other]).await;
    let crashes: Vec<u32> = fleet.runs(id).iter().map(|run| run.crashes).collect();
    assert_eq!(crashes, [0, 1]);
}

async fn a_terminated_worker_gives_its_long_task_back(ground: Ground) {
    let fleet = Fleet::new(ground, 2).await;
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let id = fleet.long_task_runs(&door).await;
    worker.signal(Signal::SIGTERM);
    assert_eq!(worker.ended().await.code(), Some(0));
    fleet.let_it_finish();
    let other = fleet.start("").await;
    let door = fleet.door(&other).to_owned();
    assert_eq!(fleet.over(&door, id).await["state"], "done");
    fleet.copies_come_back(&door).await;
    fleet.comes_to_rest(vec![other]).await;
    let runs = fleet.runs(id);
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert!(runs.iter().all(|run| (run.attempt, run.crashes) == (1, 0)), "{runs:?}");
}

/// Its claim is written again by the next heartbeat, long before a copy comes.
async fn a_long_task_outlives_the_store_that_knew_of_it(ground: Ground) {
    let Ground::Servers { broker, store } = ground else { panic!("there is no Redis") };
    let database = next_database();
    let ground = Ground::Servers { broker, store: format!("{store}/{database}") };
    let fleet = Fleet::new(ground, 2).await;
    let workers = vec![fleet.start("").await, fleet.start("").await];
    let door = fleet.door(&workers[0]).to_owned();
    let begun = Instant::now();
    let id = fleet.long_task_runs(&door).await;
    flush(&store, database);
    let is_soon = begun.elapsed() < DEAD_MAN;
    fleet.copies_come_back(&door).await;
    fleet.let_it_finish();
    let over = fleet.over(&door, id).await;
    assert_eq!(over["state"], "done");
    fleet.comes_to_rest(workers).await;
    let runs = fleet.runs(id);
    // On a machine too slow to wipe in time, a copy may have come first: a written window.
    assert!(runs.len() == 1 || !is_soon, "{runs:?}");
}

on_every_ground! {
    a_long_task_runs_once_while_its_copies_come_and_go,
    a_long_task_of_a_killed_worker_runs_elsewhere,
    a_terminated_worker_gives_its_long_task_back,
}

// The embedded backend has no store to wipe without its tasks.
on_servers!(a_long_task_outlives_the_store_that_knew_of_it);
