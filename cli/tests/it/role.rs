//! A role that runs in a child process until the test is over.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::home::{Home, Left};

/// How long anything may take before the test fails; far above what it takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A running role; killed when dropped.
pub(crate) struct Role<'h> {
    home: &'h Home,
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
    said: String,
    /// What it printed at its start.
    pub(crate) started: Value,
    /// The URL of its gateway, or of its probe.
    pub(crate) url: String,
}

impl<'h> Role<'h> {
    /// Starts `leveret dev` on a free port and waits for its first line.
    pub(crate) fn dev(home: &'h Home) -> Self {
        Self::start(home, &["dev", "--listen", "127.0.0.1:0", "-o", "jsonl"])
    }

    /// Starts a role that prints a JSON line at its start, and waits for that line.
    pub(crate) fn start(home: &'h Home, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, "")
    }

    /// The same, with points where the process is to be aborted.
    pub(crate) fn start_with(home: &'h Home, arguments: &[&str], failpoints: &str) -> Self {
        Self::start_in(home, arguments, &[("FAILPOINTS", failpoints)])
    }

    /// Starts `leveret dev` with these variables in its environment.
    pub(crate) fn dev_with(home: &'h Home, variables: &[(&str, &str)]) -> Self {
        Self::start_in(home, &["dev", "--listen", "127.0.0.1:0", "-o", "jsonl"], variables)
    }

    /// Starts a role with these variables in its environment.
    pub(crate) fn start_in(home: &'h Home, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = home.command(arguments);
        command.envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        let (said, started, url) = (String::new(), Value::Null, String::new());
        let mut role = Self { home, child, stdout, stderr, said, started, url };
        let Ok(line) = role.stdout.recv_timeout(DEADLINE) else {
            let told: Vec<_> = role.stderr.try_iter().collect();
            panic!("it printed nothing; stderr: {}", told.join("\n"));
        };
        role.started =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let url = role.started.get("gateway").or(role.started.get("probe"));
        role.url = url.and_then(Value::as_str).unwrap_or_default().to_owned();
        role
    }

    /// Runs a command against this role's gateway.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Left {
        self.feed("", arguments)
    }

    /// Runs a command against this role's gateway with `input` on stdin.
    pub(crate) fn feed(&self, input: &str, arguments: &[&str]) -> Left {
        let whole = [arguments, &["--gateway-url", &self.url]].concat();
        self.home.feed(input, &whole)
    }

    /// Returns the status of a `GET`, or nothing while nobody answers.
    pub(crate) fn status_of(&self, path: &str) -> Option<u16> {
        self.get(path).map(|(status, _)| status)
    }

    /// Returns the status and the body of a `GET`, or nothing while nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        get(&self.url, path)
    }

    /// Returns its process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn send(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    /// Waits until stderr holds a line with `text`.
    pub(crate) fn says(&mut self, text: &str) {
        let end = Instant::now() + DEADLINE;
        while !self.said.contains(text) {
            match self.stderr.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => self.said.push_str(&format!("{line}\n")),
                Err(_) => panic!("it did not say {text:?}:\n{}", self.said),
            }
        }
    }

    /// Waits for the process's end and returns its exit code with all that it said.
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        let mut code = None;
        eventually(DEADLINE, || {
            let ended = self.child.try_wait().unwrap();
            code = ended.and_then(|status| status.code());
            ended.is_some()
        });
        self.said.extend(self.stderr.iter().map(|line| format!("{line}\n")));
        (code, std::mem::take(&mut self.said))
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns the status and the body of a `GET`, or nothing while nobody answers.
pub(crate) fn get(url: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(url.strip_prefix("http://")?).ok()?;
    // HTTP/1.0: the body ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Asks `condition` until it holds; fails the test after `deadline`.
#[track_caller]
pub(crate) fn eventually(deadline: Duration, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < deadline, "it did not become so within {deadline:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Hands on the lines of a pipe as they come; ends with the pipe.
fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
