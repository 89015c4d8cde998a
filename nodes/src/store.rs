//! A Redis of a run's own.
//!
//! Kept as Leveret wants it (`appendonly yes`, `noeviction`) unless told otherwise. Responsible for
//! its life; what is written to it is its users' matter.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::Generation;
use crate::disk::Disk;
use crate::error::Error;
use crate::server::{Server, folder, free_ports, remove, script};
use crate::wire::{Reply, ask};

/// A store that only this run knows; it ends with the value.
pub struct Store {
    generation: Generation,
    port: u16,
    arguments: Vec<String>,
    server: Server,
    disk: Option<Disk>,
    folder: TempDir,
}

impl Store {
    /// Starts a store.
    ///
    /// # Errors
    /// [`Error::NotHere`] where the generation is not on this machine; else when it does not start.
    ///
    /// # Cancel safety
    /// What was started is ended.
    pub async fn start(generation: Generation) -> Result<Self, Error> {
        Self::start_with(generation, &[]).await
    }

    /// Starts a store with further arguments, such as `--maxmemory 100mb`; their word counts.
    ///
    /// # Errors
    /// As [`Self::start`].
    ///
    /// # Cancel safety
    /// As [`Self::start`].
    pub async fn start_with(generation: Generation, arguments: &[&str]) -> Result<Self, Error> {
        Self::start_in(generation, arguments, folder()?, None).await
    }

    /// Starts a store with all that it writes on a disk of so many MiB.
    ///
    /// # Errors
    /// As [`Self::start`]; [`Error::NoMount`] where such a disk cannot be had.
    ///
    /// # Cancel safety
    /// As [`Self::start`].
    pub async fn start_on_small_disk(
        generation: Generation,
        arguments: &[&str],
        mebibytes: u32,
    ) -> Result<Self, Error> {
        let folder = folder()?;
        let disk = Disk::mount(folder.path(), mebibytes)?;
        Self::start_in(generation, arguments, folder, Some(disk)).await
    }

    async fn start_in(
        generation: Generation,
        arguments: &[&str],
        folder: TempDir,
        disk: Option<Disk>,
    ) -> Result<Self, Error> {
        let [port] = free_ports()?;
        let listen = port.to_string();
        let own = [
            ["--bind", "127.0.0.1"],
            ["--port", &listen],
            ["--dir", "."],
            ["--pidfile", "pid"],
            ["--save", ""],
            ["--appendonly", "yes"],
            ["--appendfsync", "everysec"],
            ["--maxmemory-policy", "noeviction"],
        ];
        // The last word on a setting counts.
        let arguments: Vec<String> =
            own.as_flattened().iter().chain(arguments).map(|&word| word.to_owned()).collect();
        let server = launch(generation, folder.path(), port, &arguments)?;
        let mut store = Self { generation, port, arguments, server, disk, folder };
        store.wait_until_up().await?;
        Ok(store)
    }

    /// Returns its generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns `redis://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Returns the port where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Returns the small disk that it is on, where it is on one.
    #[must_use]
    pub const fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Returns the id of its process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32, Error> {
        self.server.pid()
    }

    /// Asks it over a connection of its own; a refusal is an answer too.
    ///
    /// # Errors
    /// When no answer comes within seconds.
    ///
    /// # Cancel safety
    /// The command may be performed all the same.
    pub async fn ask(&self, words: &[&str]) -> Result<Reply, Error> {
        ask("Redis", self.port, words).await
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

    /// Has it shut down without a snapshot, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    ///
    /// # Cancel safety
    /// It may end all the same.
    pub async fn stop_without_saving(&mut self) -> Result<(), Error> {
        match self.ask(&["SHUTDOWN", "NOSAVE"]).await {
            Ok(refused) => Err(Error::unexpected("Redis", format!("does not end: {refused:?}"))),
            // It ends, and its connections with it.
            Err(_) => self.server.ended().await.map(drop),
        }
    }

    /// Starts it again on what it has on disk.
    ///
    /// # Errors
    /// When it still runs, or does not start.
    ///
    /// # Cancel safety
    /// It starts all the same.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        if self.pid().is_ok() {
            return Err(Error::unexpected("Redis", "runs already"));
        }
        self.server = launch(self.generation, self.folder.path(), self.port, &self.arguments)?;
        self.wait_until_up().await
    }

    /// Starts it again with nothing of what it had.
    ///
    /// # Errors
    /// As [`Self::start_again`].
    ///
    /// # Cancel safety
    /// As [`Self::start_again`].
    pub async fn start_again_empty(&mut self) -> Result<(), Error> {
        if self.pid().is_ok() {
            return Err(Error::unexpected("Redis", "runs already"));
        }
        for kept in ["appendonlydir", "dump.rdb"] {
            remove(&self.folder.path().join(kept));
        }
        self.start_again().await
    }

    /// Freezes it, as a machine does that has stopped: its connections stay and say nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<(), Error> {
        self.server.signal(Signal::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<(), Error> {
        self.server.signal(Signal::SIGCONT)
    }

    /// Waits until it answers: one that reads its files takes connections and refuses.
    async fn wait_until_up(&mut self) -> Result<(), Error> {
        self.server.takes_connections(self.port).await?;
        let began = std::time::Instant::now();
        loop {
            let answer = self.ask(&["PING"]).await?;
            // Whoever refuses a stranger is up.
            if !matches!(&answer, Reply::Error(why) if why.starts_with("LOADING")) {
                return Ok(());
            }
            if began.elapsed() > crate::server::PATIENCE {
                return Err(Error::unexpected("Redis", format!("answers {answer:?}")));
            }
            tokio::time::sleep(crate::server::LOOK).await;
        }
    }
}

fn program(generation: Generation, folder: &Path, words: &[&str]) -> Command {
    let mut command = script("redis-node", generation, folder);
    command.args(words);
    command
}

fn launch(
    generation: Generation,
    folder: &Path,
    port: u16,
    arguments: &[String],
) -> Result<Server, Error> {
    let words: Vec<&str> =
        std::iter::once("redis-server").chain(arguments.iter().map(String::as_str)).collect();
    let command = program(generation, folder, &words);
    Server::start("Redis", generation, command, folder.join("pid"), format!("127.0.0.1:{port}"))
}
