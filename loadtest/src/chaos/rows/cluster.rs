//! Rows about a broker that is three nodes, any of which clients may enter.

mod apart;
mod leader;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::row::{Play, Row, SERVERS};
use super::super::stage::{Plan, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::node::cluster::SIZE;
use crate::oracle::{Event, Finding};

/// How long all work may take to end once the producers have stopped: what a delay queue was passing on when a node
/// went away, RabbitMQ tries again after three minutes (`dead_letter_worker_publisher_confirm_timeout`).
const PATIENCE: Duration = Duration::from_secs(240);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// Runs that show progress while a node is away.
const PROGRESS: usize = 30;
/// How soon they have to be there.
const SOON: Duration = Duration::from_secs(30);
/// The loaded lane.
const LANE: &str = "chaos.lane.default.normal";

/// The rows of this file.
pub(super) const ROWS: &[Row] = &[Row {
    name: "F52",
    what: "three-node broker: leader of a loaded lane killed, one node partitioned away",
    on: SERVERS,
    run: |play| Box::pin(of_three(play)),
}];

async fn of_three(play: Play) -> Result<Finding, Error> {
    // A node without the majority stops serving, as `docs/operations.md` tells operators to have it.
    let mut conf = "cluster_partition_handling = pause_minority\n".to_owned();
    if !play.is_full {
        conf += "net_ticktime = 8\n";
    }
    let plan = Plan { is_cluster: true, rabbitmq_conf: conf, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    let spread = spread(&mut stage).await?;

    stage.harmed();
    let mut told = leader::killed(&mut stage).await?;
    told.extend(apart::cut_off(&mut stage).await?);
    stage.healed();

    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.wrong.append(&mut told.wrong);
    finding.notes.push(spread);
    finding.notes.append(&mut told.notes);
    Ok(finding)
}

/// What came of a fault.
#[derive(Debug, Default)]
struct Told {
    wrong: Vec<String>,
    notes: Vec<String>,
}

impl Told {
    fn extend(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        self.notes.extend(other.notes);
    }
}

/// Tells how many connections of clients each node has.
async fn spread(stage: &mut Stage) -> Result<String, Error> {
    let ring = stage.ring()?;
    let mut counts = Vec::new();
    for node in 0..SIZE {
        let told = ring.cluster.node(node).ask("length(rabbit_networking:local_connections()).");
        counts.push(told.await?);
    }
    let is_spread = counts.iter().filter(|count| *count != "0").count() > 1;
    let said = format!("the nodes had {} connections of clients", counts.join(", "));
    stage.happened("clients were connected to one node only", is_spread)?;
    Ok(said)
}

/// Returns which node leads the loaded lane, by the word of another; the lane has to have a member on each.
async fn leads(stage: &mut Stage, asked: usize) -> Result<usize, Error> {
    let (leader, members) = stage.ring()?.cluster.places_of(LANE, asked).await?;
    stage.happened("a lane has no member on each node", members.len() == SIZE)?;
    Ok(leader)
}

/// Waits until another node than `leader` leads the loaded lane, by the word of one that can know.
async fn another_leads(stage: &mut Stage, leader: usize) -> Result<(), Error> {
    let began = Instant::now();
    while leads(stage, (leader + 1) % SIZE).await? == leader {
        stage.happened("who is away still leads", began.elapsed() < 3 * SOON)?;
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits for progress while a node is away; tells how soon it came, or that it came too late.
async fn progress(stage: &Stage, after: &str) -> Result<Told, Error> {
    let (began, before) = (Instant::now(), stage.fleet.journal.read()?.len());
    let mut told = Told::default();
    while stage.fleet.journal.read()?.len() < before + PROGRESS {
        if began.elapsed() > 3 * SOON {
            told.wrong.push(format!("{after}: fewer than {PROGRESS} runs after {:?}", 3 * SOON));
            return Ok(told);
        }
        sleep(Duration::from_millis(50)).await;
    }
    let took = began.elapsed();
    let what = format!("{after}: {PROGRESS} runs within {took:.1?}");
    if took > SOON {
        told.wrong.push(what)
    } else {
        told.notes.push(what)
    }
    Ok(told)
}

/// Writes down that the broker was away for somebody since `from`.
fn lost_since(stage: &Stage, from: leveret_common::clock::Millis) {
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
}
