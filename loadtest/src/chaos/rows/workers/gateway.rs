//! F49: the gateway is killed before the publish, when it was sent, when it was confirmed, when it was recorded; nobody
//! answers the client, and it repeats its request under the same key.
//!
//! It is one task (invariant I2): accepted in the end, and run once.

use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::name::{KindName, Namespace};
use serde_json::json;

use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::door::Answer;
use crate::fleet::settings::Settings;
use crate::oracle::Finding;

const STEPS: [&str; 4] = ["enqueue.due", "enqueue.sent", "enqueue.confirmed", "enqueue.recorded"];
/// How often each step is played in one play.
const TIMES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(90);
const KIND: &str = "ok";

pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let mut whole = Finding::default();
    for step in STEPS {
        play.say(format!("kills the gateway at {step}"));
        whole.add(step_holds(&stage, step, play.chance(step.len() as u64)).await?);
    }
    Ok(whole)
}

async fn step_holds(
    stage: &Stage,
    step: &str,
    mut chance: fastrand::Rng,
) -> Result<Finding, Error> {
    let name = step.replace('.', "-");
    let mut fleet = stage.another_fleet(&name, Cast::Shipped, Settings::default())?;
    let failpoints = format!("{step}=return");
    let mut ids = Vec::new();
    for time in 0..TIMES {
        let key = format!("key-{time}");
        let id = id_of(&fleet, &key)?;
        let task = json!({ "kind": KIND, "key": key, "args": 1 });
        if fleet.is_embedded() {
            fleet.start_worker(&failpoints).await?;
        } else {
            fleet.start_gateway(&failpoints).await?;
        }
        let answer = fleet.door.send(&task).await;
        if !matches!(answer, Answer::Unknown(_)) {
            return Err(Error::unexpected("the gateway", format!("answers {answer:?} at {step}")));
        }
        fleet.gateway_aborts(PATIENCE).await?;
        if fleet.is_embedded() {
            fleet.start_worker("").await?;
        } else {
            fleet.start_gateway("").await?;
        }
        fleet.put_as(id, KIND, task).await?;
        ids.push(id);
        if time + 1 < TIMES {
            if fleet.is_embedded() {
                fleet.drain_workers().await?;
            } else {
                fleet.kill_gateway().await?;
            }
        }
    }
    if !fleet.is_embedded() {
        fleet.start_worker("").await?;
    }
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;
    for id in ids {
        let runs = fleet.runs(id)?.len();
        // The one process takes its worker along, and with it what that runs: the judge knows of it.
        if runs != 1 && !fleet.is_embedded() {
            finding.wrong.push(format!("{id} ran {runs} times, its gateway killed at {step}"));
        }
    }
    fleet.drain_workers().await?;
    Ok(finding)
}

/// Returns the id of the task that a key stands for.
fn id_of(fleet: &Fleet, key: &str) -> Result<TaskId, Error> {
    let wrong = |why: String| Error::unexpected("a name", why);
    let namespace: Namespace =
        fleet.settings().namespace.parse().map_err(|why| wrong(format!("{why}")))?;
    let kind: KindName = KIND.parse().map_err(|why| wrong(format!("{why}")))?;
    TaskId::from_key(&namespace, &kind, key).map_err(|why| wrong(why.to_string()))
}
