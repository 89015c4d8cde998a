//! `task explain`: for a task in each place, where it is and what to do.

use std::time::Duration;

use leveret_common::testkit::services::fresh_namespace;
use serde_json::Value;

use crate::ground::Ground;
use crate::home::Home;
use crate::letters::{broken, enqueue, listed};
use crate::role::{Role, eventually};

fn explain(dev: &Role<'_>, id: &str) -> Value {
    dev.ask(&["task", "explain", id, "-o", "json"]).succeeds().json()
}

fn place(dev: &Role<'_>, id: &str) -> String {
    explain(dev, id)["custody"]["place"].as_str().unwrap_or_default().to_owned()
}

/// Asserts where a task is, and that people are told a sentence about it.
#[track_caller]
fn is_at(dev: &Role<'_>, id: &str, expected: &str, told: &str) {
    eventually(Duration::from_secs(60), || place(dev, id) == expected);
    let table = dev.ask(&["task", "explain", id]);
    assert!(table.succeeds().stdout.contains(told), "{told:?}:\n{}", table.stdout);
    let explained = explain(dev, id);
    assert!(!explained["summary"].as_str().unwrap().is_empty(), "{explained}");
}

async fn a_task_is_explained_wherever_it_is(ground: Ground) {
    let home = Home::new();
    let folder = home.path().display();
    let held =
        format!("touch {folder}/runs; while ! [ -e {folder}/free ]; do sleep 0.02; done; echo 1");
    home.write(
        "leveret.toml",
        &format!(
            "{}[kinds.\"test.held\"]\nexec = [\"sh\", \"-c\", \"{held}\"]\n",
            ground.settings(&fresh_namespace())
        ),
    );
    let dev = Role::dev(&home);
    is_at(&dev, "nobody-sent-this", "unknown", "What to do");
    dev.ask(&["task", "enqueue", "test.held", "--id", "late", "--delay", "1h"]).succeeds();
    is_at(&dev, "late", "delay", "until");
    dev.ask(&["task", "enqueue", "test.held", "--id", "held"]).succeeds();
    eventually(Duration::from_secs(60), || home.has("runs"));
    is_at(&dev, "held", "worker", "worker");
    home.write("free", "");
    dev.ask(&["task", "wait", "held", "--timeout", "60s"]).succeeds();
    is_at(&dev, "held", "over", "done");
    // Nobody serves this queue.
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "lonely", "--queue", "nowhere"]).succeeds();
    is_at(&dev, "lonely", "lane", "nowhere.normal");
    let lonely = explain(&dev, "lonely");
    assert!(!lonely["do"].as_array().unwrap().is_empty(), "{lonely}");
}

on_every_ground!(a_task_is_explained_wherever_it_is);

#[test]
fn a_dead_task_is_explained_with_its_error_and_with_the_way_back() {
    let home = broken(&Ground::Embedded);
    let dev = Role::dev(&home);
    enqueue(&dev, "mail.send", "m-1");
    listed(&dev, "", 1);
    is_at(&dev, "m-1", "dead", "the template is missing");
    let explained = dev.ask(&["task", "explain", "m-1"]);
    assert!(explained.succeeds().stdout.contains("replay"), "{}", explained.stdout);
}
