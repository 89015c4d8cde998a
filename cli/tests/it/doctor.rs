//! `leveret doctor`: asked of a gateway, and alone where none answers.

use leveret_common::testkit::services::fresh_namespace;
use serde_json::Value;

use crate::ground::Ground;
use crate::home::{Home, Left};
use crate::role::{Role, eventually};

/// The address of no gateway.
const NOBODY: [&str; 2] = ["--gateway-url", "http://127.0.0.1:1"];

fn findings(left: &Left) -> Vec<Value> {
    left.json()["findings"].as_array().unwrap().clone()
}

fn finds(left: &Left, part: &str, health: &str) -> bool {
    findings(left).iter().any(|finding| finding["part"] == part && finding["health"] == health)
}

async fn a_backend_that_works_is_not_bad(ground: Ground) {
    let home = Home::with(&ground.settings(&fresh_namespace()));
    let dev = Role::dev(&home);
    let mut left = dev.ask(&["doctor", "-o", "json"]);
    // The first heartbeat is on its way.
    eventually(crate::letters::DEADLINE, || {
        left = dev.ask(&["doctor", "-o", "json"]);
        left.code == 0
    });
    let whole = left.json();
    assert_eq!(whole["healthy"], true, "{whole}");
    assert!(findings(&left).len() >= 3, "{whole}");
    let table = dev.ask(&["doctor"]);
    assert!(table.succeeds().stdout.starts_with("HEALTH"), "{}", table.stdout);
    for line in dev.ask(&["doctor", "-o", "jsonl"]).succeeds().lines() {
        assert!(line["found"].is_string(), "{line}");
    }
}

on_every_ground!(a_backend_that_works_is_not_bad);

#[test]
fn tasks_of_a_kind_that_nobody_serves_are_found() {
    let home = Home::new();
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "mail.send", "--queue", "nowhere"]).succeeds();
    eventually(crate::letters::DEADLINE, || {
        let left = dev.ask(&["doctor"]);
        left.stdout.contains("nowhere") && left.stdout.contains("What to do")
    });
}

#[tokio::test]
async fn servers_are_looked_at_where_no_gateway_answers() {
    let Some(ground) = Ground::rabbitmq_4().await else { return };
    let home = Home::with(&ground.settings(&fresh_namespace()));
    let left = home.run(&[&["doctor", "-o", "json"][..], &NOBODY].concat());
    left.fails(10, &["findings are bad"]);
    assert!(finds(&left, "gateway", "bad") && finds(&left, "broker", "good"), "{left:?}");
    assert!(finds(&left, "store", "good"), "{left:?}");
    assert!(!findings(&left).iter().any(|f| f["part"] != "gateway" && f["health"] == "bad"));
}

#[test]
fn servers_that_do_not_answer_are_a_finding() {
    let home = Home::with(
        "broker.url = \"amqp://u:geheim@127.0.0.1:1/v\"\nstore.url = \"redis://:geheim@127.0.0.1:1\"\n\
         store.connect_timeout = \"500ms\"\n",
    );
    let left = home.run(&[&["doctor", "-o", "json"][..], &NOBODY].concat());
    left.fails(10, &["findings are bad"]);
    assert!(finds(&left, "store", "bad") && finds(&left, "broker", "bad"), "{left:?}");
    assert!(!left.stdout.contains("geheim"), "{}", left.stdout);
}

#[tokio::test]
async fn a_server_that_does_not_answer_does_not_hide_the_other() {
    let Some(Ground::Servers { broker, .. }) = Ground::rabbitmq_4().await else { return };
    let store = "redis://127.0.0.1:1".to_owned();
    let home = Home::with(&Ground::Servers { broker, store }.settings(&fresh_namespace()));
    let left = home.run(&[&["doctor", "-o", "json"][..], &NOBODY].concat());
    left.fails(10, &["findings are bad"]);
    assert!(finds(&left, "store", "bad") && finds(&left, "broker", "good"), "{left:?}");
}

#[test]
fn a_folder_in_which_nothing_ran_is_left_as_it_is() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("mine")).unwrap();
    home.write("mine/notes", "mine");
    let alone = ["doctor", "-o", "json", "--data", "mine"];
    let left = home.run(&[&alone[..], &NOBODY].concat());
    left.fails(10, &["findings are bad"]);
    assert!(finds(&left, "store", "risky"), "{left:?}");
    let files = std::fs::read_dir(home.path().join("mine")).unwrap().count();
    assert_eq!(files, 1, "it made a file: {left:?}");
}

#[test]
fn a_free_folder_is_looked_at_and_none_is_made() {
    let home = Home::new();
    let alone = [&["doctor", "-o", "json"][..], &NOBODY].concat();
    let left = home.run(&alone);
    left.fails(10, &["findings are bad"]);
    assert!(finds(&left, "store", "risky"), "{left:?}");
    assert!(!home.has("leveret-data"), "it made a folder");

    let dev = Role::dev(&home);
    let left = home.run(&alone);
    assert!(left.stdout.contains("in use by"), "{}", left.stdout);
    drop(dev);
    let left = home.run(&alone);
    left.fails(10, &["1 of"]);
    assert!(finds(&left, "gateway", "bad"), "{left:?}");
    assert!(findings(&left).len() > 1, "{left:?}");
    drop(Role::dev(&home));
}
