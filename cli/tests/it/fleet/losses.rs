//! Nothing accepted is lost: processes killed and stores emptied in the middle of the work.
//!
//! The oracle is the journal: each accepted task must have run, and each second run must be one
//! that a written window explains.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use leveret_common::id::TaskId;
use leveret_common::testkit::eventually;
use nix::sys::signal::Signal;

use super::rest::Letters;
use super::{DEADLINE, Fleet, Ground, HEARTBEAT_TTL};

const MANY: usize = 10_000;
/// Slots of a worker that is to be busy.
const SLOTS: usize = 16;

impl Fleet {
    /// Waits until nothing is `missing`, for as long as it gets less: a loss is where nothing new
    /// runs any more, and not where a machine is slow.
    async fn while_it_goes_on(&self, missing: impl Fn() -> usize) {
        let mut left = missing();
        while left > 0 {
            let what = format!("another of the {left} runs");
            eventually(DEADLINE, &what, || async { missing() < left }).await;
            left = missing();
        }
    }

    /// Waits until there were so many runs.
    async fn ran(&self, at_least: usize) {
        self.while_it_goes_on(|| at_least.saturating_sub(self.journal.runs().len())).await;
    }

    /// Waits until each of `ids` has run at least once.
    async fn all_ran(&self, ids: &[TaskId]) {
        let all: BTreeSet<_> = ids.iter().copied().collect();
        self.while_it_goes_on(|| {
            let ran: BTreeSet<_> = self.journal.runs().iter().map(|run| run.id).collect();
            all.difference(&ran).count()
        })
        .await;
    }

    /// Counts the runs beyond each task's first; only at rest has it seen all of them.
    fn second_runs(&self) -> usize {
        let runs = self.journal.runs();
        runs.len() - runs.iter().map(|run| run.id).collect::<BTreeSet<_>>().len()
    }
}

#[tokio::test]
async fn killing_dev_in_the_middle_of_ten_thousand_tasks_loses_none() {
    let fleet = Fleet::new(Ground::Embedded, SLOTS).await;
    let dev = fleet.start("").await;
    let ids = fleet.enqueue_many(&dev.url, "ok", MANY).await;
    fleet.ran(MANY / 4).await;
    dev.kill().await;
    let dev = fleet.start("").await;
    fleet.all_ran(&ids).await;
    for id in &ids {
        assert_eq!(fleet.over(&dev.url, *id).await["state"], "done");
    }
    let second_runs = fleet.second_runs();
    println!("killed dev: {MANY} accepted, 0 lost, {second_runs} second runs");
    assert!(second_runs <= SLOTS, "{second_runs} second runs, but only {SLOTS} were in flight");
}

async fn emptying_redis_loses_none(ground: Ground) {
    let Ground::Servers { broker, store } = ground else { panic!("there is no Redis") };
    let database = next_database();
    let store_with_database = format!("{store}/{database}");
    let fleet = Fleet::new(Ground::Servers { broker, store: store_with_database }, SLOTS).await;
    let workers = vec![fleet.start("").await, fleet.start("").await];
    let at_once = workers.len() * SLOTS;
    let door = fleet.door(&workers[0]).to_owned();
    let ids = fleet.enqueue_many(&door, "ok", MANY).await;
    for part in 1..=3 {
        fleet.ran(MANY * part / 5).await;
        flush(&store, database);
    }
    fleet.all_ran(&ids).await;
    fleet.works_until_rest(workers, Letters::None).await;
    let second_runs = fleet.second_runs();
    println!("three wipes: {MANY} accepted, 0 lost, {second_runs} second runs");
    let in_flight = 3 * at_once;
    assert!(second_runs <= in_flight, "{second_runs} second runs, {in_flight} were in flight");
}

#[tokio::test]
async fn emptying_redis_three_times_in_ten_thousand_tasks_loses_none_on_rabbitmq_3() {
    if let Some(ground) = Ground::rabbitmq_3().await {
        emptying_redis_loses_none(ground).await;
    }
}

#[tokio::test]
async fn emptying_redis_three_times_in_ten_thousand_tasks_loses_none_on_rabbitmq_4() {
    if let Some(ground) = Ground::rabbitmq_4().await {
        emptying_redis_loses_none(ground).await;
    }
}

async fn a_killed_workers_task_is_done_by_the_other(ground: Ground) {
    let fleet = Fleet::new(ground, 1).await;
    let workers = [fleet.start("").await, fleet.start("").await];
    let door = fleet.door(&workers[0]).to_owned();
    // Both have settled in: neither takes anything over in its first TTL.
    tokio::time::sleep(HEARTBEAT_TTL).await;
    let id = TaskId::mint();
    assert_eq!(fleet.enqueue(&door, id, "slow").await, Some(202));
    fleet.ran(1).await;
    let runner = fleet.runs(id)[0].worker;
    let mut others = Vec::new();
    for worker in workers {
        if worker.id() == runner { worker.kill().await } else { others.push(worker) }
    }
    assert_eq!(others.len(), 1, "the journal names one of the two workers");
    let killed = Instant::now();
    std::fs::write(fleet.folder.path().join("go"), "").unwrap();
    let over = fleet.over(&door, id).await;
    let took = killed.elapsed();
    println!("killed worker: done on the other after {took:?} (TTL {HEARTBEAT_TTL:?})");
    assert_eq!(over["state"], "done");
    let runs = fleet.runs(id);
    assert_eq!(runs.len(), 2, "{runs:?}");
    assert_eq!((runs[1].worker, runs[1].crashes), (others[0].id(), 1));
    assert!(took <= HEARTBEAT_TTL + Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_killed_workers_task_is_done_by_the_other_on_rabbitmq_3() {
    if let Some(ground) = Ground::rabbitmq_3().await {
        a_killed_workers_task_is_done_by_the_other(ground).await;
    }
}

#[tokio::test]
async fn a_killed_workers_task_is_done_by_the_other_on_rabbitmq_4() {
    if let Some(ground) = Ground::rabbitmq_4().await {
        a_killed_workers_task_is_done_by_the_other(ground).await;
    }
}

/// More tasks than slots, all of them longer than the grace.
async fn terminating_a_busy_worker_charges_nothing(ground: Ground) {
    let fleet = Fleet::new(ground, SLOTS).await;
    let worker = fleet.start("").await;
    let ids = fleet.enqueue_many(fleet.door(&worker), "slow", 2 * SLOTS).await;
    fleet.ran(SLOTS).await;
    let asked = Instant::now();
    worker.signal(Signal::SIGTERM);
    let status = worker.ended().await;
    assert_eq!(status.code(), Some(0), "a drain is no failure");
    assert!(asked.elapsed() < Duration::from_secs(8), "{:?}", asked.elapsed());

    std::fs::write(fleet.folder.path().join("go"), "").unwrap();
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let mut runs_of = BTreeMap::new();
    for id in &ids {
        assert_eq!(fleet.over(&door, *id).await["state"], "done");
        let runs = fleet.runs(*id);
        assert!(runs.iter().all(|run| run.attempt == 1 && run.crashes == 0), "{runs:?}");
        *runs_of.entry(runs.len()).or_insert(0) += 1;
    }
    assert_eq!(runs_of, BTreeMap::from([(1, SLOTS), (2, SLOTS)]), "only started ones run again");
}

on_every_ground!(terminating_a_busy_worker_charges_nothing);

/// Returns a database of the shared test server that no other test here empties.
pub(super) fn next_database() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::SeqCst)
}

/// Empties one database, as losing all of Redis's memory would.
pub(super) fn flush(store: &str, database: u32) {
    let mut redis = TcpStream::connect(store.trim_start_matches("redis://")).unwrap();
    redis.write_all(format!("SELECT {database}\r\nFLUSHDB\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    redis.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("+OK").count(), 3, "{answer}");
}
