//! Cancel: the ledger is told that a task is not to be run, its holder is told to stop, and who
//! said so is written down (rule K1).
//!
//! Whether a task should be cancelled, and what a person is told, is for those who ask. Guards that
//! only the ledger's answer counts: the rest is a hint and a note.

use std::future::Future;
use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::ledger::{Cancel, Cancelling, Entry, Hold};
use leveret_common::store::{Act, Action, Signal, StoreError, TaskRecord};
use tokio::time::timeout;

use crate::producer::Producer;

/// A mark that a task is cancelled is kept at least for so long after the task is due: its message
/// may rest in a lane for hours before somebody takes it.
const LEAST_KEPT: Duration = Duration::from_secs(86_400);
/// How long each step waits for the store.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// Tells why it is not known whether a task is cancelled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CancelError {
    /// The store did not answer in time; it may be cancelled all the same.
    #[error("failed to cancel the task: no answer within {within:?}")]
    Late {
        /// How long was waited.
        within: Duration,
    },
    /// The store did not say what became of it.
    #[error("failed to cancel the task: the store gave no answer")]
    Unanswered,
    /// The store refused, or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Producer {
    /// Returns what the ledger has to be asked, from what is known of a task.
    #[must_use]
    pub fn cancel_of(&self, id: TaskId, entry: Option<&Entry>, record: &TaskRecord) -> Cancel {
        let backend = self.backend();
        // What is left of the delay, and the retention.
        let due = record.enqueued.as_ref().and_then(|enqueued| enqueued.not_before);
        let next = record.history.last().and_then(|note| note.next_at);
        let left = due.max(next).map_or(Duration::ZERO, |due| due.since(backend.clock.now()));
        let ttl = left + backend.retention.record.max(LEAST_KEPT);
        Cancel { id, replay: greatest_replay(entry, record), ttl }
    }

    /// Cancels a task: asks the ledger, tells the worker that runs it, and writes down that it was
    /// `by`.
    ///
    /// # Errors
    /// [`CancelError`]; it may be cancelled all the same.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not be cancelled; repeat it.
    pub async fn cancel(&self, ask: Cancel, by: &str) -> Result<Cancelling, CancelError> {
        self.cancel_all(&[ask], by).await?.into_iter().next().ok_or(CancelError::Unanswered)
    }

    /// Cancels tasks as [`Producer::cancel`] does; answers in their order.
    ///
    /// # Errors
    /// [`CancelError`]; any of them may be cancelled all the same.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not be cancelled; repeat it.
    pub async fn cancel_all(
        &self,
        asks: &[Cancel],
        by: &str,
    ) -> Result<Vec<Cancelling>, CancelError> {
        let answers = in_time(self.backend().ledger.cancel(asks)).await?;
        if answers.len() != asks.len() {
            return Err(CancelError::Unanswered);
        }
        let mut acts = Vec::new();
        for (&Cancel { id, replay, .. }, answer) in asks.iter().zip(&answers) {
            match answer {
                Cancelling::Cancelled => {}
                Cancelling::Asked(hold) => self.tell(id, *hold).await,
                Cancelling::TooLate | Cancelling::Over(_) => continue,
            }
            let (action, at) = (Action::Cancelled { replay }, self.backend().clock.now());
            acts.push(Act { id, action, at, by: by.to_owned() });
        }
        self.note(&acts).await;
        Ok(answers)
    }

    /// Tells the worker that holds a task. Only a hint: the flag is in the ledger's entry, where
    /// the holder meets it.
    async fn tell(&self, id: TaskId, hold: Hold) {
        let signal = [Signal::Cancel { task: id, fence: hold.fence }];
        if let Err(error) = in_time(self.backend().signals.send(hold.owner, &signal)).await {
            tracing::warn!(task = %id, %error, "the worker learns of a cancel later");
        }
    }

    /// Writes down who cancelled. Best effort: the ledger has what counts.
    async fn note(&self, acts: &[Act]) {
        let Some(first) = acts.first() else { return };
        if let Err(error) = in_time(self.backend().records.acted(acts)).await {
            let (task, count) = (first.id, acts.len());
            tracing::warn!(%task, count, %error, "it is not recorded who cancelled");
        }
    }
}

async fn in_time<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, CancelError> {
    match timeout(PATIENCE, asked).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CancelError::Late { within: PATIENCE }),
    }
}

/// Returns the greatest replay of which a message is known.
fn greatest_replay(entry: Option<&Entry>, record: &TaskRecord) -> u32 {
    let decided = match entry {
        None => 0,
        Some(Entry::Running(held) | Entry::Finishing(held, _)) => held.order.replay,
        Some(Entry::Waiting(waiting)) => waiting.order.replay,
        Some(Entry::Settled(settled)) => settled.replay,
    };
    let tried = record.history.iter().map(|note| note.order.replay);
    let acted = record.acts.iter().filter_map(|act| match act.action {
        Action::Replayed { replay } => Some(replay),
        Action::Cancelled { .. } | Action::Discarded { .. } | Action::Replaced { .. } => None,
    });
    tried.chain(acted).fold(decided, u32::max)
}
