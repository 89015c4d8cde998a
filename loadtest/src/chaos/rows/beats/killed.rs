//! F27: the leading beat is killed before an occurrence is published, when it was sent, when it was confirmed, when its
//! position was saved.
//!
//! Within ten seconds another one leads, and each occurrence is performed once. On the embedded backend the one process
//! is killed at these steps, and started again.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::leading::{TAKEOVER, until_one_leads};
use super::table::{Table, before};
use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::settings::Settings;
use crate::oracle::Finding;
use crate::timetable::owed::{Between, Spell};

const STEPS: [&str; 4] = ["beat.due", "beat.sent", "beat.confirmed", "beat.saved"];
/// Passes of the step that live, so that the beat has led for some seconds, and that another one stands by where there is
/// one.
const PASSES: (u32, u32) = (3, 6);
/// How long a beat may take to come to its step.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long occurrences are performed after that.
const AFTER: Duration = Duration::from_secs(3);

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    play.say("kills the leading beat at each step");
    let steps = STEPS.iter().enumerate();
    let played = steps.map(|(place, step)| step_holds(&stage, step, play.chance(place as u64)));
    let mut whole = Finding::default();
    for found in try_join_all(played).await? {
        whole.add(found);
    }
    Ok(whole)
}

async fn step_holds(
    stage: &Stage,
    step: &str,
    mut chance: fastrand::Rng,
) -> Result<Finding, Error> {
    let name = step.replace('.', "-");
    let mut fleet = stage.another_fleet(&name, Cast::Shipped, Settings::default())?;
    let mut table = Table::write(&fleet, "")?;
    table.shown(0);
    fleet.start_gateway("").await?;
    let began = Fleet::now();
    let passes = if fleet.is_embedded() { PASSES.0 } else { PASSES.1 };
    let failpoints = format!("{step}={passes}*off->return");
    let victim = if fleet.is_embedded() {
        fleet.start_worker(&failpoints).await?
    } else {
        fleet.start_worker("").await?;
        fleet.start_beat(&failpoints).await?
    };
    until_one_leads(&mut fleet).await?;
    table.fires_after(&fleet, began, Fleet::now).await?;
    let seen = Fleet::now();
    if !fleet.is_embedded() {
        fleet.start_beat("").await?;
    }
    // On a slow machine it may come when the first one is gone: nobody could lead before.
    let stands_by = Fleet::now();

    let death = if fleet.is_embedded() {
        let death = fleet.worker_aborts(victim, PATIENCE).await?;
        fleet.start_worker("").await?;
        death
    } else {
        // It died while it led: another one could not have come to this step.
        let beat = fleet.beats().remove(0);
        fleet.log.doom(victim);
        let death = beat.ended(PATIENCE).await?;
        stage.happened("its beat was not aborted", death.is_abort())?;
        death
    };
    let (_, led) = until_one_leads(&mut fleet).await?;
    let took = led.since(death.at.max(stands_by));
    table.fires_after(&fleet, Fleet::now().after(AFTER), Fleet::now).await?;

    let ended = table.stop(&mut fleet, Fleet::now).await?;
    table.spell(&Spell { began: Between(before(began, AFTER), seen), ended });
    let mut finding = table.judged(&fleet, stage.look(), &mut chance).await?;
    finding.recovered = Some(took);
    if took > TAKEOVER {
        finding.wrong.push(format!("killed at {step}: another beat led only {took:?} later"));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}
