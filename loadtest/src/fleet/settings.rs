//! The settings of a fleet: where its servers are, and kinds that write the journal and end in each way.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::journal::Journal;
use crate::oracle::Ending;

/// The args of the follow-ups of a `parent`, each of kind `ok`; two are alike.
pub const FOLLOW_UPS: [&str; 3] = ["1", "2", "1"];
/// A time limit for which the broker would not hold a delivery: such tasks run detached.
const LONG: &str = "2h";

/// How tasks end by their kind: those of [`Settings::text`], and that of the program whose handler misbehaves, which
/// kills fewer workers than make it poison unless its row says otherwise.
const ENDINGS: [(&str, Ending); 8] = [
    ("ok", Ending::Done),
    ("retry-once", Ending::Done),
    ("wrong", Ending::Dead(&["handler"])),
    ("killer", Ending::Dead(&["poison"])),
    ("nap", Ending::Done),
    ("slow", Ending::Done),
    ("parent", Ending::Done),
    ("trouble", Ending::Done),
];

/// Where a fleet's tasks and ledger are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    /// In a folder of the fleet.
    Embedded,
    /// On servers.
    Servers {
        /// RabbitMQ.
        broker: String,
        /// Redis.
        store: String,
    },
}

/// What all processes of a fleet agree on.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Sets it apart from other fleets on the same servers.
    pub namespace: String,
    /// Slots of each worker.
    pub slots: usize,
    /// How often a worker renews its claims.
    pub heartbeat: Duration,
    /// How long claims live without.
    pub heartbeat_ttl: Duration,
    /// How long running tasks may go on after SIGTERM.
    pub grace: Duration,
    /// More keys, one `key = value` a line, such as `limits.payload = "2MiB"`.
    pub keys: String,
    /// More tables, such as kinds.
    pub tables: String,
    /// Whether the kinds of `Settings::kinds` are there.
    pub has_kinds: bool,
    /// How tasks of a row's own kinds end, where they are not to be done.
    pub endings: Vec<(&'static str, Ending)>,
    /// Its timetable file, where it has one. All of its schedules put in tasks of kind `ok`.
    pub timetable: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: "chaos".to_owned(),
            slots: 4,
            heartbeat: Duration::from_millis(500),
            heartbeat_ttl: Duration::from_secs(3),
            grace: Duration::from_secs(2),
            keys: String::new(),
            tables: String::new(),
            has_kinds: true,
            endings: Vec::new(),
            timetable: "",
        }
    }
}

impl Settings {
    /// Returns the text of `leveret.toml` for a fleet in `folder`.
    ///
    /// Kinds that end at once are `ok` (done), `retry-once` (done at the second attempt), `wrong` (dead), `parent`
    /// (done, with [`FOLLOW_UPS`]) and `killer` (kills its worker); `nap` takes a fifth of a second and `slow` runs
    /// until the file `go` is in the folder. The same with `long-` before it has a time limit of two hours.
    #[must_use]
    pub fn text(&self, backend: &Backend, folder: &Path, journal: &Journal) -> String {
        let mut text = self.keys_of(backend, folder);
        if self.has_kinds {
            for (name, work) in works(folder) {
                for (name, limit) in [(name.to_owned(), "5m"), (format!("long-{name}"), LONG)] {
                    text.push_str(&kind(&name, limit, &journal.script(&work)));
                }
            }
        }
        text.push_str(&self.tables);
        text
    }

    /// Returns how tasks of a kind have to end; one that nobody knows, done.
    #[must_use]
    pub fn ending_of(&self, kind: &str) -> Ending {
        let kind = kind.strip_prefix("long-").unwrap_or(kind);
        let of = self.endings.iter().chain(&ENDINGS).find(|(name, _)| *name == kind);
        of.map_or(Ending::Done, |(_, ending)| *ending)
    }

    fn keys_of(&self, backend: &Backend, folder: &Path) -> String {
        let mut text = format!("namespace = \"{}\"\n", self.namespace);
        // Infallible: it writes to a string.
        let _ = match backend {
            Backend::Embedded => writeln!(text, "data = \"{}\"", folder.join("data").display()),
            Backend::Servers { broker, store } => {
                writeln!(text, "broker.url = \"{broker}\"\nstore.url = \"{store}\"")
            }
        };
        let millis = |time: Duration| format!("\"{}ms\"", time.as_millis());
        let _ = writeln!(
            text,
            "gateway.listen = \"127.0.0.1:0\"\nworker.listen = \"127.0.0.1:0\"\n\
             beat.listen = \"127.0.0.1:0\"\nworker.slots = {}\nworker.heartbeat = {}\n\
             worker.heartbeat_ttl = {}\nworker.grace = {}\n{}",
            self.slots,
            millis(self.heartbeat),
            millis(self.heartbeat_ttl),
            millis(self.grace),
            self.keys,
        );
        text
    }
}

/// Returns a kind that `script` of bash performs.
#[must_use]
pub fn kind(name: &str, limit: &str, script: &str) -> String {
    format!(
        "[kinds.\"{name}\"]\nexec = [\"bash\", \"-c\", '''{script}''']\ntimeout = \"{limit}\"\n\
         retry = {{ backoff = \"fixed\", delay = \"300ms\", jitter = \"none\", max_attempts = 4 }}\n"
    )
}

/// Returns where it is told to a `slow` task that it may end.
#[must_use]
pub fn go(folder: &Path) -> PathBuf {
    folder.join("go")
}

fn works(folder: &Path) -> [(&'static str, String); 7] {
    // Later than whatever kills their parent's worker: its neighbours may run twice.
    let line =
        |args| format!(r#"echo "{{\"kind\": \"ok\", \"args\": {args}, \"delay\": \"1s\"}}""#);
    let lines = FOLLOW_UPS.map(line).join("; ");
    [
        ("ok", "true".to_owned()),
        ("retry-once", "[ $LEVERET_ATTEMPT != 1 ]".to_owned()),
        ("wrong", "exit 65".to_owned()),
        ("killer", "kill -9 $PPID".to_owned()),
        ("nap", "sleep 0.2".to_owned()),
        ("slow", format!("while [ ! -e {} ]; do sleep 0.05; done", go(folder).display())),
        ("parent", format!("{{ {lines}; }} > $LEVERET_FOLLOW_UPS")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_says_how_its_tasks_end_and_a_rows_own_word_counts_first() {
        let mut settings = Settings::default();
        for (name, _) in works(Path::new("/tmp/nowhere")) {
            assert!(ENDINGS.iter().any(|(kind, _)| *kind == name), "{name}");
        }
        assert_eq!(settings.ending_of("long-wrong"), Ending::Dead(&["handler"]));
        assert_eq!(settings.ending_of("a-rows-own"), Ending::Done);
        settings.endings = vec![("a-rows-own", Ending::Either), ("ok", Ending::Dead(&["rule"]))];
        assert_eq!(settings.ending_of("a-rows-own"), Ending::Either);
        assert_eq!(settings.ending_of("ok"), Ending::Dead(&["rule"]));
    }

    #[test]
    fn a_key_comes_before_the_first_table() {
        let folder = Path::new("/tmp/nowhere");
        let settings = Settings {
            keys: "limits.payload = \"2MiB\"".to_owned(),
            tables: kind("own", "1s", "true"),
            ..Settings::default()
        };
        let backend =
            Backend::Servers { broker: "amqp://b".to_owned(), store: "redis://s".to_owned() };
        let text = settings.text(&backend, folder, &Journal::in_folder(folder));
        let (keys, tables) = text.split_once("[kinds").unwrap();
        assert!(keys.contains("limits.payload") && keys.contains("amqp://b"), "{keys}");
        assert!(!tables.contains("\nworker."), "{tables}");
        assert!(tables.contains("[kinds.\"own\"]") && tables.contains("long-parent"), "{tables}");
    }
}
