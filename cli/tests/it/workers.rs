//! Workers: listed and shown, and told to be quiet, to go on, to change size, to stop.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

const DEADLINE: Duration = Duration::from_secs(60);

fn home(ground: &Ground) -> Home {
    let namespace = leveret_common::testkit::services::fresh_namespace();
    Home::with(&format!(
        "{}[worker]\nslots = 4\nheartbeat = \"500ms\"\nheartbeat_ttl = \"2s\"\n",
        ground.settings(&namespace)
    ))
}

/// Waits until one worker lives and says so of itself, and returns it.
fn becomes(dev: &Role<'_>, member: &str, value: &Value) -> Value {
    let mut worker = Value::Null;
    eventually(DEADLINE, || {
        let left = dev.ask(&["worker", "list", "-o", "jsonl"]);
        worker = left.succeeds().lines().pop().unwrap_or_default();
        worker[member] == *value
    });
    worker
}

fn name(worker: &Value) -> String {
    format!("{}:{}", worker["host"].as_str().unwrap(), worker["pid"])
}

async fn a_worker_does_what_it_is_told(ground: Ground) {
    let home = home(&ground);
    let dev = Role::dev(&home);
    let worker = name(&becomes(&dev, "state", &json!("running")));

    let left = dev.ask(&["worker", "quiet", &worker]);
    assert!(left.succeeds().stdout.contains("quiet"), "{}", left.stdout);
    becomes(&dev, "state", &json!("quiet"));
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "held"]).succeeds();
    let left = dev.ask(&["task", "wait", "held", "--timeout", "300ms"]);
    left.fails(8, &["is still queued"]);
    dev.ask(&["worker", "resume", &worker]).succeeds();
    becomes(&dev, "state", &json!("running"));
    dev.ask(&["task", "wait", "held", "--timeout", "60s"]).succeeds();

    dev.ask(&["worker", "resize", &worker, "--slots", "9"]).succeeds();
    let shown = becomes(&dev, "slots", &json!(9));
    // By a part of its id, too.
    let owner = shown["owner"].as_str().or(shown["worker"].as_str()).unwrap();
    let part = &owner[..8];
    let table = dev.ask(&["worker", "show", part]);
    assert!(table.succeeds().stdout.contains("default.normal"), "{}", table.stdout);
    let table = dev.ask(&["worker", "list"]);
    assert!(table.succeeds().stdout.contains("0/9"), "{}", table.stdout);

    dev.ask(&["worker", "stop", "all"]).fails(2, &["stop all workers", "--yes"]);
    dev.ask(&["worker", "stop", "all", "--yes"]).succeeds();
    let (code, said) = dev.ends();
    assert_eq!(code, Some(0), "{said}");
}

on_every_ground!(a_worker_does_what_it_is_told);

#[test]
fn a_worker_that_does_not_live_is_told_with_those_that_do() {
    let home = home(&Ground::Embedded);
    let dev = Role::dev(&home);
    let worker = name(&becomes(&dev, "state", &json!("running")));
    dev.ask(&["worker", "quiet", "nope:1"]).fails(5, &["quiet worker nope:1", &worker]);
    dev.ask(&["worker", "resize", &worker, "--slots", "0"]).fails(2, &["--slots"]);
    dev.ask(&["worker", "show", "nope"]).fails(5, &["show worker nope"]);
}
