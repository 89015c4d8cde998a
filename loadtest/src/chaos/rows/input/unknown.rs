//! F34: a deploy while tasks wait that it is about.
//!
//! Tasks of kinds that nobody knows are parked; then workers come that know one of the two kinds, and args of a third
//! that a new schema does not allow. What became known runs as if nothing had been, what does not fit is a dead letter
//! that names the place, and what nobody knows, kind or version of the envelope, is dead when the deploy's time is over.

use std::path::Path;
use std::time::Duration;

use leveret_common::envelope::header;
use leveret_common::id::TaskId;
use leveret_common::telemetry::names::PARKS;
use leveret_common::testkit::raw::{Properties, block, entry};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::super::metric::counted_by;
use super::super::wait::SOON;
use super::super::{deploy, letters};
use super::sender::Sender;
use crate::chaos::{Plan, Play, Stage};
use crate::error::{Error, while_doing};
use crate::fleet::Fleet;
use crate::fleet::door::Answer;
use crate::fleet::producers::Load;
use crate::fleet::settings::kind;
use crate::oracle::{Ending, Finding};

/// How long all work may take to end once the producers have stopped, and in a play with the full numbers: longer than
/// the ten minutes of a deploy.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(120), Duration::from_secs(900));
/// The deploy's time in a play without the full numbers.
const WINDOW: &str = "intake.deploy_window=return(10000)";
/// Runs before the deploy.
const PACE: usize = 40;
/// Tasks of each sort.
const TASKS: usize = 6;
/// A kind that the deploy brings, one that it brings with a schema, one that nobody brings.
const LATE: &str = "late";
const SHAPED: &str = "shaped";
const NEVER: &str = "never";
/// What `explain` says of a task that waits for a deploy.
const UNKNOWN: &str = "no worker there knows its kind";
/// Where args are of the wrong shape.
const PLACE: &str = "/to";

/// The tasks that wait for the deploy.
struct Waiting {
    late: Vec<TaskId>,
    fitting: Vec<TaskId>,
    misfit: Vec<TaskId>,
    never: Vec<TaskId>,
    /// Of an unknown version; none where nobody can publish such a thing.
    newer: Vec<TaskId>,
}

pub(super) async fn waits_for_a_deploy(play: Play) -> Result<Finding, Error> {
    let mut stage = Stage::open(&play, Plan::default()).await?;
    let producers = stage.load(&Load { rate: 20.0, ..Load::default() });
    stage.ran(PACE).await?;

    stage.say("puts in what nobody knows");
    let waiting = Waiting {
        late: put(&stage, LATE, &json!(1), Ending::Done).await?,
        fitting: put(&stage, SHAPED, &json!({ "to": "somebody" }), Ending::Done).await?,
        misfit: put(&stage, SHAPED, &json!({ "to": 7 }), Ending::Dead(&["schema"])).await?,
        never: put(&stage, NEVER, &json!(1), Ending::Dead(&["no-handler"])).await?,
        newer: publish_newer(&mut stage).await?,
    };
    are_parked(&mut stage, &waiting).await?;

    stage.say("deploys workers that know more");
    let tables = tables(&stage, &play.folder)?;
    stage.fleet.add_settings("worker", &tables)?;
    if !stage.fleet.is_embedded() {
        stage.fleet.add_settings("gateway", &tables)?;
    }
    deploy::workers(&mut stage, if play.is_full { "" } else { WINDOW }).await?;
    deploy::gateway(&mut stage, "").await?;
    let refused = misfit_at_the_door(&stage).await;

    let patience = if play.is_full { PATIENCE.1 } else { PATIENCE.0 };
    let mut finding = stage.settle_down(producers, patience).await?;
    finding.wrong.extend(refused.err());
    finding.wrong.extend(waiting.differing(&mut stage).await?);
    Ok(finding)
}

async fn put(
    stage: &Stage,
    kind: &str,
    args: &Value,
    ending: Ending,
) -> Result<Vec<TaskId>, Error> {
    let ids: Vec<TaskId> = (0..TASKS).map(|_| TaskId::mint()).collect();
    for id in &ids {
        stage.fleet.books.open().expect(*id, ending);
        let task = json!({ "kind": kind, "id": id, "args": args });
        stage.fleet.put_as(*id, kind, task).await?;
    }
    Ok(ids)
}

/// Publishes tasks of a version that nobody reads. On the embedded backend nobody but `leveret` can publish.
async fn publish_newer(stage: &mut Stage) -> Result<Vec<TaskId>, Error> {
    if stage.fleet.is_embedded() {
        return Ok(Vec::new());
    }
    let mut sender = Sender::connect(stage).await?;
    let ids: Vec<TaskId> = (0..TASKS).map(|_| TaskId::mint()).collect();
    for id in &ids {
        let headers = [
            entry(header::VERSION, &[b"l".as_slice(), &99_u64.to_be_bytes()].concat()),
            entry("lv-of-tomorrow", &block(b'S', b"kept")),
        ];
        let properties =
            Properties::default().text("type", "ok").text("message_id", id.to_string());
        // What it holds is the next version's matter.
        sender.send(&properties.headers(&headers), b"\x00 of tomorrow").await?;
        stage.fleet.books.open().accept(*id, "newer", Fleet::now());
        stage.fleet.books.open().expect(*id, Ending::Dead(&["unsupported-version"]));
    }
    Ok(ids)
}

/// Waits until all of them are parked, by the word of `explain` and by what the workers count.
async fn are_parked(stage: &mut Stage, waiting: &Waiting) -> Result<(), Error> {
    let unknown = [&waiting.late, &waiting.fitting, &waiting.misfit, &waiting.never];
    let unknown: Vec<TaskId> = unknown.into_iter().flatten().copied().collect();
    let (began, mut is_parked) = (Instant::now(), false);
    while !is_parked && began.elapsed() < SOON {
        is_parked = counted_by(stage.workers(), PARKS, "cause=\"unknown-kind\"").await?
            >= unknown.len() as u64
            && counted_by(stage.workers(), PARKS, "cause=\"version\"").await?
                >= waiting.newer.len() as u64;
        for id in &unknown {
            let explained = stage.fleet.door.explain(*id).await?;
            is_parked = is_parked && told(&explained, "summary").contains(UNKNOWN);
        }
        sleep(Duration::from_millis(100)).await;
    }
    stage.happened("what nobody knows was not parked", is_parked)
}

/// Returns the kinds that the deploy brings.
fn tables(stage: &Stage, folder: &Path) -> Result<String, Error> {
    let path = folder.join("shaped.json");
    let schema = json!({ "type": "object", "properties": { "to": { "type": "string" } } });
    std::fs::write(&path, schema.to_string()).map_err(while_doing("write a schema"))?;
    let done = stage.fleet.journal.script("true");
    let (late, shaped) = (kind(LATE, "5m", &done), kind(SHAPED, "5m", &done));
    Ok(format!("{late}{shaped}schema = \"{}\"\n", path.display()))
}

/// Puts a task in that does not fit, where it is known by now what fits.
async fn misfit_at_the_door(stage: &Stage) -> Result<(), String> {
    let id = TaskId::mint();
    stage.fleet.books.open().expect_refusal(id);
    let task = json!({ "kind": SHAPED, "id": id, "args": { "to": 7 } });
    match stage.fleet.door.send(&task).await {
        Answer::Refused(why) if why.contains(PLACE) => Ok(()),
        other => Err(format!("the gateway does not refuse what does not fit: {other:?}")),
    }
}

impl Waiting {
    /// Tells what did not end as it has to.
    async fn differing(&self, stage: &mut Stage) -> Result<Vec<String>, Error> {
        let mut wrong = Vec::new();
        for id in self.late.iter().chain(&self.fitting) {
            let runs = stage.fleet.runs(*id)?;
            let is_one = runs.len() == 1 && runs[0].attempt == 1 && runs[0].crashes == 0;
            if !is_one || !runs[0].is_done() {
                wrong.push(format!("{id} became known, and ran so: {runs:?}"));
            }
        }
        let dead = [(&self.misfit, "schema"), (&self.never, "no-handler")];
        for (ids, reason) in dead {
            for id in ids {
                let (status, letter) = stage.fleet.door.get(&format!("/v1/dead/{id}")).await?;
                let is_placed = reason != "schema" || told(&letter, "error").contains(PLACE);
                if status != 200 || told(&letter, "reason") != reason || !is_placed {
                    wrong.push(format!("the letter {reason} of {id} says {letter}"));
                }
                if !stage.fleet.runs(*id)?.is_empty() {
                    wrong.push(format!("{id} has to be dead by {reason}, and ran"));
                }
            }
        }
        if !self.newer.is_empty() {
            let letters = letters::rest(stage).await?;
            for id in &self.newer {
                let of_it: Vec<_> =
                    letters.iter().filter(|letter| letter.id == Some(*id)).collect();
                let is_kept = of_it.len() == 1
                    && of_it[0].text(header::REASON) == "unsupported-version"
                    && of_it[0].text("lv-of-tomorrow") == "kept"
                    && of_it[0].body == b"\x00 of tomorrow";
                if !is_kept {
                    wrong.push(format!("the letters of {id}, of a newer version: {of_it:?}"));
                }
            }
        }
        Ok(wrong)
    }
}

fn told<'a>(letter: &'a Value, field: &str) -> &'a str {
    letter[field].as_str().unwrap_or_default()
}
