//! Whose turn it is: shares, strict order, and how long an urgent task waits.

use std::sync::Arc;
use std::time::Duration;

use leveret_common::name::Class;
use leveret_common::store::LaneInfo;
use leveret_common::testkit::eventually;
use leveret_producer::Request;
use leveret_worker::handler::from_fn;
use leveret_worker::{Config, Handler};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    with_all_lanes_full_the_shares_are_the_weights_and_low_never_starves,
    strictly_the_most_urgent_class_goes_first,
    an_urgent_task_is_among_the_next_to_start_however_full_all_lanes_are,
}

const SLOTS: usize = 4;

/// Tasks that note when they start, by class, and end when the test says so.
#[derive(Clone)]
struct Line {
    order: watch::Sender<Vec<String>>,
    open: Arc<Semaphore>,
}

impl Line {
    fn new() -> Self {
        Self { order: watch::Sender::default(), open: Arc::new(Semaphore::new(0)) }
    }

    fn handler(&self) -> Arc<dyn Handler> {
        let line = self.clone();
        from_fn(move |class: String, _| {
            let line = line.clone();
            async move {
                line.order.send_modify(|order| order.push(class));
                line.open.acquire().await.unwrap().forget();
                Ok(())
            }
        })
    }

    fn starts(&self) -> Vec<String> {
        self.order.borrow().clone()
    }

    async fn have_started(&self, count: usize) {
        let mut order = self.order.subscribe();
        let started = order.wait_for(|order| order.len() >= count);
        timeout(DEADLINE, started).await.expect("so many have started").unwrap();
    }
}

/// Its heartbeat says at once what it has in hand.
fn often(slots: usize) -> Config {
    let (heartbeat, heartbeat_ttl) = (Duration::from_millis(10), Duration::from_secs(10));
    Config { slots, heartbeat, heartbeat_ttl, ..config() }
}

async fn fill(place: &Place, class: Class, count: usize) {
    let request = || Request::new("demo.line", class.as_str()).class(class);
    for answer in place.producer.enqueue_all((0..count).map(|_| request()).collect()).await {
        answer.unwrap();
    }
}

/// Returns the lanes as a heartbeat tells them that was written after this was asked: an older one
/// still has tasks wait that have started since.
async fn lanes_now(place: &Place) -> Vec<LaneInfo> {
    let asked = place.backend.clock.now();
    let told = watch::Sender::new(Vec::new());
    eventually(DEADLINE, "the worker writes a heartbeat", || async {
        let workers = place.backend.fleet.workers().await.unwrap();
        let fresh = workers.into_iter().find(|worker| worker.info.at > asked);
        fresh.is_some_and(|worker| {
            told.send_replace(worker.info.lanes);
            true
        })
    })
    .await;
    told.borrow().clone()
}

/// Tells whether so many of each class wait in the worker for a slot.
async fn has_in_hand(place: &Place, classes: &[(Class, u32)]) -> bool {
    let lanes = lanes_now(place).await;
    classes.iter().all(|(class, count)| {
        lanes.iter().any(|of| of.lane.class == *class && of.waiting >= *count)
    })
}

/// Waits until that is so: what counts next is the worker's choice, and not how fast the broker
/// delivers.
async fn are_waiting(place: &Place, classes: &[(Class, u32)]) {
    let waiting = || has_in_hand(place, classes);
    eventually(DEADLINE, "enough of each class wait for a slot", waiting).await;
}

async fn with_all_lanes_full_the_shares_are_the_weights_and_low_never_starves(place: Place) {
    const STARTS: usize = 300;
    const SLOTS: usize = 8;
    /// How many end at a time, and how many of each class could be the next to start.
    const ENDS: usize = 2;
    let full = Class::ALL.map(|class| (class, if class == Class::Critical { 2 } else { 1 }));
    for (class, count) in Class::ALL.into_iter().zip([220, 140, 100, 80]) {
        fill(&place, class, count).await;
    }
    let line = Line::new();
    let _worker = place.work(vec![kind("demo.line", line.handler())], often(SLOTS)).await;
    line.have_started(SLOTS).await;
    // Whose lane was open first has all slots; until the others have had their turns.
    while !has_in_hand(&place, &full).await {
        let before = line.starts().len();
        line.open.add_permits(1);
        line.have_started(before + 1).await;
    }
    let first = line.starts().len();
    while line.starts().len() < first + STARTS {
        are_waiting(&place, &full).await;
        let before = line.starts().len();
        line.open.add_permits(ENDS);
        line.have_started(before + ENDS).await;
    }
    let seen: Vec<String> = line.starts()[first..first + STARTS].to_vec();
    for (class, weight) in Class::ALL.into_iter().zip([8, 4, 2, 1]) {
        let starts = seen.iter().filter(|seen| *seen == class.as_str()).count();
        let expected = STARTS * weight / 15;
        assert!(starts.abs_diff(expected) * 10 <= expected, "{class}: {starts} of {expected}");
    }
    let lows: Vec<usize> = (0..STARTS).filter(|at| seen[*at] == "low").collect();
    let longest = lows.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= 30, "low waited for {longest} starts, two rounds are 30");
    line.open.add_permits(1_000);
}

async fn strictly_the_most_urgent_class_goes_first(place: Place) {
    let line = Line::new();
    let work = Config { strict: true, ..often(1) };
    let _worker = place.work(vec![kind("demo.line", line.handler())], work).await;
    // It takes the one slot, so that all the others wait.
    fill(&place, Class::Low, 1).await;
    line.have_started(1).await;
    for class in [Class::Low, Class::Normal, Class::High, Class::Critical] {
        fill(&place, class, 1).await;
    }
    are_waiting(&place, &[Class::Critical, Class::High, Class::Normal].map(|class| (class, 1)))
        .await;
    line.open.add_permits(10);
    line.have_started(5).await;
    assert_eq!(line.starts(), ["low", "critical", "high", "normal", "low"]);
}

async fn an_urgent_task_is_among_the_next_to_start_however_full_all_lanes_are(place: Place) {
    let line = Line::new();
    let work = often(SLOTS);
    let others = [Class::High, Class::Normal, Class::Low].map(|class| (class, 1));
    for (class, _) in others {
        fill(&place, class, 100).await;
    }
    let _worker = place.work(vec![kind("demo.line", line.handler())], work).await;
    line.have_started(SLOTS).await;
    let mut urgent = 0;
    for round in 0..10 {
        // The others go on for a while, so that their turns stand differently each time.
        let before = line.starts().len();
        line.open.add_permits(round);
        line.have_started(before + round).await;
        are_waiting(&place, &others).await;
        let before = line.starts().len();
        fill(&place, Class::Critical, 1).await;
        are_waiting(&place, &[(Class::Critical, 1)]).await;
        // All slots were taken when it came: one task's length later, all of them are free once.
        line.open.add_permits(SLOTS);
        line.have_started(before + SLOTS).await;
        let next: Vec<String> = line.starts()[before..before + SLOTS].to_vec();
        urgent += 1;
        assert!(next.contains(&"critical".to_owned()), "round {round}: {next:?}");
    }
    assert_eq!(line.starts().iter().filter(|class| *class == "critical").count(), urgent);
    line.open.add_permits(1_000);
}
