//! The fleet on Redis: a heartbeat is a key that ends by itself, and liveness is its presence.
//!
//! All of it goes over a connection of its own, so that no heartbeat waits behind bulk. While a
//! fleet is upgraded its workers describe themselves in different words: the claims they hold are
//! read by themselves, and a heartbeat that cannot be read spares its owner, never condemns it.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, Value};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::fault::Fault;
use super::keys::ttl_ms;
use super::scripts::ENLIST;
use super::{MAX_PIPELINE, Redis};
use crate::id::{Fence, Owner, TaskId};
use crate::store::fleet::judge_held;
use crate::store::{Fleet, Heartbeat, Liveness, Renewal, StoreError, StoreErrorKind, Suspect};

const BEAT: &str = "renew the heartbeat";

/// What a judgement needs of a heartbeat; the same in every version.
#[derive(Debug, Deserialize)]
struct Life {
    held: Vec<(TaskId, Fence)>,
}

/// A heartbeat, or what of it was asked for.
enum Sign<T> {
    Absent,
    /// Something is there, in words that are not ours.
    Unreadable,
    Read(T),
}

impl Redis {
    /// Reads heartbeats in the order of `owners`; in one round trip unless there are too many.
    async fn heartbeats<T: DeserializeOwned>(
        &self,
        operation: &'static str,
        owners: &[Owner],
    ) -> Result<Vec<Sign<T>>, StoreError> {
        let mut heartbeats = Vec::with_capacity(owners.len());
        for owners in owners.chunks(MAX_PIPELINE) {
            let mut gets = Pipeline::with_capacity(owners.len());
            for owner in owners {
                gets.cmd("GET").arg(self.keys.heartbeat(*owner));
            }
            let replies = self.fleet.run(operation, &gets).await?;
            for (owner, reply) in owners.iter().zip(replies) {
                let key = self.keys.heartbeat(*owner);
                let unreadable = |why: &dyn Display| {
                    tracing::debug!(endpoint = %self.endpoint, %key, %why, "heartbeat not read");
                    Sign::Unreadable
                };
                heartbeats.push(match self.read::<Option<String>>(operation, &key, reply) {
                    Ok(None) => Sign::Absent,
                    Ok(Some(text)) => match serde_json::from_str(&text) {
                        Ok(heartbeat) => Sign::Read(heartbeat),
                        Err(why) => unreadable(&why),
                    },
                    Err(error) if error.kind == StoreErrorKind::Corrupt => unreadable(&error),
                    Err(error) => return Err(error),
                });
            }
        }
        Ok(heartbeats)
    }
}

#[async_trait]
impl Fleet for Redis {
    async fn beat(&self, heartbeat: &Heartbeat, ttl: Duration) -> Result<Renewal, StoreError> {
        let key = self.keys.heartbeat(heartbeat.owner);
        let text = serde_json::to_string(heartbeat)
            .map_err(|why| self.error(BEAT, Fault::corrupt(&key, why)))?;
        let mut writes = Pipeline::with_capacity(2);
        writes.cmd("SET").arg(&key).arg(text).arg("PX").arg(ttl_ms(ttl)).arg("GET");
        writes.cmd("EVAL").arg(ENLIST).arg(1).arg(self.keys.workers());
        writes.arg(heartbeat.owner.to_string()).arg(ttl_ms(ttl));
        let mut replies = self.fleet.run(BEAT, &writes).await?.into_iter();
        let before = replies.next().unwrap_or(Ok(Value::Nil));
        let before = self.read::<Option<String>>(BEAT, &key, before)?;
        // The directory only serves those who look: its trouble must not end a worker.
        if let Some(Err(error)) = replies.next() {
            tracing::warn!(endpoint = %self.endpoint, %error, "worker not listed");
        }
        Ok(if before.is_some() { Renewal::Kept } else { Renewal::Absent })
    }

    async fn judge(
        &self,
        reader: Owner,
        suspects: &[Suspect],
        ttl: Duration,
    ) -> Result<Vec<Liveness>, StoreError> {
        let holders: BTreeSet<Owner> = suspects.iter().map(|suspect| suspect.hold.owner).collect();
        // The reader's own comes last: after a wipe between two reads it is missing as well, and
        // a holder that was read as missing is not taken for dead.
        let mut owners: Vec<Owner> = holders.into_iter().collect();
        owners.push(reader);
        let mut heartbeats: Vec<Sign<Life>> = self.heartbeats("judge claims", &owners).await?;
        let reader_lives = matches!(heartbeats.pop(), Some(Sign::Read(_)));
        let heartbeats: HashMap<Owner, Sign<Life>> = owners.into_iter().zip(heartbeats).collect();
        let verdict = |suspect: &Suspect| {
            let held = match heartbeats.get(&suspect.hold.owner) {
                Some(Sign::Read(life)) => Some(life.held.as_slice()),
                Some(Sign::Absent) | None => None,
                // It lives, or something else took its key, which ends by itself: look again.
                Some(Sign::Unreadable) => {
                    let owner = suspect.hold.owner;
                    tracing::warn!(endpoint = %self.endpoint, %owner, "heartbeat cannot be read");
                    return Liveness::Unsure;
                }
            };
            judge_held(suspect, held, reader_lives, ttl)
        };
        Ok(suspects.iter().map(verdict).collect())
    }

    fn needs_grace(&self) -> bool {
        true
    }

    async fn leave(&self, owner: Owner) -> Result<(), StoreError> {
        const OPERATION: &str = "remove the heartbeat";
        let keys = [self.keys.heartbeat(owner), self.keys.workers()];
        let mut removal = Pipeline::with_capacity(2);
        removal.cmd("DEL").arg(&keys[0]);
        removal.cmd("ZREM").arg(&keys[1]).arg(owner.to_string());
        for (key, reply) in keys.iter().zip(self.fleet.run(OPERATION, &removal).await?) {
            self.read::<u64>(OPERATION, key, reply)?;
        }
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<Heartbeat>, StoreError> {
        const OPERATION: &str = "list workers";
        let key = self.keys.workers();
        let mut list = Pipeline::with_capacity(1);
        list.cmd("ZRANGE").arg(&key).arg(0).arg(-1);
        let mut owners = Vec::new();
        for reply in self.fleet.run(OPERATION, &list).await? {
            for member in self.read::<Vec<String>>(OPERATION, &key, reply)? {
                match member.parse() {
                    Ok(owner) => owners.push(owner),
                    Err(why) => {
                        tracing::warn!(endpoint = %self.endpoint, %key, %why, "worker not listed");
                    }
                }
            }
        }
        let heartbeats = self.heartbeats(OPERATION, &owners).await?;
        let read = |sign| match sign {
            Sign::Read(heartbeat) => Some(heartbeat),
            Sign::Absent | Sign::Unreadable => None,
        };
        Ok(heartbeats.into_iter().filter_map(read).collect())
    }
}
