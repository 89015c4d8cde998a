//! A relay that is killed between two of its steps loses nothing, and nothing runs twice.

use std::path::Path;

use serde_json::json;

use super::database::Database;
use super::{DEADLINE, Scene};
use crate::ground::Ground;
use crate::role::{Role, eventually};

/// Every arrow of a relay: taken → confirmed → marked, not committed → marked.
const ARROWS: [&str; 4] = ["relay.taken", "relay.confirmed", "relay.marking", "relay.marked"];
/// Rows that are there at each kill.
const ROWS: usize = 5;

/// A kind that writes its args down, by a worker that does one thing after the other.
fn journal(folder: &Path) -> String {
    let script = format!("cat >> {0}/runs; echo >> {0}/runs", folder.display());
    format!("worker.slots = 1\n[kinds.\"test.journal\"]\nexec = [\"sh\", \"-c\", \"{script}\"]\n")
}

/// Starts a relay for each arrow, which dies there, and then one that lives until all is handed on.
fn killed_everywhere(scene: &Scene, put: impl Fn(usize), left: impl Fn() -> bool) {
    for (place, arrow) in ARROWS.iter().enumerate() {
        (0..ROWS).for_each(|row| put(place * ROWS + row));
        let relay = scene.relay("100ms", &format!("{arrow}=return"));
        let (code, said) = relay.ends();
        assert_eq!(code, None, "it was not killed at {arrow}: {said}");
    }
    let _relay = scene.relay("100ms", "");
    eventually(DEADLINE, || !left());
}

/// Performs all that lies in the lane, and asserts that each ran once.
fn performed_once(scene: &Scene, journal: &Path) {
    let dev = Role::dev(&scene.home);
    // The last one in the line: when it is over, so is every copy before it.
    let last = ["task", "enqueue", "test.journal", "--args", "\"last\"", "--id", "last"];
    dev.ask(&last).succeeds();
    let waited = dev.ask(&["task", "wait", "last", "--timeout", "60s", "-o", "json"]);
    assert_eq!(waited.succeeds().json()["state"], "done");
    let runs = std::fs::read_to_string(journal).unwrap();
    let mut runs: Vec<&str> = runs.lines().collect();
    assert_eq!(runs.pop(), Some("\"last\""));
    let mut numbers: Vec<usize> = runs.iter().map(|run| run.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..ARROWS.len() * ROWS).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_relay_of_postgres_that_is_killed_anywhere_loses_nothing_and_runs_nothing_twice() {
    let (Some(ground), Some(database)) = (Ground::rabbitmq_3().await, Database::fresh()) else {
        return;
    };
    let mut scene = Scene::new(&ground, &database.url(), "");
    add(&mut scene);
    let put = |n: usize| {
        database.sql(&format!("select leveret_enqueue('test.journal', '{n}')"));
    };
    killed_everywhere(&scene, put, || database.rows("true") > 0);
    performed_once(&scene, &scene.home.path().join("runs"));
}

#[tokio::test]
async fn a_relay_of_sqlite_that_is_killed_anywhere_loses_nothing_and_runs_nothing_twice() {
    let Some(ground) = Ground::rabbitmq_4().await else { return };
    let mut scene = Scene::new(&ground, "sqlite://app.db", "");
    add(&mut scene);
    let schema = scene.home.run(&["relay", "schema", "--for", "sqlite"]);
    let sqlite = |sql: &str| scene.sqlite("app.db", sql);
    sqlite(&schema.succeeds().stdout);
    let put = |n: usize| {
        let row = format!("('test.journal', '{}')", json!(n));
        sqlite(&format!("insert into leveret_outbox (kind, args) values {row}"));
    };
    killed_everywhere(&scene, put, || sqlite("select count(*) from leveret_outbox") != "0");
    performed_once(&scene, &scene.home.path().join("runs"));
}

/// Adds the kind to a scene's configuration.
fn add(scene: &mut Scene) {
    let path = scene.home.path().join("leveret.toml");
    let settings = std::fs::read_to_string(path).unwrap();
    let journal = journal(scene.home.path());
    scene.home.write("leveret.toml", &format!("{settings}{journal}"));
}
