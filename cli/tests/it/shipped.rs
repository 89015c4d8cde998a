//! The files of `docker/`, held against the program and the page that they belong to.

use std::process::Command;

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
fn nobody_kills_a_relay_before_its_rows_are_confirmed() {
    // As long as the relay itself waits, and what it asks a service manager for beside that.
    let needed = 25 + 10;
    assert!(seconds(&text("systemd/leveret-relay@.service"), "TimeoutStopSec=") > needed);
    let compose = text("compose.yaml");
    let relay = compose.split("\n  relay:\n").nth(1).unwrap();
    assert!(seconds(relay, "stop_grace_period:") > needed);
}

/// Has `setup.sh` make its files, for a relay of this database if there is one; returns their names.
fn made(outbox: Option<&str>) -> Vec<String> {
    let home = Home::new();
    let folder = home.path().join("secrets");
    let mut setup = Command::new(format!("{FOLDER}/setup.sh"));
    setup.arg(&folder).env_remove("OUTBOX").envs(outbox.map(|url| ("OUTBOX", url)));
    let done = setup.output().unwrap();
    assert!(done.status.success(), "{done:?}");
    let mut names = Vec::new();
    for file in std::fs::read_dir(&folder).unwrap() {
        let file = file.unwrap();
        let held = std::fs::read_to_string(file.path()).unwrap();
        // A user that was forgotten has a word in the place of its hash.
        let is_whole = held.contains("://") || !held.replace("-@all", "").contains('@');
        assert!(is_whole, "{:?}: {held}", file.path());
        names.push(file.file_name().into_string().unwrap());
    }
    names
}

#[test]
fn setup_makes_every_file_that_containers_and_units_are_given() {
    let url = "postgresql://shop_relay:secret@db:5432/shop";
    let (plain, whole) = (made(None), made(Some(url)));
    let asked: Vec<&str> = whole.iter().map(String::as_str).collect();
    let without: Vec<&str> = plain.iter().map(String::as_str).collect();
    let more: Vec<&&str> = asked.iter().filter(|name| !without.contains(name)).collect();
    assert_eq!(more, [&"relay-outbox-url"]);

    let compose = text("compose.yaml");
    let mounted = compose.lines().filter(|line| line.contains("./secrets/"));
    let mut names = 0;
    for line in mounted {
        let name = line.split("./secrets/").nth(1).unwrap().split([':', '}']).next().unwrap();
        assert!(asked.contains(&name), "{line}");
        names += 1;
    }
    assert_eq!(names, asked.len() - 1, "but for the enqueuer's: {asked:?}");
    for unit in ["leveret-gateway", "leveret-beat", "leveret-worker@", "leveret-relay@"] {
        let unit = text(&format!("systemd/{unit}.service"));
        let given = unit.lines().filter_map(|line| line.strip_prefix("LoadCredential="));
        for credential in given {
            let name = credential.rsplit_once('/').unwrap().1;
            // Each database has one of its own.
            assert!(asked.contains(&name.replace("-%i-", "-").as_str()), "{credential}");
        }
    }
}

#[test]
fn a_relay_is_started_only_where_it_is_asked_for() {
    let compose = text("compose.yaml");
    let services = compose.split("\nservices:\n").nth(1).unwrap();
    let services = services.split("\nnetworks:\n").next().unwrap();
    for (name, service) in services.split("\n\n").filter_map(|part| part.split_once(":\n")) {
        let name = name.lines().last().unwrap().trim();
        let is_asked_for = service.contains("profiles: [relay]");
        assert_eq!(is_asked_for, name == "relay", "{name}");
        assert!(!is_asked_for || service.contains("networks: [servers, outside]"), "{name}");
    }
    assert!(services.contains("\n  relay:\n"));
}

#[test]
fn the_page_on_deployment_shows_the_rights_that_are_given() {
    let page = include_str!("../../../docs/deploy.md");
    let users: Value = serde_json::from_str(&text("rabbitmq/users.json")).unwrap();
    for line in text("redis/users.acl").lines() {
        let user = line.split(' ').nth(1).unwrap();
        let begins = [format!("| `{user}` | "), format!("| `{user}` (no login) | ")];
        let is_of = |row: &&str| begins.iter().any(|begin| row.starts_with(begin));
        assert!(page.lines().filter(is_of).any(|row| !row.contains("`^")), "{user} at the store");
    }
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
        ("leveret-relay@.service", "relay"),
    ] {
        let unit = text(&format!("systemd/{unit}"));
        for line in ["Type=notify", "WatchdogSec=30s", "NoNewPrivileges=yes", "KillMode=mixed"] {
            assert!(unit.lines().any(|found| found == line), "{role}: {line}");
        }
        assert!(unit.contains(&format!("ExecStart=/usr/local/bin/leveret {role} ")), "{role}");
        assert!(unit.contains(&format!("/etc/leveret/credentials/{role}-broker-url")), "{role}");
    }
}
