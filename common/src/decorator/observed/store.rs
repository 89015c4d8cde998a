//! The operations of ledger, records and fleet, observed.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, histogram};

use super::{Observed, ended, timed};
use crate::id::{Owner, TaskId};
use crate::ledger::{Answer, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover};
use crate::store::{
    AttemptNote, Enqueued, Fleet, Heartbeat, Ledger, Liveness, Records, Renewal, StoreError,
    Suspect, TaskRecord,
};
use crate::telemetry::names::{CLAIMS, STORE_OPERATION_SECONDS, label};

/// Times one call and passes its answer on.
async fn stored<T, F>(operation: &'static str, count: usize, call: F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let (answer, took) = timed(operation, count, call).await;
    let outcome = if answer.is_ok() { "ok" } else { "error" };
    histogram!(STORE_OPERATION_SECONDS, label::OPERATION => operation, label::OUTCOME => outcome)
        .record(took.as_secs_f64());
    ended(operation, count, outcome, took);
    answer
}

fn count_answers(answers: &[Answer]) {
    for answer in answers {
        let name = match answer {
            Answer::Claimed { .. } => "claimed",
            Answer::Resume { .. } => "resume",
            Answer::Busy { .. } => "busy",
            Answer::Settled(_) => "settled",
            Answer::Stale => "stale",
            Answer::Again => "again",
        };
        counter!(CLAIMS, label::ANSWER => name).increment(1);
    }
}

#[async_trait]
impl<B: Ledger + ?Sized> Ledger for Observed<B> {
    async fn claim(&self, batch: &[Claim]) -> Result<Vec<Answer>, StoreError> {
        let answers = stored("claim", batch.len(), self.inner.claim(batch)).await?;
        count_answers(&answers);
        Ok(answers)
    }

    async fn take_over(&self, batch: &[Takeover]) -> Result<Vec<Answer>, StoreError> {
        let answers = stored("take_over", batch.len(), self.inner.take_over(batch)).await?;
        count_answers(&answers);
        Ok(answers)
    }

    async fn decide(&self, batch: &[Decide]) -> Result<Vec<Ruling>, StoreError> {
        stored("decide", batch.len(), self.inner.decide(batch)).await
    }

    async fn mark(&self, batch: &[Mark]) -> Result<Vec<Ruling>, StoreError> {
        stored("mark", batch.len(), self.inner.mark(batch)).await
    }

    async fn release(&self, batch: &[Release]) -> Result<Vec<Ruling>, StoreError> {
        stored("release", batch.len(), self.inner.release(batch)).await
    }

    async fn reassert(&self, batch: &[Held]) -> Result<(), StoreError> {
        stored("reassert", batch.len(), self.inner.reassert(batch)).await
    }

    async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Option<Entry>>, StoreError> {
        stored("entries", ids.len(), self.inner.entries(ids)).await
    }

    async fn check(&self) -> Result<(), StoreError> {
        stored("check", 1, self.inner.check()).await
    }
}

#[async_trait]
impl<B: Records + ?Sized> Records for Observed<B> {
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError> {
        stored("enqueued", batch.len(), self.inner.enqueued(batch)).await
    }

    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError> {
        stored("attempted", batch.len(), self.inner.attempted(batch)).await
    }

    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        stored("find", ids.len(), self.inner.find(ids)).await
    }
}

#[async_trait]
impl<B: Fleet + ?Sized> Fleet for Observed<B> {
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<Renewal, StoreError> {
        stored("beat", heartbeat.held.len(), self.inner.beat(heartbeat, ttl)).await
    }

    async fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
    ) -> Result<Vec<Liveness>, StoreError> {
        stored("judge", suspects.len(), self.inner.judge(reader, suspects, ttl)).await
    }

    fn needs_grace(&self) -> bool {
        self.inner.needs_grace()
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        stored("leave", 1, self.inner.leave(owner)).await
    }

    async fn workers(&self) -> Result<Vec<Heartbeat>, StoreError> {
        stored("workers", 1, self.inner.workers()).await
    }
}
