//! A RabbitMQ of a run's own.
//!
//! Responsible for its life and for asking it what it holds; what is declared in it is its users'
//! matter. Several may be on one machine: each has ports, a folder and a name service of its own.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::timeout;

use crate::disk::Disk;
use crate::error::{Error, while_doing};
use crate::names::{self, Registration};
use crate::server::{PATIENCE, Server, folder, free_ports, script};
use crate::{Generation, door};

/// What it may take of the disk's last space before its alarm, where none is raised on purpose.
pub(crate) const DISK_LIMIT: &str = "50MB";
/// What nodes know one another by; where it is absent each makes one of its own.
const COOKIE: &str = ".erlang.cookie";

/// The same where the disk is to be truly full before anybody says so.
const NO_LIMIT: &str = "1";

/// What stops publishers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// The broker holds more memory than it may.
    Memory,
    /// The disk has less space than it must.
    Disk,
}

/// What a queue holds at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// Its name.
    pub name: String,
    /// Messages that a consumer may have.
    pub ready: u64,
    /// Messages that consumers have.
    pub unacked: u64,
    /// Messages that have left it and are not yet confirmed by the queue they are dead-lettered to.
    pub leaving: u64,
    /// How many consume it.
    pub consumers: u64,
    /// The number of the last change to it; of two looks with the same numbers nothing has moved
    /// in between. 0 where the queue is no quorum queue.
    pub index: u64,
}

impl QueueState {
    /// Returns how many messages are its duty.
    #[must_use]
    pub const fn held(&self) -> u64 {
        self.ready + self.unacked + self.leaving
    }
}

/// The ports of a broker: of AMQP, between Erlang's nodes, and of Erlang's name service.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) amqp: u16,
    pub(crate) distribution: u16,
    pub(crate) names: u16,
}

impl Ports {
    /// Returns three that are free now.
    pub(crate) fn free() -> Result<Self, Error> {
        let [amqp, distribution, names] = free_ports()?;
        Ok(Self { amqp, distribution, names })
    }

    /// Names the node that listens there.
    pub(crate) fn node(self, generation: Generation) -> String {
        format!("leveret{}-{}@localhost", generation.number(), self.amqp)
    }
}

/// A broker that only this run knows; it ends with the value.
pub struct Broker {
    generation: Generation,
    ports: Ports,
    // In this order: a broker says at its end to its name service that it is gone, and both write
    // to the folder.
    server: Server,
    _others: Vec<Registration>,
    _names: Server,
    disk: Option<Disk>,
    folder: TempDir,
}

/// Where a broker writes.
struct Place {
    folder: TempDir,
    disk: Option<Disk>,
}

impl Place {
    fn free() -> Result<Self, Error> {
        Ok(Self { folder: folder()?, disk: None })
    }
}

impl Broker {
    /// Starts a broker.
    ///
    /// # Errors
    /// [`Error::NotHere`] where the generation is not on this machine; else when it does not start.
    ///
    /// # Cancel safety
    /// What was started is ended.
    pub async fn start(generation: Generation) -> Result<Self, Error> {
        Self::start_with(generation, "").await
    }

    /// Starts a broker with further lines of `rabbitmq.conf`.
    ///
    /// # Errors
    /// As [`Self::start`].
    ///
    /// # Cancel safety
    /// As [`Self::start`].
    pub async fn start_with(generation: Generation, settings: &str) -> Result<Self, Error> {
        Self::start_in(generation, Ports::free()?, settings, &[], Place::free()?).await
    }

    /// Starts a broker with all that it writes on a disk of so many MiB, which its alarm lets it fill to the end.
    ///
    /// # Errors
    /// As [`Self::start`]; [`Error::NoMount`] where such a disk cannot be had.
    ///
    /// # Cancel safety
    /// As [`Self::start`].
    pub async fn start_on_small_disk(
        generation: Generation,
        settings: &str,
        mebibytes: u32,
    ) -> Result<Self, Error> {
        let folder = folder()?;
        let disk = Some(Disk::mount(folder.path(), mebibytes)?);
        Self::start_in(generation, Ports::free()?, settings, &[], Place { folder, disk }).await
    }

    /// Starts a broker on these ports that finds each of `others`, a node's name, at a port.
    pub(crate) async fn start_among(
        generation: Generation,
        ports: Ports,
        settings: &str,
        others: &[(String, u16)],
    ) -> Result<Self, Error> {
        Self::start_in(generation, ports, settings, others, Place::free()?).await
    }

    async fn start_in(
        generation: Generation,
        ports: Ports,
        settings: &str,
        others: &[(String, u16)],
        Place { folder, disk }: Place,
    ) -> Result<Self, Error> {
        let limit = if disk.is_some() { NO_LIMIT } else { DISK_LIMIT };
        let conf = format!(
            "listeners.tcp.1 = 127.0.0.1:{}\n\
             disk_free_limit.absolute = {limit}\n{settings}\n",
            ports.amqp
        );
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).map_err(while_doing(format!("write {}", path.display())))
        };
        write("rabbitmq.conf", &conf)?;
        write("plugins", "[].")?;
        if !others.is_empty() {
            write(COOKIE, "nodesofonetest")?;
            let private = std::fs::Permissions::from_mode(0o400);
            std::fs::set_permissions(folder.path().join(COOKIE), private)
                .map_err(while_doing("make a cookie private"))?;
        }
        // It writes no process id: the group of the script is all there is of it.
        let port = ports.names.to_string();
        let epmd = program(generation, folder.path(), ports, &["epmd", "-port", &port]);
        let mut names = Server::start(
            "epmd",
            generation,
            epmd,
            folder.path().join("names.pid"),
            "epmd".to_owned(),
        )?;
        // A broker that finds none starts one by itself, which nobody would end.
        names.takes_connections(ports.names).await?;
        let others = others.iter().map(|(node, port)| names::register(ports.names, node, *port));
        let others = others.collect::<Result<_, _>>()?;
        let server = launch(generation, folder.path(), ports)?;
        let mut broker =
            Self { generation, ports, server, _others: others, _names: names, disk, folder };
        broker.server.takes_connections(ports.amqp).await?;
        Ok(broker)
    }

    /// Returns its generation.
    #[must_use]
    pub const fn generation(&self) -> Generation {
        self.generation
    }

    /// Returns `amqp://…` of its default virtual host, for its default user.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.ports.amqp)
    }

    /// Returns the port where it takes AMQP.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// Returns what it is called among Erlang's nodes.
    #[must_use]
    pub fn node(&self) -> String {
        self.ports.node(self.generation)
    }

    /// Returns the id of its process.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pid(&self) -> Result<u32, Error> {
        self.server.pid()
    }

    /// Returns the folder where it keeps what it has: in a root of another generation it is root's.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the small disk that it is on, where it is on one.
    #[must_use]
    pub const fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Returns where it keeps the register of its quorum queues.
    pub(crate) fn register(&self) -> PathBuf {
        let name = self.node();
        let quorum = self.folder.path().join("db").join(&name).join("quorum");
        quorum.join(name).join("names.dets")
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

    /// Asks it to end, and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run, or does not end.
    ///
    /// # Cancel safety
    /// It ends all the same.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.server.signal(Signal::SIGTERM)?;
        self.server.ended().await.map(drop)
    }

    /// Starts it again on what it has on disk. Its queues may still be reading that when it takes
    /// connections: for a moment they say that a delivery is unacked which had come back.
    ///
    /// # Errors
    /// When it still runs, or does not start.
    ///
    /// # Cancel safety
    /// It starts all the same.
    pub async fn start_again(&mut self) -> Result<(), Error> {
        if self.pid().is_ok() {
            return Err(Error::unexpected("RabbitMQ", "runs already"));
        }
        self.server = launch(self.generation, self.folder.path(), self.ports)?;
        self.server.takes_connections(self.ports.amqp).await
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

    /// Runs `rabbitmqctl`; returns what it says.
    ///
    /// # Errors
    /// When it fails; with what it says.
    ///
    /// # Cancel safety
    /// What was asked may be done all the same.
    pub async fn control(&self, words: &[&str]) -> Result<String, Error> {
        let words = [&["rabbitmqctl", "--quiet"], words].concat();
        let command = program(self.generation, self.folder.path(), self.ports, &words);
        let output = tokio::process::Command::from(command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .output();
        let what = || words[1..].join(" ");
        let Ok(output) = timeout(PATIENCE, output).await else {
            return Err(Error::unexpected(what(), format!("does not end within {PATIENCE:?}")));
        };
        let output = output.map_err(while_doing("run rabbitmqctl"))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = [output.stdout, output.stderr].concat();
        let why = String::from_utf8_lossy(&said).trim().to_owned();
        Err(Error::unexpected(what(), format!("ends with {}: {why}", output.status)))
    }

    /// Has it evaluate an expression of Erlang, such as `node().`; returns the value as text.
    ///
    /// # Errors
    /// When it does not answer within seconds, or the expression fails.
    ///
    /// # Cancel safety
    /// The expression may be evaluated all the same.
    pub async fn ask(&self, expression: &str) -> Result<String, Error> {
        if let Some(answer) = door::ask(self.folder.path(), expression).await? {
            return Ok(answer);
        }
        // The first question of its life.
        self.control(&["eval", door::OPEN]).await?;
        let answer = door::ask(self.folder.path(), expression).await?;
        answer.ok_or_else(|| Error::unexpected("RabbitMQ", "does not open its door"))
    }
}

/// Returns a command that runs a program of RabbitMQ's for this node.
fn program(generation: Generation, folder: &Path, ports: Ports, words: &[&str]) -> Command {
    let mut command = script("node", generation, folder);
    command
        .args([ports.amqp, ports.distribution, ports.names].map(|port| port.to_string()))
        .args(words);
    command
}

fn launch(generation: Generation, folder: &Path, ports: Ports) -> Result<Server, Error> {
    let mark = format!("-leveret_port\0{}\0", ports.amqp);
    let command = program(generation, folder, ports, &["rabbitmq-server"]);
    Server::start("RabbitMQ", generation, command, folder.join("pid"), mark)
}
