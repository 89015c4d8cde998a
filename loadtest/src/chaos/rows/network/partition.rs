//! A worker and the broker lose sight of each other, and nobody is told.
//!
//! One worker goes through the proxy and one does not. What the first has in hand is delivered again to the other,
//! which has to find out that it runs, or has ended, elsewhere.

use std::time::Duration;

use tokio::time::sleep;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Proxied, Stage};
use super::{PACE, PATIENCE, counted, has_seen, is_not_ready_within};
use crate::error::{Error, while_doing};
use crate::fleet::producers::Load;
use crate::fleet::{Fleet, Settings};
use crate::oracle::{Event, Finding};
use crate::proxy::fault::Fault;

/// The AMQP heartbeat of the play.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How much later than after two heartbeats it may be noticed on a busy machine.
const SLACK: Duration = Duration::from_secs(2);
/// How long the partition lasts, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(60));
/// Tasks that run while their worker is cut off. Fewer than the slots of the other worker, which gets their copies.
const RUNNING: usize = 4;
/// How long a step of the play may take.
const SOON: Duration = Duration::from_secs(60);

pub(super) async fn silent(play: Play) -> Result<Finding, Error> {
    let keys = format!("broker.heartbeat = \"{}s\"", HEARTBEAT.as_secs());
    let settings = Settings { keys, slots: 8, ..Settings::default() };
    let plan = Plan { workers: 1, proxied: Proxied::Workers, settings, ..Plan::default() };
    let mut stage = Stage::open(&play, plan).await?;
    // Before the other worker is there: all of them are in the hands of the first.
    let held = stage.fleet.put_many("slow", RUNNING).await?;
    stage.ran(RUNNING).await?;
    start_straight_worker(&mut stage).await?;
    let producers = stage.load(&Load::default());
    stage.ran(RUNNING + PACE).await?;

    stage.harmed();
    let from = Fleet::now();
    let mut notes = vec![partition(&mut stage, &play).await?];
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    let from = Fleet::now();
    notes.push(half_open(&mut stage).await?);
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.healed();

    let second = held.iter().filter(|id| stage.fleet.runs(**id).is_ok_and(|runs| runs.len() > 1));
    let second = second.count();
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    if second > 0 {
        let what = format!("{second} tasks ran twice, though their worker had them all the time");
        finding.wrong.push(what);
    }
    finding.notes.append(&mut notes);
    Ok(finding)
}

/// Cuts the first worker off from the broker, for as long as copies of its tasks come to the other.
async fn partition(stage: &mut Stage, play: &Play) -> Result<String, Error> {
    stage.say("cuts a worker off from the broker");
    stage.to_broker()?.set(Fault::Blackhole);
    let noticed = not_ready_within(stage).await?;
    let lasts = if play.is_full { LASTS.1 } else { LASTS.0 };
    sleep(lasts.saturating_sub(noticed)).await;
    stage.ask_for_some().await?;
    let seen = stage.to_broker()?.seen();
    stage.happened("nothing was kept from arriving", seen.withheld > 0)?;
    let parked = counted(&stage.workers()[1], "leveret_parks_total{cause=\"busy\"}").await?;
    stage.happened("no copy of a running task came to the other worker", parked > 0)?;
    // They end while nobody can be told, and their copies are elsewhere.
    stage.fleet.let_go()?;
    sleep(Duration::from_secs(2)).await;
    stage.to_broker()?.set(Fault::None);
    let ready = stage.workers()[0].is_ready_within(SOON);
    ready.await?;
    Ok(format!(
        "partition noticed after {noticed:.1?} with an AMQP heartbeat of {HEARTBEAT:?}; {parked} copies of tasks \
         that ran were parked elsewhere"
    ))
}

/// Has the broker lose the connections of the first worker, which is not told.
async fn half_open(stage: &mut Stage) -> Result<String, Error> {
    stage.say("leaves connections half open");
    // One to publish, one to consume: both are made again.
    let is_whole = has_seen(stage.to_broker()?, SOON, |seen| seen.open >= 2).await;
    stage.happened("a worker has fewer connections than two", is_whole)?;
    let before = stage.to_broker()?.seen();
    stage.to_broker()?.set(Fault::HalfOpen);
    let proxy = stage.to_broker()?;
    let allowed = 2 * HEARTBEAT + SLACK;
    let began = tokio::time::Instant::now();
    let came_back = has_seen(proxy, allowed, |seen| {
        let lost = seen.half_opened - before.half_opened;
        lost >= 2 && seen.connections - before.connections >= lost
    });
    let came_back = came_back.await;
    let (seen, took) = (proxy.seen(), began.elapsed());
    let lost = seen.half_opened - before.half_opened;
    stage.happened("fewer connections were left half open than a worker has", lost >= 2)?;
    if !came_back {
        let what =
            format!("did not notice {lost} half-open connections within {allowed:?}: {seen:?}");
        return Err(Error::unexpected("a worker", what));
    }
    stage.to_broker()?.set(Fault::None);
    stage.workers()[0].is_ready_within(SOON).await?;
    Ok(format!("{lost} half-open connections noticed after {took:.1?}"))
}

/// Waits until the first worker says that it is not ready; that takes two heartbeats at most.
async fn not_ready_within(stage: &mut Stage) -> Result<Duration, Error> {
    let allowed = 2 * HEARTBEAT + SLACK;
    let noticed = is_not_ready_within(&stage.workers()[0], allowed).await;
    noticed.ok_or_else(|| {
        let what = format!("does not notice within {allowed:?} that the broker is silent");
        Error::unexpected("a worker", what)
    })
}

/// Starts a worker that reaches the broker straight.
async fn start_straight_worker(stage: &mut Stage) -> Result<(), Error> {
    let path = stage.fleet.folder().join("worker.toml");
    let around = std::fs::read_to_string(&path).map_err(while_doing("read settings"))?;
    let proxy = stage.to_broker()?.address().to_string();
    let straight = format!("127.0.0.1:{}", stage.broker()?.port());
    std::fs::write(&path, around.replace(&proxy, &straight))
        .map_err(while_doing("write settings"))?;
    stage.fleet.start_worker("").await?;
    std::fs::write(&path, around).map_err(while_doing("write settings"))
}
