//! Long proofs with the full numbers: `cargo test -p leveret --features failpoints,proofs --test it
//! proofs -- --nocapture`.
//!
//! A broker of the test's own waits 70 s for an ack, and tasks run for 200 s. That it does lose
//! patience is part of the proof: a fleet that is told otherwise loses its channels.

use std::time::{Duration, Instant};

use leveret_common::id::TaskId;
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::VirtualHost;
use leveret_nodes::{Broker, Generation, or_skip};

use super::kill_table::table_holds;
use super::{Fleet, Ground};

/// How long the broker waits for an ack.
const PATIENCE: Duration = Duration::from_secs(70);
/// How long the tasks run.
const RUN: Duration = Duration::from_secs(200);
/// How often the kill table must hold.
const REPETITIONS: usize = 20;

/// A fleet whose tasks of kind `lasting` run for [`RUN`]; it believes that the broker waits for
/// `believed`.
async fn fleet(ground: &Ground, believed: Duration) -> Fleet {
    let fleet = Fleet::new(ground.clone(), 2).await;
    let settings = std::fs::read_to_string(fleet.config()).unwrap();
    let patience = format!("broker.consumer_timeout = \"{}s\"\ngateway.", believed.as_secs());
    let script = fleet.journal.script();
    let lasting = format!(
        "[kinds.lasting]\nexec = [\"sh\", \"-c\", '{script}; sleep {}']\ntimeout = \"{}s\"\n",
        RUN.as_secs(),
        2 * RUN.as_secs()
    );
    let settings = settings.replacen("gateway.", &patience, 1) + &lasting;
    std::fs::write(fleet.config(), settings).unwrap();
    fleet
}

impl Fleet {
    async fn lasting_task(&self, door: &str) -> TaskId {
        let id = TaskId::mint();
        assert_eq!(self.enqueue(door, id, "lasting").await, Some(202));
        eventually(PATIENCE, "it runs", || async { self.runs(id).len() == 1 }).await;
        id
    }

    async fn lasts_until_done(&self, door: &str, id: TaskId) {
        eventually(RUN * 2, "it is done", || async {
            self.show(door, id).await.is_some_and(|task| task["state"] == "done")
        })
        .await;
    }

    /// Lists the channels that consume the lanes of this fleet, as the broker knows them.
    async fn channels(&self, node: &Broker) -> Vec<String> {
        let listed = node.control(&["list_consumers", "queue_name", "channel_pid"]).await.unwrap();
        let prefix = format!("{}.lane.", self.namespace);
        let mut ours: Vec<_> =
            listed.lines().filter(|line| line.starts_with(&prefix)).map(str::to_owned).collect();
        ours.sort();
        ours
    }
}

async fn a_long_task_completes_once_and_costs_no_channel(ground: &Ground, node: &Broker) {
    let fleet = fleet(ground, PATIENCE).await;
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let channels = fleet.channels(node).await;
    assert!(!channels.is_empty());
    let begun = Instant::now();
    let id = fleet.lasting_task(&door).await;
    fleet.lasts_until_done(&door, id).await;
    println!("detached: done after {:?} with a consumer_timeout of {PATIENCE:?}", begun.elapsed());
    assert!(begun.elapsed() >= RUN);
    assert_eq!(fleet.channels(node).await, channels, "the broker closed a channel");
    fleet.copies_come_back(&door).await;
    assert_eq!(fleet.runs(id).len(), 1, "{:?}", fleet.runs(id));
}

async fn killed_in_the_middle_it_completes_elsewhere(ground: &Ground, node: &Broker) {
    let fleet = fleet(ground, PATIENCE).await;
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let id = fleet.lasting_task(&door).await;
    // Well beyond the broker's patience, where only the parked copy stands for it.
    tokio::time::sleep(RUN / 2).await;
    worker.kill().await;
    let killed = Instant::now();
    let _other = fleet.start("").await;
    eventually(PATIENCE, "it runs elsewhere", || async { fleet.runs(id).len() == 2 }).await;
    println!("detached, owner killed: runs elsewhere {:?} after", killed.elapsed());
    let channels = fleet.channels(node).await;
    fleet.lasts_until_done(&door, id).await;
    assert_eq!(fleet.channels(node).await, channels, "the broker closed a channel");
    fleet.copies_come_back(&door).await;
    let crashes: Vec<u32> = fleet.runs(id).iter().map(|run| run.crashes).collect();
    assert_eq!(crashes, [0, 1]);
}

/// Without this the other two would prove nothing.
async fn held_to_its_end_it_costs_a_channel(ground: &Ground, node: &Broker) {
    let fleet = fleet(ground, RUN * 10).await;
    let worker = fleet.start("").await;
    let door = fleet.door(&worker).to_owned();
    let channels = fleet.channels(node).await;
    let id = fleet.lasting_task(&door).await;
    fleet.lasts_until_done(&door, id).await;
    assert_ne!(fleet.channels(node).await, channels, "the broker never lost patience");
    assert_eq!(fleet.runs(id).len(), 1, "not even that costs a second run");
}

async fn long_tasks_outlast_the_brokers_patience(generation: Generation, ground: Option<Ground>) {
    let Some(Ground::Servers { broker, store }) = ground else { return };
    let Some(node) = or_skip(Broker::start(generation).await) else { return };
    // Of the shared servers only the store is used.
    let broker = VirtualHost { url: node.url(), ..broker };
    let ground = Ground::Servers { broker, store };
    node.set_consumer_timeout(PATIENCE).await.unwrap();
    tokio::join!(
        a_long_task_completes_once_and_costs_no_channel(&ground, &node),
        killed_in_the_middle_it_completes_elsewhere(&ground, &node),
        held_to_its_end_it_costs_a_channel(&ground, &node),
    );
}

#[tokio::test]
async fn long_tasks_outlast_the_patience_of_rabbitmq_3() {
    long_tasks_outlast_the_brokers_patience(Generation::Old, Ground::rabbitmq_3().await).await;
}

#[tokio::test]
async fn long_tasks_outlast_the_patience_of_rabbitmq_4() {
    long_tasks_outlast_the_brokers_patience(Generation::New, Ground::rabbitmq_4().await).await;
}

async fn the_kill_table_holds_twenty_times(ground: Ground) {
    for repetition in 1..=REPETITIONS {
        let begun = Instant::now();
        table_holds(ground.clone()).await;
        println!("kill table, {repetition} of {REPETITIONS}: holds, {:?}", begun.elapsed());
    }
}

on_every_ground!(the_kill_table_holds_twenty_times);
