//! What service managers and health checks are told of a role: `sd_notify(3)` and `leveret probe`.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::ground::Ground;
use crate::home::Home;
use crate::role::{Role, eventually};

/// How long anything may take before the test fails; far above what it takes.
const DEADLINE: Duration = Duration::from_secs(30);
/// What the watchdog allows, in µs; pings come twice as often.
const ALLOWED: &str = "200000";
/// Many times what the watchdog allows.
const SILENCE: Duration = Duration::from_secs(2);

/// A service manager's socket.
struct Manager {
    socket: UnixDatagram,
    path: String,
}

impl Manager {
    fn listen(home: &Home) -> Self {
        let path = home.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        Self { socket, path }
    }

    fn variables(&self) -> [(&'static str, &str); 2] {
        [("NOTIFY_SOCKET", &self.path), ("WATCHDOG_USEC", ALLOWED)]
    }

    /// Returns the next message, or nothing where none comes for so long.
    fn hears_within(&self, patience: Duration) -> Option<String> {
        let (began, mut bytes) = (Instant::now(), [0; 4096]);
        loop {
            let left = patience.checked_sub(began.elapsed()).filter(|left| !left.is_zero())?;
            self.socket.set_read_timeout(Some(left)).unwrap();
            match self.socket.recv(&mut bytes) {
                Ok(length) => return Some(String::from_utf8(bytes[..length].to_vec()).unwrap()),
                // A wait with a limit is not taken up again after a signal, such as another test's child's end.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return None;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Returns all messages up to the one that holds `text`.
    #[track_caller]
    fn hears(&self, text: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while heard.last().is_none_or(|last: &String| !last.contains(text)) {
            match self.hears_within(DEADLINE) {
                Some(message) => heard.push(message),
                None => panic!("{text:?} does not come; heard: {heard:?}"),
            }
        }
        heard
    }
}

#[test]
fn a_service_manager_hears_of_readiness_life_and_end_in_this_order() {
    let home = Home::new();
    home.write("schedules.toml", "[schedules.\"a\"]\nwhen = \"@yearly\"\nkind = \"demo.echo\"\n");
    let manager = Manager::listen(&home);
    let dev = Role::dev_with(&home, &manager.variables());

    let heard = manager.hears("READY=1\n");
    assert_eq!(dev.status_of("/readyz"), Some(200));
    assert!(heard.last().unwrap().contains("STATUS=ready"), "{heard:?}");
    assert!(!heard.concat().contains("STOPPING"), "{heard:?}");
    manager.hears("WATCHDOG=1\n");

    dev.send(Signal::SIGHUP);
    let heard = manager.hears("RELOADING=1\n");
    assert!(heard.last().unwrap().contains("MONOTONIC_USEC="), "{heard:?}");
    manager.hears("READY=1\n");

    dev.send(Signal::SIGTERM);
    manager.hears("STOPPING=1\n");
    // The default grace of 25 s, and what closing takes.
    manager.hears("EXTEND_TIMEOUT_USEC=35000000\n");
    let (code, said) = dev.ends();
    assert_eq!(code, Some(0), "{said}");
    while let Some(message) = manager.hears_within(Duration::from_millis(1)) {
        assert!(!message.contains("READY=1"), "{message}");
    }
}

#[test]
fn a_role_whose_threads_hang_is_not_said_to_live() {
    let home = Home::new();
    let manager = Manager::listen(&home);
    let [socket, allowed] = manager.variables();
    let hangs =
        [socket, allowed, ("TOKIO_WORKER_THREADS", "1"), ("FAILPOINTS", "settle.claimed=pause")];
    let dev = Role::dev_with(&home, &hangs);
    manager.hears("READY=1\n");
    manager.hears("WATCHDOG=1\n");
    manager.hears("WATCHDOG=1\n");
    // The answer may hang with all else.
    let (url, body) = (dev.url.trim_start_matches("http://"), r#"{"kind":"demo.echo","args":1}"#);
    let mut stream = std::net::TcpStream::connect(url).unwrap();
    let request = format!(
        "POST /v1/tasks HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    eventually(DEADLINE, || manager.hears_within(SILENCE).is_none());
}

#[test]
fn nothing_is_told_where_nobody_asks() {
    let home = Home::new();
    let manager = Manager::listen(&home);
    let dev = Role::dev_with(&home, &[("WATCHDOG_USEC", ALLOWED)]);
    eventually(DEADLINE, || dev.status_of("/readyz") == Some(200));
    dev.send(Signal::SIGTERM);
    let (code, said) = dev.ends();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(manager.hears_within(Duration::from_millis(1)), None);

    // Nor does a role end because nobody listens.
    drop(manager);
    let dev = Role::dev_with(&home, &[("NOTIFY_SOCKET", "/nowhere/at/all")]);
    eventually(DEADLINE, || dev.status_of("/readyz") == Some(200));
}

#[test]
fn a_machine_without_certificates_has_ready_roles_health_checks_and_commands() {
    let home = Home::new();
    let manager = Manager::listen(&home);
    let [socket, allowed] = manager.variables();
    let none = [("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/nowhere")];
    let dev = Role::dev_with(&home, &[socket, allowed, none[0], none[1]]);
    manager.hears("READY=1\n");
    let listen = dev.url.trim_start_matches("http://");
    for words in [&["probe", "dev"][..], &["task", "enqueue", "demo.echo"]] {
        let mut command = home.command(&[words, &["--listen", listen]].concat());
        let output = command.envs(none).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

async fn roles_of_a_fleet_are_ready_by_their_own_word_where_their_doors_are_off(ground: Ground) {
    let namespace = leveret_common::testkit::services::fresh_namespace();
    let home = Home::with(&format!(
        "{}worker.listen = \"off\"\nbeat.listen = \"off\"\nrelay.listen = \"off\"\n\
         outbox.url = \"sqlite://shop.db\"\n",
        ground.settings(&namespace)
    ));
    let outbox = home.run(&["relay", "schema", "--for", "sqlite"]);
    home.write("outbox.sql", &outbox.succeeds().stdout);
    let mut sqlite = Command::new("sqlite3");
    sqlite.args(["-bail", "shop.db", ".read outbox.sql"]).current_dir(home.path());
    let made = sqlite.output().unwrap();
    assert!(made.status.success() && made.stderr.is_empty(), "{made:?}");
    let manager = Manager::listen(&home);
    for role in ["worker", "beat", "relay"] {
        let running = Role::start_in(&home, &[role, "-o", "jsonl"], &manager.variables());
        manager.hears("READY=1\n");
        manager.hears("WATCHDOG=1\n");
        running.send(Signal::SIGTERM);
        manager.hears("STOPPING=1\n");
        assert_eq!(running.ends().0, Some(0));
        while manager.hears_within(Duration::from_millis(1)).is_some() {}
        home.run(&["probe", role]).fails(3, &["listen is off"]);
    }
}

#[tokio::test]
async fn roles_of_a_fleet_are_ready_by_their_own_word() {
    if let Some(ground) = Ground::rabbitmq_4().await {
        roles_of_a_fleet_are_ready_by_their_own_word_where_their_doors_are_off(ground).await;
    }
}

#[test]
fn a_health_check_asks_the_role_that_listens_here() {
    let home = Home::new();
    let dev = Role::dev(&home);
    let listen = dev.url.trim_start_matches("http://").to_owned();
    let off =
        ["--worker-listen", "off", "--beat-listen", "off", "--relay-listen", "off", "-o", "json"];
    let probe = |words: &[&str]| {
        let at = ["--listen", &listen];
        home.run(&[&["probe"][..], words, &at, &off].concat())
    };
    eventually(DEADLINE, || probe(&[]).code == 0);
    assert_eq!(probe(&["dev"]).succeeds().json()[0]["says"], "ready");
    probe(&["gateway", "--live"]).succeeds();

    dev.ask(&["worker", "quiet", "all", "--yes"]).succeeds();
    eventually(DEADLINE, || probe(&[]).code == 10);
    probe(&[]).fails(10, &["says no", "does not take tasks"]);
    probe(&["--live"]).succeeds();

    drop(dev);
    probe(&[]).fails(4, &["no role listens on this machine", &listen]);
    probe(&["gateway"]).fails(4, &[&listen]);
}
