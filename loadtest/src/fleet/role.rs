//! One process of a fleet: the binary in one of its roles, killed when dropped.
//!
//! Its death is noticed by whoever waits for it here, at once and with its time, whatever caused it. What it says on
//! stderr goes to a file of its own.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use leveret_common::clock::{Clock, Millis, SystemClock};
use leveret_common::spawn::Spawner;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{clock, environment};
use crate::error::{Error, while_doing};

/// How long a process may take to say where it listens, to be ready, or to end.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is asked whether it is ready.
const ASK: Duration = Duration::from_millis(20);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Death {
    /// When that was noticed.
    pub at: Millis,
    /// By itself or by a signal.
    pub status: ExitStatus,
}

impl Death {
    /// Whether it ended as it should when it was asked to.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.status.success()
    }

    /// Whether a failpoint aborted it.
    #[must_use]
    pub fn is_abort(&self) -> bool {
        self.status.signal() == Some(Signal::SIGABRT as i32)
    }

    /// Whether it was killed.
    #[must_use]
    pub fn is_kill(&self) -> bool {
        self.status.signal() == Some(Signal::SIGKILL as i32)
    }
}

/// How a process is started.
#[derive(Debug, Clone)]
pub struct Start<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its role, such as `worker`, with what else it is told.
    pub words: &'a [&'a str],
    /// Its `leveret.toml`.
    pub config: &'a Path,
    /// Where it aborts, such as `settle.claimed=return`.
    pub failpoints: &'a str,
    /// What else it finds in its environment.
    pub environment: &'a [(String, String)],
    /// Where its log goes.
    pub log: PathBuf,
}

/// A process of the fleet.
#[derive(Debug)]
pub struct Role {
    name: String,
    pid: u32,
    url: String,
    death: watch::Receiver<Option<Death>>,
    log: PathBuf,
}

impl Role {
    /// Starts it and waits until it says where it listens.
    ///
    /// # Errors
    /// When it cannot be started, or ends without saying so.
    ///
    /// # Cancel safety
    /// Dropped, the process is killed.
    pub async fn begin(start: Start<'_>, spawner: &Spawner) -> Result<Self, Error> {
        let (mut role, stdout) = Self::spawn(start, spawner)?;
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        let told = timeout(PATIENCE, lines.read_line(&mut line)).await;
        let url = match told {
            Ok(Ok(_)) => {
                let said: Value = serde_json::from_str(&line).unwrap_or_default();
                let url = said["gateway"].as_str().or_else(|| said["probe"].as_str());
                url.map(str::to_owned)
            }
            _ => None,
        };
        // Whatever else it says must not fill the pipe.
        spawner.spawn(async move {
            let _all = lines.read_to_end(&mut Vec::new()).await;
        });
        role.url = url.ok_or_else(|| role.unexpected("does not say where it listens"))?;
        Ok(role)
    }

    /// Starts it and waits for nothing: it may be killed at once.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch(start: Start<'_>, spawner: &Spawner) -> Result<Self, Error> {
        let (role, mut stdout) = Self::spawn(start, spawner)?;
        spawner.spawn(async move {
            let _all = stdout.read_to_end(&mut Vec::new()).await;
        });
        Ok(role)
    }

    fn spawn(start: Start<'_>, spawner: &Spawner) -> Result<(Self, ChildStdout), Error> {
        let name = start.words.first().copied().unwrap_or_default().to_owned();
        let log = File::create(&start.log).map_err(while_doing("make the log of a process"))?;
        let mut child = Command::new(start.program)
            .args(start.words)
            .args(["-o", "jsonl", "--config"])
            .arg(start.config)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("FAILPOINTS", start.failpoints)
            .envs(environment::sabotage())
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(start.config.parent().unwrap_or(Path::new("/")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .map_err(while_doing(format!("start {}", start.program.display())))?;
        let stdout = child.stdout.take();
        let pid = child.id().unwrap_or_default();
        let (tell, death) = watch::channel(None);
        spawner.spawn(bury(child, tell));
        let role = Self { name, pid, url: String::new(), death, log: start.log };
        let stdout = stdout.ok_or_else(|| role.unexpected("has no stdout"))?;
        Ok((role, stdout))
    }

    /// Returns its process id.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// Returns its role.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns where its gateway or its probe listens.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the file that holds what it said on stderr.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Returns how it ended; nothing while it runs.
    #[must_use]
    pub fn death(&self) -> Option<Death> {
        *self.death.borrow()
    }

    /// Returns what tells of its death to whoever outlives it.
    pub(super) fn death_to_come(&self) -> watch::Receiver<Option<Death>> {
        self.death.clone()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        if self.death().is_some() {
            return Err(self.unexpected(format!("has ended and takes no {signal}")));
        }
        kill(Pid::from_raw(i32::try_from(self.pid).unwrap_or_default()), signal).map_err(|errno| {
            while_doing(format!("send {signal} to leveret {}", self.name))(errno.into())
        })
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not end within `patience`.
    ///
    /// # Cancel safety
    /// It only waits.
    pub async fn ended(&self, patience: Duration) -> Result<Death, Error> {
        let mut death = self.death.clone();
        let ended = timeout(patience, death.wait_for(Option::is_some)).await;
        match ended {
            Ok(Ok(death)) => (*death).ok_or_else(|| self.unexpected("did not end")),
            _ => Err(self.unexpected(format!("did not end within {patience:?}"))),
        }
    }

    /// Whether it says that it is ready.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn is_ready(&self) -> bool {
        let asked = reqwest::get(format!("{}/readyz", self.url)).await;
        asked.is_ok_and(|answer| answer.status().is_success())
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it ends instead, or is not ready in time.
    ///
    /// # Cancel safety
    /// It only asks.
    pub async fn is_ready_within(&self, patience: Duration) -> Result<(), Error> {
        let asked = timeout(patience, async {
            while !self.is_ready().await {
                if let Some(death) = self.death() {
                    return Err(self.unexpected(format!("ended with {}", death.status)));
                }
                tokio::time::sleep(ASK).await;
            }
            Ok(())
        });
        asked
            .await
            .unwrap_or_else(|_| Err(self.unexpected(format!("is not ready after {patience:?}"))))
    }

    fn unexpected(&self, what: impl AsRef<str>) -> Error {
        let what = format!("{}; it says more in {}", what.as_ref(), self.log.display());
        Error::unexpected(format!("leveret {} ({})", self.name, self.pid), what)
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        // Fails only where it has ended already.
        let _ = self.signal(Signal::SIGKILL);
    }
}

async fn bury(mut child: Child, tell: watch::Sender<Option<Death>>) {
    let pid = child.id();
    let ended = child.wait().await;
    pid.into_iter().for_each(clock::forget);
    if let Ok(status) = ended {
        tell.send_replace(Some(Death { at: SystemClock.now(), status }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn shell(script: &str) -> (Role, Spawner, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, script).unwrap();
        let spawner = Spawner::new();
        let start = Start {
            program: Path::new("/bin/sh"),
            words: &[path.to_str().unwrap()],
            config: &folder.path().join("leveret.toml"),
            failpoints: "",
            environment: &[],
            log: folder.path().join("log"),
        };
        (Role::launch(start, &spawner).unwrap(), spawner, folder)
    }

    #[tokio::test]
    async fn an_end_is_noticed_with_its_cause() {
        let (role, _spawner, _folder) = shell("exit 3").await;
        assert_eq!(role.ended(PATIENCE).await.unwrap().status.code(), Some(3));
        assert!(role.signal(Signal::SIGTERM).is_err());
        let (role, _spawner, _folder) = shell("exec sleep 60").await;
        role.signal(Signal::SIGKILL).unwrap();
        assert!(role.ended(PATIENCE).await.unwrap().is_kill());
    }

    #[tokio::test]
    async fn a_dropped_process_is_killed() {
        let (role, spawner, _folder) = shell("exec sleep 60").await;
        let mut death = role.death.clone();
        drop(role);
        assert!(death.wait_for(Option::is_some).await.unwrap().unwrap().is_kill());
        spawner.drained().await;
    }
}
