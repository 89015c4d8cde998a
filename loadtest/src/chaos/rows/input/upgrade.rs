//! F45: a rolling upgrade to a newer envelope, back, and forward again.
//!
//! The newer build is the same one with a failpoint that tells it that the envelope's version is 2: that is the version
//! it reads and writes, as a build of tomorrow would. What a newer version holds beyond that no build of today can
//! know; that headers of it survive an older worker is [`super::carried`]'s part.

use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::telemetry::names::PARKS;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::super::deploy;
use super::super::metric::counted_by;
use super::super::wait::SOON;
use super::carried;
use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::producers::Load;
use crate::oracle::Finding;

/// How long all work may take to end once the producers have stopped: what was parked twice comes back after 15 s.
const PATIENCE: Duration = Duration::from_secs(120);
/// Makes a build a newer one.
const NEWER: &str = "envelope.version=return(2)";
/// Runs of each phase.
const PACE: usize = 20;
/// Tasks of the newer version that nobody but an older worker meets.
const LEFT: usize = 8;

pub(super) async fn rolled(play: Play) -> Result<Finding, Error> {
    let mut finding = Finding::default();
    if play.on.generation().is_some() {
        finding.add(carried::by_an_older_worker(&play).await?);
    }
    finding.add(versions(&play).await?);
    Ok(finding)
}

async fn versions(play: &Play) -> Result<Finding, Error> {
    let play = Play { folder: play.folder.join("versions"), ..play.clone() };
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let kinds = vec![("ok", 3), ("retry-once", 1)];
    let producers = stage.load(&Load { rate: 10.0, kinds, producers: 2 });
    more_run(&stage).await?;

    // On the embedded backend it comes with its worker.
    stage.say("deploys a newer gateway");
    deploy::gateway(&mut stage, NEWER).await?;
    let mut parked = 0;
    if !stage.fleet.is_embedded() {
        parked += are_parked(&mut stage, 1).await?;
    }
    stage.say("deploys newer workers");
    deploy::workers(&mut stage, NEWER).await?;
    more_run(&stage).await?;

    stage.say("goes back to the older ones");
    put_for_later(&stage).await?;
    deploy::workers(&mut stage, "").await?;
    deploy::gateway(&mut stage, "").await?;
    parked += are_parked(&mut stage, LEFT as u64).await?;
    more_run(&stage).await?;

    stage.say("goes forward again");
    deploy::workers(&mut stage, NEWER).await?;
    deploy::gateway(&mut stage, NEWER).await?;
    more_run(&stage).await?;
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.notes.push(format!("older workers parked newer envelopes {parked} times at least"));
    Ok(finding)
}

/// Waits until so many tasks more have run.
async fn more_run(stage: &Stage) -> Result<(), Error> {
    let ran = stage.fleet.journal.read()?.len();
    stage.ran(ran + PACE).await
}

/// Puts tasks in that come when the workers of today are gone.
async fn put_for_later(stage: &Stage) -> Result<(), Error> {
    for _ in 0..LEFT {
        let id = TaskId::mint();
        let task = json!({ "kind": "ok", "id": id, "args": 1, "delay": "8s" });
        stage.fleet.put_as(id, "ok", task).await?;
    }
    Ok(())
}

/// Waits until the workers have parked so many envelopes of a newer version.
async fn are_parked(stage: &mut Stage, at_least: u64) -> Result<u64, Error> {
    let (began, mut parked) = (Instant::now(), 0);
    while parked < at_least && began.elapsed() < SOON {
        parked = counted_by(stage.workers(), PARKS, "cause=\"version\"").await?;
        sleep(Duration::from_millis(50)).await;
    }
    stage.happened("older workers met no newer envelope", parked >= at_least)?;
    Ok(parked)
}
