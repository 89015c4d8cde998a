//! What a run stands on: a folder of its own, and servers of its own where it needs some.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::ValueEnum;
use leveret_nodes::Generation;
use tempfile::TempDir;

use crate::error::{Error, while_doing};

/// A backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum On {
    /// One SQLite file.
    Embedded,
    /// RabbitMQ 3 with Redis 7.
    #[value(name = "rabbitmq-3")]
    RabbitMq3,
    /// RabbitMQ 4 with Redis 8.
    #[value(name = "rabbitmq-4")]
    RabbitMq4,
}

impl On {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Embedded, Self::RabbitMq3, Self::RabbitMq4];

    /// Returns what it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::RabbitMq3 => "RabbitMQ 3.10 + Redis 7.0",
            Self::RabbitMq4 => "RabbitMQ 4.0 + Redis 8.0",
        }
    }

    /// Returns the generation of its servers; none where it has none.
    #[must_use]
    pub const fn generation(self) -> Option<Generation> {
        match self {
            Self::Embedded => None,
            Self::RabbitMq3 => Some(Generation::Old),
            Self::RabbitMq4 => Some(Generation::New),
        }
    }

    /// Returns the generations of broker and store.
    const fn generations(self) -> Option<(u8, u8)> {
        match self {
            Self::Embedded => None,
            Self::RabbitMq3 => Some((3, 7)),
            Self::RabbitMq4 => Some((4, 8)),
        }
    }
}

/// The servers of one run.
#[derive(Debug, Clone)]
pub struct Servers {
    /// Where the broker is.
    pub broker_url: String,
    /// Where the store is.
    pub store_url: String,
    /// The broker's process.
    pub broker_pid: u32,
    /// The store's process.
    pub store_pid: u32,
}

/// A folder, and servers; stopped and removed when dropped.
pub struct Ground {
    folder: TempDir,
    /// The servers, where the backend has some.
    pub servers: Option<Servers>,
}

impl Ground {
    /// Makes the folder and starts what `on` needs.
    ///
    /// # Errors
    /// When the folder or the servers cannot be had; the script says on stderr what is missing.
    pub fn open(on: On) -> Result<Self, Error> {
        let folder = tempfile::Builder::new()
            .prefix("leveret-loadtest-")
            .tempdir()
            .map_err(while_doing("make a folder"))?;
        let mut ground = Self { folder, servers: None };
        if let Some((broker, store)) = on.generations() {
            ground.services("up")?;
            ground.servers = Some(ground.read_servers(broker, store)?);
        }
        Ok(ground)
    }

    /// Returns the path of a file of the run.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn services(&self, verb: &str) -> Result<(), Error> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/services.sh");
        let status = Command::new(script)
            .arg(verb)
            .arg(self.path("services"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .map_err(while_doing("run scripts/services.sh"))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::unexpected("scripts/services.sh", format!("{verb} ended with {status}")))
    }

    fn read_servers(&self, broker: u8, store: u8) -> Result<Servers, Error> {
        let read = |name: &str| {
            let path = self.path("services").join(name);
            fs::read_to_string(&path).map_err(while_doing(format!("read {}", path.display())))
        };
        let environment = read("env")?;
        let url = |variable: String| {
            let found = environment.lines().find_map(|line| {
                line.strip_prefix("export ")?.strip_prefix(&variable)?.strip_prefix('=')
            });
            found.map(str::to_owned).ok_or_else(|| {
                Error::unexpected("scripts/services.sh", format!("did not start {variable}"))
            })
        };
        let pid = |name: String| {
            let text = read(&name)?;
            text.trim().parse().map_err(|_| Error::unexpected(name, "holds no process id"))
        };
        Ok(Servers {
            broker_url: url(format!("LEVERET_TEST_RABBITMQ_{broker}"))?,
            store_url: url(format!("LEVERET_TEST_REDIS_{store}"))?,
            broker_pid: pid(format!("rabbitmq-{broker}/pid"))?,
            store_pid: pid(format!("redis-{store}/pid"))?,
        })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        // A server that does not stop is said on stderr by the script.
        let _said = self.services("down");
    }
}
