//! F42: 49 innocent tasks beside one that kills its worker.
//!
//! The killer is started three times and dead then; the others end done, and none of them is taken for a killer.

use std::time::Duration;

use leveret_common::id::TaskId;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::settings::{Settings, kind};
use crate::oracle::{Ending, Finding};

const INNOCENTS: usize = 49;
const KILLER: &str = "patient-killer";
/// The default of `worker.max_crashes`.
const MAX_CRASHES: usize = 3;
/// When all of them come at once.
const TOGETHER: &str = "3s";
const PATIENCE: Duration = Duration::from_secs(240);

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let settings = Settings {
        slots: INNOCENTS + 1,
        heartbeat: Duration::from_millis(300),
        heartbeat_ttl: Duration::from_millis(1_500),
        endings: vec![(KILLER, Ending::Dead(&["poison"]))],
        ..Settings::default()
    };
    let mut stage = Stage::open(&play, Plan { workers: 0, settings, ..Plan::default() }).await?;
    stage.fleet.add_settings("worker", &patient(&stage.fleet))?;
    let worker = stage.fleet.start_worker("").await?;
    let killer = put(&stage.fleet, KILLER).await?;
    let mut innocents = Vec::new();
    for _ in 0..INNOCENTS {
        innocents.push(put(&stage.fleet, "slow").await?);
    }
    stage.say("one of fifty tasks kills its worker");
    stage.fleet.log.doom_all(true);
    revive(&mut stage, killer).await?;
    stage.fleet.log.doom_all(false);
    let mut finding = stage.judged(PATIENCE).await?;

    let history = stage.fleet.journal.read()?;
    let beside = innocents.iter().filter(|id| history.of(**id)[0].worker == worker).count();
    stage.happened("not all of them ran beside the killer", beside == INNOCENTS)?;
    let crashes: Vec<u32> = history.of(killer).iter().map(|run| run.crashes).collect();
    if crashes != [0, 1, 2] {
        finding.wrong.push(format!("the killer was started with {crashes:?} crashes"));
    }
    let letters = stage.fleet.door.letters().await?;
    if letters.get(&killer).is_none_or(|reason| reason != "poison") {
        finding.wrong.push(format!("the letters of the killer are {letters:?}"));
    }
    if (finding.dead, finding.done) != (1, INNOCENTS as u64) {
        finding.wrong.push(format!("{} done and {} dead", finding.done, finding.dead));
    }
    // The first worker died with each. So did the second, where that had just claimed it and not yet given it back; the
    // killer's last start was alone.
    let charged =
        |id: &&TaskId| history.of(**id).last().is_none_or(|run| !(1..=2).contains(&run.crashes));
    for id in innocents.iter().filter(charged) {
        finding.wrong.push(format!("{id} is innocent, and ran so: {:?}", history.of(*id)));
    }
    Ok(finding)
}

/// Returns the kind that kills its worker once all the others have begun to run beside it.
fn patient(fleet: &Fleet) -> String {
    let (journal, all) = (fleet.journal.path().display(), INNOCENTS + 1);
    let wait = format!("while [ $(grep -c ^begin {journal}) -lt {all} ]; do sleep 0.05; done");
    kind(KILLER, "5m", &fleet.journal.script(&format!("{wait}; kill -9 $PPID")))
}

/// Puts a task in that waits for the others.
async fn put(fleet: &Fleet, kind: &str) -> Result<TaskId, Error> {
    let id = TaskId::mint();
    let task = json!({ "kind": kind, "id": id, "args": 1, "delay": TOGETHER });
    fleet.put_as(id, kind, task).await.map(|()| id)
}

/// Starts the worker again each time that it is killed, as a supervisor would, until the killer is dead.
async fn revive(stage: &mut Stage, killer: TaskId) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let fallen = stage.workers().iter().find(|worker| worker.death().is_some());
        if let Some(pid) = fallen.map(crate::fleet::role::Role::pid) {
            stage.fleet.worker_is_killed(pid, PATIENCE).await?;
            // From now on the innocents end as soon as they run.
            stage.fleet.let_go()?;
            // It may be killed before it is ready.
            while stage.fleet.start_worker("").await.is_err() {
                if began.elapsed() > PATIENCE {
                    return Err(Error::unexpected("a worker", "does not start beside its killer"));
                }
            }
        }
        if stage.fleet.runs(killer)?.len() >= MAX_CRASHES
            && stage.workers().iter().all(|worker| worker.death().is_none())
            && stage.fleet.door.letters().await.is_ok_and(|letters| letters.contains_key(&killer))
        {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(Error::unexpected("the killer", "is no dead letter"));
        }
        sleep(Duration::from_millis(50)).await;
    }
}
