//! Whole fleets of real processes, and what becomes of tasks when these are killed.
//!
//! Each fleet has a folder, a namespace and a journal of its own. Handlers are shell scripts that
//! append a line to the journal, so that every run is seen from outside.

mod detached;
mod fleet_process;
mod journal;
mod kill_table;
mod losses;
mod poison;
#[cfg(feature = "proofs")]
mod proofs;
mod rest;

use std::path::Path;
use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::name::Namespace;
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::fresh_namespace;
use serde_json::{Value, json};
use tempfile::TempDir;

use self::fleet_process::FleetProcess;
use self::journal::{Journal, Run};
use crate::ground::Ground;

/// Longer than anything here takes; a test that needs it has failed.
const DEADLINE: Duration = Duration::from_secs(60);
/// Small, so that a dead worker's tasks are taken over soon.
const HEARTBEAT_TTL: Duration = Duration::from_millis(1500);

/// The time limit of most kinds here, and one for which the broker would not wait: such tasks run
/// detached.
const SHORT: &str = "1m";
const LONG: &str = "2h";
/// The args of the follow-ups of a `parent`, each of kind `ok`; two are alike.
const FOLLOW_UPS: [&str; 3] = ["1", "2", "1"];

/// A fleet: its settings, its door and its journal.
struct Fleet {
    ground: Ground,
    namespace: Namespace,
    folder: TempDir,
    journal: Journal,
    client: reqwest::Client,
    /// On servers, a gateway that outlives the workers.
    gateway: Option<FleetProcess>,
}

impl Fleet {
    /// Writes the settings; on servers, starts the gateway.
    async fn new(ground: Ground, slots: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (journal, namespace) = (Journal::in_folder(folder.path()), fresh_namespace());
        std::fs::write(
            folder.path().join("leveret.toml"),
            settings(&ground, &namespace, folder.path(), &journal, slots),
        )
        .unwrap();
        let client = reqwest::Client::new();
        let mut fleet = Self { ground, namespace, folder, journal, client, gateway: None };
        if matches!(fleet.ground, Ground::Servers { .. }) {
            fleet.gateway = Some(FleetProcess::start(&fleet.config(), "gateway", "").await);
        }
        fleet
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("leveret.toml")
    }

    /// Starts what performs tasks; `failpoints` is where it is to be killed.
    async fn start(&self, failpoints: &str) -> FleetProcess {
        FleetProcess::start(&self.config(), self.role(), failpoints).await
    }

    /// Starts what performs tasks and is killed by one of them at once.
    async fn start_to_be_killed(&self) {
        FleetProcess::begin(&self.config(), self.role(), "").await.killed().await;
    }

    fn role(&self) -> &'static str {
        match self.ground {
            Ground::Embedded => "dev",
            Ground::Servers { .. } => "worker",
        }
    }

    /// Returns the door: the gateway's, or that of the one process.
    fn door<'a>(&'a self, worker: &'a FleetProcess) -> &'a str {
        self.gateway.as_ref().map_or(worker.url.as_str(), |gateway| gateway.url.as_str())
    }

    /// Asks to enqueue a task under an id of our own. The answer may never come: the process may
    /// be killed by the task before it is sent.
    async fn enqueue(&self, door: &str, id: TaskId, kind: &str) -> Option<u16> {
        let task = json!({ "kind": kind, "id": id, "args": null });
        let answer = self.client.post(format!("{door}/v1/tasks")).json(&task).send().await;
        answer.ok().map(|answer| answer.status().as_u16())
    }

    /// Enqueues `count` tasks in one request and returns their ids: all are accepted.
    async fn enqueue_many(&self, door: &str, kind: &str, count: usize) -> Vec<TaskId> {
        let ids: Vec<TaskId> = (0..count).map(|_| TaskId::mint()).collect();
        let lines: Vec<String> = ids
            .iter()
            .map(|id| json!({ "kind": kind, "id": id, "args": null }).to_string())
            .collect();
        let request = self
            .client
            .post(format!("{door}/v1/tasks"))
            .header("content-type", "application/x-ndjson")
            .body(lines.join("\n"));
        let answer = request.send().await.unwrap().text().await.unwrap();
        let accepted = answer.lines().filter(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["id"].is_string() && line["error"].is_null()
        });
        assert_eq!(accepted.count(), count, "{}", answer.lines().last().unwrap_or_default());
        ids
    }

    /// Asks what became of a task.
    async fn show(&self, door: &str, id: TaskId) -> Option<Value> {
        let answer = self.client.get(format!("{door}/v1/tasks/{id}")).send().await.ok()?;
        answer.json().await.ok()
    }

    /// Waits until the task is over.
    async fn over(&self, door: &str, id: TaskId) -> Value {
        let is_over = |task: &Value| {
            ["done", "dead", "cancelled", "expired"].iter().any(|state| task["state"] == **state)
        };
        eventually(DEADLINE, "the task is over", || async {
            self.show(door, id).await.is_some_and(|task| is_over(&task))
        })
        .await;
        self.show(door, id).await.unwrap()
    }

    fn runs(&self, id: TaskId) -> Vec<Run> {
        self.journal.runs().into_iter().filter(|run| run.id == id).collect()
    }
}

/// The settings of a fleet: kinds that write the journal and then end in each way.
fn settings(
    ground: &Ground,
    namespace: &Namespace,
    folder: &Path,
    journal: &Journal,
    slots: usize,
) -> String {
    let note = journal.script();
    let servers = ground.settings(namespace);
    let wait = format!("while [ ! -e {}/go ]; do sleep 0.05; done", folder.display());
    let kind = |name: &str, timeout: &str, end: &str| {
        format!(
            "[kinds.\"{name}\"]\nexec = [\"sh\", \"-c\", '{note}; {end}']\n\
             timeout = \"{timeout}\"\n\
             retry = {{ backoff = \"fixed\", delay = \"300ms\", jitter = \"none\", max_attempts = 3 }}\n"
        )
    };
    format!(
        "{servers}\
         data = \"{}\"\n\
         gateway.listen = \"127.0.0.1:0\"\n\
         [worker]\n\
         listen = \"127.0.0.1:0\"\n\
         slots = {slots}\n\
         grace = \"500ms\"\n\
         heartbeat = \"300ms\"\n\
         heartbeat_ttl = \"{}ms\"\n\
         {}",
        folder.join("data").display(),
        HEARTBEAT_TTL.as_millis(),
        [
            kind("ok", SHORT, "true"),
            kind("retry-once", SHORT, "[ $LEVERET_ATTEMPT != 1 ]"),
            kind("wrong", SHORT, "exit 65"),
            kind("killer", SHORT, "kill -9 $PPID"),
            kind("slow", SHORT, &wait),
            kind("parent", SHORT, &follow_up()),
            kind("long", LONG, "true"),
            kind("long-retry-once", LONG, "[ $LEVERET_ATTEMPT != 1 ]"),
            kind("long-wrong", LONG, "exit 65"),
            kind("long-slow", LONG, &wait),
            kind("long-parent", LONG, &follow_up()),
        ]
        .concat(),
    )
}

/// The shell command that writes the follow-ups of a `parent`.
fn follow_up() -> String {
    // Later than whatever kills their parent's worker: its neighbours may run twice.
    let line =
        |args| format!(r#"echo "{{\"kind\": \"ok\", \"args\": {args}, \"delay\": \"1s\"}}""#);
    let lines = FOLLOW_UPS.map(line).join("; ");
    format!("{{ {lines}; }} > $LEVERET_FOLLOW_UPS")
}

/// Returns the ids of the follow-ups of a `parent`.
fn follow_ups_of(parent: TaskId) -> [TaskId; 3] {
    let ok = "ok".parse().unwrap();
    let [first, second, third] = FOLLOW_UPS.map(str::as_bytes);
    [(first, 0), (second, 0), (third, 1)].map(|(args, n)| parent.follow_up(0, &ok, args, n))
}
