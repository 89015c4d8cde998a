//! The story of a broken program: its tasks are dead letters among many good ones, it is mended, and a
//! replay with a filter brings exactly those to done, although the process that replays is killed in
//! the middle.
//!
//! The oracle is outside: the mended program notes each run, and every task is asked for by its id.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use leveret_common::testkit::services::fresh_namespace;
use serde_json::Value;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// How much of everything.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Numbers {
    pub(crate) good: usize,
    pub(crate) broken: usize,
    /// How long a part of the story may take.
    pub(crate) patience: Duration,
}

const SMALL: Numbers = Numbers { good: 2_000, broken: 40, patience: Duration::from_secs(120) };
const SLOTS: usize = 16;
const FILTER: &str = "kind:order.paid error:\"no such table\"";

/// The processes: `dev` alone, or a gateway that replays and a worker that goes on without it.
struct Stage<'h> {
    home: &'h Home,
    is_embedded: bool,
    door: Role<'h>,
    _worker: Option<Role<'h>>,
}

impl<'h> Stage<'h> {
    fn set(home: &'h Home, ground: &Ground) -> Self {
        let is_embedded = matches!(ground, Ground::Embedded);
        let worker = (!is_embedded).then(|| Role::start(home, &["worker", "-o", "jsonl"]));
        Self { home, is_embedded, door: Self::open(home, is_embedded), _worker: worker }
    }

    fn open(home: &'h Home, is_embedded: bool) -> Role<'h> {
        let role = if is_embedded { "dev" } else { "gateway" };
        let door = Role::start(home, &[role, "-o", "jsonl"]);
        eventually(Duration::from_secs(60), || door.status_of("/readyz") == Some(200));
        door
    }

    /// Kills the process that replays, as the kernel would, and starts another.
    fn kill_the_door(self) -> Self {
        let Self { home, is_embedded, door, _worker } = self;
        drop(door);
        Self { home, is_embedded, door: Self::open(home, is_embedded), _worker }
    }

    fn count(&self, filter: &str) -> usize {
        let left =
            self.door.ask(&["dead", "list", "--group", "kind", "--filter", filter, "-o", "json"]);
        usize::try_from(left.succeeds().json()["total"].as_u64().unwrap()).unwrap()
    }
}

fn home(ground: &Ground) -> Home {
    let home = Home::new();
    let folder = home.path().display();
    home.write("pay", "echo no such table: invoices >&2; exit 65\n");
    home.write(
        "leveret.toml",
        &format!(
            "{}gateway.listen = \"127.0.0.1:0\"\nlog.level = \"warn\"\n\
             [worker]\nlisten = \"127.0.0.1:0\"\nqueues = [\"orders\"]\nslots = {SLOTS}\n\
             heartbeat = \"500ms\"\nheartbeat_ttl = \"2s\"\n\
             [kinds.\"order.seen\"]\nexec = [\"true\"]\nqueue = \"orders\"\n\
             [kinds.\"order.paid\"]\nexec = [\"sh\", \"{folder}/pay\"]\nqueue = \"orders\"\n",
            ground.settings(&fresh_namespace())
        ),
    );
    home
}

/// Tells the whole story.
pub(crate) async fn is_told(ground: &Ground, numbers: Numbers) {
    let Numbers { good, broken, patience } = numbers;
    let home = home(ground);
    let stage = Stage::set(&home, ground);
    let began = Instant::now();
    let said = |what: &str| println!("story: {:>7.1} s  {what}", began.elapsed().as_secs_f64());

    // The broken ones are spread among the good ones.
    let every = good / broken;
    let mut lines = String::new();
    for n in 0..good {
        lines.push_str(&format!("{{\"kind\":\"order.seen\",\"id\":\"seen-{n}\",\"args\":{n}}}\n"));
        if n % every == 0 && n / every < broken {
            let n = n / every;
            lines.push_str(&format!(
                "{{\"kind\":\"order.paid\",\"id\":\"paid-{n}\",\"args\":{n}}}\n"
            ));
        }
    }
    home.write("orders.ndjson", &lines);
    let left = stage.door.ask(&["task", "enqueue", "--ndjson", "orders.ndjson", "-o", "json"]);
    assert_eq!(left.succeeds().json()["accepted"], good + broken);
    said(&format!("{} tasks are accepted", good + broken));

    eventually(patience, || stage.count("") == broken);
    let seen: Vec<String> = (0..good).map(|n| format!("seen-{n}")).collect();
    let paid: Vec<String> = (0..broken).map(|n| format!("paid-{n}")).collect();
    all_are(&stage.door.url, &seen, "done", patience).await;
    all_are(&stage.door.url, &paid, "dead", patience).await;
    said(&format!("{good} are done, {broken} are dead letters"));

    // They say why.
    let explained = stage.door.ask(&["task", "explain", "paid-0"]);
    assert!(
        explained.succeeds().stdout.contains("no such table: invoices"),
        "{}",
        explained.stdout
    );
    assert_eq!(stage.count(FILTER), broken);
    let groups = stage.door.ask(&["dead", "list", "--group", "error-class"]);
    assert!(groups.succeeds().stdout.contains("exit-65"), "{}", groups.stdout);

    // The program is mended, and the process that replays is killed in the middle.
    let runs = home.path().join("runs");
    home.write("pay", &format!("echo $LEVERET_TASK_ID >> {}\n", runs.display()));
    let replaying = Replaying::begin(&stage, broken);
    let (replayed, killed_at) = (replaying.replayed, Instant::now());
    let stage = stage.kill_the_door();
    replaying.breaks_off();
    said(&format!("the process that replays is killed after {replayed} of {broken}"));

    let replay = ["dead", "replay", "--filter", FILTER, "--yes", "-o", "json"];
    let again = crate::letters::insist(&stage.door, &replay).json();
    said(&format!("the second replay took {:?} with the wait: {again}", killed_at.elapsed()));
    all_are(&stage.door.url, &paid, "done", patience).await;
    all_are(&stage.door.url, &seen, "done", patience).await;
    eventually(patience, || stage.count("") == 0);
    said("all are done, and no dead letter is listed");

    // Letters that the kill doubled are cleared away by the next walk.
    crate::letters::insist(&stage.door, &["dead", "reindex", "-o", "json"]);
    let queue = stage.door.ask(&["queue", "show", "orders", "-o", "json"]).succeeds().json();
    assert_eq!(queue["dead"], 0, "{queue}");

    ran_as_often_as_needed(&stage, &paid, &runs).await;
    nothing_ran_again(&stage.door.url, &seen).await;
    said("each broken task ran once more, each good one once");
}

/// A replay that is under way.
struct Replaying {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// How many were replayed when it was last heard of.
    replayed: u64,
}

impl Replaying {
    /// Begins a replay of `broken` letters and waits until a part of them is replayed.
    fn begin(stage: &Stage<'_>, broken: usize) -> Self {
        let rate = (broken / 8).to_string();
        let arguments = [
            "dead",
            "replay",
            "--filter",
            FILTER,
            "--yes",
            "--rate",
            &rate,
            "-o",
            "jsonl",
            "--gateway-url",
            &stage.door.url,
        ];
        let mut command = stage.home.command(&arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let replayed = loop {
            let line: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
            let replayed = line["walked"]["replayed"].as_u64().unwrap_or_default();
            if replayed > 0 {
                break replayed;
            }
        };
        assert!(replayed < broken as u64, "nothing is left to be killed in the middle of");
        Self { child, lines, replayed }
    }

    /// Asserts that whoever ordered it is told that it broke off.
    fn breaks_off(mut self) {
        self.lines.for_each(drop);
        let mut told = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(4), "{told}");
    }
}

/// Waits until each task is in `state`.
async fn all_are(url: &str, ids: &[String], state: &str, patience: Duration) {
    let began = Instant::now();
    let mut left: Vec<String> = ids.to_vec();
    while !left.is_empty() {
        let tasks = ask_all(url, &left).await;
        left = tasks
            .into_iter()
            .filter(|(_, task)| task["state"] != state)
            .map(|(id, _)| id)
            .collect();
        let late = began.elapsed() > patience;
        assert!(!late, "{} of {} are not {state}, such as {}", left.len(), ids.len(), left[0]);
        if !left.is_empty() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

async fn ask_all(url: &str, ids: &[String]) -> Vec<(String, Value)> {
    let client = reqwest::Client::new();
    let ask = |id: String| {
        let request = client.get(format!("{url}/v1/tasks/{id}"));
        async move {
            let answer = request.send().await.unwrap().json().await.unwrap();
            (id, answer)
        }
    };
    stream::iter(ids.to_vec()).map(ask).buffer_unordered(32).collect().await
}

/// Each broken task succeeded once; twice only what was at work in a process that was killed.
async fn ran_as_often_as_needed(stage: &Stage<'_>, paid: &[String], runs: &std::path::Path) {
    let ran = std::fs::read_to_string(runs).unwrap();
    let ids: BTreeSet<&str> = ran.lines().collect();
    let tasks = ask_all(&stage.door.url, paid).await;
    let expected: BTreeSet<&str> =
        tasks.iter().map(|(_, task)| task["id"].as_str().unwrap()).collect();
    assert_eq!(ids, expected, "exactly the broken ones ran again");
    let twice = ran.lines().count() - ids.len();
    println!(
        "story: {} runs of {} replayed tasks, {twice} of them second ones",
        ran.lines().count(),
        ids.len()
    );
    // On servers the process that is killed performs nothing.
    let in_flight = if stage.is_embedded { SLOTS } else { 0 };
    assert!(twice <= in_flight, "{twice} second runs, {in_flight} were in flight");
}

async fn nothing_ran_again(url: &str, seen: &[String]) {
    for (id, task) in ask_all(url, seen).await {
        assert_eq!(task["history"].as_array().map(Vec::len), Some(1), "{id}: {task}");
    }
}

async fn a_mended_programs_tasks_are_replayed_and_no_others(ground: Ground) {
    is_told(&ground, SMALL).await;
}

on_every_ground!(a_mended_programs_tasks_are_replayed_and_no_others);
