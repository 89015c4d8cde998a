//! The first signal drains, the second ends at once.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::home::Home;
use crate::role::{Role, eventually};

/// Starts a task that runs until the test frees it, and waits until it runs.
fn hold(dev: &Role<'_>, home: &Home, id: &str) {
    dev.ask(&["task", "enqueue", "test.held", "--id", id, "--args", "null"]).succeeds();
    eventually(Duration::from_secs(20), || home.path().join("runs").exists());
}

/// Makes a folder with a kind that tells by a file that it runs, and ends when another file is
/// there.
fn busy() -> Home {
    let home = Home::new();
    let folder = home.path().display();
    let script =
        format!("touch {folder}/runs; while ! [ -e {folder}/free ]; do sleep 0.02; done; echo 1");
    let config = format!("[kinds.\"test.held\"]\nexec = [\"sh\", \"-c\", \"{script}\"]\n");
    home.write("leveret.toml", &config);
    home
}

#[test]
fn sigterm_lets_a_running_task_finish_and_ends_with_zero() {
    let home = busy();
    let mut dev = Role::dev(&home);
    hold(&dev, &home, "held");
    dev.send(Signal::SIGTERM);
    dev.says("SIGTERM: draining");
    dev.says("worker drains");
    home.write("free", "");
    let (code, said) = dev.ends();
    assert_eq!(code, Some(0), "{said}");
    let dev = Role::dev(&home);
    let task: Value = dev.ask(&["task", "show", "held", "-o", "json"]).json();
    assert_eq!((task["state"].as_str(), task["attempt"].as_u64()), (Some("done"), Some(1)));
}

#[test]
fn a_second_sigint_ends_at_once_and_the_task_runs_again_after_a_restart() {
    let home = busy();
    let mut dev = Role::dev(&home);
    hold(&dev, &home, "held");
    dev.send(Signal::SIGINT);
    dev.says("SIGINT: draining; a second signal ends at once");
    dev.send(Signal::SIGINT);
    let (code, said) = dev.ends();
    assert_eq!(code, Some(130), "{said}");
    assert!(said.contains("ended at once by a second SIGINT"), "{said}");
    home.write("free", "");
    let dev = Role::dev(&home);
    let task = dev.ask(&["task", "wait", "held", "--timeout", "20s", "-o", "json"]);
    assert_eq!(task.succeeds().json()["state"], "done");
}

#[test]
fn an_idle_dev_ends_with_zero_on_either_signal() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let home = Home::new();
        let dev = Role::dev(&home);
        dev.send(signal);
        let (code, said) = dev.ends();
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_client_that_waits_does_not_hold_up_the_end() {
    let home = Home::new();
    let dev = Role::dev(&home);
    dev.ask(&["task", "enqueue", "demo.echo", "--id", "late", "--delay", "1h"]).succeeds();
    let mut stream = TcpStream::connect(dev.url.strip_prefix("http://").unwrap()).unwrap();
    // Sent together: once the first is answered, the connection is at the second.
    let both = "GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n\
                GET /v1/tasks/late?wait=60s HTTP/1.1\r\nHost: localhost\r\n\r\n";
    stream.write_all(both.as_bytes()).unwrap();
    stream.read_exact(&mut [0; 12]).unwrap();
    dev.send(Signal::SIGTERM);
    let began = Instant::now();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("\"state\":\"delayed\""), "{answer}");
    let (code, said) = dev.ends();
    assert_eq!(code, Some(0), "{said}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
