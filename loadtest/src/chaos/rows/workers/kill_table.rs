//! F1, the kill table: at which step the worker is killed, how often the handler runs, and whether a crash is charged.

use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt};
use futures_util::{StreamExt, stream};
use leveret_common::id::TaskId;
use serde_json::json;

use super::super::wait::put_behind_copies;
use super::killed;
use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::Fleet;
use crate::fleet::door::Answer;
use crate::fleet::rest::follow_ups_of;
use crate::fleet::settings::kind;
use crate::oracle::Finding;

/// How long a step may take to be reached, and how long a case may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many cases are played at once; each waits mostly for heartbeats to end.
const AT_ONCE: usize = 6;
/// Delay queues are used as soon as they are made, because no broker is killed here. Else the first retry takes longer
/// than it is to wait for, and is back in the hands of who is about to be killed.
const AT_ONCE_USED: &str = "broker.new_queue=return(0)";
/// A kind that nobody knows at first.
const UNKNOWN: &str = "later";

/// One case: the kind's way to end, the step at which the process aborts, and what must follow.
struct Case {
    kind: &'static str,
    step: &'static str,
    /// The attempts that run, in order.
    attempts: &'static [u32],
    /// The crashes that the last run is told of.
    crashes: u32,
    /// Whether it ends as a dead letter.
    is_dead: bool,
}

const fn case(
    kind: &'static str,
    step: &'static str,
    attempts: &'static [u32],
    crashes: u32,
) -> Case {
    Case { kind, step, attempts, crashes, is_dead: false }
}

const fn dead(step: &'static str, attempts: &'static [u32], crashes: u32) -> Case {
    Case { kind: "wrong", step, attempts, crashes, is_dead: true }
}

const TABLE: &[Case] = &[
    case("ok", "settle.delivered", &[1], 0),
    case("ok", "settle.claimed", &[1], 1),
    case("ok", "settle.ended", &[1, 1], 1),
    case("ok", "settle.marked", &[1], 0),
    case("ok", "settle.acked", &[1], 0),
    case("retry-once", "settle.ended", &[1, 1, 2], 1),
    case("retry-once", "settle.decided", &[1, 2], 0),
    case("retry-once", "settle.confirmed", &[1, 2], 0),
    case("retry-once", "settle.marked", &[1, 2], 0),
    case("retry-once", "settle.acked", &[1, 2], 0),
    dead("settle.ended", &[1, 1], 1),
    dead("settle.decided", &[1], 0),
    dead("settle.confirmed", &[1], 0),
    dead("settle.marked", &[1], 0),
    dead("settle.acked", &[1], 0),
    // With follow-ups: each of them runs once too.
    case("parent", "settle.ended", &[1, 1], 1),
    case("parent", "settle.decided", &[1], 0),
    case("parent", "settle.confirmed", &[1], 0),
    case("parent", "settle.marked", &[1], 0),
    case("parent", "settle.acked", &[1], 0),
    // Detached: the delivery is acked before the run, and a parked copy stands for it.
    case("long-ok", "settle.claimed", &[1], 1),
    case("long-ok", "settle.parked-copy", &[1], 1),
    case("long-ok", "settle.let-go", &[1], 1),
    case("long-ok", "settle.ended", &[1, 1], 1),
    case("long-ok", "settle.marked", &[1], 0),
    case("long-parent", "settle.decided", &[1], 0),
    case("long-parent", "settle.confirmed", &[1], 0),
    case("long-parent", "settle.marked", &[1], 0),
    case("long-retry-once", "settle.decided", &[1, 2], 0),
    case("long-retry-once", "settle.confirmed", &[1, 2], 0),
    case("long-retry-once", "settle.marked", &[1, 2], 0),
    Case { kind: "long-wrong", ..dead("settle.decided", &[1], 0) },
    Case { kind: "long-wrong", ..dead("settle.confirmed", &[1], 0) },
    Case { kind: "long-wrong", ..dead("settle.marked", &[1], 0) },
    // Parked once, because nobody knows the kind; then it is known.
    case(UNKNOWN, "park.confirmed", &[1], 0),
];

/// Plays every case, each with a fleet of its own on the same servers, and then kills workers from outside.
pub(super) async fn holds(play: Play) -> Result<Finding, Error> {
    let stage = Stage::open(&play, Plan { workers: 0, ..Plan::default() }).await?;
    let mut whole = table_holds(&stage).await?;
    if whole.failures().is_empty() {
        whole.add(killed::holds(&stage).await?);
    }
    Ok(whole)
}

/// Plays the cases until one is red: each that never ends takes all of its patience.
async fn table_holds(stage: &Stage) -> Result<Finding, Error> {
    let case = |(place, case)| {
        let chance = stage.play().chance(place as u64);
        case_holds(stage, format!("case-{place}"), case, chance).boxed()
    };
    let cases: Vec<BoxFuture<'_, _>> = TABLE.iter().enumerate().map(case).collect();
    let mut cases = stream::iter(cases).buffer_unordered(AT_ONCE);
    let (mut whole, mut over) = (Finding::default(), 0);
    while let Some(found) = cases.next().await {
        whole.add(found?);
        over += 1;
        stage.say(format!("{over} of {} steps", TABLE.len()));
        if !whole.failures().is_empty() {
            whole.notes.push(format!("{} steps were not played to their end", TABLE.len() - over));
            break;
        }
    }
    Ok(whole)
}

async fn case_holds(
    stage: &Stage,
    name: String,
    case: &Case,
    mut chance: fastrand::Rng,
) -> Result<Finding, Error> {
    let mut fleet = stage.another_fleet(&name, Cast::Shipped, killed::quick())?;
    fleet.start_gateway("").await?;
    let worker = fleet.start_worker(&format!("{}=return;{AT_ONCE_USED}", case.step)).await?;
    let id = TaskId::mint();
    let task = json!({ "kind": case.kind, "id": id, "args": 1 });
    // The one process may be killed by the task before it answers; then the next one is asked again.
    let answer = fleet.door.send(&task).await;
    fleet.worker_aborts(worker, PATIENCE).await?;
    if case.kind == UNKNOWN {
        fleet.add_settings("worker", &kind(UNKNOWN, "1m", &fleet.journal.script("true")))?;
    }
    fleet.start_worker("").await?;
    match answer {
        Answer::Accepted => fleet.books.open().accept(id, case.kind, Fleet::now()),
        Answer::Unknown(_) | Answer::Refused(_) => fleet.put_as(id, case.kind, task).await?,
    }
    // A task behind it shows that the worker went on.
    fleet.put("ok").await?;
    if fleet.is_embedded() && case.kind.starts_with("long") {
        put_behind_copies(&fleet).await?;
    }
    let mut finding = fleet.settle_down(stage.look(), PATIENCE, &mut chance).await?;
    let wrong = match differs(case, id, &fleet)? {
        None => letters_differ(stage, case, id, &fleet).await?,
        wrong => wrong,
    };
    finding.wrong.extend(wrong.map(|why| format!("{} killed at {}: {why}", case.kind, case.step)));
    fleet.drain_workers().await?;
    Ok(finding)
}

/// Tells in what the dead letters differ from what the table says: those that are listed, and those that the broker
/// holds.
async fn letters_differ(
    stage: &Stage,
    case: &Case,
    id: TaskId,
    fleet: &Fleet,
) -> Result<Option<String>, Error> {
    let listed: Vec<TaskId> = fleet.door.letters().await?.into_keys().collect();
    let expected = if case.is_dead { vec![id] } else { Vec::new() };
    if listed != expected {
        return Ok(Some(format!("dead letters are listed of {listed:?}, not of {expected:?}")));
    }
    let Some(broker) = stage.look() else { return Ok(None) };
    let queues = broker.queues_of(&format!("{}.dead.", fleet.settings().namespace)).await?;
    let held: u64 = queues.iter().map(crate::node::QueueState::held).sum();
    let is_so = if case.is_dead { held > 0 } else { held == 0 };
    Ok((!is_so).then(|| format!("the queues of dead letters hold {held}")))
}

/// Tells in what the runs of a task differ from what the table says.
fn differs(case: &Case, id: TaskId, fleet: &Fleet) -> Result<Option<String>, Error> {
    let runs = fleet.runs(id)?;
    let attempts: Vec<u32> = runs.iter().map(|run| run.attempt).collect();
    if attempts != case.attempts {
        return Ok(Some(format!("it ran {attempts:?}, not {:?}", case.attempts)));
    }
    if !runs.is_sorted_by(|one, next| one.fence < next.fence) {
        return Ok(Some(format!("its fences do not grow: {runs:?}")));
    }
    if let Some(last) = runs.last().filter(|last| last.crashes != case.crashes) {
        return Ok(Some(format!(
            "its last run is told of {} crashes, not {}",
            last.crashes, case.crashes
        )));
    }
    if case.kind.ends_with("parent") {
        let ok = "ok".parse().map_err(|_| Error::unexpected("ok", "is no name of a kind"))?;
        for follow_up in follow_ups_of(id, &ok) {
            let times = fleet.runs(follow_up)?.len();
            if times != 1 {
                return Ok(Some(format!("a follow-up ran {times} times")));
            }
        }
    }
    Ok(None)
}
