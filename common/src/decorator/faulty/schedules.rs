//! The timetable, of which chosen calls fail.

use std::time::Duration;

use async_trait::async_trait;

use super::{Call, Faulty, ScheduleCall};
use crate::name::ScheduleName;
use crate::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, Occurrence, Scheduled, Schedules,
    StoreError,
};

impl<B: ?Sized> Faulty<B> {
    async fn scheduled<T>(
        &self,
        call: ScheduleCall,
        operation: &'static str,
        inner: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.stored(Call::Schedules(call), operation, inner).await
    }
}

#[async_trait]
impl<B: Schedules + ?Sized> Schedules for Faulty<B> {
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        self.scheduled(ScheduleCall::Page, "list schedules", self.inner.page(behind, most)).await
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        self.scheduled(ScheduleCall::Read, "read schedules", self.inner.read(names)).await
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        self.scheduled(ScheduleCall::Change, "change schedules", self.inner.change(batch)).await
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        let inner = self.inner.advance(batch);
        self.scheduled(ScheduleCall::Advance, "move schedules on", inner).await
    }

    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError> {
        self.scheduled(ScheduleCall::Restore, "restore schedules", self.inner.restore(batch)).await
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        self.scheduled(ScheduleCall::Note, "note occurrences", self.inner.note(batch)).await
    }

    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        let inner = self.inner.occurrences(name);
        self.scheduled(ScheduleCall::Occurrences, "list occurrences", inner).await
    }

    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError> {
        let inner = self.inner.changes(since);
        self.scheduled(ScheduleCall::Changes, "look for changed schedules", inner).await
    }

    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError> {
        let inner = self.inner.announce(beat, ttl);
        self.scheduled(ScheduleCall::Announce, "announce a beat", inner).await
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        self.scheduled(ScheduleCall::Beats, "list beats", self.inner.beats()).await
    }
}
