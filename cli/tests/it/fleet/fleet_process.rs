//! One process of a fleet: the real binary, killed when dropped.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use leveret_common::testkit::eventually;
use leveret_common::testkit::services::sabotage;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::DEADLINE;

pub(super) struct FleetProcess {
    child: Child,
    /// Where its gateway or its probe listens.
    pub(super) url: String,
}

impl FleetProcess {
    /// Starts the process and waits until it is ready.
    pub(super) async fn start(config: &Path, role: &str, failpoints: &str) -> Self {
        let process = Self::begin(config, role, failpoints).await;
        eventually(DEADLINE, "the process is ready", || async {
            let answer = reqwest::get(format!("{}/readyz", process.url)).await;
            answer.is_ok_and(|answer| answer.status().is_success())
        })
        .await;
        process
    }

    /// Starts the process and waits until it says where it listens.
    pub(super) async fn begin(config: &Path, role: &str, failpoints: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_leveret"))
            .args(["--config", config.to_str().unwrap(), "-o", "json", role])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("FAILPOINTS", failpoints)
            .env("LEVERET_LOG_LEVEL", "warn")
            .envs(sabotage())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut text = String::new();
        let told = timeout(DEADLINE, async {
            while serde_json::from_str::<Value>(&text).is_err() {
                assert!(lines.read_line(&mut text).await.unwrap() > 0, "{role} ended: {text}");
            }
        });
        told.await.unwrap();
        let said: Value = serde_json::from_str(&text).unwrap();
        let url = said["gateway"].as_str().or(said["probe"].as_str()).unwrap().to_owned();
        // Whatever else it says must not fill the pipe.
        #[allow(clippy::disallowed_methods, reason = "ends with the process")]
        tokio::spawn(async move { lines.read_to_end(&mut Vec::new()).await });
        Self { child, url }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.id()).unwrap()), signal).unwrap();
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// Waits for its end.
    pub(super) async fn ended(mut self) -> ExitStatus {
        timeout(DEADLINE, self.child.wait()).await.expect("it ends").unwrap()
    }

    /// Kills it as the kernel would.
    pub(super) async fn kill(self) {
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// Waits until a task has killed it.
    pub(super) async fn killed(self) {
        assert_eq!(self.ended().await.signal(), Some(Signal::SIGKILL as i32));
    }

    /// Waits until its failpoint has aborted it.
    pub(super) async fn aborted(self) {
        assert_eq!(self.ended().await.signal(), Some(Signal::SIGABRT as i32));
    }
}
