//! The timetable as people use it: explained and planned, kept by `dev` and by beats of their own.

mod beats;
mod killed;
mod local;
mod stories;

use std::time::Duration;

use leveret_common::testkit::services::fresh_namespace;
use serde_json::Value;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// How long anything may take before the test fails; far above what it takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Makes a folder with a kind that answers with its args, and this timetable file.
fn home(ground: &Ground, timetable: &str) -> Home {
    let home = Home::with(&format!(
        "{}gateway.listen = \"127.0.0.1:0\"\nworker.listen = \"127.0.0.1:0\"\n\
         beat.listen = \"127.0.0.1:0\"\n\
         [kinds.\"note.take\"]\nexec = [\"cat\"]\n",
        ground.settings(&fresh_namespace())
    ));
    if !timetable.is_empty() {
        home.write("schedules.toml", timetable);
    }
    home
}

/// The processes: `dev` alone, or one of each role.
struct Stage<'h> {
    door: Role<'h>,
    /// A beat of its own; none where `dev` has it.
    beat: Option<Role<'h>>,
    _worker: Option<Role<'h>>,
}

impl<'h> Stage<'h> {
    fn set(home: &'h Home, ground: &Ground) -> Self {
        let start = |role: &str| Role::start(home, &[role, "-o", "jsonl"]);
        match ground {
            Ground::Embedded => Self { door: start("dev"), beat: None, _worker: None },
            Ground::Servers { .. } => {
                let (door, worker) = (start("gateway"), start("worker"));
                Self { door, beat: Some(start("beat")), _worker: Some(worker) }
            }
        }
    }

    /// Returns the process that keeps the timetable.
    fn keeper(&mut self) -> &mut Role<'h> {
        self.beat.as_mut().unwrap_or(&mut self.door)
    }
}

/// Asks for a schedule, with its last occurrences.
fn show(door: &Role<'_>, name: &str) -> Value {
    door.ask(&["schedule", "show", name, "-o", "json"]).succeeds().json()
}

/// Returns the names of all schedules.
fn names(door: &Role<'_>) -> Vec<String> {
    let listed = door.ask(&["schedule", "list", "-o", "json"]).succeeds().json();
    let name = |schedule: &Value| schedule["name"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(name).collect()
}

/// Returns the occurrences of a schedule whose tasks are done.
fn done(door: &Role<'_>, name: &str) -> Vec<Value> {
    let shown = show(door, name);
    let occurrences = shown["occurrences"].as_array().unwrap();
    occurrences.iter().filter(|one| one["state"] == "done").cloned().collect()
}

/// Waits until tasks of a schedule are done that were due after `after`.
fn fires(door: &Role<'_>, name: &str, after: &str, least: usize) {
    eventually(DEADLINE, || {
        let done = done(door, name);
        done.iter().filter(|one| one["due"].as_str().unwrap() > after).count() >= least
    });
}

/// Returns when the newest occurrence was due.
fn newest(door: &Role<'_>, name: &str) -> String {
    show(door, name)["occurrences"][0]["due"].as_str().unwrap_or_default().to_owned()
}
