//! Records that also tell the harness what was noted of attempts: as it was written, results
//! included, and no matter how long the records keep it.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use leveret_common::id::TaskId;
use leveret_common::store::{
    Act, AttemptNote, Enqueued, Interim, Notice, Records, Seen, StoreError, TaskRecord,
};

/// The records of one harness.
pub(super) struct Notes {
    records: Arc<dyn Records>,
    heard: Mutex<Vec<AttemptNote>>,
}

impl Notes {
    pub(super) fn new(records: Arc<dyn Records>) -> Self {
        Self { records, heard: Mutex::default() }
    }

    /// Takes what was noted since it was asked last.
    pub(super) fn take(&self) -> Vec<AttemptNote> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Records for Notes {
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError> {
        self.records.enqueued(batch).await
    }

    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError> {
        self.records.attempted(batch).await?;
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(batch);
        Ok(())
    }

    async fn acted(&self, batch: &[Act]) -> Result<(), StoreError> {
        self.records.acted(batch).await
    }

    async fn notify(&self, batch: &[Notice]) -> Result<(), StoreError> {
        self.records.notify(batch).await
    }

    async fn say(&self, batch: &[Interim]) -> Result<(), StoreError> {
        self.records.say(batch).await
    }

    async fn last_said(&self, ids: &[TaskId]) -> Result<Vec<Option<Interim>>, StoreError> {
        self.records.last_said(ids).await
    }

    async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        self.records.seen().await
    }

    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        self.records.find(ids).await
    }
}
