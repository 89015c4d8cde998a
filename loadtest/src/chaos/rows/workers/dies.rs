//! F7: a handler panics, aborts, exits, overflows its stack, or never comes back.
//!
//! A panic and a passed time limit are failed attempts; the end of the process is a crash, charged once.

use std::time::Duration;

use leveret_common::id::TaskId;

use super::trouble;
use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::door::Answer;
use crate::fleet::settings::Settings;
use crate::oracle::Finding;

const PATIENCE: Duration = Duration::from_secs(90);

/// How a handler misbehaves, and what its runs are then.
struct Case {
    how: &'static str,
    /// Whether it takes the process with it.
    is_end: bool,
    /// The attempt and the crashes that the last run is told of.
    last: (u32, u32),
}

const CASES: &[Case] = &[
    Case { how: "panic", is_end: false, last: (2, 0) },
    Case { how: "deadlock", is_end: false, last: (2, 0) },
    Case { how: "abort", is_end: true, last: (1, 1) },
    Case { how: "exit", is_end: true, last: (1, 1) },
    Case { how: "overflow", is_end: true, last: (1, 1) },
];

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let plan = Plan { workers: 0, cast: Cast::Trouble, ..Plan::default() };
    let stage = Stage::open(&play, plan).await?;
    let mut whole = Finding::default();
    for (part, case) in CASES.iter().enumerate() {
        play.say(format!("a handler: {}", case.how));
        whole.add(case_holds(&stage, case, play.chance(part as u64)).await?);
    }
    Ok(whole)
}

async fn case_holds(
    stage: &Stage,
    case: &Case,
    mut chance: fastrand::Rng,
) -> Result<Finding, Error> {
    let settings =
        Settings { keys: "worker.soft_grace = \"500ms\"\n".to_owned(), ..trouble::settings() };
    let mut fleet = stage.another_fleet(case.how, Cast::Trouble, settings)?;
    fleet.start_gateway("").await?;
    let worker = fleet.start_worker("").await?;
    let id = TaskId::mint();
    let mut task = trouble::task(&fleet, id, case.how, 0, 1);
    task["timeout"] = "2s".into();
    if case.is_end {
        let answer = fleet.door.send(&task).await;
        fleet.worker_is_killed(worker, PATIENCE).await?;
        fleet.start_worker("").await?;
        match answer {
            Answer::Accepted => fleet.books.open().accept(id, trouble::KIND, Fleet::now()),
            Answer::Unknown(_) | Answer::Refused(_) => {
                fleet.put_as(id, trouble::KIND, task).await?
            }
        }
    } else {
        fleet.put_as(id, trouble::KIND, task).await?;
    }
    trouble::put(&fleet, "fine", 0).await?;
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;
    let runs = fleet.runs(id)?;
    let last = runs.last().map(|run| (run.attempt, run.crashes));
    if runs.len() != 2 || last != Some(case.last) || finding.done != 2 {
        finding.wrong.push(format!("{}: {runs:?}", case.how));
    }
    fleet.drain_workers().await?;
    Ok(finding)
}
