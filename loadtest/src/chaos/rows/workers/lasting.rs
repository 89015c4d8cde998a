//! F19: a task lasts longer than the broker waits for an ack.
//!
//! It runs detached: its delivery is acked before, and copies of it come and go while it runs. It completes once and
//! costs no channel; where its worker is killed, elsewhere. That the broker does lose patience is part of the proof: a
//! fleet that is told otherwise loses a channel.

use std::time::Duration;

use tokio::time::sleep;

use super::super::wait::{copies_come_back, put_behind_copies, ran};
use super::killed::quick;
use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::settings::{Settings, kind};
use crate::node::Broker;
use crate::oracle::{Finding, Run};

/// How long the broker waits for an ack, and how long a task lasts.
const SHORT: Times = Times { patience: Duration::from_secs(10), lasts: Duration::from_secs(25) };
/// The same in a play with the full numbers.
const FULL: Times = Times { patience: Duration::from_secs(70), lasts: Duration::from_secs(200) };
/// A kind of such tasks.
const LASTING: &str = "lasting";
/// How long a task may take to be over that is told to end.
const SOON: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Times {
    patience: Duration,
    lasts: Duration,
}

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let times = if play.is_full { FULL } else { SHORT };
    if stage.look().is_some() {
        stage.broker()?.set_consumer_timeout(times.patience).await?;
    }
    stage.say("runs tasks that last");
    let Some(broker) = stage.look() else { return runs_once(&stage).await };
    let mut whole = Finding::default();
    let (once, undisturbed, elsewhere, held) = tokio::try_join!(
        runs_once(&stage),
        costs_no_channel(&stage, broker, times),
        completes_elsewhere(&stage, broker, times),
        costs_a_channel(&stage, broker, times),
    )?;
    for finding in [once, undisturbed, elsewhere, held] {
        whole.add(finding);
    }
    Ok(whole)
}

/// Its copies come back while it runs and after it, and find it taken or over.
async fn runs_once(stage: &Stage) -> Result<Finding, Error> {
    let mut fleet = stage.another_fleet("once", Cast::Shipped, quick())?;
    fleet.start_gateway("").await?;
    fleet.start_worker("").await?;
    let id = fleet.put("long-slow").await?;
    ran(&fleet, id, 1).await?;
    copies_come_back(&fleet).await?;
    copies_come_back(&fleet).await?;
    let told = fleet.door.task(id).await?.unwrap_or_default();
    fleet.let_go()?;
    put_behind_copies(&fleet).await?;
    let mut finding = settles(stage, &mut fleet, SOON).await?;
    if told["state"] != "running" {
        finding.wrong.push(format!("it runs, and the gateway tells {told}"));
    }
    let runs = fleet.runs(id)?;
    finding.wrong.extend(differs(&runs, &[0]));
    fleet.drain_workers().await?;
    Ok(finding)
}

async fn costs_no_channel(stage: &Stage, broker: &Broker, times: Times) -> Result<Finding, Error> {
    let mut fleet = fleet(stage, "undisturbed", times, times.patience).await?;
    let channels = channels(&fleet, broker).await?;
    stage.happened("its worker has no channel", !channels.is_empty())?;
    let id = fleet.put(LASTING).await?;
    let mut finding = settles(stage, &mut fleet, times.lasts * 3).await?;
    finding.wrong.extend(differs(&fleet.runs(id)?, &[0]));
    let lasted = fleet.runs(id)?.first().and_then(|run| Some(run.end?.at.since(run.began)));
    stage.happened("it did not last", lasted.is_some_and(|lasted| lasted >= times.lasts))?;
    finding.wrong.extend(fleet_lost(&fleet, broker, &channels).await?);
    fleet.drain_workers().await?;
    Ok(finding)
}

async fn completes_elsewhere(
    stage: &Stage,
    broker: &Broker,
    times: Times,
) -> Result<Finding, Error> {
    let mut fleet = fleet(stage, "elsewhere", times, times.patience).await?;
    let id = fleet.put(LASTING).await?;
    ran(&fleet, id, 1).await?;
    // Beyond the broker's patience only a parked copy stands for it.
    sleep((times.patience + times.lasts) / 2).await;
    let runner = fleet.runs(id)?[0].worker;
    fleet.kill_worker(runner).await?;
    fleet.start_worker("").await?;
    let channels = channels(&fleet, broker).await?;
    let mut finding = settles(stage, &mut fleet, times.lasts * 3).await?;
    finding.wrong.extend(differs(&fleet.runs(id)?, &[0, 1]));
    finding.wrong.extend(fleet_lost(&fleet, broker, &channels).await?);
    fleet.drain_workers().await?;
    Ok(finding)
}

/// Without this the others would prove nothing: the fleet believes that the broker waits for ever.
async fn costs_a_channel(stage: &Stage, broker: &Broker, times: Times) -> Result<Finding, Error> {
    let mut fleet = fleet(stage, "held", times, times.lasts * 10).await?;
    let before = channels(&fleet, broker).await?;
    let id = fleet.put(LASTING).await?;
    let mut finding = settles(stage, &mut fleet, times.lasts * 3).await?;
    let after = channels(&fleet, broker).await?;
    stage.happened("the broker never lost patience", before != after)?;
    // Not even that costs a second run.
    finding.wrong.extend(differs(&fleet.runs(id)?, &[0]));
    fleet.drain_workers().await?;
    Ok(finding)
}

/// Starts a fleet that believes the broker to wait for `believed`.
async fn fleet(
    stage: &Stage,
    name: &str,
    times: Times,
    believed: Duration,
) -> Result<Fleet, Error> {
    let keys = format!("broker.consumer_timeout = \"{}s\"\n", believed.as_secs());
    let mut fleet = stage.another_fleet(name, Cast::Shipped, Settings { keys, ..quick() })?;
    let work = fleet.journal.script(&format!("sleep {}", times.lasts.as_secs()));
    let limit = format!("{}s", 2 * times.lasts.as_secs());
    fleet.add_settings("worker", &kind(LASTING, &limit, &work))?;
    fleet.start_gateway("").await?;
    fleet.start_worker("").await?;
    Ok(fleet)
}

async fn settles(stage: &Stage, fleet: &mut Fleet, patience: Duration) -> Result<Finding, Error> {
    let mut chance = stage.play().chance(fleet.settings().namespace.len() as u64);
    fleet.settle_down(stage.look(), patience, &mut chance).await
}

/// Tells in what its runs are not one attempt with these crashes.
fn differs(runs: &[Run], crashes: &[u32]) -> Option<String> {
    let told: Vec<(u32, u32)> = runs.iter().map(|run| (run.attempt, run.crashes)).collect();
    let expected: Vec<(u32, u32)> = crashes.iter().map(|crashes| (1, *crashes)).collect();
    (told != expected).then(|| format!("a task that lasts ran so: {runs:?}"))
}

/// Lists the channels that consume the lanes of a fleet, as the broker knows them.
async fn channels(fleet: &Fleet, broker: &Broker) -> Result<Vec<String>, Error> {
    let listed = broker.control(&["list_consumers", "queue_name", "channel_pid"]).await?;
    let prefix = format!("{}.lane.", fleet.settings().namespace);
    let ours = listed.lines().filter(|line| line.starts_with(&prefix));
    let mut ours: Vec<String> = ours.map(str::to_owned).collect();
    ours.sort();
    Ok(ours)
}

/// Tells whether the broker has closed a channel of a fleet.
async fn fleet_lost(
    fleet: &Fleet,
    broker: &Broker,
    channels_before: &[String],
) -> Result<Option<String>, Error> {
    let after = channels(fleet, broker).await?;
    let is_so = after != channels_before;
    Ok(is_so.then(|| format!("the broker closed a channel: {channels_before:?}, then {after:?}")))
}
