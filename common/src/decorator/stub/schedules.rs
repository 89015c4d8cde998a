//! A timetable that remembers what was asked of it, and nothing else.

use std::time::Duration;

use async_trait::async_trait;

use super::Stub;
use crate::name::ScheduleName;
use crate::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, Occurrence, Scheduled, Schedules,
    StoreError,
};

#[async_trait]
impl Schedules for Stub {
    async fn page(&self, _: Option<&ScheduleName>, _: usize) -> Result<Vec<Scheduled>, StoreError> {
        Ok(Vec::new())
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        Ok(names.iter().map(|_| None).collect())
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        Ok(batch.iter().map(|_| Changed::Other(None)).collect())
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        self.0.moved.lock().unwrap().extend_from_slice(batch);
        Ok(batch.iter().map(|_| Advanced::Moved).collect())
    }

    async fn restore(&self, _: &[Scheduled]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn note(&self, _: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn occurrences(&self, _: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        Ok(Vec::new())
    }

    async fn changes(&self, _: Option<u64>) -> Result<Changes, StoreError> {
        Ok(Changes { incarnation: Some(1), version: self.moved() as u64, names: None })
    }

    async fn announce(&self, _: &BeatInfo, _: Duration) -> Result<(), StoreError> {
        Ok(())
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        Ok(Vec::new())
    }
}
