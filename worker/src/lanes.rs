//! What a worker knows of each lane that it serves: its consumer, how far it has come, how fast.
//!
//! Told by the intakes and the pipeline; asked by heartbeat and probe. Decides nothing.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use leveret_common::broker::Consumer;
use leveret_common::clock::Millis;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::LaneInfo;

use crate::fetch::buffer::Buffer;

/// Over how long a rate is measured.
const WINDOW: Duration = Duration::from_secs(30);
/// Counts closer to each other than this are not both remembered.
const RESOLUTION: Duration = Duration::from_secs(1);

/// The lanes of one worker.
pub struct Lanes(BTreeMap<Lane, State>);

struct State {
    /// The intake's: who asks a worker that is no more must not keep its deliveries from others.
    consumer: Mutex<Option<Weak<dyn Consumer>>>,
    /// In ms; 0 before the first delivery that says.
    reached: AtomicU64,
    pace: Pace,
}

impl Lanes {
    /// Creates the lanes of these queues and classes; nothing is consumed yet.
    #[must_use]
    pub fn new(queues: &[QueueName], classes: &[(Class, u32)]) -> Self {
        let lane = |queue: &QueueName, class| Lane::new(queue.clone(), class);
        let state = || State {
            consumer: Mutex::default(),
            reached: AtomicU64::default(),
            pace: Pace::new(Instant::now()),
        };
        let all = queues
            .iter()
            .flat_map(|queue| classes.iter().map(move |(class, _)| (lane(queue, *class), state())));
        Self(all.collect())
    }

    /// Names the lanes.
    pub fn names(&self) -> impl Iterator<Item = &Lane> {
        self.0.keys()
    }

    /// Notes the consumer of a lane, or that there is none.
    pub fn consuming(&self, lane: &Lane, consumer: Option<&Arc<dyn Consumer>>) {
        if let Some(state) = self.0.get(lane) {
            *state.consumer.lock().unwrap_or_else(PoisonError::into_inner) =
                consumer.map(Arc::downgrade);
        }
    }

    /// Tells whether the broker knows the consumer of a lane.
    #[must_use]
    pub fn is_consuming(&self, lane: &Lane) -> bool {
        self.0.get(lane).is_some_and(State::is_consuming)
    }

    /// Notes when the delivery that came last was due.
    pub fn reached(&self, lane: &Lane, due: Millis) {
        if let Some(state) = self.0.get(lane) {
            state.reached.store(due.0, Ordering::Relaxed);
        }
    }

    /// Notes that an attempt at a task of a lane has ended.
    pub fn ended(&self, lane: &Lane) {
        if let Some(state) = self.0.get(lane) {
            state.pace.ended.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts the attempts that have ended.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.0.values().map(|state| state.pace.ended.load(Ordering::Relaxed)).sum()
    }

    /// Says of each lane what a heartbeat carries.
    #[must_use]
    pub fn describe(&self, buffer: &Buffer, now: Instant) -> Vec<LaneInfo> {
        let describe = |(lane, state): (&Lane, &State)| {
            let reached = state.reached.load(Ordering::Relaxed);
            LaneInfo {
                lane: lane.clone(),
                consuming: state.is_consuming(),
                waiting: u32::try_from(buffer.waiting(lane)).unwrap_or(u32::MAX),
                rate: state.pace.per_second(now),
                reached: (reached > 0).then_some(Millis(reached)),
            }
        };
        self.0.iter().map(describe).collect()
    }
}

impl State {
    fn is_consuming(&self) -> bool {
        let consumer = self.consumer.lock().unwrap_or_else(PoisonError::into_inner);
        let consumer = consumer.as_ref().and_then(Weak::upgrade);
        consumer.is_some_and(|consumer| consumer.is_consuming())
    }
}

/// How many attempts end per second, over about the last half minute.
struct Pace {
    ended: AtomicU64,
    /// Counts of the window, and the last one before it.
    counts: Mutex<VecDeque<(Instant, u64)>>,
}

impl Pace {
    fn new(now: Instant) -> Self {
        Self { ended: AtomicU64::new(0), counts: Mutex::new([(now, 0)].into()) }
    }

    fn per_second(&self, now: Instant) -> f64 {
        let ended = self.ended.load(Ordering::Relaxed);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // The one behind the first is old enough already: the first is not needed any more.
        while counts.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            counts.pop_front();
        }
        let rate = counts.front().map_or(0.0, |(since, before)| {
            let elapsed = now.duration_since(*since).as_secs_f64();
            let count = as_number(ended.saturating_sub(*before));
            if elapsed > 0.0 { count / elapsed } else { 0.0 }
        });
        if counts.back().is_none_or(|(at, _)| now.duration_since(*at) >= RESOLUTION) {
            counts.push_back((now, ended));
        }
        rate
    }
}

#[allow(clippy::cast_precision_loss, reason = "far fewer than 2^52 attempts in half a minute")]
const fn as_number(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_half_minute() {
        let begin = Instant::now();
        let pace = Pace::new(begin);
        let mut rates = Vec::new();
        for seconds in 1..=120 {
            // A minute of ten per second, then nothing.
            if seconds <= 60 {
                pace.ended.fetch_add(10, Ordering::Relaxed);
            }
            rates.push(pace.per_second(begin + Duration::from_secs(seconds)));
        }
        for at in [0, 9, 59] {
            assert!((rates[at] - 10.0).abs() < 1e-9, "{} after {at}", rates[at]);
        }
        assert!((rates[74] - 5.0).abs() < 1e-9, "{}", rates[74]);
        assert!(rates[95].abs() < 1e-9, "{}", rates[95]);
        assert!(pace.counts.lock().unwrap().len() <= 32);
    }

    #[test]
    fn many_beats_per_second_are_not_all_remembered() {
        let begin = Instant::now();
        let pace = Pace::new(begin);
        for beat in 0..100_000 {
            pace.per_second(begin + Duration::from_millis(beat));
        }
        assert!(pace.counts.lock().unwrap().len() <= 32);
    }
}
