//! The AMQP door, from clients that other people wrote: real programs of other languages against a
//! real fleet.
//!
//! The programs are those of `docs/amqp.md` and `docs/celery.md` as they stand there, and a few of
//! our own in `clients/`. Python and Node packages come from their registries into the target
//! folder, once; without them these tests skip aloud, and fail where `CI=true`.

mod amqp;
mod celery;
pub(crate) mod clients;
pub(crate) mod pages;
mod typed;

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use leveret_common::name::Namespace;
use leveret_common::testkit::services::fresh_namespace;
use serde_json::Value;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(90);
/// What the pages write where a reader has servers.
pub(crate) const BROKER: &str = "amqp://guest:guest@127.0.0.1:5672";
pub(crate) const STORE: &str = "redis://127.0.0.1:6379/0";

/// A folder with programs and settings that reach the test's servers.
struct Door {
    home: Home,
    broker: String,
    store: String,
    namespace: Namespace,
}

impl Door {
    /// Makes the folder; `settings` and all programs are written as on a page.
    fn open(ground: &Ground, settings: &str) -> Self {
        let Ground::Servers { broker, store } = ground else {
            panic!("other languages come in through RabbitMQ");
        };
        let (broker, store) = (broker.url.clone(), store.clone());
        let door = Self { home: Home::new(), broker, store, namespace: fresh_namespace() };
        let own = "worker.listen = \"127.0.0.1:0\"\ngateway.listen = \"127.0.0.1:0\"\n";
        let settings = format!("namespace = \"{}\"\n{own}{settings}", door.namespace);
        door.write("leveret.toml", &settings);
        door
    }

    /// Writes a program of a page into the folder, for the test's servers.
    fn write(&self, name: &str, text: &str) {
        self.write_for(&self.broker, name, text);
    }

    /// The same, with another way to the broker.
    fn write_for(&self, broker: &str, name: &str, text: &str) {
        let here = text
            .replace(BROKER, broker)
            .replace(STORE, &self.store)
            .replace("leveret.enqueue", &format!("{}.enqueue", self.namespace));
        self.home.write(name, &here);
    }

    /// Runs a program of the folder to its end and returns what it printed.
    #[track_caller]
    fn run(&self, interpreter: &clients::Interpreter, name: &str) -> String {
        let mut command = Command::new(&interpreter.program);
        command.arg(name).current_dir(self.home.path()).envs(interpreter.variables.clone());
        let output = command.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {told}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Starts everything in one process, and waits until it takes tasks.
    fn dev(&self) -> Role<'_> {
        let dev = Role::dev(&self.home);
        eventually(DEADLINE, || dev.status_of("/readyz") == Some(200));
        dev
    }
}

/// Waits for a task's end and returns what is known of it.
fn over(dev: &Role<'_>, id: &str) -> Value {
    let mut last = Value::Null;
    eventually(DEADLINE, || {
        // Nobody knows it before a worker has had it.
        let left = dev.ask(&["task", "wait", id, "--timeout", "10s", "-o", "json"]);
        last = serde_json::from_str(&left.stdout).unwrap_or_default();
        let state = last["state"].as_str().unwrap_or_default();
        ["done", "dead", "cancelled", "expired"].contains(&state)
    });
    last
}

/// Waits for a dead letter of this id, and returns it.
fn letter(dev: &Role<'_>, id: &str) -> Value {
    let mut shown = Value::Null;
    eventually(DEADLINE, || {
        let left = dev.ask(&["dead", "show", id, "-o", "json"]);
        shown = serde_json::from_str(&left.stdout).unwrap_or_default();
        left.code == 0
    });
    shown
}

/// Where the packages of other languages are kept.
fn cache() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients")
}
