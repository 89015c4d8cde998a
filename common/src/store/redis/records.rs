//! Records on Redis: what was accepted, the attempts and the result, each under its own key.
//!
//! A batch is one pipeline. The history is cut to its cap by the same pipeline that grows it.

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, RedisResult, Value};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::keys::ttl_ms;
use super::{MAX_PIPELINE, Redis};
use crate::id::TaskId;
use crate::store::{AttemptNote, Enqueued, MAX_HISTORY, Records, StoreError, TaskRecord};

const WRITE: &str = "write records";
const READ: &str = "read records";
/// Most commands that one task needs.
const PER_TASK: usize = 4;

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

    fn note(
        &self,
        note: &AttemptNote,
        keys: &mut Vec<String>,
        writes: &mut Pipeline,
    ) -> Result<(), StoreError> {
        let key = self.keys.history(note.id);
        let oldest = -(i64::try_from(MAX_HISTORY).unwrap_or(i64::MAX));
        writes.cmd("RPUSH").arg(&key).arg(self.json(&key, note)?);
        writes.cmd("LTRIM").arg(&key).arg(oldest).arg(-1);
        writes.cmd("PEXPIRE").arg(&key).arg(ttl_ms(self.retention.record));
        keys.extend([key.clone(), key.clone(), key]);
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
        let result = self.read(READ, &self.keys.result(id), next())?;
        Ok(TaskRecord { enqueued, history, result })
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
                writes.arg("NX").arg("PX").arg(ttl_ms(self.retention.record));
                keys.push(key);
            }
            self.write_all(&keys, &writes).await?;
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

    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        let mut records = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_PIPELINE / PER_TASK) {
            let mut reads = Pipeline::with_capacity(ids.len() * PER_TASK);
            for id in ids {
                reads.cmd("GET").arg(self.keys.enqueued(*id));
                reads.cmd("LRANGE").arg(self.keys.history(*id)).arg(0).arg(-1);
                reads.cmd("GET").arg(self.keys.result(*id));
            }
            let mut replies = self.bulk.run(READ, &reads).await?.into_iter();
            for id in ids {
                records.push(self.task_record(*id, replies.by_ref().take(3))?);
            }
        }
        Ok(records)
    }
}
