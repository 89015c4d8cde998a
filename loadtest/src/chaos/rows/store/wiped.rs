//! F21, its other parts: the store is wiped while a detached task runs, and while workers are as busy as they can be.

use std::time::Duration;

use tokio::time::Instant;

use super::super::super::stage::{Cast, Stage};
use super::super::wait::{copies_come_back, ran};
use crate::error::Error;
use crate::fleet::{Fleet, Settings};
use crate::oracle::{Event, Finding};

const PATIENCE: Duration = Duration::from_secs(90);
const WORKERS: usize = 2;
/// Slots of a worker that is to be busy.
const SLOTS: usize = 16;
/// How many tasks there are among which it is wiped, and in a play with the full numbers.
const MANY: (usize, usize) = (2_000, 10_000);
/// How long these may take.
const MANY_PATIENCE: Duration = Duration::from_secs(300);
const WIPES: usize = 3;

/// A claim is written again by the next heartbeat, long before a copy of the task comes: it runs once.
pub(super) async fn while_detached(stage: &mut Stage) -> Result<Finding, Error> {
    stage.say("wipes the store while a detached task runs");
    let mut fleet = start(stage, "detached", Settings::default()).await?;
    let begun = Instant::now();
    let id = fleet.put("long-slow").await?;
    ran(&fleet, id, 1).await?;
    wipe(stage, &fleet).await?;
    // On a machine too slow to wipe in time, a copy may have come first: a written window.
    let is_soon = begun.elapsed() < fleet.settings().heartbeat_ttl * 3;
    copies_come_back(&fleet).await?;
    fleet.let_go()?;
    let mut chance = stage.chance().fork();
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;
    let runs = fleet.runs(id)?;
    if is_soon && runs.len() != 1 {
        finding.wrong.push(format!("a detached task ran through a wipe so: {runs:?}"));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}

/// No more tasks run again than were in flight.
pub(super) async fn among_many(stage: &mut Stage) -> Result<Finding, Error> {
    stage.say("wipes the store among many tasks");
    let mut fleet = start(stage, "many", Settings { slots: SLOTS, ..Settings::default() }).await?;
    let count = if stage.play().is_full { MANY.1 } else { MANY.0 };
    fleet.put_many("ok", count).await?;
    for part in 1..=WIPES {
        fleet.ran(count * part / (WIPES + 2)).await?;
        let ran = fleet.journal.read()?.len();
        stage.happened("all of them ran before the store was wiped", ran < count)?;
        wipe(stage, &fleet).await?;
    }
    let mut chance = stage.chance().fork();
    let mut finding = fleet.settle_down(stage.look(), MANY_PATIENCE, &mut chance).await?;
    let (second, most) = (finding.explained(), (WIPES * WORKERS * SLOTS) as u64);
    if finding.done != count as u64 || second > most {
        let done = finding.done;
        finding.wrong.push(format!("{done} of {count} are done, {second} ran again, not {most}"));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}

async fn start(stage: &Stage, name: &str, settings: Settings) -> Result<Fleet, Error> {
    let mut fleet = stage.another_fleet(name, Cast::Shipped, settings)?;
    fleet.start_gateway("").await?;
    for _ in 0..WORKERS {
        fleet.start_worker("").await?;
    }
    Ok(fleet)
}

/// Wipes the store under every fleet.
async fn wipe(stage: &mut Stage, fleet: &Fleet) -> Result<(), Error> {
    let at = Fleet::now();
    stage.wipe().await?;
    fleet.log.note(Event::Wiped { at });
    Ok(())
}
