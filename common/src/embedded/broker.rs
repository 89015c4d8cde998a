//! The broker of the file: what is confirmed here is committed and on disk.
//!
//! Publishing declares nothing, because a place is a text in a column. What is too large or cannot
//! be written down is refused before anything of it reaches the file.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use rusqlite::Connection;

use super::consumer::PlaceConsumer;
use super::error::Failure;
use super::stored::{head, name, place};
use super::survey;
use super::transaction::{Transaction, signed};
use super::{Core, Embedded};
use crate::broker::{
    Broker, BrokerError, Consumer, Destination, Place, Publish, PublishError, Survey,
};
use crate::clock::Millis;

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

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        if self.core.is_closed() {
            return Err(Failure::closed().for_broker("consume"));
        }
        let open = self.core.places.open(&name(place));
        Ok(Arc::new(PlaceConsumer::new(Arc::clone(&self.core), open, prefetch)))
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        let names: Vec<String> = places.iter().map(name).collect();
        let known = Arc::clone(&self.core.places);
        let now = self.core.clock.now();
        let look = move |connection: &Connection| {
            names.iter().map(|name| survey::of(connection, name, known.find(name), now)).collect()
        };
        let surveyed = self.core.answers.read(look).await;
        surveyed.map_err(|failure| failure.for_broker("survey places"))
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

/// Commits the rows, and wakes the places they are for.
async fn store(core: &Core, rows: Vec<Row>) -> Result<(), Failure> {
    let places = Arc::clone(&core.places);
    let wake = move |arrivals: &Result<HashMap<String, Arrival>, Failure>| {
        for (name, arrival) in arrivals.iter().flatten() {
            if let Some(place) = places.find(name) {
                place.arrived(arrival.ready, arrival.earliest);
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
