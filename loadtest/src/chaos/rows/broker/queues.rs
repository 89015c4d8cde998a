//! A lane is deleted under those who consume it, and the broker closes the channel of another.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::wait::{SOON, runs};
use crate::error::{Error, while_doing};
use crate::fleet::Settings;
use crate::fleet::journal::Journal;
use crate::fleet::producers::Load;
use crate::fleet::settings::{go, kind};
use crate::node::QueueState;
use crate::oracle::Finding;

/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// The lane that is deleted, and one that nobody touches.
const LANE: &str = "chaos.lane.default.normal";
const OTHER: &str = "chaos.lane.other.normal";
/// How long the broker waits for an ack until it closes the channel.
const ACK: Duration = Duration::from_secs(10);

pub(super) async fn deleted_and_channel_closed(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, plan(&play)).await?;
    let steady = stage.load(&load("other"));
    let mut finding = deleted(&mut stage).await?;
    finding.extend(channel_closed(&mut stage).await?);
    let mut judged = stage.settle_down(steady, PATIENCE).await?;
    judged.notes.append(&mut finding);
    Ok(judged)
}

/// The usual kinds, and one of another queue.
fn plan(play: &Play) -> Plan {
    let journal = Journal::in_folder(&play.folder.join("fleet"));
    let tables = kind("other", "5m", &journal.script("true")) + "queue = \"other\"\n";
    let settings = Settings { tables, ..Settings::default() };
    Plan { settings, ..Plan::default() }
}

/// Deletes a lane that holds nothing but a task in the hands of a worker; returns what is worth
/// telling.
async fn deleted(stage: &mut Stage) -> Result<Vec<String>, Error> {
    let producers = stage.load(&load("ok"));
    stage.ran(50).await?;
    // What rests in a deleted queue is gone: an operator's deed, and no fault.
    producers.stopped().await;
    wait_until(stage, "the lane is empty", |lanes| held(lanes, LANE) == Some((0, 0))).await?;
    let in_hand = stage.put("slow").await?;
    wait_until(stage, "a task is in hand", |lanes| held(lanes, LANE) == Some((0, 1))).await?;
    runs(stage, in_hand).await?;

    stage.say("deletes a queue");
    let index = |lanes: &[QueueState]| lane(lanes, LANE).map(|lane| lane.index);
    let before = index(&stage.broker()?.queues().await?);
    stage.broker()?.delete_queue(LANE).await?;
    let others = ran(stage, "other")?;
    let again = stage.load(&load("ok"));
    let is_new = |lanes: &[QueueState]| index(lanes).is_some() && index(lanes) < before;
    wait_until(stage, "the lane is there again", |lanes| {
        is_new(lanes) && lane(lanes, LANE).is_some_and(|lane| lane.consumers == 2)
    })
    .await?;
    let after = stage.fleet.journal.read()?.len();
    stage.ran(after + 50).await?;
    stage.happened("the other lane stood still", ran(stage, "other")? > others)?;
    again.stopped().await;
    stage.fleet.let_go()?;
    Ok(vec![format!(
        "the lane was deleted after {} changes, with a task in hand",
        before.unwrap_or(0)
    )])
}

/// Has a worker hold a delivery for longer than the broker waits for an ack.
async fn channel_closed(stage: &mut Stage) -> Result<Vec<String>, Error> {
    stage.say("waits until the broker closes a channel");
    wait_until(stage, "the lane is empty", |lanes| held(lanes, LANE) == Some((0, 0))).await?;
    // It counts for channels that are opened from now on.
    stage.broker()?.set_consumer_timeout(ACK).await?;
    let before = channels(stage).await?;
    stage.broker()?.close_connections("closed by a test").await?;
    let before = other_channels(stage, &before).await?;
    std::fs::remove_file(go(stage.fleet.folder())).map_err(while_doing("hold slow tasks back"))?;
    let held_long = stage.put("slow").await?;
    runs(stage, held_long).await?;
    let began = Instant::now();
    let closed = loop {
        let now = channels(stage).await?;
        let closed = before.iter().filter(|channel| !now.contains(channel)).count();
        if closed > 0 || began.elapsed() > SOON {
            break closed;
        }
        sleep(Duration::from_millis(100)).await;
    };
    stage.happened("the broker closed no channel", closed > 0)?;
    let others = ran(stage, "other")?;
    let producers = stage.load(&load("ok"));
    let after = stage.fleet.journal.read()?.len();
    stage.ran(after + 50).await?;
    stage.happened("the other lane stood still", ran(stage, "other")? > others)?;
    producers.stopped().await;
    stage.fleet.let_go()?;
    Ok(vec![format!("the broker closed {closed} channels, waiting for an ack")])
}

fn load(kind: &'static str) -> Load {
    Load { rate: 15.0, kinds: vec![(kind, 1)], producers: 2 }
}

/// Waits until two other channels than these consume the lane, and returns them.
async fn other_channels(stage: &mut Stage, before: &[String]) -> Result<Vec<String>, Error> {
    let began = Instant::now();
    loop {
        let mut now = channels(stage).await?;
        now.retain(|channel| !before.contains(channel));
        if now.len() == 2 {
            return Ok(now);
        }
        if began.elapsed() > SOON {
            return Err(Error::unexpected("the lane", format!("is consumed by {now:?}")));
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Returns the channels that consume the lane.
async fn channels(stage: &mut Stage) -> Result<Vec<String>, Error> {
    let listed = stage.broker()?.control(&["list_consumers", "queue_name", "channel_pid"]).await?;
    let ours = listed.lines().filter(|line| line.starts_with(LANE)).map(str::to_owned);
    Ok(ours.collect())
}

/// Counts the runs of tasks of a kind.
fn ran(stage: &Stage, kind: &str) -> Result<usize, Error> {
    let history = stage.fleet.journal.read()?;
    let books = stage.fleet.books.open();
    let of_kind = books.tasks().iter().filter(|(_, promise)| promise.kind == kind);
    Ok(of_kind.filter(|(id, _)| !history.of(**id).is_empty()).count())
}

fn lane<'a>(lanes: &'a [QueueState], name: &str) -> Option<&'a QueueState> {
    lanes.iter().find(|lane| lane.name == name)
}

fn held(lanes: &[QueueState], name: &str) -> Option<(u64, u64)> {
    lane(lanes, name).map(|lane| (lane.ready, lane.unacked))
}

async fn wait_until(
    stage: &mut Stage,
    what: &str,
    is_so: impl Fn(&[QueueState]) -> bool,
) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let lanes = stage.broker()?.queues().await?;
        if is_so(&lanes) {
            return Ok(());
        }
        if began.elapsed() > SOON {
            let lanes: Vec<_> = [LANE, OTHER].iter().map(|name| lane(&lanes, name)).collect();
            return Err(Error::unexpected("the broker", format!("not so that {what}: {lanes:?}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
