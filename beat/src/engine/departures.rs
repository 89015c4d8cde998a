//! Departures: which occurrences go to the broker next, and how many are on their way.
//!
//! Each chunk is of one queue, and each queue has so many chunks on their way at most: one that takes
//! no messages for a while fills its own places and nobody else's. What was tried before goes apart
//! from what is tried for the first time. Only so much is taken up as can go soon: the rest stays
//! undecided, so that what a schedule says when it goes is what counts. Pure bookkeeping; nothing is
//! sent here.

use std::collections::BTreeMap;
use std::ops::Bound;

use leveret_common::name::QueueName;

use super::publisher::{CHUNK, Firing};

/// Most chunks on their way, of what is tried for the first time and of what was tried before; a
/// queue with none may have one beyond, so that queues that take nothing never hold up others.
const CHUNKS: [usize; 2] = [16, 8];
/// Most of them that are of one queue.
const CHUNKS_OF_A_QUEUE: [usize; 2] = [4, 1];

/// A road to one queue: whether for what was tried before, and the queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Road {
    pub(super) again: bool,
    pub(super) queue: QueueName,
}

/// What waits to go, and what is on its way.
#[derive(Debug, Default)]
pub(super) struct Departures {
    waiting: BTreeMap<Road, Waiting>,
    gone: BTreeMap<Road, usize>,
    /// The road that was served last.
    last: Option<Road>,
}

#[derive(Debug, Default)]
struct Waiting {
    firings: Vec<Firing>,
    occurrences: usize,
}

impl Departures {
    /// Has a firing go as soon as there is room.
    pub(super) fn add(&mut self, road: Road, firing: Firing) {
        let waiting = self.waiting.entry(road).or_default();
        waiting.occurrences += firing.dues().count();
        waiting.firings.push(firing);
    }

    /// Returns how many more occurrences of a road may be taken up.
    pub(super) fn room(&self, road: &Road) -> usize {
        let of_queue = self.gone.get(road).copied().unwrap_or(0);
        let free = match CHUNKS_OF_A_QUEUE[usize::from(road.again)].saturating_sub(of_queue) {
            free if self.has_places(road.again) => free,
            free => free.min(usize::from(of_queue == 0)),
        };
        let waiting = self.waiting.get(road).map_or(0, |waiting| waiting.occurrences);
        (free * CHUNK).saturating_sub(waiting)
    }

    /// Tells whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.gone.is_empty()
    }

    /// Takes the next chunk out that may go, each road in its turn.
    pub(super) fn next(&mut self) -> Option<(Road, Vec<Firing>)> {
        let behind = self.last.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let later = self.waiting.range((behind, Bound::Unbounded));
        let mut roads = later.chain(self.waiting.iter()).map(|(road, _)| road);
        let road = roads.find(|road| self.is_open(road))?.clone();
        let waiting = self.waiting.get_mut(&road)?;
        let mut size = 0;
        let fits = |firing: &&Firing| {
            let before = size;
            size += firing.dues().count();
            before == 0 || size <= CHUNK
        };
        let count = waiting.firings.iter().take_while(fits).count();
        let chunk: Vec<_> = waiting.firings.drain(..count).collect();
        let occurrences = chunk.iter().map(|firing| firing.dues().count()).sum();
        waiting.occurrences = waiting.occurrences.saturating_sub(occurrences);
        if waiting.firings.is_empty() {
            self.waiting.remove(&road);
        }
        *self.gone.entry(road.clone()).or_default() += 1;
        self.last = Some(road.clone());
        Some((road, chunk))
    }

    /// Notes that a chunk has arrived, or not.
    pub(super) fn done(&mut self, road: &Road) {
        let left = self.gone.get(road).map_or(0, |gone| gone - 1);
        match left {
            0 => drop(self.gone.remove(road)),
            left => drop(self.gone.insert(road.clone(), left)),
        }
    }

    /// Takes out whatever has not gone.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Firing> + use<> {
        std::mem::take(&mut self.waiting).into_values().flat_map(|waiting| waiting.firings)
    }

    fn is_open(&self, road: &Road) -> bool {
        let of_queue = self.gone.get(road).copied().unwrap_or(0);
        let places = CHUNKS_OF_A_QUEUE[usize::from(road.again)];
        of_queue == 0 || (of_queue < places && self.has_places(road.again))
    }

    /// Tells whether there are places left that all queues share.
    fn has_places(&self, again: bool) -> bool {
        let gone = self.gone.iter().filter(|(road, _)| road.again == again);
        gone.map(|(_, chunks)| chunks).sum::<usize>() < CHUNKS[usize::from(again)]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use leveret_common::clock::Millis;
    use leveret_common::schedule::{Definition, Source};
    use leveret_common::store::{Cause, ScheduleEntry};

    use super::*;
    use crate::engine::catch_up::Due;
    use crate::engine::steps::Step;

    fn road(queue: &str, again: bool) -> Road {
        Road { again, queue: queue.parse().unwrap() }
    }

    /// Returns a firing of so many occurrences.
    fn firing(row: u32, dues: usize) -> Firing {
        let at = Millis(1);
        let entry = ScheduleEntry {
            name: "a".parse().unwrap(),
            definition: Definition::new("every 1s", "demo.tick".parse().unwrap()),
            source: Source::Api { by: "test".to_owned() },
            revision: 1,
            since: at,
            paused: None,
            created_at: at,
            changed_at: at,
        };
        let due = Due { due: at, planned: at, cause: Cause::Clock };
        Firing {
            row,
            life: 1,
            entry: Arc::new(entry),
            steps: vec![Step::PutIn(due); dues],
            decided: Instant::now(),
        }
    }

    fn rows(chunk: &[Firing]) -> Vec<u32> {
        chunk.iter().map(|firing| firing.row).collect()
    }

    #[test]
    fn a_chunk_is_of_one_queue_and_no_larger_than_it_may_be() {
        let mut departures = Departures::default();
        for (row, queue, dues) in [(1, "a", CHUNK - 100), (2, "b", 1), (3, "a", 100), (4, "a", 1)] {
            departures.add(road(queue, false), firing(row, dues));
        }
        let mut taken = Vec::new();
        while let Some((road, chunk)) = departures.next() {
            taken.push((road.queue.to_string(), rows(&chunk)));
        }
        let expected = [("a", vec![1, 3]), ("b", vec![2]), ("a", vec![4])];
        assert_eq!(taken, expected.map(|(queue, rows)| (queue.to_owned(), rows)));
    }

    #[test]
    fn a_queue_that_takes_nothing_fills_its_own_places_and_nobody_elses() {
        let mut departures = Departures::default();
        for row in 0..20 {
            departures.add(road("slow", false), firing(row, CHUNK));
            departures.add(road("slow", true), firing(row, 1));
        }
        let mut gone: Vec<_> = std::iter::from_fn(|| departures.next()).collect();
        let again = gone.iter().filter(|(road, _)| road.again).count();
        assert_eq!((gone.len() - again, again), (4, 1));
        assert_eq!(departures.room(&road("fast", false)), 4 * CHUNK);
        departures.add(road("fast", false), firing(99, 1));
        assert_eq!(departures.next().map(|(_, chunk)| rows(&chunk)), Some(vec![99]));
        // Once one has arrived, the next one goes.
        departures.done(&gone.remove(0).0);
        assert_eq!(departures.next().map(|(road, _)| road.queue.to_string()), Some("slow".into()));
    }

    #[test]
    fn many_queues_that_take_nothing_hold_nobody_up() {
        let mut departures = Departures::default();
        for row in 0..200 {
            let queue = format!("slow-{}", row % 10);
            departures.add(road(&queue, false), firing(row, CHUNK));
        }
        let gone = std::iter::from_fn(|| departures.next()).count();
        assert_eq!(gone, CHUNKS[0]);
        departures.add(road("fast", false), firing(999, 1));
        assert_eq!(departures.next().map(|(_, chunk)| rows(&chunk)), Some(vec![999]));
    }

    #[test]
    fn no_more_is_taken_up_than_can_go_soon() {
        let (mut departures, slow) = (Departures::default(), road("slow", false));
        assert_eq!(departures.room(&slow), 4 * CHUNK);
        departures.add(slow.clone(), firing(1, CHUNK));
        assert_eq!(departures.room(&slow), 3 * CHUNK);
        for row in 2..=4 {
            departures.add(slow.clone(), firing(row, CHUNK));
        }
        assert_eq!(departures.room(&slow), 0);
        while departures.next().is_some() {}
        assert_eq!(departures.room(&slow), 0, "all places are taken by what has gone");
        departures.done(&slow);
        assert_eq!(departures.room(&slow), CHUNK);
    }

    #[test]
    fn each_road_has_its_turn() {
        let mut departures = Departures::default();
        for row in 0..40 {
            departures.add(road(["a", "b", "c"][row as usize % 3], false), firing(row, CHUNK));
        }
        let queues: Vec<_> =
            (0..6).map(|_| departures.next().unwrap().0.queue.to_string()).collect();
        assert_eq!(queues, ["a", "b", "c", "a", "b", "c"]);
    }
}
