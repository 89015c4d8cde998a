//! The files of `docker/`, held against the program and the page that they belong to.

use leveret_common::config::Settings;
use serde_json::Value;

use crate::home::Home;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docker");

fn text(name: &str) -> String {
    std::fs::read_to_string(format!("{FOLDER}/{name}")).unwrap()
}

/// Returns the seconds that a line of the form `key…<number>s` gives.
fn seconds(text: &str, key: &str) -> u64 {
    let line = text.lines().map(str::trim).find_map(|line| line.strip_prefix(key));
    line.and_then(|value| value.trim().strip_suffix('s')?.parse().ok()).unwrap()
}

#[test]
fn configuration_and_timetable_are_taken_as_they_are() {
    let home = Home::new();
    home.write("leveret.toml", &text("leveret.toml"));
    let shown = home.run(&["config", "show", "-o", "json"]);
    assert!(shown.succeeds().stdout.contains("/etc/leveret/schedules.toml"), "{shown:?}");
    home.write("schedules.toml", &text("schedules.toml"));
    let bare = Home::new();
    bare.write("schedules.toml", &text("schedules.toml"));
    bare.run(&["schedule", "plan", "schedules.toml", "--offline"]).succeeds();
}

#[test]
fn nobody_kills_a_worker_before_its_grace_is_over() {
    let home = Home::with(&text("leveret.toml"));
    let shown = home.run(&["config", "show", "-o", "json"]).succeeds().stdout.clone();
    assert!(shown.contains("25s"), "{shown}");
    let grace = Settings::default().worker.grace.as_secs();
    assert_eq!(grace, 25);
    // What is cut has one more second, and connections close after that.
    let needed = grace + 10;
    let unit = text("systemd/leveret-worker@.service");
    assert!(seconds(&unit, "TimeoutStopSec=") > needed);
    let compose = text("compose.yaml");
    let worker = compose.split("\n  worker:\n").nth(1).unwrap();
    assert!(seconds(worker, "stop_grace_period:") > needed);
}

#[test]
fn the_page_on_deployment_shows_the_rights_that_are_given() {
    let page = include_str!("../../../docs/deploy.md");
    let users: Value = serde_json::from_str(&text("rabbitmq/users.json")).unwrap();
    for right in users["permissions"].as_array().unwrap() {
        let user = right["user"].as_str().unwrap();
        let row = page.lines().find(|line| line.starts_with(&format!("| `{user}` | `^"))).unwrap();
        for way in ["configure", "write", "read"] {
            // A bar inside a table's cell has to be escaped.
            let pattern = right[way].as_str().unwrap().replace('|', "\\|");
            assert!(row.contains(&format!("`{pattern}`")), "{user}: {way} {pattern}: {row}");
        }
    }
}

#[test]
fn every_role_has_a_unit_that_it_tells_how_it_is() {
    for (unit, role) in [
        ("leveret-gateway.service", "gateway"),
        ("leveret-beat.service", "beat"),
        ("leveret-worker@.service", "worker"),
    ] {
        let unit = text(&format!("systemd/{unit}"));
        for line in ["Type=notify", "WatchdogSec=30s", "NoNewPrivileges=yes", "KillMode=mixed"] {
            assert!(unit.lines().any(|found| found == line), "{role}: {line}");
        }
        assert!(unit.contains(&format!("ExecStart=/usr/local/bin/leveret {role} ")), "{role}");
        assert!(unit.contains(&format!("/etc/leveret/credentials/{role}-broker-url")), "{role}");
    }
}
