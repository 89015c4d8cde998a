//! The disk that the logs go to is full: lines are lost, and nothing else.

use std::time::Duration;

use tokio::time::sleep;

use super::{LASTS, PACE};
use crate::chaos::{Plan, Stage};
use crate::error::{Error, while_doing};
use crate::fleet::Settings;
use crate::node::Disk;
use crate::oracle::Finding;

/// Returns a plan by which everybody writes much to a disk.
pub(super) fn plan(disk: &Disk, small_disks: Option<u32>) -> Plan {
    let keys = "log.level = \"debug\"".to_owned();
    let settings = Settings { keys, ..Settings::default() };
    Plan { settings, small_disks, logs: Some(disk.place().to_owned()), ..Plan::default() }
}

/// Has the disk full for a while.
pub(super) async fn full(stage: &mut Stage, disk: &Disk) -> Result<Finding, Error> {
    stage.say("fills the disk of the logs");
    let lasts = if stage.play().is_full { LASTS.1 } else { LASTS.0 };
    disk.fill()?;
    let (ran, before) = (stage.fleet.journal.read()?.len(), written(stage)?);
    sleep(lasts / 2).await;
    let then = written(stage)?;
    sleep(lasts / 2).await;
    // The last page of a file may have had room.
    let is_so = disk.is_full() && written(stage)? == then;
    stage.happened("lines were written to a full disk", is_so)?;
    let done = stage.fleet.journal.read()?.len() - ran;
    disk.free()?;

    let mut finding = Finding::default();
    if done < PACE / 2 {
        finding.wrong.push(format!("{done} tasks ran in {lasts:?} while the logs' disk was full"));
    }
    let again = async {
        while written(stage)? <= then {
            sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, Error>(())
    };
    match tokio::time::timeout(LASTS.0 * 2, again).await {
        Ok(written) => written?,
        Err(_) => finding.wrong.push("nobody writes a log any more".to_owned()),
    }
    finding.notes.push(format!("the logs' disk full: {done} tasks ran ({before} bytes before)"));
    Ok(finding)
}

/// Returns how many bytes the workers have written.
fn written(stage: &mut Stage) -> Result<u64, Error> {
    let mut whole = 0;
    for worker in stage.workers().iter() {
        let file = std::fs::metadata(worker.log()).map_err(while_doing("look at a log"))?;
        whole += file.len();
    }
    Ok(whole)
}
