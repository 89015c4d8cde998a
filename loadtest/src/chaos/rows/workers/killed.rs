//! F1 from outside: a worker is killed while it runs a task, while a detached one is all it has, and among many.

use std::time::Duration;

use tokio::time::sleep;

use super::super::wait::{copies_come_back, put_behind_copies, ran};
use crate::chaos::{Cast, Stage};
use crate::error::Error;
use crate::fleet::Settings;
use crate::fleet::role::Role;
use crate::oracle::Finding;

const PATIENCE: Duration = Duration::from_secs(60);
/// How soon a dead worker's task is over that takes no time, beyond the life of its claim.
const SOON: Duration = Duration::from_secs(5);
/// How many tasks a worker is killed among, and in a play with the full numbers.
const MANY: (usize, usize) = (2_000, 10_000);
/// How long these may take.
const MANY_PATIENCE: Duration = Duration::from_secs(300);
/// Slots of a worker that is to be busy.
const SLOTS: usize = 16;

/// Returns settings by which a dead worker's tasks are taken over soon.
pub(super) fn quick() -> Settings {
    let (heartbeat, heartbeat_ttl) = (Duration::from_millis(300), Duration::from_millis(1_500));
    Settings { heartbeat, heartbeat_ttl, ..Settings::default() }
}

pub(super) async fn holds(stage: &Stage) -> Result<Finding, Error> {
    stage.say("kills a worker with a detached task");
    let mut whole = while_detached(stage, stage.play().chance(101)).await?;
    stage.say("kills a worker in the middle of its work");
    if stage.look().is_some() {
        whole.add(beside_another(stage, stage.play().chance(102)).await?);
    } else {
        whole.add(among_many(stage, stage.play().chance(103)).await?);
    }
    Ok(whole)
}

/// The other of two workers does it, as soon as the claim has ended.
async fn beside_another(stage: &Stage, mut chance: fastrand::Rng) -> Result<Finding, Error> {
    let settings = Settings { slots: 1, ..quick() };
    let ttl = settings.heartbeat_ttl;
    let mut fleet = stage.another_fleet("beside", Cast::Shipped, settings)?;
    fleet.start_gateway("").await?;
    for _ in 0..2 {
        fleet.start_worker("").await?;
    }
    // Nobody takes anything over in its first TTL.
    sleep(ttl).await;
    let id = fleet.put("slow").await?;
    ran(&fleet, id, 1).await?;
    let runner = fleet.runs(id)?[0].worker;
    let death = fleet.kill_worker(runner).await?;
    fleet.let_go()?;
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;

    let others: Vec<u32> = fleet.workers().iter().map(Role::pid).collect();
    let runs = fleet.runs(id)?;
    let told: Vec<_> = runs.iter().skip(1).map(|run| (run.worker, run.crashes)).collect();
    let expected: Vec<_> = others.iter().map(|other| (*other, 1)).collect();
    if told != expected {
        finding.wrong.push(format!("its worker was killed, and it ran so: {runs:?}"));
    }
    let over = runs.last().and_then(|run| run.end).map(|end| end.at.since(death.at));
    if over.is_none_or(|took| took > ttl + SOON) {
        finding.wrong.push(format!("its worker was killed, and it was over after {over:?}"));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}

/// A detached task's delivery is acked: only its parked copy brings it back.
async fn while_detached(stage: &Stage, mut chance: fastrand::Rng) -> Result<Finding, Error> {
    let mut fleet = stage.another_fleet("detached", Cast::Shipped, quick())?;
    fleet.start_gateway("").await?;
    let worker = fleet.start_worker("").await?;
    let id = fleet.put("long-slow").await?;
    ran(&fleet, id, 1).await?;
    copies_come_back(&fleet).await?;
    fleet.kill_worker(worker).await?;
    fleet.let_go()?;
    fleet.start_worker("").await?;
    ran(&fleet, id, 2).await?;
    put_behind_copies(&fleet).await?;
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;
    let runs = fleet.runs(id)?;
    let told: Vec<_> = runs.iter().map(|run| (run.attempt, run.crashes)).collect();
    if told != [(1, 0), (1, 1)] || !runs[1].is_done() {
        finding.wrong.push(format!("the worker of a detached task was killed: {runs:?}"));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}

/// Of many tasks only those run again that were in flight.
async fn among_many(stage: &Stage, mut chance: fastrand::Rng) -> Result<Finding, Error> {
    let settings = Settings { slots: SLOTS, ..quick() };
    let mut fleet = stage.another_fleet("many", Cast::Shipped, settings)?;
    let worker = fleet.start_worker("").await?;
    let count = if stage.play().is_full { MANY.1 } else { MANY.0 };
    fleet.put_many("ok", count).await?;
    fleet.ran(count / 4).await?;
    let ran = fleet.journal.read()?.len();
    stage.happened("all of them ran before it was killed", ran < count)?;
    fleet.kill_worker(worker).await?;
    fleet.start_worker("").await?;
    let mut finding = fleet.settle_down(None, MANY_PATIENCE, &mut chance).await?;
    let second = finding.explained();
    if finding.done != count as u64 || second > SLOTS as u64 {
        let done = finding.done;
        finding.wrong.push(format!("{done} of {count} are done, {second} ran again"));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}
