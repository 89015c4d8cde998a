//! The ledger on Redis: every request one script call on one key, a batch one pipeline.
//!
//! The rules are in `lua/`, mirrored from `ledger::rules`; nothing is decided here.

use async_trait::async_trait;
use deadpool_redis::redis::Pipeline;

use super::fault::Fault;
use super::requests::Request;
use super::{MAX_PIPELINE, Redis};
use crate::id::TaskId;
use crate::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Entry, Held, Mark, Release, Ruling, Takeover, packed,
};
use crate::store::{Ledger, StoreError};

impl Redis {
    async fn ask<R: Request>(&self, batch: &[R]) -> Result<Vec<R::Reply>, StoreError> {
        let script = R::script(&self.scripts);
        let mut answers = Vec::with_capacity(batch.len());
        for requests in batch.chunks(MAX_PIPELINE) {
            let mut calls = Pipeline::with_capacity(requests.len());
            for request in requests {
                let key = self.keys.entry(request.id());
                let mut call = script.on(&key);
                request
                    .write(&mut call)
                    .map_err(|why| self.error(R::OPERATION, Fault::corrupt(&key, why)))?;
                calls.add_command(call);
            }
            let replies = script.run(&self.bulk, R::OPERATION, &calls).await?;
            for (request, reply) in requests.iter().zip(replies) {
                let key = || self.keys.entry(request.id());
                let answer = match reply {
                    Ok(reply) => request.read(reply).map_err(|why| Fault::corrupt(&key(), why)),
                    Err(error) => Err(Fault::on(&key(), error)),
                };
                answers.push(answer.map_err(|fault| self.error(R::OPERATION, fault))?);
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl Ledger for Redis {
    async fn claim(&self, batch: &[Claim]) -> Result<Vec<Answer>, StoreError> {
        self.ask(batch).await
    }

    async fn take_over(&self, batch: &[Takeover]) -> Result<Vec<Answer>, StoreError> {
        self.ask(batch).await
    }

    async fn decide(&self, batch: &[Decide]) -> Result<Vec<Ruling>, StoreError> {
        self.ask(batch).await
    }

    async fn mark(&self, batch: &[Mark]) -> Result<Vec<Ruling>, StoreError> {
        self.ask(batch).await
    }

    async fn release(&self, batch: &[Release]) -> Result<Vec<Ruling>, StoreError> {
        self.ask(batch).await
    }

    async fn reassert(&self, batch: &[Held]) -> Result<(), StoreError> {
        self.ask(batch).await.map(drop)
    }

    async fn cancel(&self, batch: &[Cancel]) -> Result<Vec<Cancelling>, StoreError> {
        self.ask(batch).await
    }

    async fn entries(&self, ids: &[TaskId]) -> Result<Vec<Option<Entry>>, StoreError> {
        const OPERATION: &str = "read entries";
        let mut entries = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_PIPELINE) {
            let mut gets = Pipeline::with_capacity(ids.len());
            for id in ids {
                gets.cmd("GET").arg(self.keys.entry(*id));
            }
            let replies = self.bulk.run(OPERATION, &gets).await?;
            for (id, reply) in ids.iter().zip(replies) {
                let key = self.keys.entry(*id);
                let text = self.read::<Option<String>>(OPERATION, &key, reply)?;
                let entry = text.map(|text| packed::read(&text)).transpose();
                entries
                    .push(entry.map_err(|why| self.error(OPERATION, Fault::corrupt(&key, why)))?);
            }
        }
        Ok(entries)
    }

    async fn check(&self) -> Result<(), StoreError> {
        const OPERATION: &str = "write a trace";
        let key = self.keys.check();
        let mut write = Pipeline::new();
        write.cmd("SET").arg(&key).arg(1).arg("PX").arg(1_000);
        for reply in self.bulk.run(OPERATION, &write).await? {
            self.read::<()>(OPERATION, &key, reply)?;
        }
        Ok(())
    }
}
