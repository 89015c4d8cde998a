//! What a handler says while it runs: progress for people, a checkpoint for the next attempt.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Extract;
use crate::handler::{Execution, Notebook, TaskError};

/// Tells people how far the attempt is: `leveret task show` and `GET /v1/tasks/{id}` have it.
///
/// Reporting costs nothing that a handler would wait for: at most once a second the latest is written,
/// best effort. More than 100 percent counts as 100, and a longer message is cut.
#[derive(Debug, Clone)]
pub struct Progress(Notebook);

impl Progress {
    /// Reports how far the attempt is, 0 to 100, and what it does just now (at most 1 KiB).
    pub fn report(&self, percent: u8, message: impl Into<String>) {
        self.0.report(Some(percent), Some(message.into()));
    }

    /// Reports how far the attempt is, 0 to 100.
    pub fn percent(&self, percent: u8) {
        self.0.report(Some(percent), None);
    }

    /// Reports what the attempt does just now (at most 1 KiB).
    pub fn message(&self, message: impl Into<String>) {
        self.0.report(None, Some(message.into()));
    }
}

impl<S: Sync> Extract<S> for Progress {
    async fn extract(execution: &Execution, _: &S) -> Result<Self, TaskError> {
        Ok(Self(execution.notebook.clone()))
    }
}

/// State that a handler saves and the next attempt of the same task goes on from.
///
/// It is kept as long as the record of an enqueue (`retention.record`), counted from the last save, in the
/// store: a wipe loses it, and then the attempt begins anew. A replay begins anew, too. What was done
/// after the last save is done again.
///
/// Taking it asks the store; where that fails, the attempt is a failure of class `checkpoint`.
///
/// # Examples
/// ```
/// use leveret_worker::handler::{Checkpoint, TaskError};
///
/// async fn import(pages: Vec<String>, mut checkpoint: Checkpoint<usize>) -> Result<(), TaskError> {
///     let done = checkpoint.take().unwrap_or(0);
///     for (number, page) in pages.iter().enumerate().skip(done) {
///         # let _ = page;
///         // … one page …
///         checkpoint.save(&(number + 1)).await?;
///     }
///     Ok(())
/// }
/// ```
#[derive(Debug)]
pub struct Checkpoint<T> {
    saved: Option<T>,
    notebook: Notebook,
}

impl<T> Checkpoint<T> {
    /// Returns what an earlier attempt saved; nothing where none did.
    #[must_use]
    pub const fn saved(&self) -> Option<&T> {
        self.saved.as_ref()
    }

    /// Takes what an earlier attempt saved. It stays saved.
    #[must_use]
    pub const fn take(&mut self) -> Option<T> {
        self.saved.take()
    }
}

impl<T: Serialize> Checkpoint<T> {
    /// Saves `state` in place of what was saved before, and waits until it is written.
    ///
    /// # Errors
    /// A failure of class `checkpoint`, where the store does not take it, or it is larger than
    /// [`MAX_CHECKPOINT`](crate::handler::MAX_CHECKPOINT).
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been saved.
    pub async fn save(&self, state: &T) -> Result<(), TaskError> {
        let json = serde_json::to_string(state)
            .map_err(|error| TaskError::failed("checkpoint", format!("no JSON of it: {error}")))?;
        self.notebook.save(json).await
    }
}

impl<S: Sync, T: DeserializeOwned + Send> Extract<S> for Checkpoint<T> {
    async fn extract(execution: &Execution, _: &S) -> Result<Self, TaskError> {
        let notebook = execution.notebook.clone();
        let saved = notebook.recall().await?;
        let saved = saved.as_deref().map(serde_json::from_str).transpose().map_err(|error| {
            let why = format!("what an earlier attempt saved does not fit: {error}");
            TaskError::failed("checkpoint", why)
        })?;
        Ok(Self { saved, notebook })
    }
}
