//! A program with handlers of its own, in the roles and with the commands of `leveret`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use leveret_common::testkit::services;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// The binary of `tests/programs/shop.rs`.
const SHOP: &str = env!("CARGO_BIN_EXE_leveret-test-program");
const DEADLINE: Duration = Duration::from_secs(20);
const WELCOME: [&str; 6] =
    ["task", "enqueue", "email.welcome", "--args", "{\"user_id\":7}", "--id"];
const WORDS: &str = "[kinds.\"text.words\"]\nexec = [\"wc\", \"-w\"]\nqueue = \"files\"\n";

/// A child process; killed when dropped.
struct Child(std::process::Child);

impl Drop for Child {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn shop(config: &str) -> Home {
    Home::with(config).of(SHOP)
}

#[test]
fn dev_performs_a_programs_handlers_beside_the_kinds_of_its_configuration() {
    let home = shop(WORDS);
    let dev = Role::dev(&home);
    let kinds = json!(["demo.echo", "email.welcome", "order.pack", "stock.count", "text.words"]);
    assert_eq!(dev.started["kinds"], kinds);
    let queues = json!(["default", "files", "mail", "orders", "stock"]);
    assert_eq!(dev.started["queues"], queues);

    let task = dev.ask(&[&WELCOME[..], &["a", "--wait=20s", "-o", "json"]].concat());
    let task = task.succeeds().json();
    assert_eq!(task["result"], "hello, 7");
    // Where the type says, though the sender knew the name alone.
    assert_eq!((&task["queue"], &task["class"]), (&json!("mail"), &json!("high")));
    let old = ["task", "enqueue", "mail.welcome", "--args", "{\"user_id\":8}", "--wait=20s"];
    let task = dev.ask(&[&old[..], &["-o", "json"]].concat()).succeeds().json();
    assert_eq!((&task["result"], &task["queue"]), (&json!("hello, 8"), &json!("mail")));
    let words =
        ["task", "enqueue", "text.words", "--args", "\"a b c\"", "--wait=20s", "-o", "json"];
    assert_eq!(dev.ask(&words).succeeds().json()["result"], 3);
}

#[test]
fn a_schedule_that_a_program_declares_is_performed() {
    let home = shop("");
    let dev = Role::dev(&home);
    eventually(DEADLINE, || home.has("counted"));
    let schedules = dev.ask(&["schedule", "list", "-o", "jsonl"]);
    let schedules = schedules.succeeds().lines();
    assert_eq!(schedules.len(), 1, "{schedules:?}");
    assert_eq!(schedules[0]["name"], "stock.often");
}

#[test]
fn args_that_do_not_fit_the_type_of_a_handler_are_refused_by_the_gateway_with_the_place() {
    let home = shop("");
    let dev = Role::dev(&home);
    for kind in ["email.welcome", "mail.welcome"] {
        let left = dev.ask(&["task", "enqueue", kind, "--args", "{\"user_id\":0}"]);
        left.fails(7, &["args/user_id", "minimum of 1"]);
    }
}

#[test]
fn sigterm_lets_a_programs_handler_finish_and_ends_with_zero() {
    let home = shop("");
    let mut dev = Role::dev(&home);
    let pack = ["task", "enqueue", "order.pack", "--args", "{\"order\":5}", "--id", "five"];
    dev.ask(&pack).succeeds();
    eventually(DEADLINE, || home.has("runs"));
    dev.send(Signal::SIGTERM);
    dev.says("SIGTERM: draining");
    dev.says("worker drains");
    home.write("free", "");
    let (code, said) = dev.ends();
    assert_eq!(code, Some(0), "{said}");
    let dev = Role::dev(&home);
    let task = dev.ask(&["task", "show", "five", "-o", "json"]).succeeds().json();
    assert_eq!((&task["result"], &task["attempt"]), (&json!(5), &json!(1)));
}

#[test]
fn kinds_that_program_and_configuration_both_perform_are_refused_all_at_once() {
    let exec = |kind: &str| format!("[kinds.\"{kind}\"]\nexec = [\"true\"]\n");
    let home = shop(&(exec("mail.welcome") + &exec("order.pack") + &exec("text.words")));
    let told = ["both perform mail.welcome, order.pack;", "[kinds.\"mail.welcome\"]"];
    home.run(&["dev", "--listen", "127.0.0.1:0"]).fails(3, &told);
    home.run(&["alone"]).fails(3, &told);
}

#[test]
fn a_program_without_a_command_line_is_a_whole_dev_until_it_is_told_to_stop() {
    let home = shop("gateway.listen = \"127.0.0.1:0\"\n");
    let mut child = Child(
        home.command(&["alone"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
    );
    let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let url = lines.find_map(|line| Some(line.strip_prefix("gateway")?.trim().to_owned()));
    let url = url.unwrap();
    let left = home.run(&[&WELCOME[..], &["a", "--wait=20s", "--gateway-url", &url]].concat());
    assert!(left.succeeds().stdout.contains("hello, 7"), "{}", left.stdout);
    kill(Pid::from_raw(i32::try_from(child.0.id()).unwrap()), Signal::SIGINT).unwrap();
    assert!(child.0.wait().unwrap().success());
}

#[test]
fn the_command_line_goes_by_the_programs_name() {
    let home = shop("");
    let help = home.run(&["--help"]);
    assert!(help.succeeds().stdout.contains("Usage: leveret-test-program"), "{}", help.stdout);
    let version = home.run(&["--version"]);
    let expected = format!("leveret-test-program with Leveret {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(version.succeeds().stdout, expected);
    home.run(&["wroker"]).fails(2, &["'wroker'"]);
    home.run(&["worker"]).fails(3, &["broker.url"]);
}

async fn a_program_is_a_worker_of_the_fleet(ground: Ground) {
    let config = ground.settings(&services::fresh_namespace());
    let home = shop(&format!("{config}worker.listen = \"127.0.0.1:0\"\n"));
    let worker = Role::start(&home, &["worker", "-o", "jsonl"]);
    assert_eq!(worker.started["queues"], json!(["default", "mail", "orders", "stock"]));
    eventually(DEADLINE, || worker.status_of("/readyz") == Some(200));
    let gateway = Role::start(&home, &["gateway", "--listen", "127.0.0.1:0", "-o", "jsonl"]);
    let task = gateway.ask(&[&WELCOME[..], &["a", "--wait=20s", "-o", "json"]].concat());
    assert_eq!(task.succeeds().json()["result"], "hello, 7");
    worker.send(Signal::SIGTERM);
    let (code, said) = worker.ends();
    assert_eq!(code, Some(0), "{said}");
}

on_servers!(a_program_is_a_worker_of_the_fleet);
