//! F41: the retries of very many tasks are due in the same second.
//!
//! Every task fails at first and asks to come again at one instant, so what becomes due are real retries: decided,
//! published to a delay and awaited by the ledger. How soon the first attempts are over differs from machine to
//! machine: a part of them says it, and the instant is chosen by that.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::chaos::{Cast, Plan, Play, Stage};
use crate::error::Error;
use crate::fleet::door::Answer;
use crate::fleet::{Fleet, Settings};
use crate::oracle::Finding;
use crate::watch::{Samples, Watch};

/// How many tasks, and in a play with the full numbers.
const TASKS: (usize, usize) = (10_000, 100_000);
/// The same where one process is asked for each of them at the end.
const TASKS_OF_ONE: (usize, usize) = (4_000, 100_000);
/// How many say how fast first attempts go.
const PROBES: usize = 500;
/// Tasks of one request.
const BATCH: usize = 250;
/// How long a worker may take nothing from its lanes before the play gives up.
const STUCK: Duration = Duration::from_secs(60);
/// How long all work may take to end once it is due, and in a play with the full numbers.
const PATIENCE: (Duration, Duration) = (Duration::from_secs(180), Duration::from_secs(1_800));
/// More memory than before that a worker may take: what it has in hand, and what its allocator keeps.
const MORE: u64 = 48 << 20;
/// The kind of the program whose handler fails as it is told.
const KIND: &str = "trouble";
/// How many of the tasks may be due later than the others: those whose first attempt came late.
const LATE: usize = 50;

pub(super) async fn all_at_once(play: Play) -> Result<Finding, Error> {
    let tasks = if play.on.generation().is_some() { TASKS } else { TASKS_OF_ONE };
    let tasks = if play.is_full { tasks.1 } else { tasks.0 };
    let settings = Settings { has_kinds: false, slots: 16, ..Settings::default() };
    let mut stage =
        Stage::open(&play, Plan { cast: Cast::Trouble, settings, ..Plan::default() }).await?;
    let rate = probed(&mut stage).await?;
    let watch = Watch::begin();
    for (name, worker) in ["one", "other"].into_iter().zip(stage.workers().iter()) {
        watch.add(name, worker.pid());
    }
    let due = due(tasks, rate);
    stage.say(format!("has {tasks} tasks fail, at about {rate:.0}/s"));
    put(&stage, tasks, due).await?;
    began(&stage, tasks + PROBES, 1).await?;
    let before = watch.elapsed();
    let left = due.since(Fleet::now());
    stage.happened("first attempts took longer than thought", !left.is_zero())?;
    stage.say("waits until they are due");
    sleep(left).await;
    began(&stage, tasks + PROBES, 2).await?;

    let patience = if play.is_full { PATIENCE.1 } else { PATIENCE.0 };
    let mut finding = stage.judged(patience).await?;
    let storm = Storm::read(&stage, due)?;
    stage.happened("the retries were not due together", storm.late <= LATE)?;
    finding.wrong.extend(storm.wrong(tasks));
    finding.notes.push(storm.told());
    let (wrong, told) = memory(&watch.end(), before);
    finding.wrong.extend(wrong);
    finding.notes.push(told);
    Ok(finding)
}

/// Has a few tasks fail and come again at once, and returns how many did in a second.
async fn probed(stage: &mut Stage) -> Result<f64, Error> {
    stage.say("looks how fast tasks go");
    let (began_at, now) = (Instant::now(), Fleet::now());
    put(stage, PROBES, now).await?;
    began(stage, PROBES, 2).await?;
    Ok(PROBES as f64 / began_at.elapsed().as_secs_f64())
}

/// Returns when all first attempts should be over: each probe had two of them.
fn due(tasks: usize, rate: f64) -> Millis {
    Fleet::now().after(Duration::from_secs_f64(1.5 * tasks as f64 / rate + 5.0))
}

/// Puts tasks in that fail and come again at `due`, many with one request, and whatever is not accepted again.
async fn put(stage: &Stage, count: usize, due: Millis) -> Result<(), Error> {
    let fleet = &stage.fleet;
    let task = |id: &TaskId| {
        let args = json!({ "journal": fleet.journal.path(), "how": "later", "due": due.0 });
        json!({ "kind": KIND, "id": id, "args": args })
    };
    let ids: Vec<TaskId> = (0..count).map(|_| TaskId::mint()).collect();
    for batch in ids.chunks(BATCH) {
        let tasks: Vec<Value> = batch.iter().map(task).collect();
        let answers = fleet.door.send_all(&tasks).await;
        for ((id, task), answer) in batch.iter().zip(tasks).zip(answers) {
            match answer {
                Answer::Accepted => fleet.books.open().accept(*id, KIND, Fleet::now()),
                Answer::Refused(_) | Answer::Unknown(_) => fleet.put_as(*id, KIND, task).await?,
            }
        }
    }
    Ok(())
}

/// Waits until so many attempts of this number have begun.
async fn began(stage: &Stage, at_least: usize, attempt: u32) -> Result<(), Error> {
    let (mut seen, mut since) = (0, Instant::now());
    while seen < at_least {
        let history = stage.fleet.journal.read()?;
        let now = history.all().filter(|run| run.attempt == attempt).count();
        if now > seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > STUCK {
            let what = format!("began {seen} of {at_least} attempts, and none for {STUCK:?}");
            return Err(Error::unexpected("the fleet", what));
        }
        // A journal of many lines takes a while to read.
        sleep(Duration::from_millis(250)).await;
    }
    Ok(())
}

/// How the second attempts went.
struct Storm {
    /// First attempts that began after they were to be tried again.
    late: usize,
    /// Second attempts, and when each began after it was due.
    waits: Vec<Duration>,
    /// How long after the instant the last was over.
    took: Duration,
    /// Tasks that ran more than twice.
    more: usize,
}

impl Storm {
    fn read(stage: &Stage, due: Millis) -> Result<Self, Error> {
        let history = stage.fleet.journal.read()?;
        let (mut late, mut more, mut over) = (0, 0, due);
        let mut waits = Vec::new();
        for (_, runs) in history.tasks() {
            more += usize::from(runs.len() > 2);
            // Those that said how fast it goes were due sooner.
            let second = runs.iter().find(|run| run.attempt == 2 && run.began >= due);
            let Some(second) = second else { continue };
            late += usize::from(runs.first().is_some_and(|first| first.began >= due));
            waits.push(second.began.since(due));
            over = over.max(second.end.map_or(over, |end| end.at));
        }
        waits.sort_unstable();
        Ok(Self { late, waits, took: over.since(due), more })
    }

    fn wrong(&self, tasks: usize) -> Option<String> {
        let retried = self.waits.len();
        (retried != tasks || self.more > 0)
            .then(|| format!("{retried} of {tasks} were tried again, {} more than once", self.more))
    }

    fn told(&self) -> String {
        let (count, took) = (self.waits.len(), self.took.as_secs_f64());
        let half = self.waits.get(count / 2).copied().unwrap_or_default().as_secs_f64();
        let rate = count as f64 / took.max(0.001);
        format!(
            "{count} retries were done in {took:.1} s, {rate:.0} per second; half of them began within {half:.1} s"
        )
    }
}

/// Tells whose memory grew more than it may while all was due, and how much it was at most.
fn memory(samples: &Samples, due: Duration) -> (Vec<String>, String) {
    let (mut wrong, mut told) = (Vec::new(), Vec::new());
    for (name, looks) in samples {
        let most = |is_in: &dyn Fn(Duration) -> bool| {
            looks
                .iter()
                .filter(|look| is_in(look.at))
                .map(|look| look.pss)
                .max()
                .unwrap_or_default()
        };
        let (before, after) = (most(&|at| at <= due), most(&|at| at > due));
        if after > before + MORE {
            wrong.push(format!("worker {name} had {before} bytes before and {after} after"));
        }
        told.push(format!("{} MiB, then {} MiB", before >> 20, after >> 20));
    }
    (wrong, format!("the workers' memory at most: {}", told.join("; ")))
}
