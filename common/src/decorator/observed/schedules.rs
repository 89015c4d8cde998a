//! The operations of the timetable, observed. Their labels begin with `schedules_`: other seams have
//! methods of the same names.

use std::time::Duration;

use async_trait::async_trait;

use super::Observed;
use super::store::stored;
use crate::name::ScheduleName;
use crate::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, Occurrence, Scheduled, Schedules,
    StoreError,
};

#[async_trait]
impl<B: Schedules + ?Sized> Schedules for Observed<B> {
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        stored("schedules_page", 1, self.inner.page(behind, most)).await
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        stored("schedules_read", names.len(), self.inner.read(names)).await
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        stored("schedules_change", batch.len(), self.inner.change(batch)).await
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        stored("schedules_advance", batch.len(), self.inner.advance(batch)).await
    }

    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError> {
        stored("schedules_restore", batch.len(), self.inner.restore(batch)).await
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        stored("schedules_note", batch.len(), self.inner.note(batch)).await
    }

    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        stored("schedules_occurrences", 1, self.inner.occurrences(name)).await
    }

    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError> {
        stored("schedules_changes", 1, self.inner.changes(since)).await
    }

    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError> {
        stored("schedules_announce", 1, self.inner.announce(beat, ttl)).await
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        stored("schedules_beats", 1, self.inner.beats()).await
    }
}
