//! Trouble: brokers that refuse or hang, stores that do not write or forget everything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::backend::Backend;
use leveret_common::id::Owner;
use leveret_common::store::{Lease, Leases, Scheduled, StoreError};
use leveret_common::testkit::eventually;

use super::scene::{DEADLINE, MINUTE, SECOND, Scene, at, config};
use crate::world::{World, everywhere, named, says};

everywhere! {
    what_is_not_confirmed_is_tried_again_and_the_position_waits,
    what_is_confirmed_is_not_put_in_again_while_the_store_does_not_take_it,
}

async fn what_is_not_confirmed_is_tried_again_and_the_position_waits(world: World) {
    let scene = Scene::new(world);
    scene.make("often", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.broker.fail(4);
    scene.clock.show(20 * SECOND);
    eventually(DEADLINE, "it failed", || async { scene.broker.failed.load(Ordering::SeqCst) >= 2 })
        .await;
    assert_eq!(scene.position("often").await.through, at(0));
    scene.until_through("often", 20 * SECOND).await;
    beat.stop().await;
    assert_eq!(scene.broker.failed.load(Ordering::SeqCst), 4);
    scene.assert_put_in("often", [10, 20].map(|s| s * SECOND));
}

async fn what_is_confirmed_is_not_put_in_again_while_the_store_does_not_take_it(world: World) {
    let scene = Scene::new(world);
    scene.make("often", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.store.refuses.store(true, Ordering::SeqCst);
    for step in 1..=3 {
        scene.clock.show(step * 10 * SECOND);
        scene.until_messages("often", usize::try_from(step).unwrap()).await;
    }
    assert!(scene.store.refused.load(Ordering::SeqCst) > 0);
    assert_eq!(scene.position("often").await.through, at(0));
    scene.store.refuses.store(false, Ordering::SeqCst);
    scene.until_through("often", 30 * SECOND).await;
    beat.stop().await;
    scene.assert_put_in("often", [10, 20, 30].map(|s| s * SECOND));
    let noted = scene.backend.schedules.occurrences(&named("often")).await.unwrap();
    let dues: Vec<_> = noted.iter().map(|one| one.due).collect();
    assert_eq!(dues, [30, 20, 10].map(|s| at(s * SECOND)), "none is left unwritten or twice");
}

#[tokio::test]
async fn a_queue_that_never_answers_does_not_hold_up_the_others() {
    let scene = Scene::new(World::new());
    for (name, queue) in [("stuck", "slow"), ("goes", "fast")] {
        let mut definition = says("every 1s");
        definition.queue = Some(queue.parse().unwrap());
        scene.make(name, definition).await;
    }
    scene.broker.mute("slow");
    let beat = scene.lead().await;
    for step in 1..=10 {
        scene.clock.show(step * SECOND);
        scene.until_through("goes", step * SECOND).await;
    }
    // It cannot finish what it has begun, and does not wait for ever.
    beat.stop().await;
    scene.assert_put_in("goes", (1..=10).map(|s| s * SECOND));
    scene.assert_put_in("stuck", []);
}

#[tokio::test]
async fn what_is_in_flight_at_the_stop_is_finished() {
    let scene = Scene::new(World::new());
    scene.make("often", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.broker.hitch.hang_before();
    scene.clock.show(10 * SECOND);
    scene.broker.hitch.reached().await;
    let (stopped, ()) = tokio::join!(beat.stop(), async { scene.broker.hitch.release() });
    assert_eq!(stopped, ());
    assert_eq!(scene.position("often").await.through, at(10 * SECOND));
    scene.assert_put_in("often", [10 * SECOND]);
}

mod a_timetable_that_the_store_forgot_is_written_again_and_goes_on {
    use super::forgotten;
    use crate::world::{Servers, World};

    #[tokio::test]
    async fn on_embedded() {
        forgotten(World::new(), World::new()).await;
    }

    async fn on(servers: Servers) {
        if let (Some(world), Some(empty)) = (World::on(servers).await, World::on(servers).await) {
            forgotten(world, empty).await;
        }
    }

    #[tokio::test]
    async fn on_rabbitmq_3_and_redis_7() {
        on(Servers::Older).await;
    }

    #[tokio::test]
    async fn on_rabbitmq_4_and_redis_8() {
        on(Servers::Newer).await;
    }
}

async fn forgotten(world: World, empty: World) {
    let scene = Scene::new(world);
    for name in ["a", "b"] {
        scene.make(name, says("every 10s")).await;
    }
    let (beat, other) = (scene.lead().await, scene.start());
    eventually(DEADLINE, "the other one is ready", || async { other.status.is_ready() }).await;
    scene.clock.show(30 * SECOND);
    scene.until_through("a", 30 * SECOND).await;
    scene.until_through("b", 30 * SECOND).await;
    scene.store.replace(empty.backend.schedules.clone());
    for name in ["a", "b"] {
        scene.until_through(name, 30 * SECOND).await;
    }
    scene.clock.show(50 * SECOND);
    for name in ["a", "b"] {
        scene.until_through(name, 50 * SECOND).await;
    }
    beat.stop().await;
    other.stop().await;
    for name in ["a", "b"] {
        scene.assert_put_in(name, [10, 20, 30, 40, 50].map(|s| s * SECOND));
    }
}

#[tokio::test]
async fn a_store_that_went_back_to_an_older_copy_of_itself_is_written_again() {
    let scene = Scene::new(World::new());
    *scene.store.life.lock().unwrap() = Some(7);
    scene.make("often", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("often", 10 * SECOND).await;
    let empty = World::new();
    scene.store.replace(empty.backend.schedules.clone());
    scene.until_through("often", 10 * SECOND).await;
    beat.stop().await;
}

#[tokio::test]
async fn a_store_that_is_wiped_again_while_it_is_written_again_is_written_once_more() {
    let scene = Scene::new(World::new());
    scene.make("often", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("often", 10 * SECOND).await;
    let (empty, another) = (World::new(), World::new());
    scene.store.restoring.hang_after();
    scene.store.replace(empty.backend.schedules.clone());
    scene.store.restoring.reached().await;
    scene.store.replace(another.backend.schedules.clone());
    scene.store.restoring.release();
    scene.until_through("often", 10 * SECOND).await;
    beat.stop().await;
}

#[tokio::test]
async fn one_that_stood_by_for_long_looks_back_a_minute_where_leader_and_store_are_lost() {
    let scene = Scene::new(World::new());
    scene.make("often", says("every 60s")).await;
    let (leader, other) = (scene.lead().await, scene.start());
    eventually(DEADLINE, "the other one is ready", || async { other.status.is_ready() }).await;
    for minute in 1..=5 {
        scene.clock.show(minute * MINUTE);
        scene.until_through("often", minute * MINUTE).await;
    }
    leader.kill().await;
    let empty = World::new();
    scene.store.replace(empty.backend.schedules.clone());
    scene.until_through("often", 5 * MINUTE).await;
    other.stop().await;
    let noted = scene.backend.schedules.occurrences(&named("often")).await.unwrap();
    let dues: Vec<_> = noted.iter().map(|one| one.due).collect();
    assert_eq!(dues, [at(5 * MINUTE)], "what is older was put in by the other one");
}

#[tokio::test]
async fn what_is_paused_while_its_queue_takes_nothing_is_not_put_in_later() {
    let scene = Scene::new(World::new());
    let names = ["one", "two", "three", "four", "five"];
    for (name, phase) in names.into_iter().zip(1..) {
        let mut definition = says(&format!("every 10s phase {phase}s"));
        definition.queue = Some("slow".parse().unwrap());
        scene.make(name, definition).await;
    }
    scene.broker.mute("slow");
    let beat = scene.lead().await;
    for step in 1..=4 {
        scene.clock.show(step * SECOND);
        eventually(DEADLINE, "one more is on its way", || async {
            scene.broker.unanswered.load(Ordering::SeqCst) == step
        })
        .await;
    }
    // The queue has no place left for the fifth.
    scene.clock.show(5 * SECOND);
    scene.looked_twice().await;
    scene.timetable.pause(&named("five"), "test", None).await.unwrap();
    scene.looked_twice().await;
    scene.broker.unmute();
    for (name, step) in names.into_iter().zip(1..=4) {
        scene.until_through(name, step * SECOND).await;
    }
    scene.looked_twice().await;
    beat.stop().await;
    scene.assert_put_in("five", []);
}

#[tokio::test]
async fn a_beat_that_finds_a_position_lost_looks_back_a_minute_and_no_further() {
    let scene = Scene::new(World::new());
    let elsewhere = Scene::new(World::new());
    elsewhere.make("often", says("every 10s")).await;
    let entry = elsewhere.timetable.show(&named("often")).await.unwrap().entry;
    scene.backend.schedules.restore(&[Scheduled { entry, position: None }]).await.unwrap();
    scene.clock.show(10 * MINUTE);
    let beat = scene.lead().await;
    scene.until_through("often", 10 * MINUTE).await;
    beat.stop().await;
    scene.assert_put_in("often", (1..=6).map(|back| 9 * MINUTE + back * 10 * SECOND));
}

#[tokio::test]
async fn a_schedule_that_a_newer_version_wrote_is_passed_over_and_kept() {
    let scene = Scene::new(World::new());
    scene.make("known", says("every 10s")).await;
    let mut entry = scene.timetable.show(&named("known")).await.unwrap().entry;
    entry.name = named("newer");
    entry.definition.when = "whenever the moon is full".to_owned();
    scene.backend.schedules.restore(&[Scheduled { entry, position: None }]).await.unwrap();
    let beat = scene.lead().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("known", 10 * SECOND).await;
    // It is remembered when the store forgets it.
    let empty = World::new();
    scene.store.replace(empty.backend.schedules.clone());
    eventually(DEADLINE, "it is there again", || async {
        let read = scene.backend.schedules.read(&[named("newer")]).await.unwrap();
        read[0].is_some()
    })
    .await;
    beat.stop().await;
}

#[tokio::test]
async fn a_store_that_does_not_answer_makes_a_beat_unready_and_no_leader() {
    let scene = Scene::new(World::new());
    scene.make("often", says("every 10s")).await;
    let (inner, silent) = (scene.backend.leases.clone(), AtomicBool::new(false));
    let leases = Arc::new(Silent { inner, silent });
    let backend = Backend { leases: leases.clone(), ..scene.backend.clone() };
    let beat = scene.start_on(&backend, config());
    beat.until_it_leads().await;
    leases.silent.store(true, Ordering::SeqCst);
    eventually(DEADLINE, "it leads no more", || async { !beat.status.leads() }).await;
    scene.clock.show(10 * SECOND);
    scene.looked_twice().await;
    scene.assert_put_in("often", []);
    leases.silent.store(false, Ordering::SeqCst);
    scene.until_through("often", 10 * SECOND).await;
    beat.stop().await;
}

/// Leases that can stop answering.
struct Silent {
    inner: Arc<dyn Leases>,
    silent: AtomicBool,
}

impl Silent {
    async fn mood(&self) {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Leases for Silent {
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        self.mood().await;
        self.inner.acquire(name, holder, ttl).await
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        self.mood().await;
        self.inner.renew(lease, ttl).await
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        self.inner.give_back(lease).await
    }
}
