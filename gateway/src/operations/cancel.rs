//! Cancel: the ledger is told that a task is not to be run, its holder is told to stop, and who
//! said so is written down (rule K1).

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::{Owner, TaskId};
use leveret_common::ledger::{Cancel, Cancelling, Ending, Entry};
use leveret_common::store::{Act, Action, Signal, TaskRecord, TaskState, TaskView};

use super::{OperationError, Operations, stored, written};

/// A mark that a task is cancelled is kept at least for so long after the task is due: its message
/// may rest in a lane for hours before somebody takes it.
const LEAST_KEPT: Duration = Duration::from_secs(86_400);

/// What became of a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// It will not run.
    Recorded {
        /// The task.
        id: TaskId,
        /// Until when that holds, where nobody knew the task: a message of it that comes later runs.
        until: Option<Millis>,
    },
    /// A worker runs it and is told to stop; it ends as cancelled unless it succeeds first.
    Asked {
        /// The task.
        id: TaskId,
        /// Who runs it.
        worker: Owner,
    },
}

impl Operations {
    /// Cancels the task that its sender calls `name`. One that was cancelled before is cancelled.
    ///
    /// An id that neither ledger nor records know is refused unless `force` says that its message
    /// may still come.
    ///
    /// # Errors
    /// [`OperationError::UnknownTask`], [`OperationError::TooLate`],
    /// [`OperationError::AlreadyOver`], [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not be cancelled; repeat it.
    pub async fn cancel(
        &self,
        name: &str,
        force: bool,
        by: &str,
    ) -> Result<Cancelled, OperationError> {
        let id = self.id_of(name)?;
        let (entry, record) = self.known_of(id).await?;
        let replay = greatest_replay(entry.as_ref(), &record);
        let ttl = self.kept_for(&record);
        let has_entry = entry.is_some();
        let view = TaskView::compose(id, entry.as_ref(), record, self.now());
        let until = view.is_none().then(|| self.now().after(ttl));
        match view {
            None if !force => return Err(self.unknown_task(id)),
            // The ledger has forgotten how it ended; the record has not.
            Some(view) if !has_entry && view.state == TaskState::Cancelled => {}
            Some(view) if !has_entry && view.state.is_final() => {
                return Err(OperationError::AlreadyOver { id, state: view.state });
            }
            None | Some(_) => {}
        }
        let ask = Cancel { id, replay, ttl };
        let answers = written("cancel the task", self.backend().ledger.cancel(&[ask])).await?;
        match answers.into_iter().last() {
            Some(Cancelling::Cancelled) => {
                self.note_cancel(id, replay, by).await;
                Ok(Cancelled::Recorded { id, until })
            }
            Some(Cancelling::Asked(hold)) => {
                let signal = [Signal::Cancel { task: id, fence: hold.fence }];
                let sent = self.backend().signals.send(hold.owner, &signal);
                // Only a hint: the flag is in the ledger's entry, where the holder meets it.
                if let Err(error) = stored("tell the worker", sent).await {
                    tracing::warn!(task = %id, %error, "the worker learns of a cancel later");
                }
                self.note_cancel(id, replay, by).await;
                Ok(Cancelled::Asked { id, worker: hold.owner })
            }
            Some(Cancelling::Over(Ending::Cancelled)) => {
                Ok(Cancelled::Recorded { id, until: None })
            }
            Some(Cancelling::Over(ending)) => {
                let state = self.state_of(id).await.unwrap_or_else(|| over(ending));
                Err(OperationError::AlreadyOver { id, state })
            }
            Some(Cancelling::TooLate) => Err(OperationError::TooLate { id }),
            None => {
                let why = "the store gave no answer".to_owned();
                Err(OperationError::Unconfirmed { operation: "cancel the task", why })
            }
        }
    }

    /// Returns the state as a person sees it, where it is a last one.
    async fn state_of(&self, id: TaskId) -> Option<TaskState> {
        let (entry, record) = self.known_of(id).await.ok()?;
        let state = TaskView::compose(id, entry.as_ref(), record, self.now())?.state;
        state.is_final().then_some(state)
    }

    /// Returns how long the mark has to stand: what is left of the delay, and the retention.
    fn kept_for(&self, record: &TaskRecord) -> Duration {
        let due = record.enqueued.as_ref().and_then(|enqueued| enqueued.not_before);
        let next = record.history.last().and_then(|note| note.next_at);
        let left = due.max(next).map_or(Duration::ZERO, |due| due.since(self.now()));
        left + self.backend().retention.record.max(LEAST_KEPT)
    }

    /// Writes down who cancelled. Best effort: the ledger has what counts.
    async fn note_cancel(&self, id: TaskId, replay: u32, by: &str) {
        let action = Action::Cancelled { replay };
        let acts = [Act { id, action, at: self.now(), by: by.to_owned() }];
        let noted = stored("note the cancel", self.backend().records.acted(&acts)).await;
        if let Err(error) = noted {
            tracing::warn!(task = %id, %error, "it is not recorded who cancelled");
        }
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

const fn over(ending: Ending) -> TaskState {
    match ending {
        Ending::Done => TaskState::Done,
        Ending::Dead(_) => TaskState::Dead,
        Ending::Cancelled => TaskState::Cancelled,
        Ending::Expired => TaskState::Expired,
    }
}
