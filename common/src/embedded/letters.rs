//! The list of dead letters: a row for each task, found by queue and time of death.
//!
//! The newest order of a task wins, whatever order its descriptions come in. A row ends 90 days
//! after it was last written; until it is swept, every reader compares.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};

use super::Embedded;
use super::error::Failure;
use super::records::{json, parse};
use super::transaction::{Transaction, signed};
use crate::id::TaskId;
use crate::name::QueueName;
use crate::store::{Behind, Gone, LETTER_TTL, Letter, Letters, StoreError};

const DESCRIBE: &str =
    "INSERT INTO letter (id, queue, replay, attempt, died_ms, letter, expires_ms)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (id) DO UPDATE SET
        queue = excluded.queue, replay = excluded.replay, attempt = excluded.attempt,
        died_ms = excluded.died_ms, letter = excluded.letter, expires_ms = excluded.expires_ms
    WHERE (excluded.replay, excluded.attempt) >= (letter.replay, letter.attempt)
        OR letter.expires_ms <= ?8";
const FORGET: &str =
    "DELETE FROM letter WHERE id = ?1 AND queue = ?2 AND (replay, attempt) <= (?3, ?4)";
const NEWEST: &str = "SELECT letter FROM letter WHERE queue = ?1 AND expires_ms > ?2
    ORDER BY died_ms DESC, id DESC LIMIT ?3";
const BEHIND: &str = "SELECT letter FROM letter WHERE queue = ?1 AND expires_ms > ?2
    AND (died_ms, id) < (?4, ?5) ORDER BY died_ms DESC, id DESC LIMIT ?3";
const READ: &str = "SELECT letter FROM letter WHERE id = ?1 AND expires_ms > ?2";
const COUNT: &str = "SELECT queue, count(*) FROM letter WHERE expires_ms > ?1 GROUP BY queue";

#[async_trait]
impl Letters for Embedded {
    async fn describe(&self, batch: &[Letter]) -> Result<(), StoreError> {
        let rows: Vec<_> = batch.iter().map(Row::of).collect();
        let run = move |to: &mut Transaction| {
            let now = to.now();
            let expires = signed(now.after(LETTER_TTL));
            for Row { id, queue, replay, attempt, died_ms, letter } in &rows {
                let letter = letter.as_ref().map_err(Clone::clone)?;
                let key = id.uuid();
                let row =
                    (key.as_bytes(), queue, replay, attempt, died_ms, letter, expires, signed(now));
                to.execute(DESCRIBE, row)?;
            }
            Ok(())
        };
        self.record("describe dead letters", batch.len(), run).await
    }

    async fn forget(&self, batch: &[Gone]) -> Result<(), StoreError> {
        let gone = batch.to_vec();
        let run = move |to: &mut Transaction| {
            for Gone { id, queue, order } in &gone {
                let key = id.uuid();
                to.execute(FORGET, (key.as_bytes(), queue.as_str(), order.replay, order.attempt))?;
            }
            Ok(())
        };
        self.record("forget dead letters", batch.len(), run).await
    }

    async fn list(
        &self,
        queue: &QueueName,
        behind: Option<Behind>,
        most: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let queue = queue.clone();
        let now = signed(self.core.clock.now());
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let list = move |connection: &Connection| {
            let first = (queue.as_str(), now, most);
            let mut statement = connection.prepare_cached(match behind {
                None => NEWEST,
                Some(_) => BEHIND,
            })?;
            let mut rows = match behind {
                None => statement.query(first)?,
                Some(Behind { died_at, id }) => {
                    let (key, (queue, now, most)) = (id.uuid(), first);
                    statement.query((queue, now, most, signed(died_at), key.as_bytes()))?
                }
            };
            let mut letters = Vec::new();
            while let Some(row) = rows.next()? {
                letters.push(parse(&row.get::<_, String>(0)?)?);
            }
            Ok(letters)
        };
        let failed = |failure: Failure| failure.for_store("list dead letters", &self.core.endpoint);
        self.core.answers.read(list).await.map_err(failed)
    }

    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Option<Letter>>, StoreError> {
        let ids = ids.to_vec();
        let now = signed(self.core.clock.now());
        let read = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(READ)?;
            let mut one = |id: &TaskId| {
                let key = id.uuid();
                let text: Option<String> =
                    statement.query_row((key.as_bytes(), now), |row| row.get(0)).optional()?;
                text.as_deref().map(parse).transpose()
            };
            ids.iter().map(&mut one).collect()
        };
        let failed = |failure: Failure| failure.for_store("read dead letters", &self.core.endpoint);
        self.core.answers.read(read).await.map_err(failed)
    }

    async fn counts(&self) -> Result<BTreeMap<QueueName, u64>, StoreError> {
        let now = signed(self.core.clock.now());
        let count = move |connection: &Connection| {
            let mut statement = connection.prepare_cached(COUNT)?;
            let rows = statement
                .query_map([now], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            let mut counts = BTreeMap::new();
            for row in rows {
                let (queue, count) = row?;
                let queue: QueueName = queue.parse().map_err(|error| {
                    Failure::corrupt(format!("a dead letter names no queue: {error}"))
                })?;
                counts.insert(queue, u64::try_from(count).unwrap_or(0));
            }
            Ok(counts)
        };
        let failed =
            |failure: Failure| failure.for_store("count dead letters", &self.core.endpoint);
        self.core.answers.read(count).await.map_err(failed)
    }
}

/// A description on its way into the table.
struct Row {
    id: TaskId,
    queue: String,
    replay: u32,
    attempt: u32,
    died_ms: i64,
    letter: Result<String, Failure>,
}

impl Row {
    fn of(letter: &Letter) -> Self {
        Self {
            id: letter.id,
            queue: letter.queue.to_string(),
            replay: letter.order.replay,
            attempt: letter.order.attempt,
            died_ms: signed(letter.died_at),
            letter: json(letter),
        }
    }
}
