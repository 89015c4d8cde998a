//! One task: enqueue, show, wait, and how each of its ends is told.

use serde_json::{Value, json};

use crate::home::Home;
use crate::role::Role;

#[test]
fn an_echo_is_enqueued_by_the_command_and_done_with_its_result() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let accepted = dev.ask(&[
        "task",
        "enqueue",
        "demo.echo",
        "--args",
        r#"{"hello": "world"}"#,
        "--tag",
        "tenant=42",
        "-o",
        "json",
    ]);
    let accepted = accepted.succeeds().json();
    assert_eq!(accepted["state"], "queued");
    let id = accepted["id"].as_str().unwrap();
    let ended = dev.ask(&["task", "wait", id, "--timeout", "20s", "-o", "jsonl"]);
    let ended = ended.succeeds().json();
    assert_eq!((&ended["state"], &ended["result"]), (&json!("done"), &json!({"hello": "world"})));
    let shown = dev.ask(&["task", "show", id, "-o", "json"]).json();
    assert_eq!(shown["tags"], json!({"tenant": "42"}));
    let table = dev.ask(&["task", "show", id]);
    assert!(table.succeeds().stdout.contains("state        done"), "{}", table.stdout);
    assert!(table.stdout.contains("ATTEMPT"), "{}", table.stdout);
    assert!(!table.stdout.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn a_program_performs_a_task_over_a_file() {
    let home = Home::with(
        "[kinds.\"text.words\"]\nexec = [\"wc\", \"-w\"]\nqueue = \"files\"\nclass = \"low\"\n",
    );
    home.write("args.json", "\"one two three\"\n");
    let dev = Role::dev(&home);
    let from_file = dev.ask(&[
        "task",
        "enqueue",
        "text.words",
        "--args-file",
        "args.json",
        "--wait",
        "20s",
        "-o",
        "json",
    ]);
    let task = from_file.succeeds().json();
    assert_eq!((&task["state"], &task["result"]), (&json!("done"), &json!(3)));
    assert_eq!((&task["queue"], &task["class"]), (&json!("files"), &json!("low")));
    let text = std::fs::read_to_string("/etc/passwd").unwrap();
    let from_stdin = dev.feed(
        &serde_json::to_string(&text).unwrap(),
        &["task", "enqueue", "text.words", "-", "--wait", "20s", "-o", "json"],
    );
    let words = from_stdin.succeeds().json()["result"].as_u64().unwrap();
    // The JSON text is one line, so that some words of neighbouring lines are joined.
    assert!(words > 0 && words <= text.split_whitespace().count() as u64, "{words}");
}

#[test]
fn a_failing_program_is_retried_with_growing_delays_and_then_dead_with_its_error() {
    let home = Home::with(
        "[kinds.\"text.fail\"]\nexec = [\"sh\", \"-c\", \"echo no such book >&2; exit 3\"]\n\
         retry = { backoff = \"exponential\", base = \"100ms\", factor = 2, jitter = \"none\", \
         max_attempts = 4 }\n",
    );
    let dev = Role::dev(&home);
    let left = dev.ask(&["task", "enqueue", "text.fail", "--wait", "20s", "-o", "json"]);
    left.fails(6, &["is dead (attempts-exhausted)", "exit-3", "no such book"]);
    let task = left.json();
    let waited = dev.ask(&["task", "wait", task["id"].as_str().unwrap()]);
    waited.fails(6, &["is dead (attempts-exhausted)", "no such book"]);
    assert_eq!((&task["state"], &task["attempt"]), (&json!("dead"), &json!(4)));
    assert_eq!(task["error"]["class"], "exit-3");
    let history = task["history"].as_array().unwrap();
    let outcomes: Vec<_> =
        history.iter().map(|attempt| attempt["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["retry", "retry", "retry", "dead"]);
    let mut planned = Vec::new();
    for pair in history.windows(2) {
        planned.push(millis(&pair[0], "next_at") - millis(&pair[0], "ended_at"));
        let early = millis(&pair[0], "next_at") - millis(&pair[1], "started_at");
        assert!(early <= 0, "{early} ms early: {task}");
    }
    for (wait, delay) in planned.iter().zip([100, 200, 400]) {
        // An end is noted a moment after its outcome is decided, later on a busy machine.
        assert!((delay - 80..=delay).contains(wait), "{planned:?}");
    }
}

#[test]
fn a_wait_that_is_too_short_says_so_and_the_task_goes_on() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let enqueued = ["task", "enqueue", "demo.echo", "--id", "late", "--delay", "1h"];
    dev.ask(&enqueued).succeeds();
    let left = dev.ask(&["task", "wait", "late", "--timeout", "20ms"]);
    left.fails(8, &["task late is still delayed after 20ms", "leveret task show late"]);
    let shown = dev.ask(&["task", "show", "late", "-o", "json"]);
    assert_eq!(shown.succeeds().json()["state"], "delayed");
}

#[test]
fn a_task_that_nobody_knows_is_told_apart() {
    let home = Home::new();
    let dev = Role::dev(&home);
    for command in ["show", "wait"] {
        let left = dev.ask(&["task", command, "no-such-task"]);
        left.fails(5, &["nobody knows task", "unknown-task"]);
    }
}

#[test]
fn the_same_key_is_the_same_task_and_other_args_are_a_conflict() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let enqueue = |args| {
        dev.ask(&["task", "enqueue", "demo.echo", "--key", "k", "--args", args, "-o", "json"])
    };
    let first = enqueue("1").succeeds().json();
    let second = enqueue("1").succeeds().json();
    assert_eq!((&second["id"], &second["repeated"]), (&first["id"], &json!(true)));
    enqueue("2").fails(7, &["the key was used before", "409 key-conflict"]);
}

/// Returns a time of an attempt in ms within its day; the test does not run over midnight's edge
/// with a chance worth a calendar.
fn millis(attempt: &Value, name: &str) -> i64 {
    let text = attempt[name].as_str().unwrap();
    let (_, clock) = text.trim_end_matches('Z').split_once('T').unwrap();
    let (hms, ms) = clock.split_once('.').unwrap();
    let seconds = hms.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    seconds * 1_000 + ms.parse::<i64>().unwrap()
}
