//! Several beats on servers: one leads, the others stand by, and a killed leader is replaced.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{DEADLINE, Stage, done, fires, home, newest};
use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

const FILE: &str = "[schedules.tick]\nwhen = \"every 1s\"\nkind = \"note.take\"\n";
/// How soon another beat leads, at the latest.
const TAKEOVER: Duration = Duration::from_secs(10);

/// Asks which beats live.
fn beats(door: &Role<'_>) -> Vec<Value> {
    let (status, body) = door.get("/v1/beats").unwrap();
    assert_eq!(status, 200, "{body}");
    let answer: Value = serde_json::from_str(&body).unwrap();
    answer["beats"].as_array().unwrap().clone()
}

/// Tells whether a beat says of itself that it leads.
fn leads(beat: &Role<'_>) -> bool {
    beat.get("/readyz").is_some_and(|(status, said)| status == 200 && said.contains("leads"))
}

async fn a_second_beat_stands_by_and_takes_over_from_a_killed_one(ground: Ground) {
    let home = home(&ground, FILE);
    let stage = Stage::set(&home, &ground);
    let first = stage.beat.unwrap();
    eventually(DEADLINE, || leads(&first));
    let second = Role::start(&home, &["beat", "-o", "jsonl"]);
    eventually(DEADLINE, || {
        second
            .get("/readyz")
            .is_some_and(|(status, said)| status == 200 && said.contains("stands by"))
    });
    assert!(second.get("/metrics").unwrap().1.contains("leveret_"), "no metrics");
    eventually(DEADLINE, || beats(&stage.door).len() == 2);
    fires(&stage.door, "tick", "", 2);
    assert!(leads(&first) && !leads(&second), "the first one leads until it is killed");

    let before = newest(&stage.door, "tick");
    drop(first);
    let killed = Instant::now();
    eventually(DEADLINE, || leads(&second));
    let took = killed.elapsed();
    println!("beats: the second one leads {took:?} after the first was killed");
    assert!(took < TAKEOVER, "{took:?}");
    fires(&stage.door, "tick", &before, 3);

    // Nothing was left out on the way, and each task ran once.
    let mut whole = Vec::new();
    eventually(DEADLINE, || {
        whole = done(&stage.door, "tick");
        let seconds: Vec<i64> = whole.iter().rev().map(second_of).collect();
        seconds.windows(2).all(|two| two[1] == two[0] + 1)
    });
    for occurrence in whole {
        let task = occurrence["task"].as_str().unwrap();
        let task = stage.door.ask(&["task", "show", task, "-o", "json"]).succeeds().json();
        assert_eq!(task["history"].as_array().map(Vec::len), Some(1), "{task}");
    }
}

/// Returns the second at which an occurrence was due.
fn second_of(occurrence: &Value) -> i64 {
    let due = occurrence["due"].as_str().unwrap();
    chrono::DateTime::parse_from_rfc3339(due).unwrap().timestamp()
}

async fn a_beat_with_another_file_says_so(ground: Ground) {
    let home = home(&ground, FILE);
    let stage = Stage::set(&home, &ground);
    let first = stage.beat.unwrap();
    eventually(DEADLINE, || leads(&first));
    eventually(DEADLINE, || beats(&stage.door).len() == 1);
    home.write("other.toml", &FILE.replace("1s", "1h"));
    let mut second = Role::start(&home, &["beat", "--beat-file", "other.toml", "-o", "jsonl"]);
    assert_eq!(second.started["timetable"], "other.toml");
    second.says("another timetable file");
    eventually(DEADLINE, || {
        let told = stage.door.ask(&["doctor", "-o", "json"]).json();
        let findings = told["findings"].as_array().unwrap().clone();
        findings.iter().any(|finding| finding["found"].to_string().contains("other.toml"))
    });
    // The leader's file counts.
    let shown = super::show(&stage.door, "tick");
    assert_eq!(shown["definition"]["when"], "every 1s", "{shown}");
}

on_servers!(
    a_second_beat_stands_by_and_takes_over_from_a_killed_one,
    a_beat_with_another_file_says_so,
);

#[test]
fn a_beat_needs_servers() {
    let left = Home::new().run(&["beat"]);
    left.fails(3, &["start the beat", "embedded backend belongs to one process", "broker.url"]);
}

#[tokio::test]
async fn a_beat_whose_door_is_taken_says_which_key_to_set() {
    let Some(ground) = Ground::rabbitmq_4().await else { return };
    let home = home(&ground, "");
    let first = Role::start(&home, &["beat", "-o", "jsonl"]);
    let address = first.url.strip_prefix("http://").unwrap();
    let left = home.run(&["beat", "--beat-listen", address]);
    left.fails(9, &[address, "set beat.listen to a free address"]);
    let left = home.run(&["worker", "--worker-listen", address]);
    left.fails(9, &[address, "set worker.listen to a free address"]);
}
