//! Many tasks, enqueued from NDJSON by the command line while their queue is paused, then drained.
//!
//! What has to hold: each task is accepted, runs once and is done, nothing is left in the queue, and
//! the memory of the process that performs them does not grow with what it has done.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::error::{Error, while_doing};
use crate::ground::{Ground, On};
use crate::process::{Role, ask, command};
use crate::watch::{Sample, Samples, Watch, redis_peak};

/// How many of the tasks are asked for by their ids afterwards.
const ASKED: u64 = 1_000;
/// A drain that ends no task for so long is stuck.
const STUCK: Duration = Duration::from_secs(120);
/// How much more memory the second half of a drain may take than the first.
const FLAT: f64 = 1.10;

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How many tasks.
    pub tasks: u64,
    /// How many run at once.
    pub slots: u32,
}

/// What a run found.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub on: On,
    /// How much.
    pub plan: Plan,
    /// From the start of the command to its end.
    pub enqueuing: Duration,
    /// From the resumption of the queue to the last end of a task.
    pub draining: Duration,
    /// Attempts that ended as done.
    pub done: u64,
    /// Attempts that ended in any other way.
    pub others: u64,
    /// Tasks that were asked for, and are not done.
    pub not_done: Vec<String>,
    /// What is left in the queue.
    pub left: u64,
    /// When the drain began, on the clock of the samples.
    pub drain_began: Duration,
    /// The memory of each process.
    pub samples: Samples,
    /// What Redis says of its own data at most, in bytes.
    pub redis_peak: Option<u64>,
}

impl Found {
    /// Returns tasks per second.
    #[must_use]
    pub fn rate(&self, of: Duration) -> f64 {
        self.plan.tasks as f64 / of.as_secs_f64()
    }

    /// Returns the highest PSS of the performing process in the first and in the second half of the
    /// drain, in bytes.
    #[must_use]
    pub fn halves(&self) -> (u64, u64) {
        let during = self.during_drain();
        let (first, second) = during.split_at(during.len() / 2);
        let peak = |samples: &[Sample]| samples.iter().map(|sample| sample.pss).max().unwrap_or(0);
        (peak(first), peak(second))
    }

    /// Returns the memory of the performing process while the queue was drained.
    #[must_use]
    pub fn during_drain(&self) -> Vec<Sample> {
        let all = self.samples.get(PERFORMS).map(Vec::as_slice).unwrap_or_default();
        all.iter().filter(|sample| sample.at >= self.drain_began).copied().collect()
    }

    /// Lists what should have held and did not.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        let mut failures = Vec::new();
        if self.done != self.plan.tasks || self.others != 0 {
            failures.push(format!(
                "{} attempts ended as done and {} otherwise, of {} tasks",
                self.done, self.others, self.plan.tasks
            ));
        }
        if !self.not_done.is_empty() {
            let shown = &self.not_done[..self.not_done.len().min(3)];
            failures.push(format!("{} are not done: {}", self.not_done.len(), shown.join(", ")));
        }
        if self.left != 0 {
            failures.push(format!("{} are left in the queue", self.left));
        }
        let (first, second) = self.halves();
        if first == 0 || second as f64 > first as f64 * FLAT {
            failures.push(format!("memory is not flat: {first} bytes, then {second}"));
        }
        failures
    }
}

/// The name of the process that performs.
pub const PERFORMS: &str = "leveret dev";
/// The name of the process that enqueues.
const ENQUEUES: &str = "leveret task enqueue";

/// Makes one run.
///
/// # Errors
/// When a part of it cannot be had or does not do its part; what should hold and does not is
/// [`Found::failures`].
pub fn run(on: On, plan: &Plan) -> Result<Found, Error> {
    let ground = Ground::open(on)?;
    let config = ground.path("leveret.toml");
    std::fs::write(&config, settings(&ground, plan)).map_err(while_doing("write settings"))?;
    let lines = ground.path("tasks.ndjson");
    write_tasks(&lines, plan.tasks).map_err(while_doing("write the tasks"))?;

    let watch = Watch::begin();
    let dev = Role::start("dev", &config)?;
    watch.add(PERFORMS, dev.pid());
    if let Some(servers) = &ground.servers {
        watch.add("RabbitMQ", servers.broker_pid);
        watch.add("Redis", servers.store_pid);
    }
    ask(&config, &dev, &["queue", "pause", "default", "--why", "a backlog is made"])?;
    // The worker says in its next heartbeat that it has heard.
    wait_for(&dev, |queue| of_lanes(queue, "consumers") == 0)?;

    let began = Instant::now();
    enqueue(&config, &dev, &lines, plan.tasks, &watch)?;
    let enqueuing = began.elapsed();
    wait_for(&dev, |queue| depth(queue) == plan.tasks)?;

    let (drain_began, began) = (watch.elapsed(), Instant::now());
    ask(&config, &dev, &["queue", "resume", "default"])?;
    drain(&dev, plan.tasks)?;
    let draining = began.elapsed();

    let (done, others) = (dev.attempts("done")?, attempts_otherwise(&dev)?);
    let mut not_done = Vec::new();
    for n in (0..plan.tasks).step_by(usize::try_from(plan.tasks / ASKED).unwrap_or(1).max(1)) {
        let task = dev.json(&format!("/v1/tasks/{}", name(n)))?;
        if task["state"] != "done" {
            not_done.push(format!("{} is {}", name(n), task["state"]));
        }
    }
    let left = depth(&dev.json("/v1/queues/default")?);
    dev.stop()?;
    let redis_peak = ground.servers.as_ref().and_then(|servers| redis_peak(&servers.store_url));
    Ok(Found {
        on,
        plan: *plan,
        enqueuing,
        draining,
        done,
        others,
        not_done,
        left,
        drain_began,
        samples: watch.end(),
        redis_peak,
    })
}

fn settings(ground: &Ground, plan: &Plan) -> String {
    let mut text = format!(
        "data = \"{}\"\nnamespace = \"backlog\"\ngateway.listen = \"127.0.0.1:0\"\n\
         log.level = \"error\"\nworker.slots = {}\n",
        ground.path("data").display(),
        plan.slots,
    );
    if let Some(servers) = &ground.servers {
        text += &format!(
            "broker.url = \"{}\"\nstore.url = \"{}\"\n",
            servers.broker_url, servers.store_url
        );
    }
    text
}

fn name(n: u64) -> String {
    format!("backlog-{n}")
}

/// One line a task; 200 bytes of args, as a small task has.
fn write_tasks(path: &Path, tasks: u64) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let note = "x".repeat(180);
    for n in 0..tasks {
        let task = json!({"kind": "demo.echo", "id": name(n), "args": {"n": n, "note": note}});
        writeln!(file, "{task}")?;
    }
    file.flush()
}

fn enqueue(
    config: &Path,
    dev: &Role,
    lines: &Path,
    tasks: u64,
    watch: &Watch,
) -> Result<(), Error> {
    let path = lines.display().to_string();
    let arguments = ["task", "enqueue", "--ndjson", &path, "--gateway-url", &dev.url, "-o", "json"];
    let child = command(config, &arguments)?
        .stdout(Stdio::piped())
        .spawn()
        .map_err(while_doing("start leveret task enqueue"))?;
    watch.add(ENQUEUES, child.id());
    let bar = bar("enqueuing", tasks);
    let told = std::thread::scope(|scope| {
        let ended = scope.spawn(|| child.wait_with_output());
        while !ended.is_finished() {
            if let Ok(queue) = dev.json("/v1/queues/default") {
                bar.set_position(depth(&queue));
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        ended.join().unwrap_or_else(|_| Err(std::io::Error::other("its reader panicked")))
    })
    .map_err(while_doing("read what leveret task enqueue says"))?;
    bar.finish_and_clear();
    let said: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    if told.status.success() && said["accepted"] == tasks {
        return Ok(());
    }
    Err(Error::unexpected(ENQUEUES, format!("ended with {}, saying {said}", told.status)))
}

fn depth(queue: &Value) -> u64 {
    of_lanes(queue, "depth")
}

fn of_lanes(queue: &Value, member: &str) -> u64 {
    let lanes = queue["lanes"].as_array().map(Vec::as_slice).unwrap_or_default();
    lanes.iter().filter_map(|lane| lane[member].as_u64()).sum()
}

/// Waits until the queue is as it should be.
fn wait_for(dev: &Role, is: impl Fn(&Value) -> bool) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        let queue = dev.json("/v1/queues/default")?;
        if is(&queue) {
            return Ok(());
        }
        if began.elapsed() > STUCK {
            return Err(Error::unexpected("the queue", format!("stays as it is: {queue}")));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until all have ended.
fn drain(dev: &Role, tasks: u64) -> Result<(), Error> {
    let bar = bar("draining", tasks);
    let (mut ended, mut moved) = (0, Instant::now());
    while ended < tasks {
        let now = dev.attempts("done")? + attempts_otherwise(dev)?;
        if now > ended {
            (ended, moved) = (now, Instant::now());
            bar.set_position(ended);
        }
        if moved.elapsed() > STUCK {
            return Err(Error::unexpected("the drain", format!("stands still at {ended}")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    bar.finish_and_clear();
    Ok(())
}

fn attempts_otherwise(dev: &Role) -> Result<u64, Error> {
    ["retry", "snooze", "dead", "released", "cancelled"]
        .iter()
        .map(|outcome| dev.attempts(outcome))
        .sum()
}

fn bar(what: &'static str, tasks: u64) -> ProgressBar {
    let style = "{msg:10} {wide_bar} {human_pos} of {human_len} ({per_sec}, {eta} left)";
    let bar = ProgressBar::new(tasks).with_message(what);
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
