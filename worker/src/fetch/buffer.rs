//! What has arrived and waits for a slot, by class and queue.
//!
//! Bounded by the consumers' prefetch: each delivery in here is unsettled.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leveret_common::name::{Class, Lane, QueueName};
use tokio::sync::Notify;

use super::Arrived;
use super::picker::Picker;

/// The waiting deliveries of one worker.
pub struct Buffer {
    state: Mutex<State>,
    filled: Notify,
}

struct State {
    picker: Picker,
    /// For each class its queues, the one whose turn it is in front.
    lines: BTreeMap<Class, VecDeque<(QueueName, VecDeque<Arrived>)>>,
}

impl Buffer {
    /// Creates an empty buffer.
    #[must_use]
    pub fn new(picker: Picker) -> Self {
        let state = State { picker, lines: BTreeMap::new() };
        Self { state: Mutex::new(state), filled: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves the lines whole: each change is one call.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a delivery.
    pub fn push(&self, arrived: Arrived) {
        let mut state = self.lock();
        let queues = state.lines.entry(arrived.lane.class).or_default();
        match queues.iter_mut().find(|(queue, _)| *queue == arrived.lane.queue) {
            Some((_, line)) => line.push_back(arrived),
            None => queues.push_back((arrived.lane.queue.clone(), VecDeque::from([arrived]))),
        }
        drop(state);
        self.filled.notify_one();
    }

    /// Waits until something is there; another may have taken it meanwhile.
    ///
    /// # Cancel safety
    /// Takes nothing.
    pub async fn filled(&self) {
        loop {
            // Registered before the look, so that a push in between is not missed.
            let filled = self.filled.notified();
            if !self.lock().is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Takes a delivery: the picker chooses the class, its queues take turns.
    pub fn take(&self) -> Option<Arrived> {
        self.lock().take()
    }

    /// Counts what waits of a lane.
    #[must_use]
    pub fn waiting(&self, lane: &Lane) -> usize {
        let state = self.lock();
        let mut queues = state.lines.get(&lane.class).into_iter().flatten();
        queues.find(|(queue, _)| *queue == lane.queue).map_or(0, |(_, line)| line.len())
    }

    /// Takes everything of a lane.
    pub fn drain_lane(&self, lane: &Lane) -> Vec<Arrived> {
        let mut state = self.lock();
        let mut queues = state.lines.get_mut(&lane.class).into_iter().flatten();
        let line = queues.find(|(queue, _)| *queue == lane.queue).map(|(_, line)| line);
        line.map(|line| std::mem::take(line).into()).unwrap_or_default()
    }

    /// Takes everything that is left.
    pub fn drain(&self) -> Vec<Arrived> {
        let lines = std::mem::take(&mut self.lock().lines);
        lines.into_values().flatten().flat_map(|(_, line)| line).collect()
    }

    /// Takes what has waited longer than `limit`, or whose connection is gone.
    pub fn drain_stale(&self, limit: Duration) -> Vec<Arrived> {
        let mut stale = Vec::new();
        for (_, line) in self.lock().lines.values_mut().flatten() {
            let (old, fresh) = std::mem::take(line).into_iter().partition(|arrived: &Arrived| {
                arrived.at.elapsed() > limit || !arrived.connected()
            });
            *line = fresh;
            stale.extend::<VecDeque<_>>(old);
        }
        stale
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.lines.values().flatten().all(|(_, line)| line.is_empty())
    }

    fn take(&mut self) -> Option<Arrived> {
        let Self { picker, lines } = self;
        let has_some = |class| {
            lines.get(&class).is_some_and(|queues| queues.iter().any(|(_, line)| !line.is_empty()))
        };
        let class = picker.pick(has_some)?;
        let queues = lines.get_mut(&class)?;
        let turn = queues.iter().position(|(_, line)| !line.is_empty())?;
        queues.rotate_left(turn);
        let arrived = queues.front_mut()?.1.pop_front();
        queues.rotate_left(1);
        arrived
    }
}
