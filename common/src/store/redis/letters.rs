//! Letters on Redis: a description each, and per queue a set that keeps them in order of death.
//!
//! What belongs together changes in one script, so lists and counts are exact. A description ends
//! by itself; its place in the list is dropped by whoever lists or counts next.

use std::collections::BTreeMap;

use async_trait::async_trait;
use deadpool_redis::redis::Pipeline;

use super::fault::Fault;
use super::keys::ttl_ms;
use super::{MAX_PIPELINE, Redis};
use crate::clock::Millis;
use crate::id::TaskId;
use crate::name::QueueName;
use crate::store::{Behind, Gone, LETTER_TTL, Letter, Letters, StoreError};

const DESCRIBE: &str = "describe dead letters";
const FORGET: &str = "forget dead letters";
const LIST: &str = "list dead letters";
const READ: &str = "read dead letters";
const COUNT: &str = "count dead letters";
/// Most descriptions in one round trip: they have several KiB each.
const MAX_LETTERS: usize = 200;
/// Most places of ended descriptions that one count drops.
const MAX_DROPPED: usize = 1_000;
/// Greatest time that the scripts' numbers hold; as in `lua/letter.lua`.
const MAX_EXACT: u64 = (1 << 53) - 1;

/// Where a letter stands in its queue's list: as text, places are in order.
fn place(died_at: Millis, id: TaskId) -> String {
    format!("{:020}:{id}", died_at.0.min(MAX_EXACT))
}

impl Redis {
    /// Reads one page behind `bound`: the letters, and the bound of the next page.
    async fn page(
        &self,
        queue: &QueueName,
        bound: &str,
        most: usize,
    ) -> Result<(Vec<Letter>, Option<String>), StoreError> {
        let key = self.keys.letters();
        let mut call = self.scripts.list.on(&key);
        call.arg(queue.as_str()).arg(bound).arg(most);
        let texts: Vec<String> = self.call(&self.scripts.list, LIST, &key, call).await?;
        let mut texts = texts.into_iter();
        let next = texts.next().filter(|place| !place.is_empty()).map(|place| format!("({place}"));
        let mut letters = Vec::with_capacity(texts.len());
        for text in texts {
            match serde_json::from_str(&text) {
                Ok(letter) => letters.push(letter),
                // A newer version may know more reasons: one letter must not hide the others.
                Err(error) => {
                    tracing::warn!(
                        endpoint = %self.endpoint, %queue, %error,
                        "dead letter not listed: its description cannot be read"
                    );
                }
            }
        }
        Ok((letters, next))
    }
}

#[async_trait]
impl Letters for Redis {
    async fn describe(&self, batch: &[Letter]) -> Result<(), StoreError> {
        let base = self.keys.letters();
        let script = &self.scripts.describe;
        let mut first_error = None;
        for letters in batch.chunks(MAX_LETTERS) {
            let mut calls = Pipeline::with_capacity(letters.len());
            for letter in letters {
                let text = serde_json::to_string(letter).map_err(|why| {
                    self.error(DESCRIBE, Fault::corrupt(&self.keys.letter(letter.id), why))
                })?;
                let mut call = script.on(&base);
                call.arg(letter.id.to_string())
                    .arg(letter.order.replay)
                    .arg(letter.order.attempt)
                    .arg(letter.queue.as_str())
                    .arg(place(letter.died_at, letter.id))
                    .arg(ttl_ms(LETTER_TTL))
                    .arg(text);
                calls.add_command(call);
            }
            let replies = script.run(&self.bulk, DESCRIBE, &calls).await?;
            for (letter, reply) in letters.iter().zip(replies) {
                let key = self.keys.letter(letter.id);
                first_error = first_error.or(self.read::<String>(DESCRIBE, &key, reply).err());
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn forget(&self, batch: &[Gone]) -> Result<(), StoreError> {
        let base = self.keys.letters();
        let script = &self.scripts.forget;
        let mut first_error = None;
        for letters in batch.chunks(MAX_PIPELINE) {
            let mut calls = Pipeline::with_capacity(letters.len());
            for gone in letters {
                let mut call = script.on(&base);
                call.arg(gone.id.to_string())
                    .arg(gone.order.replay)
                    .arg(gone.order.attempt)
                    .arg(gone.queue.as_str());
                calls.add_command(call);
            }
            let replies = script.run(&self.bulk, FORGET, &calls).await?;
            for (gone, reply) in letters.iter().zip(replies) {
                let key = self.keys.letter(gone.id);
                first_error = first_error.or(self.read::<String>(FORGET, &key, reply).err());
            }
        }
        first_error.map_or(Ok(()), Err)
    }

    async fn list(
        &self,
        queue: &QueueName,
        behind: Option<Behind>,
        most: usize,
    ) -> Result<Vec<Letter>, StoreError> {
        let mut letters = Vec::new();
        let mut bound = match behind {
            Some(Behind { died_at, id }) => format!("({}", place(died_at, id)),
            None => "+".to_owned(),
        };
        while letters.len() < most {
            let (page, next) =
                self.page(queue, &bound, (most - letters.len()).min(MAX_LETTERS)).await?;
            letters.extend(page);
            let Some(next) = next else { break };
            bound = next;
        }
        Ok(letters)
    }

    async fn read(&self, ids: &[TaskId]) -> Result<Vec<Option<Letter>>, StoreError> {
        let mut letters = Vec::with_capacity(ids.len());
        for ids in ids.chunks(MAX_LETTERS) {
            let mut gets = Pipeline::with_capacity(ids.len());
            for id in ids {
                gets.cmd("GET").arg(self.keys.letter(*id));
            }
            for (id, reply) in ids.iter().zip(self.bulk.run(READ, &gets).await?) {
                let key = self.keys.letter(*id);
                let text = self.read::<Option<String>>(READ, &key, reply)?;
                let letter = text.map(|text| serde_json::from_str(&text)).transpose();
                letters.push(letter.map_err(|why| self.error(READ, Fault::corrupt(&key, why)))?);
            }
        }
        Ok(letters)
    }

    async fn counts(&self) -> Result<BTreeMap<QueueName, u64>, StoreError> {
        let key = self.keys.letters();
        let mut call = self.scripts.counts.on(&key);
        call.arg(MAX_DROPPED);
        let fields: Vec<String> = self.call(&self.scripts.counts, COUNT, &key, call).await?;
        let corrupt = |why: &str| self.error(COUNT, Fault::corrupt(&key, why));
        let mut counts = BTreeMap::new();
        for pair in fields.chunks(2) {
            let [queue, count] = pair else { return Err(corrupt("a queue without a count")) };
            let queue = queue.parse().map_err(|_| corrupt("a queue's name is none"))?;
            counts.insert(queue, count.parse().map_err(|_| corrupt("a count is no number"))?);
        }
        Ok(counts)
    }
}
