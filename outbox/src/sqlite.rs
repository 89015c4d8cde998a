//! SQLite: a task that is put in with the caller's transaction.

use leveret_producer::Request;
use rusqlite::Connection;

use crate::entry::{EnqueueError, Entry};

const INSERT: &str = "insert into leveret_outbox (kind, args, options) values (?1, ?2, ?3)";

/// Writes a task into the outbox as part of the transaction that `connection` is in; a
/// [`rusqlite::Transaction`] will do. Returns by what the task is found, nothing where a key names
/// it.
///
/// A queue or class that its type names goes with the row, so it comes before what the relay's
/// configuration says about the kind.
///
/// # Errors
/// [`EnqueueError`]: everything that is wrong with the request, or what the database said.
///
/// # Examples
/// ```no_run
/// # #[derive(serde::Serialize, leveret_producer::Task)]
/// # #[task(kind = "email.welcome", queue = "mail")]
/// # struct Welcome { user_id: u64 }
/// # fn example(mut connection: rusqlite::Connection) -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = connection.transaction()?;
/// transaction.execute("insert into users (id) values (7)", [])?;
/// leveret_outbox::sqlite::enqueue(&transaction, Welcome { user_id: 7 })?;
/// transaction.commit()?;
/// # Ok(())
/// # }
/// ```
pub fn enqueue(
    connection: &Connection,
    task: impl Into<Request>,
) -> Result<Option<String>, EnqueueError> {
    let Entry { written, id } = Entry::new(task.into())?;
    let failed = |error: rusqlite::Error| EnqueueError::Database {
        why: error.to_string(),
        source: error.into(),
    };
    let mut insert = connection.prepare_cached(INSERT).map_err(failed)?;
    insert.execute((&written.kind, &written.args, &written.options)).map_err(failed)?;
    Ok(id)
}
