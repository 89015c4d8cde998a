//! What beats say of themselves: a key each that ends by itself, and a directory of them.
//!
//! Over the connection of heartbeats, so that it does not wait behind bulk.

use std::time::Duration;

use deadpool_redis::redis::Pipeline;

use crate::id::Owner;
use crate::store::redis::Redis;
use crate::store::redis::fault::Fault;
use crate::store::redis::keys::ttl_ms;
use crate::store::redis::scripts::ENLIST;
use crate::store::{BeatInfo, StoreError};

const ANNOUNCE: &str = "announce a beat";
const LIST: &str = "list beats";

impl Redis {
    pub(super) async fn announce_beat(
        &self,
        beat: &BeatInfo,
        ttl: Duration,
    ) -> Result<(), StoreError> {
        let (key, directory) = (self.keys.beat(beat.owner), self.keys.beats());
        let text = serde_json::to_string(beat)
            .map_err(|why| self.error(ANNOUNCE, Fault::corrupt(&key, why)))?;
        let mut writes = Pipeline::with_capacity(2);
        writes.cmd("SET").arg(&key).arg(text).arg("PX").arg(ttl_ms(ttl));
        writes.cmd("EVAL").arg(ENLIST).arg(1).arg(&directory);
        writes.arg(beat.owner.to_string()).arg(ttl_ms(ttl));
        let replies = self.fleet.run(ANNOUNCE, &writes).await?;
        for (key, reply) in [key, directory].iter().zip(replies) {
            self.read::<()>(ANNOUNCE, key, reply)?;
        }
        Ok(())
    }

    pub(super) async fn living_beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        let directory = self.keys.beats();
        let mut list = Pipeline::with_capacity(1);
        list.cmd("ZRANGE").arg(&directory).arg(0).arg(-1);
        let mut keys = Vec::new();
        for reply in self.fleet.run(LIST, &list).await? {
            for member in self.read::<Vec<String>>(LIST, &directory, reply)? {
                match member.parse::<Owner>() {
                    Ok(owner) => keys.push(self.keys.beat(owner)),
                    Err(why) => {
                        tracing::warn!(endpoint = %self.endpoint, %why, "beat not listed");
                    }
                }
            }
        }
        let mut gets = Pipeline::with_capacity(keys.len());
        for key in &keys {
            gets.cmd("GET").arg(key);
        }
        let mut beats = Vec::with_capacity(keys.len());
        for (key, reply) in keys.iter().zip(self.fleet.run(LIST, &gets).await?) {
            let Some(text) = self.read::<Option<String>>(LIST, key, reply)? else { continue };
            match serde_json::from_str(&text) {
                Ok(beat) => beats.push(beat),
                // While a fleet is upgraded, beats describe themselves in different words.
                Err(why) => {
                    tracing::warn!(endpoint = %self.endpoint, %key, %why, "beat not listed");
                }
            }
        }
        Ok(beats)
    }
}
