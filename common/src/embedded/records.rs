//! The records of the file: rows that expire, found by a task's id.
//!
//! The record of an enqueue is written once: a repeated enqueue does not change what was accepted
//! first. The history keeps the newest [`MAX_HISTORY`] attempts.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{CachedStatement, Connection, OptionalExtension};
use serde::de::DeserializeOwned;

use super::Embedded;
use super::error::Failure;
use super::transaction::{Transaction, signed};
use crate::clock::Millis;
use crate::id::TaskId;
use crate::store::{
    AttemptNote, Enqueued, MAX_HISTORY, Records, Retention, StoreError, TaskRecord,
};

#[async_trait]
impl Records for Embedded {
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError> {
        let rows: Vec<_> = batch.iter().map(|record| (record.id, json(record))).collect();
        let ttl = self.core.retention.record;
        let run = move |to: &mut Transaction| {
            let now = to.now();
            for (id, record) in &rows {
                let record = record.as_ref().map_err(Clone::clone)?;
                let expires = signed(now.after(ttl));
                to.execute(ACCEPT, (id.uuid().as_bytes(), record, expires, signed(now)))?;
            }
            Ok(())
        };
        self.record("record what was enqueued", batch.len(), run).await
    }

    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError> {
        let retention = self.core.retention;
        let rows: Vec<_> =
            batch.iter().map(|note| (note.id, json(note), result_of(note, retention))).collect();
        let run = move |to: &mut Transaction| {
            for (id, note, result) in &rows {
                let note = note.as_ref().map_err(Clone::clone)?;
                add(to, *id, note, result.as_ref(), retention)?;
            }
            Ok(())
        };
        self.record("record attempts", batch.len(), run).await
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
    async fn record(
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
const NOTE: &str = "INSERT INTO attempt (id, seq, note, expires_ms)
    SELECT ?1, coalesce(max(seq), 0) + 1, ?2, ?3 FROM attempt WHERE id = ?1 RETURNING seq";
const FORGET: &str = "DELETE FROM attempt WHERE id = ?1 AND seq <= ?2";
const ANSWER: &str = "INSERT INTO result (id, result, expires_ms) VALUES (?1, ?2, ?3)
    ON CONFLICT (id) DO UPDATE SET result = excluded.result, expires_ms = excluded.expires_ms";

/// The result, and how long it is kept.
fn result_of(note: &AttemptNote, retention: Retention) -> Option<(String, Duration)> {
    let kept = note.result_ttl.unwrap_or(retention.result);
    note.result.clone().map(|result| (result, kept))
}

fn add(
    to: &Transaction,
    id: TaskId,
    note: &str,
    result: Option<&(String, Duration)>,
    retention: Retention,
) -> Result<(), Failure> {
    let (key, now) = (id.uuid(), to.now());
    let row = (key.as_bytes(), note, signed(now.after(retention.record)));
    let seq: i64 = to.prepare(NOTE)?.query_row(row, |row| row.get(0))?;
    let too_old = seq.saturating_sub(i64::try_from(MAX_HISTORY).unwrap_or(i64::MAX));
    if too_old > 0 {
        to.execute(FORGET, (key.as_bytes(), too_old))?;
    }
    if let Some((result, kept)) = result {
        to.execute(ANSWER, (key.as_bytes(), result, signed(now.after(*kept))))?;
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
    let history = connection
        .prepare_cached("SELECT note FROM attempt WHERE id = ?1 AND expires_ms > ?2 ORDER BY seq")?
        .query_map((key.as_bytes(), now), |row| row.get::<_, String>(0))?
        .map(|note| parse(&note?))
        .collect::<Result<_, _>>()?;
    Ok(TaskRecord { enqueued: enqueued.as_deref().map(parse).transpose()?, history, result })
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::corrupt(format!("a record cannot be written: {error}")))
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::corrupt(format!("a record cannot be read: {error}")))
}
