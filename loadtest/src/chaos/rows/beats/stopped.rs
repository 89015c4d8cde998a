//! F28: the leading beat of three is stopped for five times its lease, and continued.
//!
//! Another one leads meanwhile, and the continued one notices that it does not any more. Each occurrence is performed
//! once. The embedded backend has one beat: it goes on where it was. What happens without any lock is in `unlocked`.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::leading::{TAKEOVER, has_said, leads, until_it_stands_by, until_one_leads};
use super::table::Table;
use super::unlocked;
use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::role::Role;
use crate::fleet::settings::Settings;
use crate::oracle::Finding;
use crate::timetable::owed::{Between, Spell};

/// How many leases it stands still.
const LEASES: u32 = 5;
/// The lease, and the usual one, which a play with the full numbers has.
const LEASE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// How many beats stand by.
const OTHERS: usize = 2;
/// How long occurrences are performed after that.
const AFTER: Duration = Duration::from_secs(4);

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let mut whole = beat_is_stopped(&stage).await?;
    if stage.look().is_some() {
        whole.add(unlocked::holds(&mut stage).await?);
    }
    Ok(whole)
}

/// Returns settings with a lease.
pub(super) fn with_lease(lease: Duration) -> Settings {
    let keys = format!("beat.lease = \"{}ms\"\n", lease.as_millis());
    Settings { keys, ..Settings::default() }
}

async fn beat_is_stopped(stage: &Stage) -> Result<Finding, Error> {
    let lease = if stage.play().is_full { LEASE.1 } else { LEASE.0 };
    let mut chance = stage.play().chance(3);
    let mut fleet = stage.another_fleet("stopped", Cast::Shipped, with_lease(lease))?;
    let mut table = Table::write(&fleet, "")?;
    table.shown(0);
    fleet.start_gateway("").await?;
    let began = Fleet::now();
    fleet.start_worker("").await?;
    if !fleet.is_embedded() {
        fleet.start_beat("").await?;
    }
    until_one_leads(&mut fleet).await?;
    if !fleet.is_embedded() {
        for _ in 0..OTHERS {
            fleet.start_beat("").await?;
        }
    }
    table.fires_after(&fleet, began, Fleet::now).await?;
    let seen = Fleet::now();

    // At any moment between two occurrences, or while one is put in.
    sleep(Duration::from_millis(chance.u64(..1_000))).await;
    stage.say("its leading beat stands still");
    let wrong = if fleet.is_embedded() {
        process_stands_still(&mut fleet, lease).await?
    } else {
        leader_stands_still(stage, &mut fleet, lease).await?
    };
    table.fires_after(&fleet, Fleet::now().after(AFTER), Fleet::now).await?;
    let ended = table.stop(&mut fleet, Fleet::now).await?;
    table.spell(&Spell { began: Between(began, seen), ended });
    let mut finding = table.judged(&fleet, stage.look(), &mut chance).await?;
    finding.wrong.extend(wrong);
    fleet.drain_workers().await?;
    Ok(finding)
}

async fn leader_stands_still(
    stage: &Stage,
    fleet: &mut Fleet,
    lease: Duration,
) -> Result<Vec<String>, Error> {
    let (leader, _) = until_one_leads(fleet).await?;
    let at = fleet.beats().iter().position(|beat| beat.pid() == leader).unwrap_or_default();
    let leader = fleet.beats().remove(at);
    let (paused, since) = (fleet.pause(&leader)?, Instant::now());
    until_one_leads(fleet).await?;
    let took = since.elapsed();
    sleep((lease * LEASES).saturating_sub(took)).await;
    let told = has_said(leader.log(), "does not lead any more")?;
    stage.happened("it was told before it went on", !told)?;
    stage.say("it goes on");
    fleet.resume(&leader, paused)?;
    until_it_stands_by(&leader).await?;
    let mut wrong = Vec::new();
    if !has_said(leader.log(), "does not lead any more")? {
        wrong.push("the continued beat does not say that it leads no longer".to_owned());
    }
    if took > TAKEOVER {
        wrong.push(format!("another beat led only {took:?} after the leader stood still"));
    }
    let mut leading = 0;
    for beat in fleet.beats().iter().chain([&leader]) {
        leading += u32::from(leads(beat).await);
    }
    if leading != 1 {
        wrong.push(format!("{leading} beats lead when all go on"));
    }
    fleet.beats().push(leader);
    Ok(wrong)
}

/// Has the one process stand still, and go on.
async fn process_stands_still(fleet: &mut Fleet, lease: Duration) -> Result<Vec<String>, Error> {
    let pid = fleet.workers().first().map(Role::pid).unwrap_or_default();
    let paused = fleet.pause_worker(pid)?;
    sleep(lease * LEASES).await;
    fleet.resume_worker(paused)?;
    let since = Instant::now();
    until_one_leads(fleet).await?;
    let took = since.elapsed();
    let late = format!("its beat led again only {took:?} after it went on");
    Ok((took > TAKEOVER).then_some(late).into_iter().collect())
}
