//! The outbox in an SQLite file: rows are read, and marked in a short transaction. In WAL mode reading
//! holds up no sender; in any other a sender has to have a busy timeout.
//!
//! SQLite has no row locks, and its one lock for writing must not be held while a broker is waited
//! for. What keeps two relays from handing on the same rows is a lock on a file beside the
//! database: who does not have it stands by, and has it as soon as the other one is dead. Nothing
//! wakes us in another process's file, so its version is asked for, which reads no table.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::spawn::Spawner;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, OpenFlags, ToSql, TransactionBehavior};
use tokio::time::{Instant, sleep};

use super::error::RelayError;
use super::source::{
    Fate, MOST_COUNTED, MOST_PRUNED, MOST_SHOWN, Mark, Refused, Row, Source, Survey,
};

const TAKE: &str = include_str!("../../sql/sqlite/relay/take.sql");
const DELETE: &str = "delete from leveret_outbox where seq = ?1";
const SENT: &str = include_str!("../../sql/sqlite/relay/sent.sql");
const REFUSED: &str = include_str!("../../sql/sqlite/relay/refused.sql");
const WAITS: &str = include_str!("../../sql/sqlite/relay/waits.sql");
const PRUNE: &str = include_str!("../../sql/sqlite/relay/prune.sql");
const SURVEY: &str = include_str!("../../sql/sqlite/relay/survey.sql");
const TROUBLED: &str = include_str!("../../sql/sqlite/relay/troubled.sql");

/// How long a statement waits for writers of the same file.
const BUSY: Duration = Duration::from_secs(10);
/// How many bytes of args and options are taken at once, unless one row has more.
const MOST_BYTES: usize = 16 << 20;
/// How often the file's version is asked for.
const GLANCE: Duration = Duration::from_millis(50);

/// Kind, args and options as they are in the file, whatever their types.
type Content = [Stored; 3];

/// An outbox that is open.
pub(super) struct Sqlite {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
    kept: Duration,
    spawner: Spawner,
    lock: File,
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
        let (connection, lock) = match opened {
            Ok(opened) => opened?,
            Err(error) => return Err(unopened(&path, error.to_string(), error.into())),
        };
        let connection = Arc::new(Mutex::new(connection));
        let taken = HashMap::new();
        let mut outbox =
            Self { connection, path, kept, spawner, lock, is_ours: false, version: 0, taken };
        outbox.survey().await?;
        outbox.contend()?;
        Ok(outbox)
    }

    /// Tries to have the outbox for itself.
    fn contend(&mut self) -> Result<(), RelayError> {
        if self.is_ours {
            return Ok(());
        }
        match self.lock.try_lock() {
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
                Ok((version(connection)?, take(connection, most)?))
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
                mark(&transaction, row.seq, fate, content, deletes)?;
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
        self.work("count rows", |connection| survey(connection)).await
    }

    fn stands_by(&self) -> bool {
        !self.is_ours
    }
}

fn open(path: &Path) -> Result<(Connection, File), RelayError> {
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
    let beside = lock_path(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let lock = options.open(&beside).map_err(|error| {
        unopened(path, format!("{} cannot be written: {error}", beside.display()), error.into())
    })?;
    Ok((connection, lock))
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

fn take(connection: &Connection, most: u32) -> rusqlite::Result<Vec<(Row, Content)>> {
    let mut statement = connection.prepare_cached(TAKE)?;
    let (mut rows, mut taken, mut bytes) = (statement.query([most])?, Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (row, content) = read(row)?;
        bytes += row.args.len() + row.options.len();
        // The first is taken however large it is.
        if bytes > MOST_BYTES && !taken.is_empty() {
            break;
        }
        taken.push((row, content));
    }
    Ok(taken)
}

/// Reads a row, whatever its values are: what makes no sense becomes its defect.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<(Row, Content)> {
    let mut content: Content = Default::default();
    let mut defect = None;
    let mut texts = [const { String::new() }; 4];
    for ((place, name), told) in (1..).zip(["id", "kind", "args", "options"]).zip(&mut texts) {
        let value = row.get_ref(place)?;
        if matches!(value, ValueRef::Text(bytes) if std::str::from_utf8(bytes).is_err()) {
            defect = Some(format!("{name} is not UTF-8; write the row again"));
        }
        *told = text(value);
        if let Some(kept) = place.checked_sub(2).and_then(|place| content.get_mut(place)) {
            *kept = Stored::of(value);
        }
    }
    let age: Option<i64> = row.get(5)?;
    if age.is_none() {
        let why = "created_at is no number; write whole milliseconds since 1970";
        defect = Some(why.to_owned());
    }
    let age = Duration::from_millis(u64::try_from(age.unwrap_or_default()).unwrap_or_default());
    let tries = u32::try_from(row.get::<_, i64>(6)?.max(0)).unwrap_or(u32::MAX);
    let [id, kind, args, options] = texts;
    Ok((Row { seq: row.get(0)?, id, kind, args, options, age, tries, defect }, content))
}

/// A value as it is in the file, text that is not UTF-8 included.
#[derive(Debug)]
enum Stored {
    Text(Vec<u8>),
    Other(Value),
}

impl Default for Stored {
    fn default() -> Self {
        Self::Other(Value::Null)
    }
}

impl Stored {
    fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::default(),
            ValueRef::Integer(number) => Self::Other(Value::Integer(number)),
            ValueRef::Real(number) => Self::Other(Value::Real(number)),
            ValueRef::Text(bytes) => Self::Text(bytes.to_vec()),
            ValueRef::Blob(bytes) => Self::Other(Value::Blob(bytes.to_vec())),
        }
    }
}

impl ToSql for Stored {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(bytes) => ValueRef::Text(bytes),
            Self::Other(value) => value.into(),
        }))
    }
}

/// Reads what a sender wrote, whatever its type: what is no JSON then is refused as such.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
            String::from_utf8_lossy(bytes).into_owned()
        }
    }
}

fn mark(
    connection: &Connection,
    seq: i64,
    fate: Fate,
    content: Content,
    deletes: bool,
) -> rusqlite::Result<()> {
    let [kind, args, options] = content;
    match fate {
        Fate::Sent if deletes => connection.prepare_cached(DELETE)?.execute([seq])?,
        Fate::Sent => connection.prepare_cached(SENT)?.execute([seq])?,
        Fate::Refused(problem) => {
            connection.prepare_cached(REFUSED)?.execute((seq, problem, kind, args, options))?
        }
        Fate::Waits { problem, wait } => {
            let wait = i64::try_from(wait.as_millis()).unwrap_or(i64::MAX);
            connection.prepare_cached(WAITS)?.execute((seq, problem, wait))?
        }
    };
    Ok(())
}

fn survey(connection: &Connection) -> rusqlite::Result<Survey> {
    let counted = connection.prepare_cached(SURVEY)?.query_row([MOST_COUNTED], |row| {
        let count = |place| row.get::<_, i64>(place).map(i64::unsigned_abs);
        let oldest = row.get::<_, Option<i64>>(3)?;
        let oldest = oldest.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or_default()));
        let (waiting, failing, refused) = (count(0)?, count(1)?, count(2)?);
        Ok(Survey { waiting, failing, refused, oldest, troubled: Vec::new() })
    })?;
    let mut statement = connection.prepare_cached(TROUBLED)?;
    let troubled = statement.query_map([MOST_SHOWN, MOST_COUNTED], |row| {
        let [kind, problem] = [text(row.get_ref(1)?), text(row.get_ref(2)?)];
        Ok(Refused { seq: row.get(0)?, kind, problem, is_final: row.get(3)? })
    })?;
    Ok(Survey { troubled: troubled.collect::<rusqlite::Result<_>>()?, ..counted })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_cut_by_its_bytes_and_has_a_row_at_least() {
        let file = Connection::open_in_memory().unwrap();
        file.execute_batch(crate::Dialect::Sqlite.schema()).unwrap();
        for bytes in [MOST_BYTES + 1, 9 << 20, 9 << 20] {
            let args = format!("\"{}\"", "x".repeat(bytes));
            let insert = "insert into leveret_outbox (kind, args) values ('a.b', ?1)";
            file.execute(insert, [args]).unwrap();
        }
        assert_eq!(take(&file, 500).unwrap().len(), 1);
        file.execute(DELETE, [1]).unwrap();
        assert_eq!(take(&file, 500).unwrap().len(), 1);
    }
}
