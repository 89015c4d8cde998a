//! Signals in memory, because workers and whoever asks something of them share the process; pauses
//! in the file, because they hold until somebody ends them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;

use super::Embedded;
use super::error::Failure;
use super::records::{json, parse};
use super::transaction::Transaction;
use crate::id::Owner;
use crate::name::QueueName;
use crate::store::{MAX_SIGNALS, Pause, SIGNAL_TTL, Signal, Signals, StoreError};

/// The first pause of a queue stays.
const PAUSE: &str =
    "INSERT INTO pause (queue, pause) VALUES (?1, ?2) ON CONFLICT (queue) DO NOTHING";
const RESUME: &str = "DELETE FROM pause WHERE queue = ?1";
const PAUSES: &str = "SELECT pause FROM pause ORDER BY queue";

/// The signals that wait for their workers.
#[derive(Default)]
pub(super) struct Mailboxes(Mutex<HashMap<Owner, VecDeque<Waiting>>>);

struct Waiting {
    signal: Signal,
    ends: Instant,
}

impl Mailboxes {
    fn send(&self, to: Owner, signals: &[Signal], now: Instant) {
        let mut boxes = self.boxes();
        // Those for workers that are gone: the newest signal of a box is its last.
        boxes.retain(|_, waiting| waiting.back().is_some_and(|last| last.ends > now));
        let waiting = boxes.entry(to).or_default();
        let ends = now + SIGNAL_TTL;
        waiting.extend(signals.iter().map(|signal| Waiting { signal: signal.clone(), ends }));
        let too_many = waiting.len().saturating_sub(MAX_SIGNALS);
        waiting.drain(..too_many);
    }

    fn receive(&self, owner: Owner, now: Instant) -> Vec<Signal> {
        let taken = self.boxes().remove(&owner).unwrap_or_default();
        taken.into_iter().filter(|waiting| waiting.ends > now).map(|one| one.signal).collect()
    }

    fn boxes(&self) -> MutexGuard<'_, HashMap<Owner, VecDeque<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Signals for Embedded {
    async fn send(&self, to: Owner, signals: &[Signal]) -> Result<(), StoreError> {
        if !signals.is_empty() {
            self.mailboxes.send(to, signals, Instant::now());
        }
        Ok(())
    }

    async fn receive(&self, owner: Owner) -> Result<Vec<Signal>, StoreError> {
        Ok(self.mailboxes.receive(owner, Instant::now()))
    }

    async fn pause(&self, pause: &Pause) -> Result<(), StoreError> {
        let (queue, pause) = (pause.queue.to_string(), json(pause));
        let run = move |to: &mut Transaction| {
            let pause = pause.as_ref().map_err(Clone::clone)?;
            to.execute(PAUSE, (&queue, pause)).map(drop)
        };
        let failed = |failure: Failure| failure.for_store("pause a queue", &self.core.endpoint);
        self.core.writer.write(1, run).await.map_err(failed)
    }

    async fn resume(&self, queue: &QueueName) -> Result<bool, StoreError> {
        let queue = queue.to_string();
        let run = move |to: &mut Transaction| Ok(to.execute(RESUME, [&queue])? > 0);
        let failed = |failure: Failure| failure.for_store("resume a queue", &self.core.endpoint);
        self.core.writer.write(1, run).await.map_err(failed)
    }

    async fn pauses(&self) -> Result<Vec<Pause>, StoreError> {
        let read = |connection: &rusqlite::Connection| {
            let mut statement = connection.prepare_cached(PAUSES)?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            rows.map(|pause| parse(&pause?)).collect()
        };
        let failed = |failure: Failure| failure.for_store("read pauses", &self.core.endpoint);
        self.core.answers.read(read).await.map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn resize(slots: usize) -> Signal {
        Signal::Resize { slots: u32::try_from(slots).unwrap() }
    }

    #[test]
    fn signals_are_taken_once_in_their_order_by_whom_they_are_for() {
        let (boxes, now) = (Mailboxes::default(), Instant::now());
        let (one, two) = (Owner::mint(), Owner::mint());
        boxes.send(one, &[Signal::Quiet, Signal::Resume], now);
        boxes.send(two, &[Signal::Stop], now);
        boxes.send(one, &[resize(3)], now);
        assert_eq!(boxes.receive(one, now), [Signal::Quiet, Signal::Resume, resize(3)]);
        assert_eq!(boxes.receive(one, now), []);
        assert_eq!(boxes.receive(two, now), [Signal::Stop]);
    }

    #[test]
    fn of_too_many_signals_the_oldest_go() {
        let (boxes, now, owner) = (Mailboxes::default(), Instant::now(), Owner::mint());
        let all: Vec<_> = (0..MAX_SIGNALS + 3).map(resize).collect();
        boxes.send(owner, &all[..10], now);
        boxes.send(owner, &all[10..], now);
        assert_eq!(boxes.receive(owner, now), all[3..]);
    }

    #[test]
    fn signals_that_nobody_takes_end_and_leave_nothing_behind() {
        let (boxes, now) = (Mailboxes::default(), Instant::now());
        let (gone, late) = (Owner::mint(), Owner::mint());
        boxes.send(gone, &[Signal::Stop], now);
        boxes.send(late, &[Signal::Quiet], now);
        let later = now + SIGNAL_TTL - Duration::from_secs(1);
        boxes.send(late, &[Signal::Resume], later);
        let end = now + SIGNAL_TTL;
        assert_eq!(boxes.receive(late, end), [Signal::Resume]);
        boxes.send(late, &[Signal::Quiet], end);
        assert_eq!(boxes.boxes().len(), 1, "the box of a worker that is gone");
    }
}
