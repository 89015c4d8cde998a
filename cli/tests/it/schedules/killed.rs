//! A leading beat that is killed at each of its steps, and one that is stopped for long: another one
//! goes on, and each occurrence is performed exactly once (F27, F28).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use leveret_common::testkit::services::{fresh_namespace, variable};
use nix::sys::signal::Signal;

use super::DEADLINE;
use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// Within this another beat leads, with the usual lease.
const TAKEOVER: Duration = Duration::from_secs(10);
/// How many occurrences are waited for after a beat died.
const AFTER: i64 = 4;

/// Makes a folder with a schedule for each second, whose tasks note which occurrence they are.
fn home(ground: &Ground, lease: &str) -> Home {
    let home = Home::new();
    let journal = home.path().join("journal");
    home.write(
        "leveret.toml",
        &format!(
            "{}gateway.listen = \"127.0.0.1:0\"\nworker.listen = \"127.0.0.1:0\"\n\
             beat.listen = \"127.0.0.1:0\"\nbeat.lease = \"{lease}\"\n\
             [kinds.journal]\nexec = [\"sh\", \"-c\", 'echo $LEVERET_OCCURRENCE >> {}']\n",
            ground.settings(&fresh_namespace()),
            journal.display()
        ),
    );
    home.write("schedules.toml", "[schedules.tick]\nwhen = \"every 1s\"\nkind = \"journal\"\n");
    home
}

/// Returns how often each second was performed.
fn performed(home: &Home) -> BTreeMap<i64, u32> {
    let text = std::fs::read_to_string(home.path().join("journal")).unwrap_or_default();
    let mut runs = BTreeMap::new();
    // The last line may still be on its way into the file.
    for line in text.lines().filter(|line| line.ends_with('Z')) {
        let due = chrono::DateTime::parse_from_rfc3339(line).unwrap();
        *runs.entry(due.timestamp()).or_default() += 1;
    }
    runs
}

fn newest(home: &Home) -> i64 {
    performed(home).keys().next_back().copied().unwrap_or_default()
}

fn says(beat: &Role<'_>, text: &str) -> bool {
    beat.get("/readyz").is_some_and(|(status, said)| status == 200 && said.contains(text))
}

fn ends_well(role: Role<'_>) {
    role.send(Signal::SIGTERM);
    let (code, said) = role.ends();
    assert_eq!(code, Some(0), "{said}");
}

/// Ends the beats, lets the worker finish, and counts: no second is left out, none came twice.
fn each_second_was_performed_once(
    home: &Home,
    door: &Role<'_>,
    worker: Role<'_>,
    beats: Vec<Role<'_>>,
) {
    beats.into_iter().for_each(ends_well);
    eventually(DEADLINE, || {
        let shown = door.ask(&["queue", "show", "default", "-o", "json"]).succeeds().json();
        let lanes = shown["lanes"].as_array().unwrap();
        !lanes.is_empty() && lanes.iter().all(|lane| lane["depth"] == 0)
    });
    ends_well(worker);
    let runs = performed(home);
    let (first, last) = (*runs.keys().next().unwrap(), *runs.keys().next_back().unwrap());
    for second in first..=last {
        assert_eq!(runs.get(&second), Some(&1), "{second} of {first} to {last}");
    }
}

fn a_leader_is_killed(ground: &Ground, step: &str) {
    if !leveret_common::failpoint::COMPILED_IN {
        println!("SKIPPED: killed beats need --features leveret/failpoints");
        assert!(variable("CI").as_deref() != Some("true"), "it must run in CI");
        return;
    }
    let home = home(ground, "5s");
    let start = |role: &str| Role::start(&home, &[role, "-o", "jsonl"]);
    let (door, worker) = (start("gateway"), start("worker"));
    let failpoint = format!("{step}=6*off->return");
    let first = Role::start_with(&home, &["beat", "-o", "jsonl"], &failpoint);
    eventually(DEADLINE, || says(&first, "leads"));
    let second = start("beat");

    let (code, said) = first.ends();
    assert_eq!(code, None, "it was not aborted: {said}");
    let (killed, before) = (Instant::now(), newest(&home));
    eventually(DEADLINE, || says(&second, "leads"));
    let took = killed.elapsed();
    println!("killed at {step}: another beat leads {took:?} later");
    assert!(took < TAKEOVER, "{took:?}");
    eventually(DEADLINE, || newest(&home) >= before + AFTER);
    each_second_was_performed_once(&home, &door, worker, vec![second]);
}

async fn a_leader_is_killed_before_it_publishes(ground: Ground) {
    a_leader_is_killed(&ground, "beat.due");
}

async fn a_leader_is_killed_before_the_confirm(ground: Ground) {
    a_leader_is_killed(&ground, "beat.sent");
}

async fn a_leader_is_killed_after_the_confirm(ground: Ground) {
    a_leader_is_killed(&ground, "beat.confirmed");
}

async fn a_leader_is_killed_when_its_position_is_saved(ground: Ground) {
    a_leader_is_killed(&ground, "beat.saved");
}

async fn a_leader_that_was_stopped_for_five_leases_stands_by_when_it_goes_on(ground: Ground) {
    let home = home(&ground, "1s");
    let start = |role: &str| Role::start(&home, &[role, "-o", "jsonl"]);
    let (door, worker) = (start("gateway"), start("worker"));
    let first = start("beat");
    eventually(DEADLINE, || says(&first, "leads"));
    let second = start("beat");
    eventually(DEADLINE, || says(&second, "stands by"));

    first.send(Signal::SIGSTOP);
    let stopped = newest(&home);
    eventually(DEADLINE, || says(&second, "leads"));
    eventually(DEADLINE, || newest(&home) >= stopped + 5);
    first.send(Signal::SIGCONT);
    eventually(DEADLINE, || says(&first, "stands by"));
    assert!(says(&second, "leads"), "who leads goes on");
    let continued = newest(&home);
    eventually(DEADLINE, || newest(&home) >= continued + AFTER);
    each_second_was_performed_once(&home, &door, worker, vec![first, second]);
}

on_servers!(
    a_leader_is_killed_before_it_publishes,
    a_leader_is_killed_before_the_confirm,
    a_leader_is_killed_after_the_confirm,
    a_leader_is_killed_when_its_position_is_saved,
    a_leader_that_was_stopped_for_five_leases_stands_by_when_it_goes_on,
);
