//! F37: a disk is full for a while, and then it is not.
//!
//! Each disk is a small one of the play's own, filled to its last byte. Whoever cannot keep what it is given says so in
//! time, nothing is lost or damaged, and work goes on when there is space again; where a server has ended itself
//! meanwhile it is started again, as its operator would.

mod broker;
mod file;
mod logs;
mod store;

use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::refusal::{Refusal, refusal};
use crate::chaos::{Play, Stage};
use crate::error::{Error, while_doing};
use crate::fleet::Fleet;
use crate::fleet::producers::Load;
use crate::node::Disk;
use crate::oracle::Finding;

/// How long all work may take to end once the producers have stopped.
const PATIENCE: Duration = Duration::from_secs(120);
/// Runs before the first fault: the pace to come back to.
const PACE: usize = 100;
/// How long a disk is full, and in a play with the full numbers.
const LASTS: (Duration, Duration) = (Duration::from_secs(8), Duration::from_secs(60));
/// The disk of each server, and of the embedded file, in MiB.
const MEBIBYTES: u32 = 64;
/// The disk of the logs.
const OF_LOGS: u32 = 4;
/// How often somebody tries to put a task in while a disk is full.
const TRY: Duration = Duration::from_millis(500);

pub(super) async fn full(play: Play) -> Result<Finding, Error> {
    if play.on.generation().is_some() { of_servers(&play).await } else { file::full(&play).await }
}

/// One stage for all three: the broker's disk comes last, because a broker may not survive it.
async fn of_servers(play: &Play) -> Result<Finding, Error> {
    let logs = Disk::mount(&play.folder.join("logs"), OF_LOGS)?;
    let mut stage = Stage::open(play, logs::plan(&logs, Some(MEBIBYTES))).await?;
    let found = on_stage(&mut stage, &logs).await;
    let (broker, store) = stage.small_disks()?;
    for disk in [&logs, broker, store] {
        keep_logs(disk.place(), &play.folder.join("fleet"))?;
    }
    found
}

async fn on_stage(stage: &mut Stage, logs: &Disk) -> Result<Finding, Error> {
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    stage.harmed();
    let mut found = logs::full(stage, logs).await?;
    found.add(store::full(stage).await?);
    found.add(broker::full(stage).await?);
    stage.healed();
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.add(found);
    Ok(finding)
}

/// Copies logs from a disk that ends with the play, for whoever reads why it is red.
fn keep_logs(from: &Path, to: &Path) -> Result<(), Error> {
    let keep = |folder: &Path| -> std::io::Result<()> {
        for found in folder.read_dir()? {
            let path = found?.path();
            let name =
                path.file_name().filter(|_| path.extension().is_some_and(|end| end == "log"));
            if let Some(name) = name {
                std::fs::copy(&path, to.join(name))?;
            }
        }
        Ok(())
    };
    keep(from).map_err(while_doing("keep logs"))?;
    // RabbitMQ has a folder for them.
    let own = from.join("logs");
    if own.is_dir() { keep(&own).map_err(while_doing("keep logs")) } else { Ok(()) }
}

/// Keeps a disk full for as long as the fault lasts; how each attempt to put a task in was refused meanwhile, and how
/// many were not.
async fn keeps_full(stage: &Stage, disk: &Disk) -> Result<(Vec<Refusal>, usize), Error> {
    let lasts = if stage.play().is_full { LASTS.1 } else { LASTS.0 };
    let (began, mut refusals, mut accepted) = (Instant::now(), Vec::new(), 0);
    let mut was_full = false;
    while began.elapsed() < lasts {
        // Whoever deletes something there makes room, as on any disk.
        disk.fill()?;
        was_full |= disk.is_full();
        match refusal(stage).await? {
            Some(refused) => refusals.push(refused),
            None => accepted += 1,
        }
        sleep(TRY).await;
    }
    stage.happened("the disk was not full", was_full)?;
    Ok((refusals, accepted))
}

/// Tells which refusals a sender could not act upon: of a sort that tells it to come again, in time, and when.
fn untyped(refusals: &[Refusal], what: &str) -> Vec<String> {
    let is_told = |refused: &&Refusal| {
        refused.wrong().is_some()
            || ![503, 504].contains(&refused.status)
            || refused.retry_after.is_none()
    };
    let wrong = refusals.iter().filter(is_told);
    wrong.map(|refused| format!("while {what} is full: {refused:?}")).collect()
}

/// Says how attempts to put a task in went.
fn told(what: &str, refusals: &[Refusal], accepted: usize) -> String {
    let some =
        refusals.last().map_or(String::new(), |refused| format!(", such as {}", refused.told()));
    format!("{what} full: {accepted} accepted, {} refused{some}", refusals.len())
}

/// Waits until a task is accepted again; how long that took, or nothing where it is not.
async fn accepts_within(stage: &Stage, patience: Duration) -> Result<Option<Duration>, Error> {
    let began = Fleet::now();
    while refusal(stage).await?.is_some() {
        if Fleet::now().since(began) > patience {
            return Ok(None);
        }
        sleep(TRY).await;
    }
    Ok(Some(Fleet::now().since(began)))
}
