//! The shipped binary as child processes, and what they answer over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::error::{Error, while_doing};

/// How long a process may take to answer, start or end.
const PATIENCE: Duration = Duration::from_secs(60);

/// Returns the `leveret` that was built beside this program.
///
/// # Errors
/// When it was not built.
pub fn binary() -> Result<PathBuf, Error> {
    let own = std::env::current_exe().map_err(while_doing("find this program"))?;
    let leveret = own.with_file_name("leveret");
    if leveret.is_file() { Ok(leveret) } else { Err(Error::NotBuilt(leveret)) }
}

/// Returns a command of the binary that reads `config` and no environment of ours.
///
/// # Errors
/// When it was not built.
pub fn command(config: &Path, arguments: &[&str]) -> Result<Command, Error> {
    let mut command = Command::new(binary()?);
    command.env_clear().args(arguments).arg("--config").arg(config).stdin(Stdio::null());
    Ok(command)
}

/// Runs a command of the binary against the gateway of `door`.
///
/// # Errors
/// When it fails; with what it says.
pub fn ask(config: &Path, door: &Role, arguments: &[&str]) -> Result<(), Error> {
    let told = command(config, &[arguments, &["--gateway-url", &door.url, "-o", "json"]].concat())?
        .output()
        .map_err(while_doing("run leveret"))?;
    if told.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&told.stderr);
    Err(Error::unexpected(format!("leveret {}", arguments.join(" ")), format!("fails: {why}")))
}

/// A running role, such as `leveret dev`; killed when dropped.
pub struct Role {
    child: Child,
    name: &'static str,
    /// The URL of its gateway, or of its probe door.
    pub url: String,
}

impl Role {
    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When it does not start within a minute.
    pub fn start(name: &'static str, config: &Path) -> Result<Self, Error> {
        let role = Self::launch(name, config)?;
        let began = Instant::now();
        while !role.is_ready() {
            if began.elapsed() > PATIENCE {
                return Err(role.unexpected("is not ready after a minute"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(role)
    }

    /// Starts it and waits until it says where it listens, so that it can be asked.
    ///
    /// # Errors
    /// When it does not start.
    pub fn launch(name: &'static str, config: &Path) -> Result<Self, Error> {
        let mut child = command(config, &[name, "-o", "jsonl"])?
            .stdout(Stdio::piped())
            .spawn()
            .map_err(while_doing(format!("start leveret {name}")))?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout)
                .read_line(&mut line)
                .map_err(while_doing(format!("read what leveret {name} says")))?;
        }
        let started: Value = serde_json::from_str(&line).unwrap_or_default();
        let url = started["gateway"].as_str().or_else(|| started["probe"].as_str());
        Ok(Self { child, name, url: url.unwrap_or_default().to_owned() })
    }

    /// Whether it says that it is ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.get("/readyz").is_ok_and(|(status, _)| status == 200)
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    pub fn kill(mut self) {
        self.end();
    }

    /// Returns its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns status and body of a `GET`.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn get(&self, path: &str) -> Result<(u16, String), Error> {
        let asked = || {
            let mut stream = TcpStream::connect(self.url.trim_start_matches("http://"))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            // HTTP/1.0: the body ends with the connection.
            write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        let answer = asked().map_err(while_doing(format!("ask for {path}")))?;
        let parts = answer.split_once("\r\n\r\n");
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        match (status, parts) {
            (Some(status), Some((_, body))) => Ok((status, body.to_owned())),
            _ => Err(self.unexpected(format!("does not answer {path} in HTTP"))),
        }
    }

    /// Returns the JSON of a `GET`.
    ///
    /// # Errors
    /// When the answer is no JSON or no success.
    pub fn json(&self, path: &str) -> Result<Value, Error> {
        let (status, body) = self.get(path)?;
        let wrong = || self.unexpected(format!("answers {path} with {status}"));
        if status == 200 { serde_json::from_str(&body).map_err(|_| wrong()) } else { Err(wrong()) }
    }

    /// Returns how many attempts ended with `outcome`.
    ///
    /// # Errors
    /// When the metrics cannot be had.
    pub fn attempts(&self, outcome: &str) -> Result<u64, Error> {
        let (_, text) = self.get("/metrics")?;
        let wanted = format!("outcome=\"{outcome}\"");
        let counted = text
            .lines()
            .filter(|line| line.starts_with("leveret_attempts_total{") && line.contains(&wanted))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Ok(counted.sum())
    }

    /// Asks it to drain and waits for its end.
    ///
    /// # Errors
    /// When it does not end well within a minute.
    pub fn stop(mut self) -> Result<(), Error> {
        let pid = i32::try_from(self.child.id()).unwrap_or_default();
        kill(Pid::from_raw(pid), Signal::SIGTERM)
            .map_err(|errno| while_doing(format!("stop leveret {}", self.name))(errno.into()))?;
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.child.try_wait().map_err(while_doing("wait for a process"))? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.unexpected(format!("ended with {status}"))),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        Err(self.unexpected("did not end within a minute"))
    }

    fn unexpected(&self, what: impl Into<String>) -> Error {
        Error::unexpected(format!("leveret {}", self.name), what.into())
    }

    fn end(&mut self) {
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.end();
    }
}
