//! A relay with the least that it needs at all three of its servers: the shipped users of broker and
//! store, and the role that `docs/outbox.md` makes in the database.

use nix::sys::signal::Signal;

use super::users::Users;
use super::{DEADLINE, ends};
use crate::doors::pages;
use crate::home::Home;
use crate::outbox::database::Database;
use crate::role::{Role, eventually};

/// An outbox in PostgreSQL, and the role that may serve it; both gone when it is dropped.
pub(super) struct Outbox {
    database: Database,
    relay: String,
    app: String,
}

impl Outbox {
    /// Makes one; nothing where there is no PostgreSQL.
    pub(super) fn make() -> Option<Self> {
        let database = Database::fresh()?;
        // Roles are the server's, not the database's.
        let own = |role: &str| format!("{role}_{}", database.url().rsplit_once('/').unwrap().1);
        let outbox = Self { relay: own("shop_relay"), app: own("shop_app"), database };
        outbox.database.sql(&pages::OUTBOX.program("tables.sql"));
        let roles = pages::OUTBOX.program("roles.sql").replace("shop_relay", &outbox.relay);
        outbox.database.sql(&roles.replace("shop_app", &outbox.app));
        Some(outbox)
    }

    /// Starts a relay of it.
    pub(super) fn start<'h>(&self, home: &'h Home, users: &Users) -> Role<'h> {
        let url = self.database.url().replace("leveret@", &format!("{}@", self.relay));
        let login = users.login("relay");
        let mut words = vec!["relay", "-o", "jsonl", "--outbox-url", &url];
        words.extend(login.iter().map(String::as_str));
        Role::start(home, &words)
    }

    fn commit(&self, kind: &str, options: &str) {
        self.database.sql(&format!("select leveret_enqueue('{kind}', '{{}}', '{options}')"));
    }

    /// Has rows of each sort handed on, and one that waits for a worker to make its queue.
    pub(super) fn is_handed_on(&self, relay: &Role<'_>, gateway: &Role<'_>) {
        eventually(DEADLINE, || relay.status_of("/readyz") == Some(200));
        self.commit("demo.ok", r#"{"id": "committed", "queue": "mail"}"#);
        self.commit("demo.ok", r#"{"id": "committed-later", "delay": "700ms"}"#);
        ends(gateway, "committed", "done");
        ends(gateway, "committed-later", "done");
        self.database.becomes("true", 0);
        // Recognised by its record.
        self.commit("demo.ok", r#"{"id": "committed", "queue": "mail"}"#);
        let is_repeated = || {
            let (_, metrics) = relay.get("/metrics").unwrap();
            metrics.contains("leveret_outbox_rows_total{outcome=\"repeated\"} 1")
        };
        eventually(DEADLINE, is_repeated);
        self.database.becomes("true", 0);
        self.commit("demo.ok", r#"{"queue": "post"}"#);
        let waits = "refused_at is null and tries > 0 and problem like '%a worker that serves it%'";
        self.database.becomes(waits, 1);
    }

    /// Ends a relay, which drains first.
    pub(super) fn is_left(&self, mut relay: Role<'_>) {
        relay.send(Signal::SIGTERM);
        relay.says("SIGTERM: draining");
        let (code, said) = relay.ends();
        assert_eq!(code, Some(0), "{said}");
        // But for the queue that it was not to make.
        let mut refused = said.lines().filter(|line| line.contains("ACCESS_REFUSED"));
        assert!(refused.all(|line| line.contains(".dead.post")), "{said}");
        assert!(!said.contains("NOPERM"), "{said}");
        assert_eq!(self.database.rows("problem is not null"), 1);
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let Self { app, relay, database } = self;
        let sql = format!("drop owned by {app}, {relay}; drop role {app}, {relay}");
        database.tries(&sql);
    }
}
