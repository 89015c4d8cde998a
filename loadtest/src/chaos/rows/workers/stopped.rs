//! F4: a worker is stopped for three heartbeat TTLs, and continued.
//!
//! Its tasks run elsewhere; what it says when it goes on is refused, and it works on.

use std::time::Duration;

use leveret_common::id::TaskId;
use tokio::time::sleep;

use crate::chaos::{Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::settings::Settings;
use crate::oracle::{Finding, Window};

const SLOTS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(90);

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    // The broker has to notice as well, or its deliveries stay with the stopped one.
    let keys = "broker.heartbeat = \"1s\"\n".to_owned();
    let settings = Settings { slots: SLOTS, keys, ..Settings::default() };
    let ttl = settings.heartbeat_ttl;
    let mut stage = Stage::open(&play, Plan { settings, ..Plan::default() }).await?;
    let ids = stage.fleet.put_many("slow", SLOTS).await?;
    stage.ran(SLOTS).await?;
    let victim = busiest(&stage, &ids)?;
    let its: Vec<TaskId> = {
        let history = stage.fleet.journal.read()?;
        ids.iter().copied().filter(|id| history.of(*id)[0].worker == victim).collect()
    };

    stage.say("one worker stands still");
    let paused = stage.fleet.pause_worker(victim)?;
    sleep(ttl * 3).await;
    // They were charged a crash, and such tasks run one at a time: the first has to end.
    stage.ran(SLOTS + 1).await?;
    stage.fleet.let_go()?;
    stage.ran(SLOTS + its.len()).await?;
    stage.ask_for_some().await?;
    stage.say("it goes on");
    stage.fleet.resume_worker(paused)?;
    // It shows that the continued one works: the other is gone.
    let others: Vec<u32> = stage
        .workers()
        .iter()
        .map(crate::fleet::role::Role::pid)
        .filter(|pid| *pid != victim)
        .collect();
    let mut behind = stage.fleet.put_many("ok", 2 * SLOTS).await?;
    for other in others {
        stage.fleet.drain_worker(other).await?;
    }
    behind.extend(stage.fleet.put_many("ok", 2 * SLOTS).await?);
    let mut finding = stage.judged(PATIENCE).await?;

    stage.happened("it ran nothing when it was stopped", !its.is_empty())?;
    let again = finding.second_runs.get(&Window::Lease).copied().unwrap_or_default();
    if again != its.len() as u64 {
        finding.wrong.push(format!("{again} of its {} tasks ran elsewhere", its.len()));
    }
    let history = stage.fleet.journal.read()?;
    if !behind.iter().any(|id| history.of(*id).iter().any(|run| run.worker == victim)) {
        finding.wrong.push("the continued worker ran nothing any more".to_owned());
    }
    if finding.done != finding.accepted {
        finding.wrong.push("a task of the stopped worker did not end done".to_owned());
    }
    Ok(finding)
}

/// Returns the worker that runs most of `ids`.
fn busiest(stage: &Stage, ids: &[TaskId]) -> Result<u32, Error> {
    let history = stage.fleet.journal.read()?;
    let workers: Vec<u32> =
        ids.iter().filter_map(|id| history.of(*id).first()).map(|run| run.worker).collect();
    let count = |worker: &u32| workers.iter().filter(|other| *other == worker).count();
    let busiest = workers.iter().copied().max_by_key(count);
    busiest.ok_or_else(|| Error::unexpected("the fleet", "runs nothing"))
}
