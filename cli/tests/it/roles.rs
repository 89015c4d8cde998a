//! `leveret dev` as a person meets it first, and the roles that need servers.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::home::Home;
use crate::role::{Role, eventually};

#[test]
fn dev_is_ready_within_two_seconds_of_its_start_and_needs_no_configuration() {
    let home = Home::new();
    let began = Instant::now();
    let dev = Role::dev(&home);
    eventually(Duration::from_secs(20), || dev.status_of("/readyz") == Some(200));
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!(dev.status_of("/livez"), Some(200));
    assert_eq!(dev.status_of("/metrics"), Some(200));
    assert_eq!(dev.started["kinds"], json!(["demo.echo"]));
    assert_eq!(dev.started["queues"], json!(["default"]));
    assert_eq!(dev.started["data"], "leveret-data");
    assert!(home.path().join("leveret-data/leveret.db").exists());
}

#[test]
fn the_commands_that_dev_prints_work_as_they_are() {
    let home = Home::new();
    let mut command = home.command(&["dev", "--listen", "127.0.0.1:0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = String::new();
    let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
    while !printed.contains("Ctrl-C") {
        assert!(std::io::BufRead::read_line(&mut reader, &mut printed).unwrap() > 0, "{printed}");
    }
    let run = |line: &str| {
        let output = Command::new("sh").args(["-c", line]).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let curls: Vec<_> =
        printed.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    let answers: Vec<_> = curls.iter().map(|line| run(line)).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(answers.len(), 2, "{printed}");
    assert_eq!(answers[0]["state"], "queued");
    assert_eq!(answers[1]["state"], "done");
    assert_eq!(answers[1]["result"], json!({"hello": "world"}));
}

#[test]
fn dev_serves_every_queue_that_a_kind_names_and_no_other_role_starts_without_servers() {
    let home = Home::with(
        "worker.queues = [\"mail\"]\n[kinds.\"text.words\"]\nexec = [\"wc\", \"-w\"]\nqueue = \"files\"\n",
    );
    let dev = Role::dev(&home);
    assert_eq!(dev.started["kinds"], json!(["demo.echo", "text.words"]));
    assert_eq!(dev.started["queues"], json!(["mail", "files", "default"]));
    for role in ["worker", "gateway"] {
        let left = home.run(&[role]);
        left.fails(3, &["embedded backend belongs to one process", "broker.url", "leveret dev"]);
    }
}

#[test]
fn a_task_survives_the_kill_of_dev() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let accepted =
        dev.ask(&["task", "enqueue", "demo.echo", "--args", "7", "--id", "later", "--delay", "1s"]);
    accepted.succeeds();
    drop(dev);
    let dev = Role::dev(&home);
    let task = dev.ask(&["task", "wait", "later", "-o", "json"]);
    assert_eq!(task.succeeds().json()["result"], 7);
}
