//! Questions about tasks: where one stands, and waiting until it is over.
//!
//! The answers are composed from the ledger's entry and the record; this file only asks.

use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::ledger::Entry;
use leveret_common::store::{StoreError, TaskRecord, TaskState, TaskView};
use tokio::time::{Instant, sleep, timeout_at};

use crate::producer::Producer;

/// The first wait between two looks.
const FIRST_WAIT: Duration = Duration::from_millis(10);
/// The longest wait between two looks: a compromise between a person's patience and the store's.
const LONGEST_WAIT: Duration = Duration::from_millis(250);
/// How long the note of the last attempt is waited for once the ledger says that a task is over:
/// notes are best effort and may come a moment after the mark, with the result in them.
const NOTE_PATIENCE: Duration = Duration::from_millis(500);

impl Producer {
    /// Tells where a task stands; nothing when neither ledger nor records know it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn find(&self, id: TaskId) -> Result<Option<TaskView>, StoreError> {
        let known = self.look_up(&[id]).await?;
        let now = self.backend().clock.now();
        let known = known.into_iter().next();
        let view =
            known.and_then(|(entry, record)| TaskView::compose(id, entry.as_ref(), record, now));
        let Some(mut view) = view else { return Ok(None) };
        if has_spoken(view.state) {
            view.interim =
                self.backend().records.last_said(&[id]).await?.into_iter().next().flatten();
        }
        Ok(Some(view))
    }

    /// Waits until a task is over, at most for `timeout`, and tells where it stands then.
    ///
    /// A task that nobody knows is waited for as well: without records it is known only once a
    /// worker has it. The store may be away meanwhile, as long as it is back at the end.
    ///
    /// # Errors
    /// When the store could not be asked until the time was over.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn wait(
        &self,
        id: TaskId,
        timeout: Duration,
    ) -> Result<Option<TaskView>, StoreError> {
        let mut deadline = Instant::now() + timeout;
        let mut is_over = false;
        let mut pause = FIRST_WAIT;
        let mut seen = self.find(id).await;
        loop {
            match &seen {
                Ok(Some(view)) if is_told(view) => return seen,
                Ok(Some(view)) if view.state.is_final() && !is_over => {
                    is_over = true;
                    deadline = deadline.min(Instant::now() + NOTE_PATIENCE);
                }
                Err(error) if !error.retryable() => return seen,
                Ok(_) | Err(_) => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return seen;
            }
            sleep(pause.min(left)).await;
            pause = (pause * 3 / 2).min(LONGEST_WAIT);
            // The last look is allowed one more pause, so that it is not cut off as it begins.
            match timeout_at(deadline + LONGEST_WAIT, self.find(id)).await {
                Ok(found) => seen = found,
                Err(_) => return seen,
            }
        }
    }

    /// Reads entry and record of each task.
    pub(crate) async fn look_up(
        &self,
        ids: &[TaskId],
    ) -> Result<Vec<(Option<Entry>, TaskRecord)>, StoreError> {
        let backend = self.backend();
        // One after the other: read beside it, the record could be older than the entry, and the
        // task would be shown as over without the result that is there.
        let entries = backend.ledger.entries(ids).await?;
        let records = backend.records.find(ids).await?;
        Ok(entries.into_iter().zip(records).collect())
    }
}

/// Tells whether what an attempt said of itself is of interest: not before the first, and not once
/// there is a result.
const fn has_spoken(state: TaskState) -> bool {
    !matches!(state, TaskState::Queued | TaskState::Delayed | TaskState::Done)
}

/// Tells whether a task is over and all is known of how.
fn is_told(view: &TaskView) -> bool {
    let last = view.history.last().map(|note| note.outcome.as_str());
    match view.state {
        TaskState::Done => last == Some("done"),
        TaskState::Dead => last == Some("dead"),
        state => state.is_final(),
    }
}
