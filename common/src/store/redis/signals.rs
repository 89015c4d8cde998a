//! Signals on Redis: a list per worker that ends by itself, and one hash of paused queues.
//!
//! Signals are hints, so one that cannot be read (a newer version may ask for more) is dropped
//! aloud. Pauses are state, so one that cannot be read is an error, never "not paused".

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, Value};

use super::Redis;
use super::fault::Fault;
use super::keys::ttl_ms;
use crate::id::Owner;
use crate::name::QueueName;
use crate::store::{MAX_SIGNALS, Pause, SIGNAL_TTL, Signal, Signals, StoreError};

#[async_trait]
impl Signals for Redis {
    async fn send(&self, to: Owner, signals: &[Signal]) -> Result<(), StoreError> {
        const OPERATION: &str = "send signals";
        let newest = &signals[signals.len().saturating_sub(MAX_SIGNALS)..];
        if newest.is_empty() {
            return Ok(());
        }
        let key = self.keys.signals(to);
        let oldest = -(i64::try_from(MAX_SIGNALS).unwrap_or(i64::MAX));
        let mut writes = Pipeline::with_capacity(3);
        writes.cmd("RPUSH").arg(&key);
        for signal in newest {
            let text = serde_json::to_string(signal)
                .map_err(|why| self.error(OPERATION, Fault::corrupt(&key, why)))?;
            writes.arg(text);
        }
        writes.cmd("LTRIM").arg(&key).arg(oldest).arg(-1);
        writes.cmd("PEXPIRE").arg(&key).arg(ttl_ms(SIGNAL_TTL));
        for reply in self.bulk.run(OPERATION, &writes).await? {
            self.read::<Value>(OPERATION, &key, reply)?;
        }
        Ok(())
    }

    async fn receive(&self, owner: Owner) -> Result<Vec<Signal>, StoreError> {
        const OPERATION: &str = "receive signals";
        let key = self.keys.signals(owner);
        let mut take = Pipeline::with_capacity(1);
        take.cmd("LPOP").arg(&key).arg(MAX_SIGNALS);
        let reply = self.bulk.run(OPERATION, &take).await?.pop().unwrap_or(Ok(Value::Nil));
        let texts: Option<Vec<String>> = self.read(OPERATION, &key, reply)?;
        let mut signals = Vec::new();
        for text in texts.into_iter().flatten() {
            match serde_json::from_str(&text) {
                Ok(signal) => signals.push(signal),
                Err(error) => {
                    tracing::warn!(endpoint = %self.endpoint, %key, %error, "signal dropped");
                }
            }
        }
        Ok(signals)
    }

    async fn pause(&self, pause: &Pause) -> Result<(), StoreError> {
        const OPERATION: &str = "pause a queue";
        let key = self.keys.pauses();
        let text = serde_json::to_string(pause)
            .map_err(|why| self.error(OPERATION, Fault::corrupt(&key, why)))?;
        let mut write = Pipeline::with_capacity(1);
        write.cmd("HSETNX").arg(&key).arg(pause.queue.as_str()).arg(text);
        let reply = self.bulk.run(OPERATION, &write).await?.pop().unwrap_or(Ok(Value::Nil));
        self.read::<bool>(OPERATION, &key, reply).map(drop)
    }

    async fn resume(&self, queue: &QueueName) -> Result<bool, StoreError> {
        const OPERATION: &str = "resume a queue";
        let key = self.keys.pauses();
        let mut removal = Pipeline::with_capacity(1);
        removal.cmd("HDEL").arg(&key).arg(queue.as_str());
        let reply = self.bulk.run(OPERATION, &removal).await?.pop().unwrap_or(Ok(Value::Nil));
        self.read(OPERATION, &key, reply)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        const OPERATION: &str = "list paused queues";
        let key = self.keys.pauses();
        let mut list = Pipeline::with_capacity(1);
        list.cmd("HVALS").arg(&key);
        let reply = self.bulk.run(OPERATION, &list).await?.pop().unwrap_or(Ok(Value::Nil));
        let texts: Vec<String> = self.read(OPERATION, &key, reply)?;
        let mut pauses: Vec<Pause> = texts
            .iter()
            .map(|text| serde_json::from_str(text))
            .collect::<Result<_, _>>()
            .map_err(|why| self.error(OPERATION, Fault::corrupt(&key, why)))?;
        pauses.sort_by(|a, b| a.queue.cmp(&b.queue));
        Ok(pauses)
    }
}
