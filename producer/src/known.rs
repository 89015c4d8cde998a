//! Repetitions: whether a task that its sender named was accepted before, with the same content.
//!
//! A courtesy, not the safety: where the store does not answer, a repetition is published again
//! under the same id and the ledger runs it once.

use std::collections::HashMap;
use std::time::Duration;

use leveret_common::id::TaskId;
use leveret_common::name::KindName;
use leveret_common::store::TaskView;
use tokio::time::timeout;
use uuid::Uuid;

use crate::draft::Draft;
use crate::error::EnqueueError;
use crate::producer::{Accepted, Producer};

/// How long an enqueue waits for the store before the publish, and again after it.
pub(crate) const STORE_PATIENCE: Duration = Duration::from_secs(1);

/// What must be the same for two requests to be one task.
#[derive(PartialEq)]
pub(crate) struct Content {
    kind: KindName,
    fingerprint: Uuid,
}

impl Content {
    pub(crate) fn of(draft: &Draft) -> Self {
        Self { kind: draft.envelope.kind.clone(), fingerprint: draft.fingerprint }
    }
}

/// A task that was accepted before.
pub(crate) struct Known(TaskView);

impl Known {
    /// Answers the request that repeats it. What only the ledger knows cannot be compared: its
    /// args are taken to be the same.
    pub(crate) fn repeat(&self, draft: &Draft) -> Result<Accepted, EnqueueError> {
        let Self(view) = self;
        if let Some(record) = &view.enqueued {
            let fingerprint = record.args_fingerprint;
            if (Content { kind: record.kind.clone(), fingerprint }) != Content::of(draft) {
                return Err(conflict(view.id, draft));
            }
        }
        let lane = view.enqueued.as_ref().map_or(&draft.lane, |record| &record.lane).clone();
        Ok(Accepted {
            id: view.id,
            lane,
            state: view.state,
            repeated: true,
            not_before: view.next_at,
        })
    }
}

impl Producer {
    /// Finds which of the tasks that their senders named were accepted before.
    pub(crate) async fn known(&self, round: &[(usize, Draft)]) -> HashMap<TaskId, Known> {
        let named = round.iter().filter(|(_, draft)| draft.named_by.is_some());
        let ids: Vec<TaskId> = named.map(|(_, draft)| draft.id()).collect();
        if ids.is_empty() {
            return HashMap::new();
        }
        let found = match timeout(STORE_PATIENCE, self.look_up(&ids)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                tracing::warn!(%error, "failed to look for repetitions; publishing under the same ids");
                return HashMap::new();
            }
            Err(_) => {
                tracing::warn!(
                    "the store is slow to find repetitions; publishing under the same ids"
                );
                return HashMap::new();
            }
        };
        let now = self.backend().clock.now();
        let known = ids.into_iter().zip(found);
        known
            .filter_map(|(id, (entry, record))| {
                Some((id, Known(TaskView::compose(id, entry.as_ref(), record, now)?)))
            })
            .collect()
    }
}

/// Says that the name is taken by a task with other content.
pub(crate) fn conflict(id: TaskId, draft: &Draft) -> EnqueueError {
    EnqueueError::KeyConflict { id, by: draft.named_by.unwrap_or("id") }
}
