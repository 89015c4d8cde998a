//! Databases of PostgreSQL: one for each test on the shared server, and a server that a test may
//! stop and start.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Output, Stdio};

use leveret_common::testkit::services;
use tempfile::TempDir;

use crate::home::Home;
use crate::role::eventually;

/// A database of its own, with an outbox; deleted when dropped.
pub(crate) struct Database {
    server: String,
    name: String,
}

impl Database {
    /// Makes one on the shared server; nothing where that does not run.
    pub(crate) fn fresh() -> Option<Self> {
        Some(Self::on(&services::postgres()?))
    }

    /// Makes one on a server, with the outbox that the command prints.
    pub(super) fn on(server: &str) -> Self {
        let name = services::fresh_namespace().as_str().replace('-', "_");
        let database = Self { server: server.to_owned(), name };
        let made =
            psql(&format!("{server}/postgres"), &format!("create database {}", database.name));
        assert!(made.status.success(), "{made:?}");
        let printed = Home::new().run(&["relay", "schema", "--for", "postgres"]);
        database.sql(&printed.succeeds().stdout);
        database
    }

    pub(crate) fn url(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    /// Runs statements, each committed by itself, and returns what they print.
    #[track_caller]
    pub(crate) fn sql(&self, sql: &str) -> String {
        let done = psql(&self.url(), sql);
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs a statement that is refused, and returns why.
    #[track_caller]
    pub(super) fn refuses(&self, sql: &str) -> String {
        let done = psql(&self.url(), sql);
        assert!(!done.status.success(), "{sql} was not refused");
        String::from_utf8(done.stderr).unwrap()
    }

    /// Runs statements as far as they are not refused.
    pub(crate) fn tries(&self, sql: &str) {
        psql(&self.url(), sql);
    }

    /// Begins a session in which transactions can be held open.
    pub(super) fn session(&self) -> Session {
        let mut child = command(&self.url()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Session { child, input, output: BufReader::new(output).lines() }
    }

    /// Counts rows of the outbox.
    pub(crate) fn rows(&self, condition: &str) -> u64 {
        let sql = format!("select count(*) from leveret_outbox where {condition}");
        self.sql(&sql).parse().unwrap()
    }

    /// Waits until there are so many rows.
    #[track_caller]
    pub(crate) fn becomes(&self, condition: &str, rows: u64) {
        eventually(super::DEADLINE, || self.rows(condition) == rows);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("drop database if exists {} with (force)", self.name);
        // A server of the test's own may be gone already.
        psql(&format!("{}/postgres", self.server), &sql);
    }
}

/// Returns a port below the range of outgoing connections: whoever connects to one of that range before
/// its server listens may meet itself.
fn free_port() -> u16 {
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    std::iter::repeat_with(|| fastrand::u16(25_000..27_000)).find(is_free).unwrap()
}

fn command(url: &str) -> Command {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only"]);
    command
        .args(["--set", "ON_ERROR_STOP=1", url])
        .env("LC_ALL", "C.UTF-8")
        .env("PGCONNECT_TIMEOUT", "5");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn psql(url: &str, sql: &str) -> Output {
    let mut child = command(url).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // A statement that fails ends it before it has read all.
    let _ = input.write_all(sql.as_bytes());
    drop(input);
    child.wait_with_output().unwrap()
}

/// A session of `psql`.
pub(super) struct Session {
    child: Child,
    input: ChildStdin,
    output: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Session {
    /// Performs a statement and waits for its end.
    pub(super) fn does(&mut self, sql: &str) {
        writeln!(self.input, "{sql};\n\\echo performed").unwrap();
        let ended = self.output.by_ref().map_while(Result::ok).any(|line| line == "performed");
        assert!(ended, "{sql} was refused");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of the test's own.
pub(super) struct Server {
    data: TempDir,
    port: u16,
    child: Child,
}

impl Server {
    /// Makes a server and starts it; nothing where there is none on this machine.
    pub(super) fn start() -> Option<Self> {
        services::postgres()?;
        let data = TempDir::with_prefix("leveret-postgres.").unwrap();
        let port = free_port();
        let child = Self::launch(&data, port);
        let server = Self { data, port, child };
        server.answers();
        Some(server)
    }

    pub(super) fn url(&self) -> String {
        format!("postgresql://leveret@127.0.0.1:{}", self.port)
    }

    /// Has it speak TLS, by a certificate of an authority that this test makes up; returns the file of
    /// that authority.
    pub(super) fn with_tls(&self) -> PathBuf {
        let folder = self.data.path();
        let openssl = |words: &str| {
            let words = words.split(' ');
            let done = Command::new("openssl").args(words).current_dir(folder).output().unwrap();
            assert!(done.status.success(), "{done:?}");
        };
        let key = "-newkey rsa:2048 -nodes -subj";
        openssl(&format!("req -x509 -days 2 {key} /CN=authority -keyout ca.key -out ca.pem"));
        openssl(&format!("req {key} /CN=127.0.0.1 -keyout server.key -out server.csr"));
        std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        let signed = "-CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.crt";
        openssl(&format!("x509 -req -days 2 -in server.csr {signed}"));
        let owner = std::fs::metadata(folder).unwrap().uid();
        for name in ["server.key", "server.crt"] {
            std::os::unix::fs::chown(folder.join(name), Some(owner), None).unwrap();
        }
        let told = psql(
            &format!("{}/postgres", self.url()),
            "alter system set ssl = on;\nselect pg_reload_conf();\n",
        );
        assert!(told.status.success(), "{told:?}");
        folder.join("ca.pem")
    }

    /// Has it shut down at once, connections cut, and waits for its end.
    pub(super) fn stop(&mut self) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same data.
    pub(super) fn restart(&mut self) {
        self.child = Self::launch(&self.data, self.port);
        self.answers();
    }

    fn launch(data: &TempDir, port: u16) -> Child {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../scripts/services.sh");
        let mut command = Command::new(script);
        command.arg("postgres").arg(data.path()).arg(port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    }

    fn answers(&self) {
        let url = format!("{}/postgres", self.url());
        eventually(super::DEADLINE, || psql(&url, "select 1").status.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
