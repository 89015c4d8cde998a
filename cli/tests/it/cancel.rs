//! Cancel: tasks that wait are not run, tasks that run are told to stop, tasks that are over stay so.

use std::time::Duration;

use leveret_common::testkit::services::fresh_namespace;
use serde_json::json;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// A kind that notes that it runs and ends when it is stopped, and one that fails and is retried in
/// an hour.
fn home(ground: &Ground) -> Home {
    let home = Home::new();
    let folder = home.path().display();
    let held = format!("touch {folder}/runs; while :; do sleep 0.02; done");
    home.write(
        "leveret.toml",
        &format!(
            "{}[kinds.\"test.held\"]\nexec = [\"sh\", \"-c\", \"{held}\"]\n\
             [kinds.\"test.fails\"]\nexec = [\"sh\", \"-c\", \"exit 75\"]\n\
             retry = {{ backoff = \"fixed\", delay = \"1h\", jitter = \"none\", max_attempts = 3 }}\n",
            ground.settings(&fresh_namespace())
        ),
    );
    home
}

fn state(dev: &Role<'_>, id: &str) -> String {
    let left = dev.ask(&["task", "show", id, "-o", "json"]);
    left.succeeds().json()["state"].as_str().unwrap().to_owned()
}

/// Cancels a task in each place where it can be.
async fn a_task_is_cancelled_wherever_it_is(ground: Ground) {
    let home = home(&ground);
    let dev = Role::dev(&home);

    // Queued: nobody takes it while its queue is paused, and nobody runs it afterwards.
    crate::queues::pause(&dev, "default", "a test");
    dev.ask(&["task", "enqueue", "test.held", "--id", "queued"]).succeeds();
    let left = dev.ask(&["task", "cancel", "queued", "-o", "json"]);
    assert_eq!(left.succeeds().json()["state"], "cancelled");
    dev.ask(&["queue", "resume", "default"]).succeeds();
    let echo = dev.ask(&["task", "enqueue", "demo.echo", "--wait", "60s"]);
    echo.succeeds();
    assert_eq!(state(&dev, "queued"), "cancelled");

    // Delayed.
    dev.ask(&["task", "enqueue", "test.held", "--id", "delayed", "--delay", "1h"]).succeeds();
    dev.ask(&["task", "cancel", "delayed", "--wait"]).succeeds();
    assert_eq!(state(&dev, "delayed"), "cancelled");

    // Retrying.
    dev.ask(&["task", "enqueue", "test.fails", "--id", "retrying"]).succeeds();
    eventually(Duration::from_secs(60), || state(&dev, "retrying") == "retrying");
    dev.ask(&["task", "cancel", "retrying"]).succeeds();
    assert_eq!(state(&dev, "retrying"), "cancelled");
    assert!(!home.has("runs"), "a task ran that had been cancelled before");

    // Running.
    dev.ask(&["task", "enqueue", "test.held", "--id", "running"]).succeeds();
    eventually(Duration::from_secs(60), || home.has("runs"));
    let left = dev.ask(&["task", "cancel", "running", "--wait=30s", "-o", "json"]);
    assert_eq!(left.succeeds().json()["state"], "cancelled");
    let task = dev.ask(&["task", "show", "running", "-o", "json"]).json();
    assert_eq!(task["acts"][0]["action"], "cancelled", "{task}");
}

on_every_ground!(a_task_is_cancelled_wherever_it_is);

#[test]
fn what_is_over_or_unknown_is_not_cancelled() {
    let home = Home::new();
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "done", "--wait", "20s"]).succeeds();
    dev.ask(&["task", "cancel", "done"]).fails(7, &["cancel task done", "already", "done"]);
    dev.ask(&["task", "cancel", "nope"]).fails(5, &["cancel task nope", "nobody knows"]);
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "late", "--delay", "1h"]).succeeds();
    let left = dev.ask(&["task", "cancel", "nope", "late", "-o", "jsonl"]);
    left.fails(5, &["task nope", "failed for 1 of 2"]);
    assert_eq!(left.json()["state"], json!("cancelled"));
    assert_eq!(state(&dev, "late"), "cancelled");
}

#[test]
fn an_id_that_nobody_knows_yet_is_cancelled_by_force() {
    let home = Home::new();
    let dev = Role::dev(&home);
    dev.ask(&["task", "cancel", "early", "--force"]).succeeds();
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "early"]);
    let echo = dev.ask(&["task", "enqueue", "demo.echo", "--wait", "20s"]);
    echo.succeeds();
    assert_eq!(state(&dev, "early"), "cancelled");
}
