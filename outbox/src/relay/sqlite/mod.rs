//! The outbox in an SQLite file: rows are read, and marked in a short transaction. In WAL mode reading
//! holds up no sender; in any other a sender has to have a busy timeout.
//!
//! SQLite has no row locks, and its one lock for writing must not be held while a broker is waited
//! for. What keeps two relays from handing on the same rows is a lock on a file beside the
//! database: who does not have it stands by, and has it as soon as the other one is dead. Nothing
//! wakes us in another process's file, so its version is asked for, which reads no table.

mod rows;

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::spawn::Spawner;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::time::{Instant, sleep};

use self::rows::Content;
use super::error::RelayError;
use super::source::{MOST_PRUNED, Mark, Row, Source, Survey};

const PRUNE: &str = include_str!("../../../sql/sqlite/relay/prune.sql");

/// How long a statement waits for writers of the same file.
const BUSY: Duration = Duration::from_secs(10);
/// How often the file's version is asked for.
const GLANCE: Duration = Duration::from_millis(50);

/// An outbox that is open.
pub(super) struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
    kept: Duration,
    spawner: Spawner,
    /// Open once this relay has tried to have the outbox for itself; who only looks never does.
    lock: Option<File>,
    is_ours: bool,
    /// The file's version when rows were last looked for.
    version: i64,
    taken: HashMap<i64, Content>,
}

impl Sqlite {
    /// Opens the file, which has to be there, and looks whether the table can be used.
    pub(super) async fn open(
        path: PathBuf,
        kept: Duration,
        spawner: Spawner,
    ) -> Result<Self, RelayError> {
        let opened = {
            let path = path.clone();
            spawner.spawn_blocking(move || open(&path)).await
        };
        let connection = match opened {
            Ok(opened) => opened?,
            Err(error) => return Err(unopened(&path, error.to_string(), error.into())),
        };
        let connection = Arc::new(Mutex::new(connection));
        let taken = HashMap::new();
        let mut outbox =
            Self { connection, path, kept, spawner, lock: None, is_ours: false, version: 0, taken };
        outbox.survey().await?;
        Ok(outbox)
    }

    /// Tries to have the outbox for itself.
    fn contend(&mut self) -> Result<(), RelayError> {
        if self.is_ours {
            return Ok(());
        }
        let lock = match self.lock.take() {
            Some(lock) => lock,
            None => open_lock(&self.path)?,
        };
        match self.lock.insert(lock).try_lock() {
            Ok(()) => self.is_ours = true,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => {
                let why = format!("{} cannot be locked: {error}", lock_path(&self.path).display());
                return Err(unopened(&self.path, why, error.into()));
            }
        }
        Ok(())
    }

    /// Does something with the file on a thread that may block.
    async fn work<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, RelayError> {
        let connection = Arc::clone(&self.connection);
        let job = move || work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner));
        let endpoint = self.path.display().to_string();
        match self.spawner.spawn_blocking(job).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.to_string().contains("no such table: leveret_outbox") => {
                Err(RelayError::NoTable { endpoint, dialect: "sqlite" })
            }
            Ok(Err(error)) => {
                let why = error.to_string();
                Err(RelayError::Operation { operation, endpoint, why, source: Some(error.into()) })
            }
            Err(error) => {
                let why = error.to_string();
                Err(RelayError::Operation { operation, endpoint, why, source: Some(error.into()) })
            }
        }
    }
}

#[async_trait]
impl Source for Sqlite {
    async fn take(&mut self, most: u32) -> Result<Vec<Row>, RelayError> {
        self.contend()?;
        if !self.is_ours {
            return Ok(Vec::new());
        }
        // The version first: what is committed between the two is seen by the next glance.
        let (version, found) = self
            .work("take rows", move |connection| {
                Ok((version(connection)?, rows::take(connection, most)?))
            })
            .await?;
        self.version = version;
        let (rows, contents): (Vec<Row>, Vec<Content>) = found.into_iter().unzip();
        self.taken = rows.iter().map(|row| row.seq).zip(contents).collect();
        Ok(rows)
    }

    async fn mark(&mut self, marks: Vec<Mark>) -> Result<(), RelayError> {
        let mut taken = std::mem::take(&mut self.taken);
        let deletes = self.kept.is_zero();
        self.work("write down what became of rows", move |connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for Mark { row, fate } in marks {
                let content = taken.remove(&row.seq).unwrap_or_default();
                rows::mark(&transaction, row.seq, fate, content, deletes)?;
            }
            leveret_common::failpoint::pass("relay.marking");
            transaction.commit()
        })
        .await
    }

    async fn wait(&mut self, longest: Duration) -> Result<(), RelayError> {
        let end = Instant::now() + longest;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            sleep(GLANCE.min(left)).await;
            self.contend()?;
            let now = self.work("ask for the file's version", |file| version(file)).await?;
            if self.is_ours && now != self.version {
                return Ok(());
            }
        }
    }

    async fn prune(&mut self) -> Result<bool, RelayError> {
        if !self.is_ours {
            return Ok(false);
        }
        let kept = i64::try_from(self.kept.as_millis()).unwrap_or(i64::MAX);
        let prune = move |connection: &mut Connection| {
            connection.prepare_cached(PRUNE)?.execute((kept, MOST_PRUNED))
        };
        let pruned = self.work("delete rows that were sent", prune).await?;
        Ok(i64::try_from(pruned).is_ok_and(|pruned| pruned >= MOST_PRUNED))
    }

    async fn survey(&mut self) -> Result<Survey, RelayError> {
        self.work("count rows", |connection| rows::survey(connection)).await
    }

    fn stands_by(&self) -> bool {
        !self.is_ours
    }
}

fn open(path: &Path) -> Result<Connection, RelayError> {
    let failed = |error: rusqlite::Error| {
        let why = match path.exists() {
            true => error.to_string(),
            false => "there is no such file; name your application's own database".to_owned(),
        };
        unopened(path, why, error.into())
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    let mode: String =
        connection.pragma_query_value(None, "journal_mode", |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        tracing::warn!(
            endpoint = %path.display(),
            journal_mode = mode,
            "the file is not in WAL mode: reading it may hold up senders; PRAGMA journal_mode=WAL mends it"
        );
    }
    Ok(connection)
}

/// Opens the file whose lock says who serves the outbox, and makes it where it is not there.
fn open_lock(path: &Path) -> Result<File, RelayError> {
    let beside = lock_path(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(&beside).map_err(|error| {
        unopened(path, format!("{} cannot be written: {error}", beside.display()), error.into())
    })
}

/// Returns the file whose lock says which relay serves the outbox.
fn lock_path(path: &Path) -> PathBuf {
    // One file is served by one relay, by whatever path it is named.
    let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut name = path.into_os_string();
    name.push("-relay");
    name.into()
}

fn unopened(
    path: &Path,
    why: String,
    source: Box<dyn std::error::Error + Send + Sync>,
) -> RelayError {
    RelayError::Connect { endpoint: path.display().to_string(), why, source: Some(source) }
}

/// Returns a number that is another one after each commit of somebody else.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "data_version", |row| row.get(0))
}
