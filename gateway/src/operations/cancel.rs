//! Cancel: which tasks may be cancelled, and what whoever asked is told.
//!
//! How it is done (rule K1) is the producer's: beat cancels as well.

use leveret_common::clock::Millis;
use leveret_common::id::{Owner, TaskId};
use leveret_common::ledger::{Cancelling, Ending};
use leveret_common::store::{TaskState, TaskView};
use leveret_producer::CancelError;

use super::{OperationError, Operations, unconfirmed};

/// What is done, as errors say it.
const OPERATION: &str = "cancel the task";

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
        let ask = self.shared.producer.cancel_of(id, entry.as_ref(), &record);
        let has_entry = entry.is_some();
        let view = TaskView::compose(id, entry.as_ref(), record, self.now());
        let until = view.is_none().then(|| self.now().after(ask.ttl));
        match view {
            None if !force => return Err(self.unknown_task(id)),
            // The ledger has forgotten how it ended; the record has not.
            Some(view) if !has_entry && view.state == TaskState::Cancelled => {}
            Some(view) if !has_entry && view.state.is_final() => {
                return Err(OperationError::AlreadyOver { id, state: view.state });
            }
            None | Some(_) => {}
        }
        match self.shared.producer.cancel(ask, by).await.map_err(failed)? {
            Cancelling::Cancelled => Ok(Cancelled::Recorded { id, until }),
            Cancelling::Asked(hold) => Ok(Cancelled::Asked { id, worker: hold.owner }),
            Cancelling::Over(Ending::Cancelled) => Ok(Cancelled::Recorded { id, until: None }),
            Cancelling::Over(ending) => {
                let state = self.state_of(id).await.unwrap_or_else(|| over(ending));
                Err(OperationError::AlreadyOver { id, state })
            }
            Cancelling::TooLate => Err(OperationError::TooLate { id }),
        }
    }

    /// Returns the state as a person sees it, where it is a last one.
    async fn state_of(&self, id: TaskId) -> Option<TaskState> {
        let (entry, record) = self.known_of(id).await.ok()?;
        let state = TaskView::compose(id, entry.as_ref(), record, self.now())?.state;
        state.is_final().then_some(state)
    }
}

fn failed(error: CancelError) -> OperationError {
    let why = match error {
        CancelError::Store(error) => return unconfirmed(OPERATION, error),
        CancelError::Late { within } => format!("no answer within {within:?}"),
        CancelError::Unanswered => "the store gave no answer".to_owned(),
        other => other.to_string(),
    };
    OperationError::Unconfirmed { operation: OPERATION, why }
}

const fn over(ending: Ending) -> TaskState {
    match ending {
        Ending::Done => TaskState::Done,
        Ending::Dead(_) => TaskState::Dead,
        Ending::Cancelled => TaskState::Cancelled,
        Ending::Expired => TaskState::Expired,
    }
}
