//! The disk under Redis's append-only file is full: Redis refuses what it could not write down.

use std::time::Duration;

use super::{keeps_full, told, untyped};
use crate::chaos::Stage;
use crate::error::{Error, while_doing};
use crate::fleet::Fleet;
use crate::node::Reply;
use crate::oracle::{Event, Finding};

/// How soon workers say that they are ready again: Redis tries each second.
const BACK: Duration = Duration::from_secs(30);
/// What whoever runs Leveret is told to do.
const REMEDY: &str = "free disk space";

/// Has the disk full for a while.
pub(super) async fn full(stage: &mut Stage) -> Result<Finding, Error> {
    stage.say("fills the disk of the store");
    let (from, before) = (Fleet::now(), refused(stage).await?);
    let kept = keeps_full(stage, stage.small_disks()?.1).await;
    stage.small_disks()?.1.free()?;
    let (refusals, accepted) = kept?;
    let times = refused(stage).await? - before;
    stage.note(Event::CutOff { pid: None, from, to: Fleet::now() });
    stage.happened("the store wrote all of it down", times > 0)?;

    let mut finding = Finding::default();
    finding.wrong.extend(untyped(&refusals, "the store's disk"));
    for worker in stage.workers().iter() {
        let log = std::fs::read_to_string(worker.log()).map_err(while_doing("read a log"))?;
        if !log.contains(REMEDY) {
            finding.wrong.push(format!("worker {} does not say {REMEDY:?}", worker.pid()));
        }
        worker.is_ready_within(BACK).await?;
    }
    let info = stage.store()?.ask(&["INFO", "persistence"]).await?.text().unwrap_or_default();
    if !info.contains("aof_last_write_status:ok") {
        finding.wrong.push("Redis does not write again, though it has space".to_owned());
    }
    finding.notes.push(told("the store's disk", &refusals, accepted));
    finding.notes.push(format!("the store refused {times} commands"));
    Ok(finding)
}

/// Returns how often it has refused because it cannot write.
async fn refused(stage: &mut Stage) -> Result<u64, Error> {
    let reply: Reply = stage.store()?.ask(&["INFO", "errorstats"]).await?;
    let text = reply.text().unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("errorstat_MISCONF:count="));
    Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or_default())
}
