//! The process that replays or discards dead letters is aborted at each step of a walk, and ordered
//! once more: each task runs exactly once more, and no letter is lost.
//!
//! The oracle is outside: the mended programs note each run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use leveret_common::testkit::services::{fresh_namespace, variable};

use crate::ground::Ground;
use crate::home::Home;
use crate::letters::{DEADLINE, ended, insist, listed};
use crate::queues::pause;
use crate::role::{Role, eventually};

/// More than two handfuls, and less than three.
const LETTERS: u64 = 40;
/// What two handfuls are at most.
const TWO_HANDFULS: u64 = 32;

fn home(ground: &Ground) -> Home {
    let home = Home::new();
    let folder = home.path().display();
    let kind = |name: &str, queue: &str, script: &str| {
        format!("[kinds.\"{name}\"]\nexec = [\"sh\", \"{folder}/{script}\"]\nqueue = \"{queue}\"\n")
    };
    for script in ["send", "scan"] {
        home.write(script, "echo no such table >&2; exit 65\n");
    }
    let settings = format!(
        "{}gateway.listen = \"127.0.0.1:0\"\nlog.level = \"warn\"\n\
         [worker]\nlisten = \"127.0.0.1:0\"\nqueues = [\"mail\", \"files\"]\nslots = 8\n\
         heartbeat = \"500ms\"\nheartbeat_ttl = \"2s\"\n",
        ground.settings(&fresh_namespace())
    );
    let kinds = kind("mail.send", "mail", "send") + &kind("file.scan", "files", "scan");
    home.write("leveret.toml", &(settings + &kinds));
    home
}

/// Starts the process that walks; with a failpoint, it is aborted in its second handful.
fn open<'h>(home: &'h Home, ground: &Ground, step: Option<&str>) -> Role<'h> {
    let role = if matches!(ground, Ground::Embedded) { "dev" } else { "gateway" };
    let failpoints = step.map(|step| format!("{step}=1*off->return")).unwrap_or_default();
    let door = Role::start_with(home, &[role, "-o", "jsonl"], &failpoints);
    eventually(Duration::from_secs(60), || door.status_of("/readyz") == Some(200));
    door
}

/// Orders a walk of a process that is aborted in it.
fn aborted(door: Role<'_>, verb: &str, filter: &str) {
    let left = door.ask(&["dead", verb, "--filter", filter, "--yes", "-o", "json"]);
    assert_eq!(left.code, 4, "whoever ordered it is told: {left:?}");
    let (code, said) = door.ends();
    assert_eq!(code, None, "it was not aborted: {said}");
}

/// Returns how often each task ran that noted so in this file.
fn runs(file: &Path) -> BTreeMap<String, u32> {
    let mut runs = BTreeMap::new();
    for id in std::fs::read_to_string(file).unwrap_or_default().lines() {
        *runs.entry(id.to_owned()).or_default() += 1;
    }
    runs
}

fn nothing_is_lost(ground: &Ground, step: &str) {
    if !leveret_common::failpoint::COMPILED_IN {
        println!("SKIPPED: killed walks need --features leveret/failpoints");
        assert!(variable("CI").as_deref() != Some("true"), "it must run in CI");
        return;
    }
    let home = home(ground);
    let _worker = (!matches!(ground, Ground::Embedded))
        .then(|| Role::start(&home, &["worker", "-o", "jsonl"]));
    let door = open(&home, ground, None);
    let line = |n| {
        let task = |kind, id| format!("{{\"kind\":\"{kind}\",\"id\":\"{id}-{n}\",\"args\":{n}}}\n");
        task("mail.send", "m") + &task("file.scan", "f")
    };
    home.write("tasks.ndjson", &(0..LETTERS).map(line).collect::<String>());
    door.ask(&["task", "enqueue", "--ndjson", "tasks.ndjson"]).succeeds();
    let all = usize::try_from(LETTERS).unwrap();
    let dead = listed(&door, "", 2 * all);
    let mail: Vec<&str> = dead
        .iter()
        .filter(|letter| letter["queue"] == "mail")
        .map(|letter| letter["id"].as_str().unwrap())
        .collect();
    // What is replayed rests in its lane until all is over: so no run is cut off by the kill.
    pause(&door, "mail", "a walk is about to be killed");
    let (sent, scanned) = (home.path().join("sent"), home.path().join("scanned"));
    home.write("send", &format!("echo $LEVERET_TASK_ID >> {}\n", sent.display()));
    home.write("scan", &format!("echo $LEVERET_TASK_ID >> {}\n", scanned.display()));
    drop(door);

    aborted(open(&home, ground, Some(step)), "replay", "queue:mail");
    aborted(open(&home, ground, Some(step)), "discard", "queue:files");

    let door = open(&home, ground, None);
    let files = insist(&door, &["dead", "reindex", "--queue", "files", "-o", "json"]).json();
    let left = files["kept"].as_u64().unwrap();
    let least = if step == "walk.acked" { LETTERS - TWO_HANDFULS } else { LETTERS / 2 };
    // Acks that were on their way died with the process: over AMQP, perhaps all of them.
    assert!((least..=LETTERS).contains(&left), "what was not discarded is there: {files}");
    for (verb, filter) in [("replay", "queue:mail"), ("discard", "queue:files")] {
        insist(&door, &["dead", verb, "--filter", filter, "--yes", "-o", "json"]);
    }
    door.ask(&["queue", "resume", "mail"]).succeeds();
    for id in &mail {
        assert_eq!(ended(&door, id), "done");
    }
    // Copies that the kill doubled come to nothing, and then nothing is left anywhere.
    insist(&door, &["dead", "reindex", "-o", "json"]);
    eventually(DEADLINE, || {
        ["mail", "files"].iter().all(|queue| {
            let shown = door.ask(&["queue", "show", queue, "-o", "json"]).succeeds().json();
            let lanes = shown["lanes"].as_array().unwrap().iter();
            shown["dead"] == 0
                && lanes.map(|lane| lane["depth"].as_u64().unwrap()).sum::<u64>() == 0
        })
    });
    listed(&door, "", 0);
    let expected: BTreeMap<String, u32> = mail.iter().map(|id| ((*id).to_owned(), 1)).collect();
    assert_eq!(runs(&sent), expected, "each ran exactly once more");
    assert_eq!(runs(&scanned), BTreeMap::new(), "what is discarded never runs");
}

async fn a_walk_killed_with_letters_in_hand_loses_none(ground: Ground) {
    nothing_is_lost(&ground, "walk.taken");
}

async fn a_walk_killed_before_its_acks_loses_none(ground: Ground) {
    nothing_is_lost(&ground, "walk.confirmed");
}

async fn a_walk_killed_after_its_acks_loses_none(ground: Ground) {
    nothing_is_lost(&ground, "walk.acked");
}

on_every_ground! {
    a_walk_killed_with_letters_in_hand_loses_none,
    a_walk_killed_before_its_acks_loses_none,
    a_walk_killed_after_its_acks_loses_none,
}
