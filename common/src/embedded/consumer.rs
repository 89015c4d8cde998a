//! A consumer of one place: hands out what is committed, and ends it.
//!
//! Consumers of a place share its messages, each holds its own deliveries. A delivery is in exactly
//! one of three hands: on its way (held here), being acked (held by the operation in the writer's
//! channel, which gives it back when its commit fails), or back in the place. So a call that is
//! dropped half-way loses nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::Core;
use super::error::Failure;
use super::place::{Look, OpenPlace, promote};
use super::stored::Stored;
use super::transaction::Transaction;
use crate::broker::{Consumer, Delivery, Receipt, Settle, SettleError};

/// The file is opened once, so there is one generation, until the file is closed.
const GENERATION: u64 = 1;
/// Longest sleep until a delayed message: a clock that was set is noticed after this.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);
/// The pause after the file could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// Hands out the messages of one place.
pub(super) struct PlaceConsumer {
    core: Arc<Core>,
    place: Arc<OpenPlace>,
    hands: Arc<Hands>,
    prefetch: usize,
}

/// The deliveries that a consumer has handed out.
#[derive(Default)]
struct Hands(Mutex<Held>);

#[derive(Default)]
struct Held {
    deliveries: HashMap<u64, Stored>,
    /// Deliveries whose ack is not committed yet: they count against the prefetch.
    acking: usize,
    last_tag: u64,
    stopped: bool,
}

impl Hands {
    fn get(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlaceConsumer {
    pub(super) fn new(core: Arc<Core>, place: Arc<OpenPlace>, prefetch: u16) -> Self {
        let prefetch = usize::from(prefetch.max(1));
        place.joined();
        Self { core, place, hands: Arc::default(), prefetch }
    }

    fn is_open(&self) -> bool {
        !self.hands.get().stopped && !self.core.is_closed()
    }

    /// Takes nothing more, and counts no longer.
    fn leave(&self) {
        if !std::mem::replace(&mut self.hands.get().stopped, true) {
            self.place.left();
        }
    }

    /// Looks once, and remembers what it takes.
    fn look(&self, most: usize) -> Result<Vec<Delivery>, Look> {
        let mut held = self.hands.get();
        let room = self.prefetch.saturating_sub(held.deliveries.len() + held.acking);
        if room == 0 {
            return Err(Look::Wait(None));
        }
        let taken = match self.place.look(room.min(most.max(1)), self.core.clock.now()) {
            Look::Take(taken) => taken,
            other => return Err(other),
        };
        let hand_out = |stored: Stored| {
            held.last_tag += 1;
            let receipt = Receipt { generation: GENERATION, tag: held.last_tag };
            let (wire, redelivered) = (stored.to_wire(), stored.redelivered);
            held.deliveries.insert(receipt.tag, stored);
            Delivery { receipt, wire, redelivered }
        };
        Ok(taken.into_iter().map(hand_out).collect())
    }

    async fn read(&self) -> Result<(), Failure> {
        let place = Arc::clone(&self.place);
        self.core.places_reader.read(move |connection| place.read(connection)).await
    }

    async fn promote(&self) -> Result<(), Failure> {
        let (place, told) = (Arc::clone(&self.place), Arc::clone(&self.place));
        let slot = self.core.writer.slot().await?;
        let run = move |to: &mut Transaction| promote(to, &place.name);
        let tell = move |due: &Result<_, _>| {
            if let Ok(due) = due {
                told.promoted(*due);
            }
        };
        slot.send(1, run, tell).await.map(drop)
    }

    /// Takes the deliveries out of the hands; those that are not there are gone.
    fn take(&self, batch: &[(Receipt, Settle)]) -> Taken {
        let mut held = self.hands.get();
        let mut taken = Taken::default();
        for (receipt, settle) in batch {
            let stored = match receipt.generation {
                GENERATION => held.deliveries.remove(&receipt.tag),
                _ => None,
            };
            taken.was.push(stored.as_ref().map(|_| *settle));
            match settle {
                Settle::Ack => taken.ack.extend(stored),
                Settle::Return => taken.back.extend(stored),
            }
        }
        held.acking += taken.ack.len();
        taken
    }
}

/// What a settle has to do.
#[derive(Default)]
struct Taken {
    /// What becomes of each delivery of the batch that was still held.
    was: Vec<Option<Settle>>,
    ack: Vec<Stored>,
    back: Vec<Stored>,
}

#[async_trait]
impl Consumer for PlaceConsumer {
    async fn next(&self, most: usize) -> Vec<Delivery> {
        loop {
            let wake = self.place.wake.notified();
            tokio::pin!(wake);
            // Registered before the look: what comes after it wakes us.
            wake.as_mut().enable();
            if !self.is_open() {
                return Vec::new();
            }
            let step = match self.look(most) {
                Ok(deliveries) => return deliveries,
                Err(Look::Read) => self.read().await,
                Err(Look::Promote) => self.promote().await,
                Err(Look::Wait(None)) => {
                    wake.await;
                    Ok(())
                }
                Err(Look::Wait(Some(wait))) => {
                    let _ = tokio::time::timeout(wait.min(LONGEST_SLEEP), wake).await;
                    Ok(())
                }
                // Taken messages are handed out in `look`.
                Err(Look::Take(_)) => Ok(()),
            };
            if let Err(failure) = step
                && self.is_open()
            {
                tracing::warn!(place = %self.place.name, error = %failure.why, "messages not read");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>> {
        // First the slot in the channel: between taking and sending nothing may wait, or a call
        // dropped there would keep the deliveries for ever.
        let Ok(slot) = self.core.writer.slot().await else {
            return vec![Err(SettleError::Gone); batch.len()];
        };
        let Taken { was, ack, back } = self.take(batch);
        if !back.is_empty() {
            self.place.take_back(back);
        }
        let mut acked = Ok(());
        if !ack.is_empty() {
            let weight = ack.len();
            let ids: Vec<i64> = ack.iter().map(|stored| stored.id).collect();
            let (hands, place) = (Arc::clone(&self.hands), Arc::clone(&self.place));
            let run = move |to: &mut Transaction| {
                for id in &ids {
                    to.execute("DELETE FROM message WHERE id = ?1", [id])?;
                }
                Ok(())
            };
            let free = move |outcome: &Result<(), Failure>| {
                hands.get().acking -= ack.len();
                match outcome {
                    Ok(()) => place.gone(ack.len()),
                    Err(_) => place.take_back(ack),
                }
            };
            acked = slot.send(weight, run, free).await;
        }
        let answer = |was: Option<Settle>| match was {
            Some(Settle::Return) => Ok(()),
            Some(Settle::Ack) if acked.is_ok() => Ok(()),
            Some(Settle::Ack) | None => Err(SettleError::Gone),
        };
        was.into_iter().map(answer).collect()
    }

    fn holds(&self, receipt: Receipt) -> bool {
        receipt.generation == GENERATION && !self.core.is_closed()
    }

    fn is_consuming(&self) -> bool {
        self.is_open()
    }

    async fn stop(&self) {
        self.leave();
        self.place.wake.notify_waiters();
    }
}

impl Drop for PlaceConsumer {
    fn drop(&mut self) {
        self.leave();
        let held = std::mem::take(&mut self.hands.get().deliveries);
        if !held.is_empty() {
            self.place.take_back(held.into_values().collect());
        }
    }
}
