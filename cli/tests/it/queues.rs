//! Queues: listed, shown, paused and resumed, on each backend.

use leveret_common::testkit::services::fresh_namespace;
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

fn queue(dev: &Role<'_>, name: &str) -> Value {
    dev.ask(&["queue", "show", name, "-o", "json"]).succeeds().json()
}

/// Pauses a queue that is served, and waits until every worker has heard of it.
pub(crate) fn pause(dev: &Role<'_>, name: &str, why: &str) {
    let consumers = || {
        let of = |lane: &Value| lane["consumers"].as_u64().unwrap();
        queue(dev, name)["lanes"].as_array().unwrap().iter().map(of).sum::<u64>()
    };
    eventually(crate::letters::DEADLINE, || consumers() == 4);
    let left = dev.ask(&["queue", "pause", name, "--why", why]);
    assert!(left.succeeds().stdout.contains(why), "{}", left.stdout);
    eventually(crate::letters::DEADLINE, || consumers() == 0);
}

fn depth(queue: &Value) -> u64 {
    queue["lanes"].as_array().unwrap().iter().filter_map(|lane| lane["depth"].as_u64()).sum()
}

async fn a_paused_queue_keeps_its_tasks_until_it_is_resumed(ground: Ground) {
    let home = Home::with(&format!(
        "{}[kinds.\"text.words\"]\nexec = [\"wc\", \"-w\"]\nqueue = \"files\"\n",
        ground.settings(&fresh_namespace())
    ));
    let dev = Role::dev(&home);
    pause(&dev, "files", "the disk is full");
    for id in ["a", "b", "c"] {
        dev.ask(&["task", "enqueue", "text.words", "--id", id, "--args", "\"x\""]).succeeds();
    }
    eventually(crate::letters::DEADLINE, || depth(&queue(&dev, "files")) == 3);
    let shown = queue(&dev, "files");
    assert_eq!(shown["paused"]["why"], "the disk is full", "{shown}");
    assert!(shown["paused"]["by"].as_str().unwrap().contains('@'), "{shown}");
    // Another queue goes on.
    dev.ask(&["task", "enqueue", "demo.echo", "--wait", "60s"]).succeeds();

    let table = dev.ask(&["queue", "list"]);
    assert!(table.succeeds().stdout.starts_with("QUEUE"), "{}", table.stdout);
    let row = table.stdout.lines().find(|line| line.starts_with("files")).unwrap();
    assert!(row.contains(" 3 ") && row.contains("the disk is full"), "{row}");
    let table = dev.ask(&["queue", "show", "files"]);
    assert!(table.succeeds().stdout.contains("files.normal"), "{}", table.stdout);
    let explained = dev.ask(&["task", "explain", "a"]);
    assert!(explained.succeeds().stdout.contains("paused"), "{}", explained.stdout);

    dev.ask(&["queue", "resume", "files"]).succeeds();
    for id in ["a", "b", "c"] {
        let left = dev.ask(&["task", "wait", id, "--timeout", "60s", "-o", "json"]);
        assert_eq!(left.succeeds().json()["result"], 1);
    }
    let shown = queue(&dev, "files");
    assert_eq!((&shown["paused"], depth(&shown)), (&Value::Null, 0), "{shown}");
}

on_every_ground!(a_paused_queue_keeps_its_tasks_until_it_is_resumed);

#[test]
fn a_pause_survives_the_kill_of_dev() {
    let home = Home::new();
    let dev = Role::dev(&home);
    pause(&dev, "default", "maintenance");
    drop(dev);
    let dev = Role::dev(&home);
    assert_eq!(queue(&dev, "default")["paused"]["why"], "maintenance");
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "held"]).succeeds();
    eventually(crate::letters::DEADLINE, || depth(&queue(&dev, "default")) == 1);
    dev.ask(&["queue", "resume", "default"]).succeeds();
    dev.ask(&["task", "wait", "held", "--timeout", "20s"]).succeeds();
}

#[test]
fn a_queue_that_nobody_knows_is_told() {
    let home = Home::new();
    let dev = Role::dev(&home);
    dev.ask(&["queue", "show", "nope"]).fails(5, &["show queue nope", "not known"]);
    dev.ask(&["queue", "show", "No Queue"]).fails(7, &["show queue No Queue"]);
    let queues = dev.ask(&["queue", "list", "-o", "json"]).succeeds().json();
    assert_eq!(queues[0]["queue"], json!("default"), "{queues}");
}
