//! A fleet: child processes of the shipped binary, their door, and what is written down about them.
//!
//! Responsible for starting, killing, draining, stopping and continuing its processes, and for a log of all that
//! was done, from which the oracle knows what explains a second run. Servers and proxies are others' matter: a fleet
//! is told where its broker and store are. Read [`settings`], [`role`], [`door`], [`producers`], [`journal`], [`log`],
//! then `acts` (what is done to it), [`timetable`] (what it owes by that) and [`rest`] (when all of its work is over).

mod acts;
pub mod clock;
pub mod door;
mod environment;
mod explain;
pub mod journal;
pub mod log;
mod owed;
pub mod producers;
pub mod program;
pub mod rest;
pub mod role;
pub mod settings;
pub mod timetable;

use std::path::{Path, PathBuf};

use leveret_common::clock::{Clock, Millis, SystemClock};
use leveret_common::id::TaskId;
use leveret_common::spawn::Spawner;
use serde_json::{Value, json};

pub use self::acts::Paused;
use self::clock::WrongClock;
use self::door::{Answer, Door};
use self::journal::Journal;
use self::log::Log;
use self::producers::{Books, Load, Producers, send_until};
use self::role::{PATIENCE, Role, Start};
pub use self::settings::{Backend, Settings};
use self::timetable::Due;
use crate::error::{Error, while_doing};
use crate::oracle::history::Run;
use crate::oracle::window::Limits;

/// Most tasks of one request, so that its answer comes in time.
const AT_ONCE: usize = 1_000;

/// Where the processes of a fleet reach broker and store.
#[derive(Debug, Clone)]
pub struct Ways {
    /// The gateway's.
    pub gateway: Backend,
    /// The workers'.
    pub workers: Backend,
    /// The beats'.
    pub beats: Backend,
}

impl Ways {
    /// Has all of them go the same way.
    #[must_use]
    pub fn all(backend: &Backend) -> Self {
        Self { gateway: backend.clone(), workers: backend.clone(), beats: backend.clone() }
    }
}

/// Child processes, and what is known of them.
pub struct Fleet {
    folder: PathBuf,
    /// Where its processes say what they do.
    logs: PathBuf,
    program: PathBuf,
    /// Whether one process does it all.
    is_embedded: bool,
    settings: Settings,
    /// What handlers write down.
    pub journal: Journal,
    /// What was done to the fleet.
    pub log: Log,
    /// What was accepted.
    pub books: Books,
    /// The gateway, wherever it listens.
    pub door: Door,
    /// From when to when its timetable counts.
    pub due: Due,
    gateway: Option<Role>,
    workers: Vec<Role>,
    beats: Vec<Role>,
    spawner: Spawner,
    started: usize,
    /// What whoever is started from now on finds in its environment.
    environment: Vec<(String, String)>,
}

impl Fleet {
    /// Writes the settings of a fleet into an empty folder; starts nothing.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(
        folder: &Path,
        program: &Path,
        ways: &Ways,
        settings: Settings,
    ) -> Result<Self, Error> {
        let journal = Journal::in_folder(folder);
        std::fs::create_dir_all(folder).map_err(while_doing("make the folder of a fleet"))?;
        let own = [("gateway", &ways.gateway), ("worker", &ways.workers), ("beat", &ways.beats)];
        for (role, backend) in own {
            let text = settings.text(backend, folder, &journal);
            std::fs::write(config(folder, role), text)
                .map_err(while_doing("write the settings of a fleet"))?;
        }
        if !settings.timetable.is_empty() {
            std::fs::write(folder.join("schedules.toml"), settings.timetable)
                .map_err(while_doing("write the timetable of a fleet"))?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            logs: folder.to_owned(),
            program: program.to_owned(),
            is_embedded: ways.workers == Backend::Embedded,
            settings,
            journal,
            log: Log::default(),
            books: Books::default(),
            door: Door::new()?,
            due: Due::default(),
            gateway: None,
            workers: Vec::new(),
            beats: Vec::new(),
            spawner: Spawner::new(),
            started: 0,
            environment: Vec::new(),
        })
    }

    /// Has the logs of whoever is started from now on in another folder.
    pub fn log_to(&mut self, folder: PathBuf) {
        self.logs = folder;
    }

    /// Returns its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns its settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether one process is all of it.
    #[must_use]
    pub const fn is_embedded(&self) -> bool {
        self.is_embedded
    }

    /// Returns what second runs are judged by.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            heartbeat: self.settings.heartbeat,
            heartbeat_ttl: self.settings.heartbeat_ttl,
            ..Limits::default()
        }
    }

    /// Returns the workers; on the embedded backend the one process.
    pub const fn workers(&mut self) -> &mut Vec<Role> {
        &mut self.workers
    }

    /// Returns the beats.
    pub const fn beats(&mut self) -> &mut Vec<Role> {
        &mut self.beats
    }

    /// Returns the gateway; none on the embedded backend, where the one process has it.
    pub const fn gateway(&mut self) -> &mut Option<Role> {
        &mut self.gateway
    }

    /// Has whoever is started from now on be shown this clock; without one, the machine's.
    pub fn show_clock(&mut self, clock: Option<&WrongClock>) {
        self.environment = clock.map(WrongClock::environment).unwrap_or_default();
    }

    /// Starts the gateway, where it is a process of its own, and has the door lead to it.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Cancel safety
    /// Dropped, the process is killed.
    pub async fn start_gateway(&mut self, failpoints: &str) -> Result<(), Error> {
        if !self.is_embedded {
            let gateway = self.start("gateway", failpoints).await?;
            self.door.lead_to(gateway.url());
            self.gateway = Some(gateway);
        }
        Ok(())
    }

    /// Starts a worker, or the one process, and returns its process id.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Cancel safety
    /// Dropped, the process is killed.
    pub async fn start_worker(&mut self, failpoints: &str) -> Result<u32, Error> {
        let worker = self.start(self.worker_role(), failpoints).await?;
        if self.is_embedded {
            self.door.lead_to(worker.url());
        }
        let pid = worker.pid();
        self.workers.push(worker);
        Ok(pid)
    }

    /// Starts a worker, or the one process, that may be killed before it says a word; the door does not lead to it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch_worker(&mut self, failpoints: &str) -> Result<u32, Error> {
        let role = self.worker_role();
        let (config, log) = self.places(role);
        let words = [role];
        let (program, environment) = (&self.program, &self.environment);
        let config = &config;
        let start = Start { program, words: &words, config, failpoints, environment, log };
        let worker = Role::launch(start, &self.spawner)?;
        self.log.meet(&worker);
        let pid = worker.pid();
        self.workers.push(worker);
        Ok(pid)
    }

    /// Starts a beat, and returns its process id.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Cancel safety
    /// Dropped, the process is killed.
    pub async fn start_beat(&mut self, failpoints: &str) -> Result<u32, Error> {
        let beat = self.start("beat", failpoints).await?;
        let pid = beat.pid();
        self.beats.push(beat);
        Ok(pid)
    }

    /// Starts any role, which nobody but the caller keeps.
    ///
    /// # Errors
    /// When it does not start.
    ///
    /// # Cancel safety
    /// Dropped, the process is killed.
    pub async fn start(&mut self, role: &str, failpoints: &str) -> Result<Role, Error> {
        let (config, log) = self.places(role);
        let words = [role];
        let (program, environment) = (&self.program, &self.environment);
        let config = &config;
        let start = Start { program, words: &words, config, failpoints, environment, log };
        // Aborted by a failpoint before it is ready, it is of no use to whoever waits for it.
        let role = Role::begin(start, &self.spawner).await?;
        self.log.meet(&role);
        role.is_ready_within(PATIENCE).await?;
        Ok(role)
    }

    /// Adds to the settings of a role; whoever is started from now on goes by it.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn add_settings(&self, role: &str, tables: &str) -> Result<(), Error> {
        let path = config(&self.folder, if self.is_embedded { "worker" } else { role });
        let text = std::fs::read_to_string(&path).map_err(while_doing("read settings"))?;
        std::fs::write(&path, text + tables).map_err(while_doing("write settings"))
    }

    /// Puts one task in under an id of its own, sent again until it is accepted.
    ///
    /// # Errors
    /// When it is refused, or nobody answers for a minute.
    ///
    /// # Cancel safety
    /// Dropped, it may be accepted and not recorded.
    pub async fn put(&self, kind: &str) -> Result<TaskId, Error> {
        let id = TaskId::mint();
        self.put_as(id, kind, json!({ "kind": kind, "id": id, "args": 1 })).await.map(|()| id)
    }

    /// Puts a task in as it stands here, sent again until it is accepted.
    ///
    /// # Errors
    /// When it is refused, or nobody answers for a minute.
    ///
    /// # Cancel safety
    /// Dropped, it may be accepted and not recorded.
    pub async fn put_as(&self, id: TaskId, kind: &str, task: Value) -> Result<(), Error> {
        let until = tokio::time::sleep(PATIENCE);
        match send_until(&self.door, &self.books, id, kind, &task, until).await {
            Answer::Accepted => Ok(()),
            Answer::Refused(why) | Answer::Unknown(why) => {
                Err(Error::unexpected("the gateway", format!("does not take {kind}: {why}")))
            }
        }
    }

    /// Puts `count` tasks in with few requests, and whatever is not answered again; returns their ids.
    ///
    /// # Errors
    /// When one is refused, or nobody answers for a minute.
    ///
    /// # Cancel safety
    /// Dropped, they may be accepted and not recorded.
    pub async fn put_many(&self, kind: &str, count: usize) -> Result<Vec<TaskId>, Error> {
        let ids: Vec<TaskId> = (0..count).map(|_| TaskId::mint()).collect();
        let tasks: Vec<Value> =
            ids.iter().map(|id| json!({ "kind": kind, "id": id, "args": 1 })).collect();
        let mut answers = Vec::new();
        for some in tasks.chunks(AT_ONCE) {
            answers.extend(self.door.send_all(some).await);
        }
        let now = SystemClock.now();
        for ((id, task), answer) in ids.iter().zip(tasks).zip(answers) {
            match answer {
                Answer::Accepted => self.books.open().accept(*id, kind, now),
                Answer::Refused(_) | Answer::Unknown(_) => self.put_as(*id, kind, task).await?,
            }
        }
        Ok(ids)
    }

    /// Sets producers to work.
    #[must_use]
    pub fn load(&self, load: &Load, chance: &mut fastrand::Rng) -> Producers {
        Producers::begin(load, &self.door, &self.books, chance)
    }

    /// Returns the runs of a task.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn runs(&self, id: TaskId) -> Result<Vec<Run>, Error> {
        Ok(self.journal.read()?.of(id).to_vec())
    }

    /// Tells `slow` tasks to end.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn let_go(&self) -> Result<(), Error> {
        std::fs::write(settings::go(&self.folder), "").map_err(while_doing("let slow tasks go"))
    }

    /// Returns the present instant.
    #[must_use]
    pub fn now() -> Millis {
        SystemClock.now()
    }

    const fn worker_role(&self) -> &'static str {
        if self.is_embedded { "dev" } else { "worker" }
    }

    fn places(&mut self, role: &str) -> (PathBuf, PathBuf) {
        self.started += 1;
        let log = self.logs.join(format!("{role}-{}.log", self.started));
        (config(&self.folder, role), log)
    }
}

fn config(folder: &Path, role: &str) -> PathBuf {
    // The one process is a worker, too.
    let role = if role == "dev" { "worker" } else { role };
    folder.join(format!("{role}.toml"))
}
