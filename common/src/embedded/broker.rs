//! The broker of the file: what is confirmed here is committed and on disk.
//!
//! Publishing declares nothing, because a place is a text in a column. What is too large or cannot
//! be written down is refused before anything of it reaches the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;

use super::consumer::LaneConsumer;
use super::error::Failure;
use super::stored::{dead_place, head, lane_place, place};
use super::transaction::{Transaction, signed};
use super::{Core, Embedded};
use crate::broker::{Broker, BrokerError, Consumer, Destination, Place, Publish, PublishError};
use crate::clock::Millis;
use crate::name::Lane;

/// A message on its way into the table.
struct Row {
    place: String,
    until: Option<Millis>,
    head: String,
    body: bytes::Bytes,
}

/// What a publish has added to one place.
#[derive(Debug, Default)]
struct Arrival {
    ready: bool,
    earliest: Option<Millis>,
}

#[async_trait]
impl Broker for Embedded {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let began = Instant::now();
        let mut rows = Vec::with_capacity(batch.len());
        let answers: Vec<_> = batch
            .iter()
            .map(|publish| row(publish, self.core.payload_limit).map(|row| rows.push(row)))
            .collect();
        let stored = if rows.is_empty() { Ok(()) } else { store(&self.core, rows).await };
        let within = began.elapsed();
        let answer = |checked: Result<(), PublishError>| {
            checked.and_then(|()| stored.clone().map_err(|failure| failure.for_publish(within)))
        };
        answers.into_iter().map(answer).collect()
    }

    async fn consume(&self, lane: &Lane, prefetch: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        if self.core.is_closed() {
            return Err(Failure::closed().for_broker("consume"));
        }
        let open = self.core.lanes.open(&lane_place(lane));
        Ok(Arc::new(LaneConsumer::new(Arc::clone(&self.core), open, prefetch)))
    }

    async fn depths(&self, places: &[Place]) -> Result<Vec<u64>, BrokerError> {
        let texts: Vec<String> = places.iter().map(text).collect();
        let lanes = Arc::clone(&self.core.lanes);
        let now = signed(self.core.clock.now());
        self.core
            .answers
            .read(move |connection| {
                let mut statement = connection.prepare_cached(
                    "SELECT (SELECT count(*) FROM message WHERE place = ?1 AND due_ms IS NULL)
                          + (SELECT count(*) FROM message WHERE place = ?1 AND due_ms <= ?2)",
                )?;
                let mut depth = |place: &String| {
                    let there: i64 = statement.query_row((place, now), |row| row.get(0))?;
                    let out = lanes.find(place).map_or(0, |lane| lane.out());
                    Ok(u64::try_from(there).unwrap_or(0).saturating_sub(out))
                };
                texts.iter().map(&mut depth).collect()
            })
            .await
            .map_err(|failure| failure.for_broker("count messages"))
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.core.check().await.map_err(|failure| failure.for_broker("write to the data file"))
    }

    async fn close(&self) {
        self.core.close().await;
    }
}

/// Prepares a message for the table, in its sender's task: the writer has other things to do.
fn row(publish: &Publish, limit: usize) -> Result<Row, PublishError> {
    let body = publish.wire.body.clone();
    if body.len() > limit {
        return Err(PublishError::TooLarge { size: body.len(), limit });
    }
    let head = head(&publish.wire).map_err(|error| {
        PublishError::Rejected(format!("its headers cannot be written as JSON: {error}"))
    })?;
    let until = match &publish.to {
        Destination::Delay { until, .. } => Some(*until),
        Destination::Lane(_) | Destination::Dead(_) => None,
    };
    Ok(Row { place: place(&publish.to), until, head, body })
}

/// Commits the rows, and wakes the lanes they are for.
async fn store(core: &Core, rows: Vec<Row>) -> Result<(), Failure> {
    let lanes = Arc::clone(&core.lanes);
    let wake = move |arrivals: &Result<HashMap<String, Arrival>, Failure>| {
        for (place, arrival) in arrivals.iter().flatten() {
            if let Some(lane) = lanes.find(place) {
                lane.arrived(arrival.ready, arrival.earliest);
            }
        }
    };
    let slot = core.writer.slot().await?;
    slot.send(rows.len(), move |to| insert(to, &rows), wake).await.map(drop)
}

fn insert(to: &mut Transaction, rows: &[Row]) -> Result<HashMap<String, Arrival>, Failure> {
    let now = to.now();
    let mut arrivals: HashMap<String, Arrival> = HashMap::new();
    for Row { place, until, head, body } in rows {
        let due = until.filter(|until| *until > now);
        let id = to.next_id();
        to.execute(
            "INSERT INTO message (id, place, due_ms, wire, body) VALUES (?1, ?2, ?3, ?4, ?5)",
            (id, place, due.map(signed), head, &body[..]),
        )?;
        let arrival = arrivals.entry(place.clone()).or_default();
        arrival.ready |= due.is_none();
        arrival.earliest = arrival.earliest.into_iter().chain(due).min();
    }
    Ok(arrivals)
}

fn text(place: &Place) -> String {
    match place {
        Place::Lane(lane) => lane_place(lane),
        Place::Dead(queue) => dead_place(queue),
    }
}
