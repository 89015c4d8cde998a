//! Records on Redis: what was accepted, the attempts, the acts and the result, each under its own
//! key.
//!
//! A batch is one pipeline. A list is cut to its cap by the same pipeline that grows it.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, RedisResult, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::keys::ttl_ms;
use super::{MAX_PIPELINE, Redis};
use crate::clock::Millis;
use crate::id::TaskId;
use crate::store::{
    Act, AttemptNote, Enqueued, Interim, MAX_HISTORY, MAX_SEEN, Notice, Records, Seen, StoreError,
    TaskRecord,
};

const WRITE: &str = "write records";
const READ: &str = "read records";
/// Most commands that one task needs.
const PER_TASK: usize = 4;
/// How long the pairs of lane and kind are kept after the last one was written.
const SEEN_TTL: Duration = Duration::from_secs(90 * 86_400);

impl Redis {
    fn json<T: Serialize>(&self, key: &str, record: &T) -> Result<String, StoreError> {
        serde_json::to_string(record).map_err(|why| self.error(WRITE, Fault::corrupt(key, why)))
    }

    fn record<T: DeserializeOwned>(&self, key: &str, text: &str) -> Result<T, StoreError> {
        serde_json::from_str(text).map_err(|why| self.error(READ, Fault::corrupt(key, why)))
    }

    /// Sends writes whose answers say no more than that they were done.
    async fn write_all(&self, keys: &[String], writes: &Pipeline) -> Result<(), StoreError> {
        for (key, reply) in keys.iter().zip(self.bulk.run(WRITE, writes).await?) {
            self.read::<Value>(WRITE, key, reply)?;
        }
        Ok(())
    }

    /// Adds `item` to the list under `key`, cuts the list to its cap, and keeps it for `ttl`.
    fn append<T: Serialize>(
        &self,
        key: String,
        item: &T,
        ttl: Duration,
        keys: &mut Vec<String>,
        writes: &mut Pipeline,
    ) -> Result<(), StoreError> {
        let oldest = -(i64::try_from(MAX_HISTORY).unwrap_or(i64::MAX));
        writes.cmd("RPUSH").arg(&key).arg(self.json(&key, item)?);
        writes.cmd("LTRIM").arg(&key).arg(oldest).arg(-1);
        writes.cmd("PEXPIRE").arg(&key).arg(ttl_ms(ttl));
        keys.extend([key.clone(), key.clone(), key]);
        Ok(())
    }

    /// Writes pairs of lane and kind as seen and drops those unseen for longest.
    fn see(&self, due: &[&Enqueued], keys: &mut Vec<String>, writes: &mut Pipeline) {
        if due.is_empty() {
            return;
        }
        let key = self.keys.seen();
        let beyond = -(i64::try_from(MAX_SEEN).unwrap_or(i64::MAX)) - 1;
        writes.cmd("ZADD").arg(&key).arg("GT");
        for record in due {
            writes.arg(record.at.0).arg(format!("{} {}", record.lane, record.kind));
        }
        writes.cmd("ZREMRANGEBYRANK").arg(&key).arg(0).arg(beyond);
        writes.cmd("PEXPIRE").arg(&key).arg(ttl_ms(SEEN_TTL));
        keys.extend([key.clone(), key.clone(), key]);
    }

    fn note(
        &self,
        note: &AttemptNote,
        keys: &mut Vec<String>,
        writes: &mut Pipeline,
    ) -> Result<(), StoreError> {
        let ttl = self.retention.of_attempt(note);
        self.append(self.keys.history(note.id), note, ttl, keys, writes)?;
        if let Some(result) = &note.result {
            let key = self.keys.result(note.id);
            writes.cmd("SET").arg(&key).arg(result);
            writes.arg("PX").arg(ttl_ms(note.result_ttl.unwrap_or(self.retention.result)));
            keys.push(key);
        }
        Ok(())
    }

    fn task_record(
        &self,
        id: TaskId,
        mut replies: impl Iterator<Item = RedisResult<Value>>,
    ) -> Result<TaskRecord, StoreError> {
        let mut next = || replies.next().unwrap_or(Ok(Value::Nil));
        let key = self.keys.enqueued(id);
        let enqueued = self.read::<Option<String>>(READ, &key, next())?;
        let enqueued = enqueued.map(|text| self.record(&key, &text)).transpose()?;
        let key = self.keys.history(id);
        let notes = self.read::<Vec<String>>(READ, &key, next())?;
        let history = notes.iter().map(|text| self.record(&key, text)).collect::<Result<_, _>>()?;
        let key = self.keys.acts(id);
        let acts = self.read::<Vec<String>>(READ, &key, next())?;
        let acts = acts.iter().map(|text| self.record(&key, text)).collect::<Result<_, _>>()?;
        let result = self.read(READ, &self.keys.result(id), next())?;
        Ok(TaskRecord { enqueued, history, acts, result })
    }
}

#[async_trait]
impl Records for Redis {
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError> {
        for batch in batch.chunks(MAX_PIPELINE) {
            let mut keys = Vec::with_capacity(batch.len());
            let mut writes = Pipeline::with_capacity(batch.len());
            for record in batch {
                let key = self.keys.enqueued(record.id);
                writes.cmd("SET").arg(&key).arg(self.json(&key, record)?);
                writes.arg("NX").arg("PX").arg(ttl_ms(self.retention.of_enqueued(record)));
                keys.push(key);
            }
            let due = self.noted.due(batch);
            self.see(&due, &mut keys, &mut writes);
            self.write_all(&keys, &writes).await?;
            self.noted.note(&due);
        }
        Ok(())
    }

    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError> {
        for batch in batch.chunks(MAX_PIPELINE / PER_TASK) {
            let mut keys = Vec::with_capacity(batch.len() * PER_TASK);
            let mut writes = Pipeline::with_capacity(batch.len() * PER_TASK);
            for note in batch {
                self.note(note, &mut keys, &mut writes)?;
            }
            self.write_all(&keys, &writes).await?;
        }
        Ok(())
    }

    async fn acted(&self, batch: &[Act]) -> Result<(), StoreError> {
        for batch in batch.chunks(MAX_PIPELINE / PER_TASK) {
            let mut keys = Vec::with_capacity(batch.len() * PER_TASK);
            let mut writes = Pipeline::with_capacity(batch.len() * PER_TASK);
            for act in batch {
                let (key, ttl) = (self.keys.acts(act.id), self.retention.record);
                self.append(key, act, ttl, &mut keys, &mut writes)?;
            }
            self.write_all(&keys, &writes).await?;
        }
        Ok(())
    }

    async fn notify(&self, batch: &[Notice]) -> Result<(), StoreError> {
        self.tell(batch).await
    }

    async fn say(&self, batch: &[Interim]) -> Result<(), StoreError> {
        self.write_interim(batch).await
    }

    async fn last_said(&self, ids: &[TaskId]) -> Result<Vec<Option<Interim>>, StoreError> {
        self.read_interim(ids).await
    }

    async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        let key = self.keys.seen();
        let mut list = Pipeline::with_capacity(1);
        list.cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES");
        let reply = self.bulk.run(READ, &list).await?.pop().unwrap_or(Ok(Value::Nil));
        let pairs: Vec<(String, f64)> = self.read(READ, &key, reply)?;
        let seen = pairs.into_iter().map(|(pair, at)| {
            let (lane, kind) = pair.split_once(' ').ok_or("a pair has no kind")?;
            let lane = lane.parse().map_err(|_| "a lane is none")?;
            let kind = kind.parse().map_err(|_| "a kind is none")?;
            // The cast saturates.
            Ok(Seen { lane, kind, at: Millis(at as u64) })
        });
        seen.collect::<Result<_, &str>>().map_err(|why| self.error(READ, Fault::corrupt(&key, why)))
    }

    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let mut records = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_PIPELINE / PER_TASK) {
            let mut reads = Pipeline::with_capacity(ids.len() * PER_TASK);
            for id in ids {
                reads.cmd("GET").arg(self.keys.enqueued(*id));
                reads.cmd("LRANGE").arg(self.keys.history(*id)).arg(0).arg(-1);
                reads.cmd("LRANGE").arg(self.keys.acts(*id)).arg(0).arg(-1);
                reads.cmd("GET").arg(self.keys.result(*id));
            }
            let mut replies = self.bulk.run(READ, &reads).await?.into_iter();
            for id in ids {
                records.push(self.task_record(*id, replies.by_ref().take(PER_TASK))?);
            }
        }
        Ok(records)
    }
}
