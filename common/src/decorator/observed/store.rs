//! The operations of the store's seams, observed.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, histogram};

use super::{Observed, ended, timed};
use crate::id::{Owner, TaskId};
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover,
};
use crate::name::QueueName;
use crate::store::{
    Act, AttemptNote, Behind, Enqueued, Fleet, Gone, Heartbeat, Interim, Lease, Leases, Ledger,
    Letter, Letters, Liveness, Notice, Pause, Records, Renewal, Seen, Signal, Signals, StoreError,
    Suspect, TaskRecord,
};
use crate::telemetry::names::{CLAIMS, STORE_OPERATION_SECONDS, label};

/// Times one call and passes its answer on.
pub(super) async fn stored<T, F>(
    operation: &'static str,
    count: usize,
    call: F,
) -> Result<T, StoreError>
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

    async fn cancel(&self, batch: &[Cancel]) -> Result<Vec<Cancelling>, StoreError> {
        stored("cancel", batch.len(), self.inner.cancel(batch)).await
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

    async fn acted(&self, batch: &[Act]) -> Result<(), StoreError> {
        stored("acted", batch.len(), self.inner.acted(batch)).await
    }

    async fn notify(&self, batch: &[Notice]) -> Result<(), StoreError> {
        stored("notify", batch.len(), self.inner.notify(batch)).await
    }

    async fn say(&self, batch: &[Interim]) -> Result<(), StoreError> {
        stored("say", batch.len(), self.inner.say(batch)).await
    }

    async fn last_said(&self, ids: &[TaskId]) -> Result<Vec<Option<Interim>>, StoreError> {
        stored("last_said", ids.len(), self.inner.last_said(ids)).await
    }

    async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        stored("seen", 1, self.inner.seen()).await
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

#[async_trait]
impl<B: Leases + ?Sized> Leases for Observed<B> {
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        stored("acquire", 1, self.inner.acquire(name, holder, ttl)).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        stored("renew", 1, self.inner.renew(lease, ttl)).await
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        stored("give_back", 1, self.inner.give_back(lease)).await
    }
}

#[async_trait]
impl<B: Signals + ?Sized> Signals for Observed<B> {
    async fn send(&self, to: Owner, signals: &[Signal]) -> Result<(), StoreError> {
        stored("send", signals.len(), self.inner.send(to, signals)).await
    }

    async fn receive(&self, owner: Owner) -> Result<Vec<Signal>, StoreError> {
        stored("receive", 1, self.inner.receive(owner)).await
    }

    async fn pause(&self, pause: &Pause) -> Result<(), StoreError> {
        stored("pause", 1, self.inner.pause(pause)).await
    }

    async fn resume(&self, queue: &QueueName) -> Result<bool, StoreError> {
        stored("resume", 1, self.inner.resume(queue)).await
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        stored("pauses", 1, self.inner.pauses()).await
    }
}

#[async_trait]
impl<B: Letters + ?Sized> Letters for Observed<B> {
    async fn describe(&self, batch: &[Letter]) -> Result<(), StoreError> {
        stored("describe", batch.len(), self.inner.describe(batch)).await
    }

    async fn forget(&self, batch: &[Gone]) -> Result<(), StoreError> {
        stored("forget", batch.len(), self.inner.forget(batch)).await
    }

    async fn list(
        &self,
        queue: &QueueName,
        behind: Option<Behind>,
        most: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        stored("list", 1, self.inner.list(queue, behind, most)).await
    }

    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Option<Letter>>, StoreError> {
        stored("read", ids.len(), self.inner.read(ids)).await
    }

    async fn counts(&self) -> Result<BTreeMap<QueueName, u64>, StoreError> {
        stored("counts", 1, self.inner.counts()).await
    }
}
