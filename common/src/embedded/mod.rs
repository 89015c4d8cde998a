//! Broker and store in one SQLite file: the same promises with nothing installed.
//!
//! One process owns the folder ([`OpenError::Locked`] names it to others), one thread writes, two
//! read, and nothing of SQLite runs on the runtime's threads:
//!
//! - `writer`: the bounded channel and the group commit. A caller is answered after the commit that
//!   holds its operation, so what was answered survives `kill -9` and a power cut.
//! - `place` and `consumer`: what is handed out is remembered in memory only; a crash forgets it and
//!   every unacked message is there again, marked as redelivered.
//! - `ledger` applies the pure rules of [`crate::ledger::rules`]; `records` and `purge` keep what
//!   expires; `fleet` knows that owners of older incarnations are dead, because the lock says so.
//! - `leases` and signals live and die with the process, epochs and pauses do not; `schedules` keeps
//!   the timetable; `letters` and `seen` are lists for people; `diagnose` looks at all of it
//!   without being in the way.
//!
//! Consumers sleep until they are woken; those of a lane with delayed messages also until the
//! earliest is due. A clock that is moved by hand has to tell: [`Embedded::poke`].

mod broker;
mod consumer;
mod diagnose;
mod error;
mod fleet;
mod interim;
mod leases;
mod ledger;
mod letters;
mod lock;
mod place;
mod purge;
mod reader;
mod records;
#[cfg(feature = "testing")]
mod resting;
mod schedules;
mod schema;
mod seen;
mod signals;
mod stored;
mod survey;
#[cfg(test)]
mod tests;
mod thread;
mod transaction;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::error::Failure;
pub use self::error::OpenError;
use self::fleet::Heartbeats;
use self::leases::Held;
use self::lock::FolderLock;
use self::place::Places;
use self::reader::Reader;
#[cfg(feature = "testing")]
pub use self::resting::{Resting, Waits};
use self::schedules::Beats;
use self::schema::Source;
use self::seen::Lately;
use self::signals::Mailboxes;
use self::transaction::Transaction;
use self::writer::Writer;
use crate::clock::SharedClock;
use crate::name::Namespace;
use crate::store::Retention;

/// Where the file is and what it may hold.
#[derive(Debug, Clone)]
pub struct Config {
    /// The data folder; made where it is missing. It holds `leveret.db` and `leveret.lock`.
    pub folder: PathBuf,
    /// Whose tasks they are; a file belongs to one namespace.
    pub namespace: Namespace,
    /// Most bytes of a message's body.
    pub payload_limit: usize,
    /// How long records are kept.
    pub retention: Retention,
}

/// Broker and store in one file.
pub struct Embedded {
    core: Arc<Core>,
    heartbeats: Heartbeats,
    leases: Held,
    mailboxes: Mailboxes,
    lately: Lately,
    beats: Beats,
}

/// What consumers share with the backend.
struct Core {
    // The readers end before the writer, which closes the file and frees the folder.
    places_reader: Reader,
    answers: Reader,
    writer: Writer,
    places: Arc<Places>,
    clock: SharedClock,
    closed: AtomicBool,
    payload_limit: usize,
    retention: Retention,
    endpoint: String,
    file: PathBuf,
}

impl Embedded {
    /// Opens the data folder, and makes it where it is missing.
    ///
    /// Messages that were handed out and not acked when the folder was closed, in whatever way,
    /// are back in their lanes. Blocks for a few milliseconds; longer after a crash, while the
    /// log is read.
    ///
    /// # Errors
    /// When the folder is another process's, cannot be made or written, or holds something else.
    pub fn open(config: Config, clock: SharedClock) -> Result<Arc<Self>, OpenError> {
        let lock = FolderLock::take(&config.folder, clock.now())?;
        let source = Source::File(config.folder.join(schema::FILE));
        Self::start(&source, Some(lock), config, clock)
    }

    /// Opens an empty store in memory, shared with nobody and gone with its last user; the folder of
    /// the config only names it.
    ///
    /// # Errors
    /// When there is no memory for it.
    #[cfg(feature = "testing")]
    pub fn in_memory(config: Config, clock: SharedClock) -> Result<Arc<Self>, OpenError> {
        // Another name for each: what has the same name is the same store.
        let name = PathBuf::from(format!("/leveret-{}", uuid::Uuid::new_v4().simple()));
        Self::start(&Source::Memory(name), None, config, clock)
    }

    fn start(
        source: &Source,
        lock: Option<FolderLock>,
        config: Config,
        clock: SharedClock,
    ) -> Result<Arc<Self>, OpenError> {
        let Config { namespace, payload_limit, retention, .. } = config;
        let connection = schema::open_writer(source, &namespace)?;
        let file = source.name().to_owned();
        let transaction = Transaction::new(connection, Arc::clone(&clock))
            .map_err(|error| OpenError::sqlite("read", file.clone(), error))?;
        let inherited = transaction.last_id();
        let threads = |error| OpenError::io("start threads for", file.clone(), error);
        let places_reader = Reader::start("leveret-places", schema::open_reader(source)?);
        let answers = Reader::start("leveret-answers", schema::open_reader(source)?);
        let core = Core {
            places_reader: places_reader.map_err(threads)?,
            answers: answers.map_err(threads)?,
            writer: Writer::start(transaction, lock).map_err(threads)?,
            places: Arc::new(Places::new(inherited)),
            clock,
            closed: AtomicBool::new(false),
            payload_limit,
            retention,
            endpoint: file.display().to_string(),
            file,
        };
        tracing::info!(file = %core.endpoint, "data folder opened");
        Ok(Arc::new(Self {
            core: Arc::new(core),
            heartbeats: Heartbeats::default(),
            leases: Held::default(),
            mailboxes: Mailboxes::default(),
            lately: Lately::default(),
            beats: Beats::default(),
        }))
    }

    /// Tells whether a folder was opened before; makes nothing.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join(schema::FILE).exists()
    }

    /// Lets every waiting consumer look at the clock again.
    ///
    /// Consumers wait for delayed messages by real time, which a clock moved by hand does not
    /// follow: call this after moving it.
    pub fn poke(&self) {
        self.core.places.wake_all();
    }

    /// Returns how many transactions were committed since the folder was opened: with many
    /// callers at once, far fewer than there were calls.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.core.writer.commits()
    }
}

impl Core {
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Writes something, so that a full or read-only disk is noticed.
    async fn check(&self) -> Result<(), Failure> {
        let run =
            |to: &mut Transaction| to.execute("UPDATE house SET checks = checks + 1", []).map(drop);
        self.writer.write(1, run).await
    }

    async fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.places.wake_all();
        self.places_reader.close().await;
        self.answers.close().await;
        self.writer.close().await;
    }
}
