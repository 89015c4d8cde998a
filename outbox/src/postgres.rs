//! PostgreSQL: a task that is put in with the caller's transaction.

use leveret_producer::Request;
use tokio_postgres::GenericClient;
use tokio_postgres::types::Type;

use crate::entry::{EnqueueError, Entry};

const ENQUEUE: &str = "select leveret_enqueue($1, $2::text::jsonb, $3::text::jsonb)";

/// Writes a task into the outbox as part of the transaction that `client` is in; a
/// [`tokio_postgres::Transaction`] will do. Returns by what the task is found, nothing where a key
/// names it.
///
/// A queue or class that its type names goes with the row, so it comes before what the relay's
/// configuration says about the kind.
///
/// # Errors
/// [`EnqueueError`]: everything that is wrong with the request, or what the database said.
///
/// # Cancel safety
/// Dropped, the row may or may not be part of the transaction: roll it back.
///
/// # Examples
/// ```no_run
/// # #[derive(serde::Serialize, leveret_producer::Task)]
/// # #[task(kind = "email.welcome", queue = "mail")]
/// # struct Welcome { user_id: u64 }
/// # async fn example(mut client: tokio_postgres::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = client.transaction().await?;
/// transaction.execute("insert into users (id) values (7)", &[]).await?;
/// leveret_outbox::postgres::enqueue(&transaction, Welcome { user_id: 7 }).await?;
/// transaction.commit().await?;
/// # Ok(())
/// # }
/// ```
pub async fn enqueue(
    client: &impl GenericClient,
    task: impl Into<Request>,
) -> Result<Option<String>, EnqueueError> {
    let Entry { written, id } = Entry::new(task.into())?;
    let (kind, args, options) = (&written.kind, &written.args, &written.options);
    let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(kind, Type::TEXT), (args, Type::TEXT), (options, Type::TEXT)];
    client
        .query_typed(ENQUEUE, &parameters)
        .await
        .map_err(|error| EnqueueError::Database { why: told(&error), source: error.into() })?;
    Ok(id)
}

/// Returns what a server said, or what happened instead, whole.
pub(crate) fn told(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;

    if let Some(said) = error.as_db_error() {
        let hint = said.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
        return format!("{} [{}]{hint}", said.message(), said.code().code());
    }
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
