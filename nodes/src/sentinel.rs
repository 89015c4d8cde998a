//! A sentinel of a run's own: it watches one primary, and says who is to be the next.
//!
//! Responsible for its life. It finds the replicas by itself, and one sentinel is a quorum.

use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::Store;
use crate::error::{Error, while_doing};
use crate::server::{Server, folder, free_port, script};
use crate::wire::{Reply, ask};

/// Its settings; it writes what it learns into the same file.
const FILE: &str = "sentinel.conf";

/// A sentinel that only this run knows; it ends with the value.
pub struct Sentinel {
    port: u16,
    server: Server,
    _folder: TempDir,
}

impl Sentinel {
    /// Starts a sentinel that watches a primary under a name; after `silence` without an answer it takes
    /// that one for down.
    ///
    /// # Errors
    /// [`Error::NotHere`] where the primary's generation is not on this machine; else when it does not
    /// start.
    ///
    /// # Cancel safety
    /// What was started is ended.
    pub async fn start(name: &str, primary: &Store, silence: Duration) -> Result<Self, Error> {
        let (folder, port, generation) = (folder()?, free_port()?, primary.generation());
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir .\npidfile pid\n\
             sentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} {}\nsentinel failover-timeout {name} 5000\n",
            primary.port(),
            silence.as_millis(),
        );
        std::fs::write(folder.path().join(FILE), settings)
            .map_err(while_doing("write what a sentinel is told"))?;
        let mut command = script("redis-node", generation, folder.path());
        command.args(["redis-server", FILE, "--sentinel"]);
        let pid_file = folder.path().join("pid");
        let mark = format!("127.0.0.1:{port}");
        let server = Server::start("a sentinel", generation, command, pid_file, mark)?;
        let mut sentinel = Self { port, server, _folder: folder };
        sentinel.server.takes_connections(port).await?;
        Ok(sentinel)
    }

    /// Returns the port where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Asks it over a connection of its own; a refusal is an answer too.
    ///
    /// # Errors
    /// When no answer comes within seconds.
    ///
    /// # Cancel safety
    /// The command may be performed all the same.
    pub async fn ask(&self, words: &[&str]) -> Result<Reply, Error> {
        ask("a sentinel", self.port, words).await
    }

    /// Ends it as a crash does, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    ///
    /// # Cancel safety
    /// It ends all the same.
    pub async fn kill(&mut self) -> Result<(), Error> {
        self.server.signal(Signal::SIGKILL)?;
        self.server.ended().await.map(drop)
    }
}
