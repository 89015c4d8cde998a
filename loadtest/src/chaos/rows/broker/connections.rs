//! The broker closes every connection, again and again.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::footprint::Footprint;
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::oracle::{Event, Finding};

/// For how long connections are closed, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(120));
/// How often.
const EVERY: Duration = Duration::from_secs(2);
/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// Rounds of closing in which something has to run.
const ROUNDS: usize = 5;

pub(super) async fn closed_again_and_again(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    let before = footprints(&mut stage)?;

    stage.harmed();
    let (began, lasts) = (Instant::now(), if play.is_full { LASTS.1 } else { LASTS.0 });
    let (mut closed, mut ran) = (0, vec![stage.fleet.journal.read()?.len()]);
    while began.elapsed() < lasts {
        let from = Fleet::now();
        closed += stage.broker()?.close_connections("closed by a test").await?;
        sleep(EVERY).await;
        stage.note(Event::BrokerLost { from, to: Fleet::now() });
        ran.push(stage.fleet.journal.read()?.len());
        stage.say(format!("has closed {closed} connections"));
        stage.ask_for_some().await?;
    }
    stage.healed();

    let rounds = ran.len() as u64 - 1;
    // At least the consumers' ones of two workers, each time.
    stage.happened("fewer connections were closed than workers have", closed >= 2 * rounds)?;
    let now = stage.fleet.journal.read()?.len();
    // At the same load as before: each connection of a client of the gateway is a descriptor.
    stage.ran(now + PACE).await?;
    let after = footprints(&mut stage)?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    let stuck = ran.windows(ROUNDS).any(|rounds| rounds.first() == rounds.last());
    if stuck {
        finding.wrong.push(format!("no progress while connections were closed: {ran:?}"));
    }
    for ((name, before), (_, after)) in before.iter().zip(after) {
        finding.wrong.extend(after.leak_since(*before, name));
        finding.notes.push(format!("{name}: {before:?} before, {after:?} after"));
    }
    finding.notes.push(format!("{closed} connections were closed in {rounds} rounds"));
    Ok(finding)
}

/// What each process holds; always in the same order.
fn footprints(stage: &mut Stage) -> Result<Vec<(String, Footprint)>, Error> {
    let gateway = stage.fleet.gateway().as_ref().map(|role| (role.name().to_owned(), role.pid()));
    let workers = stage.workers().iter().map(|role| (role.name().to_owned(), role.pid()));
    let all: Vec<(String, u32)> = workers.chain(gateway).collect();
    all.into_iter().map(|(name, pid)| Ok((name, Footprint::of(pid)?))).collect()
}
