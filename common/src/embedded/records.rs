//! The records of the file: rows that expire, found by a task's id.
//!
//! The record of an enqueue is written once: a repeated enqueue does not change what was accepted
//! first. History and acts keep the newest [`MAX_HISTORY`] of a task.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use serde::de::DeserializeOwned;

use super::error::Failure;
use super::transaction::{Transaction, signed};
use super::{Embedded, seen};
use crate::clock::Millis;
use crate::id::TaskId;
use crate::store::{
    Act, AttemptNote, Enqueued, Interim, MAX_HISTORY, Records, Retention, Seen, StoreError,
    TaskRecord,
};

#[async_trait]
impl Records for Embedded {
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError> {
        let retention = self.core.retention;
        let row = |record: &Enqueued| (record.id, json(record), retention.of_enqueued(record));
        let rows: Vec<_> = batch.iter().map(row).collect();
        let due = Arc::new(self.lately.due(batch));
        let weight = batch.len() + due.len();
        let seen = Arc::clone(&due);
        let run = move |to: &mut Transaction| {
            let now = to.now();
            for (id, record, ttl) in &rows {
                let record = record.as_ref().map_err(Clone::clone)?;
                let expires = signed(now.after(*ttl));
                to.execute(ACCEPT, (id.uuid().as_bytes(), record, expires, signed(now)))?;
            }
            seen::write(to, &seen)
        };
        let written = self.record("record what was enqueued", weight, run).await;
        if written.is_err() {
            self.lately.forget(&due);
        }
        written
    }

    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError> {
        let retention = self.core.retention;
        let row = |note: &AttemptNote| {
            (note.id, json(note), retention.of_attempt(note), result_of(note, retention))
        };
        let rows: Vec<_> = batch.iter().map(row).collect();
        let run = move |to: &mut Transaction| {
            for (id, note, ttl, result) in &rows {
                append(to, &HISTORY, *id, note.as_ref().map_err(Clone::clone)?, *ttl)?;
                if let Some((result, kept)) = result {
                    let expires = signed(to.now().after(*kept));
                    to.execute(ANSWER, (id.uuid().as_bytes(), result, expires))?;
                }
            }
            Ok(())
        };
        self.record("record attempts", batch.len(), run).await
    }

    async fn acted(&self, batch: &[Act]) -> Result<(), StoreError> {
        let rows: Vec<_> = batch.iter().map(|act| (act.id, json(act))).collect();
        let ttl = self.core.retention.record;
        let run = move |to: &mut Transaction| {
            for (id, act) in &rows {
                append(to, &ACTS, *id, act.as_ref().map_err(Clone::clone)?, ttl)?;
            }
            Ok(())
        };
        self.record("record acts", batch.len(), run).await
    }

    async fn say(&self, batch: &[Interim]) -> Result<(), StoreError> {
        self.write_interim(batch).await
    }

    async fn last_said(&self, ids: &[TaskId]) -> Result<Vec<Option<Interim>>, StoreError> {
        self.read_interim(ids).await
    }

    async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        let failed =
            |failure: Failure| failure.for_store("read what was seen", &self.core.endpoint);
        self.core.answers.read(seen::read).await.map_err(failed)
    }

    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let ids = ids.to_vec();
        let now = self.core.clock.now();
        self.core
            .answers
            .read(move |connection| ids.iter().map(|id| find(connection, *id, now)).collect())
            .await
            .map_err(|failure| failure.for_store("read records", &self.core.endpoint))
    }
}

impl Embedded {
    /// Runs `run`, which writes about so many rows.
    pub(super) async fn record(
        &self,
        operation: &'static str,
        rows: usize,
        run: impl FnMut(&mut Transaction) -> Result<(), Failure> + Send + 'static,
    ) -> Result<(), StoreError> {
        if rows == 0 {
            return Ok(());
        }
        let failed = |failure: Failure| failure.for_store(operation, &self.core.endpoint);
        self.core.writer.write(rows, run).await.map_err(failed)
    }
}

/// Keeps the first record, unless it has expired.
const ACCEPT: &str = "INSERT INTO enqueued (id, record, expires_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET record = excluded.record, expires_ms = excluded.expires_ms
    WHERE expires_ms <= ?4";
/// A list that keeps the newest [`MAX_HISTORY`] of each task.
struct List {
    add: &'static str,
    forget: &'static str,
}

const HISTORY: List = List {
    add: "INSERT INTO attempt (id, seq, note, expires_ms)
        SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3 FROM attempt WHERE id = ?1 RETURNING seq",
    forget: "DELETE FROM attempt WHERE id = ?1 AND seq <= ?2",
};
const ACTS: List = List {
    add: "INSERT INTO act (id, seq, act, expires_ms)
        SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3 FROM act WHERE id = ?1 RETURNING seq",
    forget: "DELETE FROM act WHERE id = ?1 AND seq <= ?2",
};
const ANSWER: &str = "INSERT INTO result (id, result, expires_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET result = excluded.result, expires_ms = excluded.expires_ms";

/// The result, and how long it is kept.
fn result_of(note: &AttemptNote, retention: Retention) -> Option<(String, Duration)> {
    let kept = note.result_ttl.unwrap_or(retention.result);
    note.result.clone().map(|result| (result, kept))
}

fn append(
    to: &Transaction,
    list: &List,
    id: TaskId,
    text: &str,
    ttl: Duration,
) -> Result<(), Failure> {
    let (key, expires) = (id.uuid(), signed(to.now().after(ttl)));
    let row = (key.as_bytes(), text, expires);
    let seq: i64 = to.prepare(list.add)?.query_row(row, |row| row.get(0))?;
    let too_old = seq.saturating_sub(i64::try_from(MAX_HISTORY).unwrap_or(i64::MAX));
    if too_old > 0 {
        to.execute(list.forget, (key.as_bytes(), too_old))?;
    }
    Ok(())
}

fn find(connection: &Connection, id: TaskId, now: Millis) -> Result<TaskRecord, Failure> {
    let (key, now) = (id.uuid(), signed(now));
    let text = |mut statement: CachedStatement<'_>| -> Result<Option<String>, Failure> {
        Ok(statement.query_row((key.as_bytes(), now), |row| row.get(0)).optional()?)
    };
    let enqueued = text(
        connection
            .prepare_cached("SELECT record FROM enqueued WHERE id = ?1 AND expires_ms > ?2")?,
    )?;
    let result = text(
        connection.prepare_cached("SELECT result FROM result WHERE id = ?1 AND expires_ms > ?2")?,
    )?;
    let history = list(
        connection.prepare_cached(
            "SELECT note FROM attempt WHERE id = ?1 AND expires_ms > ?2 ORDER BY seq",
        )?,
        id,
        now,
    )?;
    let acts = list(
        connection
            .prepare_cached("SELECT act FROM act WHERE id = ?1 AND expires_ms > ?2 ORDER BY seq")?,
        id,
        now,
    )?;
    let enqueued = enqueued.as_deref().map(parse).transpose()?;
    Ok(TaskRecord { enqueued, history, acts, result })
}

fn list<T: DeserializeOwned>(
    mut statement: CachedStatement<'_>,
    id: TaskId,
    now: i64,
) -> Result<Vec<T>, Failure> {
    let key = id.uuid();
    let rows = statement.query_map((key.as_bytes(), now), |row| row.get::<_, String>(0))?;
    rows.map(|text| parse(&text?)).collect()
}

pub(super) fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::corrupt(format!("a record cannot be written: {error}")))
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::corrupt(format!("a record cannot be read: {error}")))
}
