//! The entry: what a request becomes as a row, checked before it is written.
//!
//! The relay checks every row, whoever wrote it. Here the same is done early, so that a sender in
//! Rust learns of a mistake while the transaction can still be rolled back.

use leveret_common::id::TaskId;
use leveret_producer::{Problems, Request, Written};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Tells why a task was not written into the outbox. The transaction should be rolled back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnqueueError {
    /// The request is wrong; nothing was written.
    #[error("failed to enqueue: {0}")]
    Invalid(Problems),
    /// The database did not take the row.
    #[error("failed to write the task into the outbox: {why}")]
    Database {
        /// What the database said.
        why: String,
        /// The client's own error.
        #[source]
        source: Source,
    },
}

/// A row to be written.
pub(crate) struct Entry {
    /// Kind, args and options.
    pub(crate) written: Written,
    /// By what people find the task; nothing where a key names it.
    pub(crate) id: Option<String>,
}

impl Entry {
    /// Checks a request and gives it an id, unless it names the task itself.
    pub(crate) fn new(request: Request) -> Result<Self, EnqueueError> {
        let request = match request.is_named() {
            true => request,
            false => request.id(TaskId::mint().to_string()),
        };
        let id = request.given_id().map(str::to_owned);
        let written = Written::of(request).map_err(EnqueueError::Invalid)?;
        Ok(Self { written, id })
    }
}
