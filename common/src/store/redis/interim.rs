//! What running attempts say of themselves, on Redis: one key per task, the latest saying wins.

use deadpool_redis::redis::{Pipeline, Value};

use super::Redis;
use super::fault::Fault;
use super::keys::ttl_ms;
use crate::id::TaskId;
use crate::store::{Interim, StoreError};

const SAY: &str = "write what attempts say";
const ASK: &str = "read what attempts said";
/// Most in one round trip: a checkpoint may have many KiB.
const MAX_SAID: usize = 100;

impl Redis {
    pub(super) async fn write_interim(&self, batch: &[Interim]) -> Result<(), StoreError> {
        let script = &self.scripts.say;
        for said in batch.chunks(MAX_SAID) {
            let mut calls = Pipeline::with_capacity(said.len());
            for interim in said {
                let key = self.keys.interim(interim.id);
                let text = serde_json::to_string(interim)
                    .map_err(|why| self.error(SAY, Fault::corrupt(&key, why)))?;
                let mut call = script.on(&key);
                call.arg(interim.fence.0).arg(interim.turn).arg(text);
                call.arg(ttl_ms(self.retention.record));
                calls.add_command(call);
            }
            let replies = script.run(&self.bulk, SAY, &calls).await?;
            for (interim, reply) in said.iter().zip(replies) {
                self.read::<Value>(SAY, &self.keys.interim(interim.id), reply)?;
            }
        }
        Ok(())
    }

    pub(super) async fn read_interim(
        &self,
        ids: &[TaskId],
    ) -> Result<Vec<Option<Interim>>, StoreError> {
        let mut said = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_SAID) {
            let mut reads = Pipeline::with_capacity(ids.len());
            for id in ids {
                reads.cmd("GET").arg(self.keys.interim(*id));
            }
            for (id, reply) in ids.iter().zip(self.bulk.run(ASK, &reads).await?) {
                let key = self.keys.interim(*id);
                let text = self.read::<Option<String>>(ASK, &key, reply)?;
                let interim = text.map(|text| serde_json::from_str(&text)).transpose();
                said.push(interim.map_err(|why| self.error(ASK, Fault::corrupt(&key, why)))?);
            }
        }
        Ok(said)
    }
}
