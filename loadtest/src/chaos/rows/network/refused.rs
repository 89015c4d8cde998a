//! The store answers, and refuses: that is never read as a claim, nor as an outcome.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use serde_json::json;
use tokio::time::sleep;

use super::super::super::row::Play;
use super::super::super::stage::{Plan, Stage};
use super::super::wait::{self, SOON};
use super::{PACE, PATIENCE, is_not_ready_within};
use crate::error::{Error, while_doing};
use crate::fleet::producers::Load;
use crate::fleet::{Fleet, Settings};
use crate::node::Reply;
use crate::oracle::Finding;

/// How long a store refuses: shorter than claims live, so that nothing may run twice.
const LASTS: Duration = Duration::from_secs(5);
/// Within this, what was claimed before begins to run.
const BEGUN: Duration = Duration::from_millis(1500);
/// Tasks that run when the store begins to refuse, and end under it.
const RUNNING: usize = 2;
/// How often the scripts are flushed.
const FLUSHES: u64 = 20;

/// A way to refuse.
struct Refusal {
    what: &'static str,
    begin: &'static [&'static str],
    end: &'static [&'static str],
    /// What Redis calls it.
    code: &'static str,
    /// What whoever runs Leveret is told to do about it.
    remedy: &'static str,
}

const REFUSALS: [Refusal; 3] = [
    Refusal {
        what: "is out of memory",
        begin: &["CONFIG", "SET", "maxmemory", "1"],
        end: &["CONFIG", "SET", "maxmemory", "0"],
        code: "OOM",
        remedy: "raise maxmemory",
    },
    Refusal {
        what: "is a read-only replica",
        // Nobody listens there, so it keeps what it has.
        begin: &["REPLICAOF", "127.0.0.1", "1"],
        end: &["REPLICAOF", "NO", "ONE"],
        code: "READONLY",
        remedy: "point store.url to the primary",
    },
    Refusal {
        what: "permits nothing",
        begin: &["ACL", "SETUSER", "default", "resetkeys"],
        end: &["ACL", "SETUSER", "default", "allkeys"],
        code: "NOPERM",
        remedy: "extend its ACL",
    },
];

pub(super) async fn by_the_store(play: Play) -> Result<Finding, Error> {
    let settings = Settings {
        slots: 8,
        heartbeat: Duration::from_secs(1),
        heartbeat_ttl: Duration::from_secs(15),
        ..Settings::default()
    };
    let mut stage = Stage::open(&play, Plan { settings, ..Plan::default() }).await?;
    let producers = stage.load(&Load::default());
    stage.ran(PACE).await?;
    stage.harmed();
    let mut wrong = Vec::new();
    for refusal in &REFUSALS {
        wrong.extend(refused(&mut stage, refusal).await?);
    }
    flushed(&mut stage).await?;
    wrong.extend(another_type(&mut stage).await?);
    stage.healed();
    let mut finding = stage.settle_down(producers, PATIENCE).await?;
    finding.wrong.append(&mut wrong);
    Ok(finding)
}

/// Has the store refuse for a while, and tells what was wrong meanwhile.
async fn refused(stage: &mut Stage, refusal: &Refusal) -> Result<Vec<String>, Error> {
    stage.say(format!("has a store that {}", refusal.what));
    let go = crate::fleet::settings::go(stage.fleet.folder());
    // Fails only where nothing was let go so far.
    let _ = std::fs::remove_file(go);
    let held = stage.fleet.put_many("slow", RUNNING).await?;
    for id in held {
        wait::runs(stage, id).await?;
    }
    let before = answers(stage, refusal.code).await?;

    let from = Fleet::now();
    told_ok(stage, refusal.begin).await?;
    let mut wrong = not_ready(stage, refusal).await;
    stage.fleet.let_go()?;
    sleep(LASTS.saturating_sub(Fleet::now().since(from))).await;
    let to = Fleet::now();
    told_ok(stage, refusal.end).await?;
    let refused = answers(stage, refusal.code).await? - before;
    stage.fleet.log.tell(format!("a store that {} said so {refused} times", refusal.what));

    stage.happened(&format!("the store never {}", refusal.what), refused > 0)?;
    let begun = begun_between(stage, from.after(BEGUN), to)?;
    if begun > 0 {
        wrong.push(format!("{begun} tasks began while the store {}", refusal.what));
    }
    wrong.extend(untold(stage, refusal)?);
    let workers = stage.workers().iter();
    for worker in workers {
        worker.is_ready_within(SOON).await?;
    }
    let ran = stage.fleet.journal.read()?.len();
    stage.ran(ran + PACE / 4).await?;
    Ok(wrong)
}

/// Waits until every worker says that it takes no tasks.
async fn not_ready(stage: &mut Stage, refusal: &Refusal) -> Vec<String> {
    let mut wrong = Vec::new();
    for worker in stage.workers().iter() {
        if is_not_ready_within(worker, LASTS).await.is_none() {
            let pid = worker.pid();
            wrong.push(format!("worker {pid} says it is ready while the store {}", refusal.what));
        }
    }
    wrong
}

/// Tells which workers did not say what to do.
fn untold(stage: &mut Stage, refusal: &Refusal) -> Result<Vec<String>, Error> {
    let mut untold = Vec::new();
    for worker in stage.workers().iter() {
        let log = std::fs::read_to_string(worker.log()).map_err(while_doing("read a log"))?;
        if !log.contains(refusal.remedy) {
            let pid = worker.pid();
            untold.push(format!("worker {pid} does not say {:?}", refusal.remedy));
        }
    }
    Ok(untold)
}

/// Has the store forget the scripts again and again.
async fn flushed(stage: &mut Stage) -> Result<(), Error> {
    stage.say("flushes the scripts");
    let before = answers(stage, "NOSCRIPT").await?;
    for _ in 0..FLUSHES {
        told_ok(stage, &["SCRIPT", "FLUSH"]).await?;
        sleep(Duration::from_millis(200)).await;
    }
    let missed = answers(stage, "NOSCRIPT").await? - before;
    stage.fleet.log.tell(format!("scripts were missed {missed} times"));
    stage.happened("nobody missed a script", missed > 0)
}

/// Puts something else where the ledger keeps a task, and takes it away again.
async fn another_type(stage: &mut Stage) -> Result<Vec<String>, Error> {
    stage.say("has another type at a key of ours");
    let mut wrong = Vec::new();
    let before = answers(stage, "WRONGTYPE").await?;
    let id = TaskId::mint();
    let key = format!("{}:t:{{{id}}}", stage.fleet.settings().namespace);
    stage.store()?.ask(&["LPUSH", &key, "not ours"]).await?;
    stage.fleet.put_as(id, "ok", json!({ "kind": "ok", "id": id, "args": 1 })).await?;
    let mut refused = 0;
    for _ in 0..600 {
        refused = answers(stage, "WRONGTYPE").await? - before;
        if refused > 1 {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    stage.happened("nobody looked at it again and again", refused > 1)?;
    if !stage.fleet.runs(id)?.is_empty() {
        wrong.push("a task ran whose entry cannot be read".to_owned());
    }
    let held = stage.store()?.ask(&["LLEN", &key]).await?.number();
    if held != Some(1) {
        wrong.push(format!("what was not ours was changed: {held:?}"));
    }
    let (status, told) = stage.fleet.door.get(&format!("/v1/tasks/{id}")).await?;
    stage.fleet.log.tell(format!("the gateway says of such a task {status} {}", told["type"]));
    stage.store()?.ask(&["DEL", &key]).await?;
    Ok(wrong)
}

/// Asks the store for something, which it has to do.
async fn told_ok(stage: &mut Stage, words: &[&str]) -> Result<(), Error> {
    let reply = stage.store()?.ask(words).await?;
    match reply {
        Reply::Text(_) => Ok(()),
        other => {
            Err(Error::unexpected("Redis", format!("answers {} with {other:?}", words.join(" "))))
        }
    }
}

/// Returns how often the store has answered with an error.
async fn answers(stage: &mut Stage, code: &str) -> Result<u64, Error> {
    let text = stage.store()?.ask(&["INFO", "errorstats"]).await?.text().unwrap_or_default();
    let wanted = format!("errorstat_{code}:count=");
    let line = text.lines().find_map(|line| line.strip_prefix(wanted.as_str()));
    Ok(line.and_then(|count| count.trim().parse().ok()).unwrap_or_default())
}

/// Counts the runs that began between two instants.
fn begun_between(stage: &Stage, from: Millis, to: Millis) -> Result<usize, Error> {
    let history = stage.fleet.journal.read()?;
    Ok(history.all().filter(|run| run.began > from && run.began < to).count())
}
