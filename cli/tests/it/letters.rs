//! A folder with kinds whose programs are broken until a test mends them, and the dead letters that
//! come of it.

use std::time::Duration;

use leveret_common::testkit::services::fresh_namespace;
use serde_json::Value;

use crate::ground::Ground;
use crate::home::{Home, Left};
use crate::role::{Role, eventually};

/// Longer than anything here takes; a walk may have to wait for a dead walker's lease.
pub(crate) const DEADLINE: Duration = Duration::from_secs(90);

/// A folder with two kinds on `ground`: `mail.send` in queue `mail` and `file.scan` in queue `files`.
/// Both are dead at once, each with a message of its own; a run that succeeds writes its task's id
/// into `sent` or `scanned`.
pub(crate) fn broken(ground: &Ground) -> Home {
    let home = Home::new();
    let folder = home.path().display();
    let kind = |name: &str, queue: &str, script: &str| {
        format!("[kinds.\"{name}\"]\nexec = [\"sh\", \"{folder}/{script}\"]\nqueue = \"{queue}\"\n")
    };
    home.write("send", "echo the template is missing >&2; exit 65\n");
    home.write("scan", "echo no such disk >&2; exit 65\n");
    let settings = ground.settings(&fresh_namespace());
    let kinds = kind("mail.send", "mail", "send") + &kind("file.scan", "files", "scan");
    home.write("leveret.toml", &format!("{settings}{kinds}"));
    home
}

/// Mends the program of `mail.send`.
pub(crate) fn mend(home: &Home) {
    home.write("send", &format!("echo $LEVERET_TASK_ID >> {}/sent; cat\n", home.path().display()));
}

/// Enqueues a task by its own id.
pub(crate) fn enqueue(dev: &Role<'_>, kind: &str, id: &str) {
    let args = format!("{{\"to\":\"{id}@example.com\"}}");
    dev.ask(&["task", "enqueue", kind, "--id", id, "--args", &args]).succeeds();
}

/// Waits until so many letters are listed that match, and returns them.
pub(crate) fn listed(dev: &Role<'_>, filter: &str, number: usize) -> Vec<Value> {
    let list = || dev.ask(&["dead", "list", "--filter", filter, "--limit", "1000", "-o", "jsonl"]);
    eventually(DEADLINE, || list().succeeds().lines().len() == number);
    list().lines()
}

/// Waits for a task's end and returns its state.
pub(crate) fn ended(dev: &Role<'_>, id: &str) -> String {
    let left = dev.ask(&["task", "wait", id, "--timeout", "60s", "-o", "json"]);
    left.json()["state"].as_str().unwrap().to_owned()
}

/// Runs a verb again until it succeeds: the lease of a walker that was killed has to end first.
pub(crate) fn insist(dev: &Role<'_>, arguments: &[&str]) -> Left {
    let mut left = dev.ask(arguments);
    eventually(DEADLINE, || {
        let is_done = left.code == 0;
        if !is_done {
            assert!(left.stderr.contains("somebody else"), "{left:?}");
            left = dev.ask(arguments);
        }
        is_done
    });
    left
}
