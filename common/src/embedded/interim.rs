//! What running attempts say of themselves: a row per task, the latest saying wins.

use rusqlite::{Connection, OptionalExtension};

use super::Embedded;
use super::error::Failure;
use super::records::{json, parse};
use super::transaction::{Transaction, signed};
use crate::clock::Millis;
use crate::id::TaskId;
use crate::store::{Interim, StoreError};

const SAY: &str = "INSERT INTO interim (id, fence, turn, interim, expires_ms)
    VALUES (?1, ?2, ?3, ?4, ?5)
    ON CONFLICT (id) DO UPDATE SET fence = excluded.fence, turn = excluded.turn,
        interim = excluded.interim, expires_ms = excluded.expires_ms
    WHERE (excluded.fence, excluded.turn) >= (interim.fence, interim.turn)";
const ASK: &str = "SELECT interim FROM interim WHERE id = ?1 AND expires_ms > ?2";

impl Embedded {
    pub(super) async fn write_interim(&self, batch: &[Interim]) -> Result<(), StoreError> {
        let rows: Vec<_> = batch
            .iter()
            .map(|said| {
                let fence = i64::try_from(said.fence.0).unwrap_or(i64::MAX);
                (said.id, fence, said.turn, json(said))
            })
            .collect();
        let ttl = self.core.retention.record;
        let run = move |to: &mut Transaction| {
            let expires = signed(to.now().after(ttl));
            for (id, fence, turn, interim) in &rows {
                let interim = interim.as_ref().map_err(Clone::clone)?;
                to.execute(SAY, (id.uuid().as_bytes(), fence, turn, interim, expires))?;
            }
            Ok(())
        };
        self.record("record what attempts say", batch.len(), run).await
    }

    pub(super) async fn read_interim(
        &self,
        ids: &[TaskId],
    ) -> Result<Vec<Option<Interim>>, StoreError> {
        let ids = ids.to_vec();
        let now = self.core.clock.now();
        self.core
            .answers
            .read(move |connection| ids.iter().map(|id| last(connection, *id, now)).collect())
            .await
            .map_err(|failure| failure.for_store("read what attempts said", &self.core.endpoint))
    }
}

fn last(connection: &Connection, id: TaskId, now: Millis) -> Result<Option<Interim>, Failure> {
    let mut ask = connection.prepare_cached(ASK)?;
    let key = id.uuid();
    let text: Option<String> =
        ask.query_row((key.as_bytes(), signed(now)), |row| row.get(0)).optional()?;
    text.as_deref().map(parse).transpose()
}
