//! The ledger of the file: the pure rules of [`crate::ledger::rules`], each inside a transaction.
//!
//! Nothing is decided here. An entry that has expired is as good as absent, swept or not.

use async_trait::async_trait;

use super::Embedded;
use super::error::Failure;
use super::transaction::{Transaction, signed};
use crate::id::TaskId;
use crate::ledger::rules::{self, Change};
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover, packed,
};
use crate::store::{Ledger, StoreError};

#[async_trait]
impl Ledger for Embedded {
    async fn claim(&self, batch: &[Claim]) -> Result<Vec<Answer>, StoreError> {
        self.each("claim tasks", batch, |to, ask| {
            let now = to.now_us();
            change(to, ask.id, |entry| rules::claim(entry, ask, now))
        })
        .await
    }

    async fn take_over(&self, batch: &[Takeover]) -> Result<Vec<Answer>, StoreError> {
        self.each("take tasks over", batch, |to, ask| {
            let now = to.now_us();
            change(to, ask.claim.id, |entry| rules::take_over(entry, ask, now))
        })
        .await
    }

    async fn decide(&self, batch: &[Decide]) -> Result<Vec<Ruling>, StoreError> {
        self.each("decide outcomes", batch, |to, ask| {
            let now = to.now_us();
            change(to, ask.id, |entry| rules::decide(entry, ask, now))
        })
        .await
    }

    async fn mark(&self, batch: &[Mark]) -> Result<Vec<Ruling>, StoreError> {
        self.each("mark outcomes", batch, |to, ask| {
            change(to, ask.id, |entry| rules::mark(entry, ask))
        })
        .await
    }

    async fn release(&self, batch: &[Release]) -> Result<Vec<Ruling>, StoreError> {
        self.each("release claims", batch, |to, ask| {
            change(to, ask.id, |entry| rules::release(entry, ask))
        })
        .await
    }

    async fn reassert(&self, batch: &[Held]) -> Result<(), StoreError> {
        self.each("write claims again", batch, |to, ask| {
            let now = to.now_us();
            change(to, ask.id, |entry| ((), rules::reassert(entry, ask, now)))
        })
        .await
        .map(drop)
    }

    async fn cancel(&self, batch: &[Cancel]) -> Result<Vec<Cancelling>, StoreError> {
        self.each("cancel tasks", batch, |to, ask| {
            change(to, ask.id, |entry| rules::cancel(entry, ask))
        })
        .await
    }

    async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Option<Entry>>, StoreError> {
        let ids = ids.to_vec();
        let now = signed(self.core.clock.now());
        self.core
            .answers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(FIND)?;
                let mut find = |id: &TaskId| {
                    let mut rows = statement.query((id.uuid().as_bytes(), now))?;
                    let Some(row) = rows.next()? else { return Ok(None) };
                    read(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?).map(Some)
                };
                ids.iter().map(&mut find).collect()
            })
            .await
            .map_err(|failure| failure.for_store("read entries", &self.core.endpoint))
    }

    async fn check(&self) -> Result<(), StoreError> {
        let failed = |failure: Failure| failure.for_store("write", &self.core.endpoint);
        self.core.check().await.map_err(failed)
    }
}

impl Embedded {
    /// Runs `step` on each request of `batch`, in one operation.
    async fn each<Q, A>(
        &self,
        operation: &'static str,
        batch: &[Q],
        step: impl Fn(&mut Transaction, &Q) -> Result<A, Failure> + Send + 'static,
    ) -> Result<Vec<A>, StoreError>
    where
        Q: Clone + Send + 'static,
        A: Send + 'static,
    {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        let (weight, batch) = (batch.len(), batch.to_vec());
        let run = move |to: &mut Transaction| batch.iter().map(|ask| step(to, ask)).collect();
        let failed = |failure: Failure| failure.for_store(operation, &self.core.endpoint);
        self.core.writer.write(weight, run).await.map_err(failed)
    }
}

const FIND: &str = "SELECT entry FROM ledger WHERE id = ?1 AND expires_ms > ?2";
const PUT: &str = "INSERT INTO ledger (id, entry, expires_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET entry = excluded.entry, expires_ms = excluded.expires_ms";
const AMEND: &str = "UPDATE ledger SET entry = ?2 WHERE id = ?1";
const PROLONG: &str =
    "UPDATE ledger SET entry = ?2, expires_ms = max(expires_ms, ?3) WHERE id = ?1";

/// Applies one rule to one entry.
fn change<A>(
    to: &Transaction,
    id: TaskId,
    rule: impl FnOnce(Option<&Entry>) -> (A, Change),
) -> Result<A, Failure> {
    let key = id.uuid();
    let now = to.now();
    let stored = to.text(FIND, (key.as_bytes(), signed(now)))?;
    let entry = stored.as_deref().map(read).transpose()?;
    let (answer, change) = rule(entry.as_ref());
    match change {
        Change::Keep => {}
        Change::Put(entry, ttl) => {
            let row = (key.as_bytes(), packed::write(&entry), signed(now.after(ttl)));
            to.execute(PUT, row)?;
        }
        Change::Amend(entry) => {
            to.execute(AMEND, (key.as_bytes(), packed::write(&entry)))?;
        }
        Change::Prolong(entry, ttl) => {
            let row = (key.as_bytes(), packed::write(&entry), signed(now.after(ttl)));
            to.execute(PROLONG, row)?;
        }
    }
    Ok(answer)
}

fn read(text: &str) -> Result<Entry, Failure> {
    packed::read(text).map_err(|error| Failure::corrupt(error.to_string()))
}
