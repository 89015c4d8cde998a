//! What operators ask of a worker and of its queues while it runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use leveret_common::broker::Place as Rest;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{Pause, Signal, TaskState, WorkerInfo, WorkerState};
use leveret_common::testkit::eventually;
use leveret_worker::handler::{echo, from_fn};
use leveret_worker::{Config, Handler};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    a_quiet_worker_returns_what_it_has_not_started_and_finishes_what_runs,
    slots_are_added_and_taken_away_while_tasks_run,
    a_worker_that_is_asked_to_stop_drains_and_ends,
    a_paused_queue_rests_and_the_others_go_on,
    a_worker_that_starts_while_a_queue_is_paused_takes_nothing_from_it,
    a_heartbeat_says_what_the_worker_does,
}

fn lane(queue: &str) -> Lane {
    Lane::new(queue.parse().unwrap(), Class::Normal)
}

async fn depth(place: &Place, lane: &Lane) -> u64 {
    let rest = Rest::Lane(lane.clone());
    place.backend.broker.survey(std::slice::from_ref(&rest)).await.unwrap()[0].depth
}

async fn info(place: &Place) -> WorkerInfo {
    place.backend.fleet.workers().await.unwrap().remove(0).info
}

async fn ask(place: &Place, signal: Signal) {
    let worker = place.backend.fleet.workers().await.unwrap().remove(0);
    place.backend.signals.send(worker.owner, &[signal]).await.unwrap();
}

/// A handler whose tasks end one by one, when the test says so.
#[derive(Clone)]
struct Gate {
    open: Arc<Semaphore>,
    started: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

impl Gate {
    fn new() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), started: Arc::default(), running: Arc::default() }
    }

    fn handler(&self) -> Arc<dyn Handler> {
        let gate = self.clone();
        from_fn(move |_: Value, _| {
            let gate = gate.clone();
            async move {
                gate.started.fetch_add(1, Ordering::SeqCst);
                gate.running.fetch_add(1, Ordering::SeqCst);
                gate.open.acquire().await.unwrap().forget();
                gate.running.fetch_sub(1, Ordering::SeqCst);
                Ok(())
            }
        })
    }

    async fn has_started(&self, count: usize) {
        eventually(DEADLINE, "so many have started", || async {
            self.started.load(Ordering::SeqCst) >= count
        })
        .await;
        assert_eq!(self.started.load(Ordering::SeqCst), count);
    }
}

async fn a_quiet_worker_returns_what_it_has_not_started_and_finishes_what_runs(place: Place) {
    let gate = Gate::new();
    let slots = Config { slots: 1, ..config() };
    let worker = place.work(vec![kind("demo.gate", gate.handler())], slots).await;
    let mut ids = vec![place.producer.task("demo.gate", &()).await.unwrap().id];
    gate.has_started(1).await;
    // Each lane has as many in hand as there are slots: one of these comes and waits.
    for _ in 0..2 {
        let task = place.producer.task("demo.gate", &()).class(Class::High);
        ids.push(task.await.unwrap().id);
    }
    let lane = Lane::new(QueueName::default(), Class::High);
    eventually(DEADLINE, "one is in hand", || async { depth(&place, &lane).await == 1 }).await;
    ask(&place, Signal::Quiet).await;
    eventually(DEADLINE, "the others are returned", || async { depth(&place, &lane).await == 2 })
        .await;
    eventually(DEADLINE, "its heartbeat says so", || async {
        info(&place).await.state == WorkerState::Quiet
    })
    .await;
    assert!(!worker.status.is_ready() && worker.status.is_well());
    assert!(info(&place).await.lanes.iter().all(|lane| !lane.consuming));
    gate.open.add_permits(1);
    assert_eq!(place.wait(ids[0]).await.state, TaskState::Done);
    assert_eq!(depth(&place, &lane).await, 2, "its slot is free, and it takes nothing");
    ask(&place, Signal::Resume).await;
    gate.open.add_permits(2);
    for id in ids {
        let view = place.wait(id).await;
        assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
    }
    eventually(DEADLINE, "it is ready again", || async { worker.status.is_ready() }).await;
}

async fn slots_are_added_and_taken_away_while_tasks_run(place: Place) {
    let gate = Gate::new();
    let slots = Config { slots: 1, ..config() };
    let _worker = place.work(vec![kind("demo.gate", gate.handler())], slots).await;
    let mut ids = Vec::new();
    for _ in 0..12 {
        ids.push(place.producer.task("demo.gate", &()).await.unwrap().id);
    }
    gate.has_started(1).await;
    ask(&place, Signal::Resize { slots: 4 }).await;
    gate.has_started(4).await;
    eventually(DEADLINE, "its heartbeat says so", || async {
        let info = info(&place).await;
        (info.slots, info.in_use) == (4, 4)
    })
    .await;
    ask(&place, Signal::Resize { slots: 2 }).await;
    eventually(DEADLINE, "its heartbeat says so", || async { info(&place).await.slots == 2 }).await;
    assert_eq!(info(&place).await.in_use, 4, "what runs goes on");
    gate.open.add_permits(2);
    eventually(DEADLINE, "two have ended", || async { info(&place).await.in_use == 2 }).await;
    assert_eq!(gate.started.load(Ordering::SeqCst), 4, "two of two slots are taken");
    gate.open.add_permits(1);
    gate.has_started(5).await;
    assert_eq!(gate.running.load(Ordering::SeqCst), 2);
    // No more than the new prefetch is in hand: the rest is there for others.
    let lane = lane("default");
    eventually(DEADLINE, "the rest rests in the lane", || async {
        depth(&place, &lane).await + 2 >= 12 - 5
    })
    .await;
    gate.open.add_permits(12);
    for id in ids {
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    assert_eq!(gate.started.load(Ordering::SeqCst), 12);
}

async fn a_worker_that_is_asked_to_stop_drains_and_ends(place: Place) {
    let gate = Gate::new();
    let config = Config { slots: 1, grace: DEADLINE, ..config() };
    let worker = place.work(vec![kind("demo.gate", gate.handler())], config).await;
    let first = place.producer.task("demo.gate", &()).await.unwrap().id;
    gate.has_started(1).await;
    let second = place.producer.task("demo.gate", &()).class(Class::High);
    let second = second.await.unwrap().id;
    let lane = Lane::new(QueueName::default(), Class::High);
    eventually(DEADLINE, "it is in hand", || async { depth(&place, &lane).await == 0 }).await;
    ask(&place, Signal::Stop).await;
    eventually(DEADLINE, "the other is returned", || async { depth(&place, &lane).await == 1 })
        .await;
    assert!(worker.status.is_draining());
    gate.open.add_permits(1);
    worker.ended().await;
    assert_eq!(place.wait(first).await.state, TaskState::Done);
    assert_eq!(gate.started.load(Ordering::SeqCst), 1);
    assert!(place.backend.fleet.workers().await.unwrap().is_empty());
    let _other = place.work(vec![kind("demo.gate", echo())], crate::place::config()).await;
    assert_eq!(place.wait(second).await.state, TaskState::Done);
}

fn pause(queue: &QueueName) -> Pause {
    let at = leveret_common::clock::Millis(1);
    Pause { queue: queue.clone(), at, by: "a test".to_owned(), why: None }
}

fn two_queues() -> (QueueName, QueueName, Config) {
    let (rests, goes_on): (QueueName, QueueName) =
        ("rests".parse().unwrap(), "goes-on".parse().unwrap());
    let queues = vec![rests.clone(), goes_on.clone()];
    (rests, goes_on, Config { queues, slots: 2, ..config() })
}

async fn a_paused_queue_rests_and_the_others_go_on(place: Place) {
    let (rests, goes_on, config) = two_queues();
    let gate = Gate::new();
    let kinds = vec![kind("demo.gate", gate.handler()), kind("demo.echo", echo())];
    let worker = place.work(kinds, Config { slots: 1, ..config }).await;
    let gated = || place.producer.task("demo.gate", &()).queue(rests.clone());
    let running = gated().await.unwrap().id;
    gate.has_started(1).await;
    let waiting = gated().class(Class::High).await.unwrap().id;
    let lane = Lane::new(rests.clone(), Class::High);
    eventually(DEADLINE, "it is in hand", || async { depth(&place, &lane).await == 0 }).await;
    place.backend.signals.pause(&pause(&rests)).await.unwrap();
    eventually(DEADLINE, "what was prefetched is back", || async {
        let info = info(&place).await;
        let mut lanes = info.lanes.iter().filter(|of| of.lane.queue == rests);
        depth(&place, &lane).await == 1 && lanes.all(|of| !of.consuming && of.waiting == 0)
    })
    .await;
    assert!(worker.status.is_ready(), "the other queue is served");
    gate.open.add_permits(1);
    assert_eq!(place.wait(running).await.state, TaskState::Done);
    let echo = || place.producer.task("demo.echo", &json!(1)).queue(goes_on.clone());
    for _ in 0..5 {
        let id = echo().await.unwrap().id;
        assert_eq!(place.wait(id).await.state, TaskState::Done);
    }
    assert_eq!((depth(&place, &lane).await, gate.started.load(Ordering::SeqCst)), (1, 1));
    assert!(place.backend.signals.resume(&rests).await.unwrap());
    gate.open.add_permits(1);
    let view = place.wait(waiting).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
}

async fn a_worker_that_starts_while_a_queue_is_paused_takes_nothing_from_it(place: Place) {
    let (rests, goes_on, config) = two_queues();
    place.backend.signals.pause(&pause(&rests)).await.unwrap();
    let resting = place.producer.task("demo.echo", &json!(1)).queue(rests.clone());
    let resting = resting.await.unwrap().id;
    let _worker = place.work(vec![kind("demo.echo", echo())], config).await;
    let other = place.producer.task("demo.echo", &json!(1)).queue(goes_on).await.unwrap().id;
    assert_eq!(place.wait(other).await.state, TaskState::Done);
    let consumers = place.backend.broker.survey(&[Rest::Lane(lane("rests"))]).await.unwrap()[0];
    assert_eq!((consumers.depth, consumers.consumers), (1, 0));
    place.backend.signals.resume(&rests).await.unwrap();
    assert_eq!(place.wait(resting).await.state, TaskState::Done);
}

async fn a_heartbeat_says_what_the_worker_does(place: Place) {
    let gate = Gate::new();
    let kinds = vec![kind("demo.gate", gate.handler()), kind("demo.echo", echo())];
    let _worker = place.work(kinds, Config { slots: 2, ..config() }).await;
    let due = place.backend.clock.now().after(Duration::from_millis(400));
    let mut ids = vec![place.producer.task("demo.echo", &json!(1)).at(due).await.unwrap().id];
    for n in 0..9 {
        ids.push(place.producer.task("demo.echo", &json!(n)).class(Class::High).await.unwrap().id);
    }
    for id in &ids {
        place.wait(*id).await;
    }
    for _ in 0..4 {
        place.producer.task("demo.gate", &()).class(Class::Low).await.unwrap();
    }
    let of = |info: &WorkerInfo, class| {
        info.lanes.iter().find(|of| of.lane.class == class).unwrap().clone()
    };
    eventually(DEADLINE, "it says how many wait for a slot", || async {
        let info = info(&place).await;
        (info.in_use, of(&info, Class::Low).waiting) == (2, 1)
            || (info.in_use, of(&info, Class::Low).waiting) == (2, 0)
                && depth(&place, &Lane::new(QueueName::default(), Class::Low)).await == 2
    })
    .await;
    let info = info(&place).await;
    assert_eq!(info.attempts, 10);
    assert_eq!((info.slots, info.state), (2, WorkerState::Running));
    assert_eq!(info.kinds, ["demo.echo", "demo.gate"]);
    assert_eq!((info.pid, info.lanes.len()), (std::process::id(), 4));
    assert!(info.at > info.started_at && info.memory > 0, "{info:?}");
    assert!(info.lanes.iter().all(|lane| lane.consuming), "{info:?}");
    let (high, normal) = (of(&info, Class::High), of(&info, Class::Normal));
    assert!(high.rate > normal.rate && normal.rate > 0.0, "{info:?}");
    assert_eq!(normal.reached, Some(due), "{info:?}");
    assert_eq!(of(&info, Class::Critical).reached, None);
    gate.open.add_permits(4);
}
