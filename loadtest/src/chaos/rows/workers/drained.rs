//! F2: SIGTERM to a worker that is idle, busy, holds tasks that it has not started, or runs one longer than its grace.
//!
//! A drain charges nothing (invariant I16): no start after it, what was not started goes back at once, what runs gets
//! the grace, the rest is released, exit 0.

use std::time::Duration;

use leveret_common::id::TaskId;

use super::super::wait::put_behind_copies;
use super::killed;
use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::settings::{Settings, kind};
use crate::oracle::{Event, Finding};

const SLOTS: usize = 4;
const GRACE: Duration = Duration::from_secs(3);
/// A kind that is acked before it runs.
const DETACHED: &str = "long-slow";
/// A kind that takes a second: longer than a drain waits for nothing, shorter than the grace.
const SECOND: &str = "second";
const PATIENCE: Duration = Duration::from_secs(90);
/// How late a start that was on its way may be seen.
const SLACK: Duration = Duration::from_millis(700);

/// What a worker has to do when it is drained.
struct Case {
    name: &'static str,
    kind: &'static str,
    tasks: usize,
    /// How many of them run a second time.
    again: u64,
}

const CASES: &[Case] = &[
    Case { name: "idle", kind: SECOND, tasks: 0, again: 0 },
    Case { name: "busy", kind: SECOND, tasks: SLOTS, again: 0 },
    Case { name: "prefetched", kind: SECOND, tasks: 3 * SLOTS, again: 0 },
    Case { name: "long", kind: "slow", tasks: 2 * SLOTS, again: SLOTS as u64 },
    // Its deliveries are acked: a drain gives back what only a parked copy stands for.
    Case { name: "detached", kind: DETACHED, tasks: SLOTS, again: SLOTS as u64 },
];

/// Plays each case with a fleet of its own.
pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let mut whole = Finding::default();
    for (part, case) in CASES.iter().enumerate() {
        play.say(format!("drains a worker: {}", case.name));
        whole.add(case_holds(&stage, case, play.chance(part as u64)).await?);
    }
    Ok(whole)
}

async fn case_holds(
    stage: &Stage,
    case: &Case,
    mut chance: fastrand::Rng,
) -> Result<Finding, Error> {
    let settings = Settings { slots: SLOTS, grace: GRACE, ..killed::quick() };
    let mut fleet = stage.another_fleet(case.name, Cast::Shipped, settings)?;
    fleet.add_settings("worker", &kind(SECOND, "1m", &fleet.journal.script("sleep 1")))?;
    fleet.start_gateway("").await?;
    let first = fleet.start_worker("").await?;
    if case.tasks > 0 {
        fleet.put_many(case.kind, case.tasks).await?;
        fleet.ran(case.tasks.min(SLOTS)).await?;
    }
    let second = if fleet.is_embedded() { None } else { Some(fleet.start_worker("").await?) };
    fleet.drain_worker(first).await?;
    fleet.let_go()?;
    if second.is_none() {
        fleet.start_worker("").await?;
    }
    // A task behind them shows that work goes on.
    fleet.put("ok").await?;
    if fleet.is_embedded() && case.kind == DETACHED {
        put_behind_copies(&fleet).await?;
    }
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;
    let wrong = differs(case, first, &fleet, &finding)?;
    finding.wrong.extend(wrong.map(|why| format!("drained while {}: {why}", case.name)));
    fleet.drain_workers().await?;
    Ok(finding)
}

fn differs(
    case: &Case,
    drained: u32,
    fleet: &Fleet,
    finding: &Finding,
) -> Result<Option<String>, Error> {
    let history = fleet.journal.read()?;
    let asked = fleet.log.events().iter().find_map(|event| match event {
        Event::Drained { pid, from, to } if *pid == drained => Some((*from, *to)),
        _ => None,
    });
    let Some((from, to)) = asked else { return Ok(Some("it did not drain".to_owned())) };
    if to.since(from) > GRACE + Duration::from_secs(5) {
        return Ok(Some(format!("it took {:?}", to.since(from))));
    }
    let late = history.all().find(|run| run.worker == drained && run.began > from.after(SLACK));
    if let Some(run) = late {
        return Ok(Some(format!("{} was started after the signal", run.id)));
    }
    let charged: Option<TaskId> =
        history.all().find(|run| run.crashes > 0 || run.attempt > 1).map(|run| run.id);
    if let Some(id) = charged {
        return Ok(Some(format!("{id} was charged for it")));
    }
    if let Some((id, runs)) = history.tasks().find(|(_, runs)| runs.len() > 2) {
        return Ok(Some(format!("{id} ran {} times", runs.len())));
    }
    if finding.explained() != case.again {
        let again = finding.explained();
        return Ok(Some(format!("{again} tasks ran again, not {}", case.again)));
    }
    Ok(None)
}
