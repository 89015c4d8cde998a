//! The broker goes away and comes back with what it had on disk.

use std::time::Duration;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::declared;
use super::super::refusal::refusal;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::oracle::{Event, Finding};

/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// How often the broker is killed.
const KILLS: usize = 10;
/// Runs between two kills, so that each meets a fleet at work.
const BETWEEN: usize = 30;

pub(super) async fn stopped_and_started(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;

    stage.say("stops the broker");
    stage.harmed();
    let from = Fleet::now();
    stage.broker()?.stop().await?;
    let refused = refusal(&stage).await?;
    stage.ask_for_some().await?;
    stage.say("starts the broker");
    stage.broker()?.start_again().await?;
    stage.note(Event::BrokerLost { from, to: Fleet::now() });
    stage.healed();

    stage.happened("a task was accepted without a broker", refused.is_some())?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    if let Some(refused) = refused {
        finding.wrong.extend(refused.wrong());
        finding.notes.push(format!("without a broker: {}", refused.told()));
    }
    Ok(finding)
}

pub(super) async fn killed_ten_times(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    stage.harmed();
    for kill in 1..=KILLS {
        stage.say(format!("kills the broker, {kill} of {KILLS}"));
        declared::are_written(&mut stage).await?;
        let from = Fleet::now();
        stage.broker()?.kill().await?;
        stage.broker()?.start_again().await?;
        stage.note(Event::BrokerLost { from, to: Fleet::now() });
        stage.healed();
        stage.ask_for_some().await?;
        let ran = stage.fleet.journal.read()?.len();
        stage.ran(ran + BETWEEN).await?;
    }
    stage.settle_down(producers, PATIENCE).await
}
