//! Producers: put tasks in at a steady pace, each under an id of its own, and record what was accepted.
//!
//! Whatever is not answered is sent again under the same id until it is, as a careful client does: that is what
//! makes *unknown* safe.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use leveret_common::clock::{Clock, SystemClock};
use leveret_common::id::TaskId;
use leveret_common::spawn::Spawner;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::door::{Answer, Door};
use crate::oracle::Accepted;

/// How long a client waits before it asks again.
const AGAIN: Duration = Duration::from_millis(200);
/// How long clients that are to stop go on asking about what they have sent.
const LAST_WORDS: Duration = Duration::from_secs(60);

/// What is put in.
#[derive(Debug, Clone)]
pub struct Load {
    /// Tasks per second, of all producers together.
    pub rate: f64,
    /// The kinds, each with its weight.
    pub kinds: Vec<(&'static str, u32)>,
    /// How many clients there are; each waits for its answer before it sends the next.
    pub producers: usize,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rate: 40.0,
            kinds: vec![("ok", 6), ("nap", 2), ("retry-once", 1), ("wrong", 1)],
            producers: 4,
        }
    }
}

/// What was accepted of all that a fleet was sent.
#[derive(Debug, Clone, Default)]
pub struct Books(Arc<Mutex<Accepted>>);

impl Books {
    /// Returns what they hold.
    pub fn open(&self) -> MutexGuard<'_, Accepted> {
        // Each entry is whole by itself.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Producers at work; they stop when dropped.
#[derive(Debug)]
pub struct Producers {
    spawners: Vec<Spawner>,
}

impl Producers {
    /// Sets them to work.
    #[must_use]
    pub fn begin(load: &Load, door: &Door, books: &Books, chance: &mut fastrand::Rng) -> Self {
        let spawner = Spawner::new();
        let each = load.producers.max(1);
        let pause = Duration::from_secs_f64(each as f64 / load.rate.max(0.1));
        for _ in 0..each {
            let sender = Sender { door: door.clone(), books: books.clone(), load: load.clone() };
            let (chance, stop) = (chance.fork(), spawner.clone());
            spawner.spawn(async move { sender.work(pause, chance, &stop).await });
        }
        Self { spawners: vec![spawner] }
    }

    /// Takes others along: they stop together.
    #[must_use]
    pub fn and(mut self, mut others: Self) -> Self {
        self.spawners.append(&mut others.spawners);
        self
    }

    /// Has them stop, and waits until what they have sent is answered, for a minute at most.
    ///
    /// # Cancel safety
    /// They stop all the same.
    pub async fn stopped(self) {
        self.spawners.iter().for_each(Spawner::shut_down);
        for spawner in &self.spawners {
            spawner.drained().await;
        }
    }
}

impl Drop for Producers {
    fn drop(&mut self) {
        self.spawners.iter().for_each(Spawner::shut_down);
    }
}

struct Sender {
    door: Door,
    books: Books,
    load: Load,
}

impl Sender {
    async fn work(self, pause: Duration, mut chance: fastrand::Rng, spawner: &Spawner) {
        let stop = spawner.shutdown_signal();
        // Not all at the same instant.
        sleep(pause.mul_f64(chance.f64())).await;
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let kind = drawn(&self.load.kinds, &mut chance);
            let id = TaskId::mint();
            let task = json!({ "kind": kind, "id": id, "args": 1 });
            let until = async {
                stop.cancelled().await;
                sleep(LAST_WORDS).await;
            };
            send_until(&self.door, &self.books, id, kind, &task, until).await;
        }
    }
}

/// Sends a task until it is known what became of it, or until `until`; records it, and returns the last answer.
///
/// # Cancel safety
/// Dropped, the task may be accepted and not recorded.
pub async fn send_until(
    door: &Door,
    books: &Books,
    id: TaskId,
    kind: &str,
    task: &Value,
    until: impl Future<Output = ()>,
) -> Answer {
    let mut until = std::pin::pin!(until);
    books.open().leave_unknown(id);
    loop {
        let answer = tokio::select! {
            biased;
            answer = door.send(task) => answer,
            () = &mut until => return Answer::Unknown("the time was up".to_owned()),
        };
        match &answer {
            Answer::Accepted => books.open().accept(id, kind, SystemClock.now()),
            Answer::Refused(why) => books.open().refuse_because(id, why),
            Answer::Unknown(_) => {
                books.open().repeated += 1;
                let asleep = Instant::now() + AGAIN;
                tokio::select! {
                    () = tokio::time::sleep_until(asleep) => continue,
                    () = &mut until => return answer,
                }
            }
        }
        return answer;
    }
}

fn drawn(kinds: &[(&'static str, u32)], chance: &mut fastrand::Rng) -> &'static str {
    let whole: u32 = kinds.iter().map(|(_, weight)| weight).sum();
    let mut left = chance.u32(0..whole.max(1));
    for (kind, weight) in kinds {
        if left < *weight {
            return kind;
        }
        left -= weight;
    }
    kinds.first().map_or("ok", |(kind, _)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_drawn_by_their_weight() {
        let mut chance = fastrand::Rng::with_seed(7);
        let draws = (0..1_000).filter(|_| drawn(&[("a", 3), ("b", 1)], &mut chance) == "b").count();
        assert!((150..350).contains(&draws), "{draws}");
    }

    #[tokio::test]
    async fn what_nobody_answers_stays_unknown() {
        let (door, books) = (Door::new().unwrap(), Books::default());
        // Nobody listens on the port of discard.
        door.lead_to("http://127.0.0.1:9");
        let id = TaskId::mint();
        let until = sleep(Duration::from_millis(50));
        let answer = send_until(&door, &books, id, "ok", &json!({}), until).await;
        assert!(matches!(answer, Answer::Unknown(_)), "{answer:?}");
        assert!(books.open().unknown().contains(&id));
    }
}
