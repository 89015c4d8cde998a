//! The outbox of other people's applications: real PostgreSQL and SQLite, the real relay, and their
//! own clients (`psql`, `sqlite3`, Python), which need nothing of ours but SQL.

pub(crate) mod database;
mod kills;
mod page;
mod postgres;

use std::process::{Command, Stdio};
use std::time::Duration;

use leveret_common::name::Namespace;
use leveret_common::testkit::services::fresh_namespace;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// Longer than anything here takes, and shorter than the poll of a relay that is to be woken.
const DEADLINE: Duration = Duration::from_secs(45);
/// So rarely does a relay look by itself that only being woken explains why it is done in time.
const NEVER: &str = "60s";

/// A folder whose configuration names the servers, and the outbox for relays.
struct Scene {
    home: Home,
    outbox: String,
}

impl Scene {
    fn new(ground: &Ground, outbox: &str, more: &str) -> Self {
        let namespace: Namespace = fresh_namespace();
        let doors = "worker.listen = \"127.0.0.1:0\"\ngateway.listen = \"127.0.0.1:0\"\n\
                     relay.listen = \"127.0.0.1:0\"\n";
        let settings = format!("{}{doors}{more}", ground.settings(&namespace));
        Self { home: Home::with(&settings), outbox: outbox.to_owned() }
    }

    /// Has `sqlite3` perform statements on a file of the folder, and returns what they print.
    #[track_caller]
    fn sqlite(&self, file: &str, sql: &str) -> String {
        self.home.write("statements.sql", sql);
        let statements = std::fs::File::open(self.home.path().join("statements.sql")).unwrap();
        let mut command = Command::new("sqlite3");
        command.args(["-cmd", ".timeout 10000", "-bail", file]).current_dir(self.home.path());
        let done = command.stdin(Stdio::from(statements)).output().unwrap();
        assert!(done.status.success() && done.stderr.is_empty(), "{sql}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    /// Starts a relay that is aborted at `failpoints`, which looks by itself each `poll`.
    fn relay(&self, poll: &str, failpoints: &str) -> Role<'_> {
        let arguments =
            ["relay", "-o", "jsonl", "--outbox-url", &self.outbox, "--relay-poll", poll];
        Role::start_with(&self.home, &arguments, failpoints)
    }
}

/// Sums what a relay counted of rows with this outcome.
fn counted(relay: &Role<'_>, outcome: &str) -> u64 {
    let Some((200, metrics)) = relay.get("/metrics") else { return 0 };
    let begins = format!("leveret_outbox_rows_total{{outcome=\"{outcome}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&begins)?.parse().ok()).unwrap_or(0)
}

/// Waits until a relay has handed on so many rows.
fn hands_on(relay: &Role<'_>, rows: u64) {
    eventually(DEADLINE, || counted(relay, "sent") == rows);
}
