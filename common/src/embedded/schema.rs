//! Opens the file: whose it is, which schema it has, and the settings the promises rest on.
//!
//! Nothing is written to a file before it is known to be ours or empty. All migrations run in one
//! transaction together with the version they lead to.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::error::OpenError;
use crate::name::Namespace;

pub(super) const FILE: &str = "leveret.db";

/// `Lvrt`, in the file's header: `file(1)` and other programs see whose it is.
const APPLICATION: i32 = 0x4c76_7274;

/// The steps from an empty file to the present schema; the n-th leads to version n.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/0001_messages_ledger_records.sql"),
    include_str!("migrations/0002_leases_pauses_letters_acts.sql"),
    include_str!("migrations/0003_schedules.sql"),
    include_str!("migrations/0004_interim.sql"),
];

/// How long a statement waits for whoever else has the file open, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// The newest schema that this program knows.
const KNOWN: u32 = MIGRATIONS.len() as u32;

/// Where the tables are.
pub(super) enum Source {
    /// In a file.
    File(PathBuf),
    /// In the memory of this process, until the last connection ends; shared by this name.
    #[cfg(feature = "testing")]
    Memory(PathBuf),
}

impl Source {
    /// Names it, for people.
    pub(super) fn name(&self) -> &Path {
        match self {
            Self::File(file) => file,
            #[cfg(feature = "testing")]
            Self::Memory(name) => name,
        }
    }

    fn connect(&self, flags: OpenFlags) -> rusqlite::Result<Connection> {
        match self {
            Self::File(file) => Connection::open_with_flags(file, flags),
            // SQLite's own file system in memory: connections of one process share what has a
            // name with a slash in front. It has no log, so the settings for one say nothing.
            #[cfg(feature = "testing")]
            Self::Memory(name) => Connection::open_with_flags_and_vfs(name, flags, c"memdb"),
        }
    }
}

/// Opens the connection that writes, and brings the file up to date.
pub(super) fn open_writer(source: &Source, namespace: &Namespace) -> Result<Connection, OpenError> {
    let file = source.name();
    let failed = |error| OpenError::sqlite("open", file.to_owned(), error);
    let connection = source.connect(OpenFlags::default()).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    let found = recognise(&connection, file)?;
    set_up(&connection).map_err(failed)?;
    let version = usize::try_from(found).unwrap_or(usize::MAX);
    migrate(&connection, version, namespace)
        .map_err(|error| OpenError::sqlite("migrate", file.to_owned(), error))?;
    let owner: String = connection
        .query_row("SELECT namespace FROM house", [], |row| row.get(0))
        .map_err(failed)?;
    if owner != namespace.as_str() {
        let (file, wanted) = (file.to_owned(), namespace.clone());
        return Err(OpenError::OtherNamespace { file, found: owner, wanted });
    }
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_reader(source: &Source) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::sqlite("open", source.name().to_owned(), error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = source.connect(flags).map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    Ok(connection)
}

/// Returns the version of the file's schema; 0 for an empty file.
fn recognise(connection: &Connection, file: &Path) -> Result<u32, OpenError> {
    let failed = |error| OpenError::sqlite("open", file.to_owned(), error);
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(failed)?;
    let version: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    let has_tables = connection
        .query_row("SELECT 1 FROM sqlite_schema LIMIT 1", [], |_| Ok(()))
        .optional()
        .map_err(failed)?
        .is_some();
    let empty = application == 0 && version == 0 && !has_tables;
    if application != APPLICATION && !empty {
        return Err(OpenError::Foreign { file: file.to_owned() });
    }
    if version > KNOWN {
        return Err(OpenError::Newer { file: file.to_owned(), found: version, known: KNOWN });
    }
    Ok(version)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // FULL: a commit that was answered survives a power cut. The checkpoint every 16 MiB instead
    // of every 4 spares the disk the pages that are rewritten meanwhile; the WAL file is cut back
    // to 64 MiB after a burst.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = 4000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -32768;
         PRAGMA temp_store = MEMORY;",
    )?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn migrate(connection: &Connection, from: usize, to: &Namespace) -> rusqlite::Result<()> {
    let steps = MIGRATIONS.get(from..).unwrap_or_default();
    if steps.is_empty() {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    for step in steps {
        connection.execute_batch(step)?;
    }
    if from == 0 {
        connection.execute("INSERT INTO house (one, namespace) VALUES (1, ?1)", [to.as_str()])?;
    }
    connection.pragma_update(None, "application_id", APPLICATION)?;
    connection.pragma_update(None, "user_version", KNOWN)?;
    connection.execute_batch("COMMIT")
}
