//! Several beats: one is killed at any step, or the lock is none, and each occurrence is one task.

use std::sync::Arc;

use leveret_common::backend::Backend;
use leveret_common::testkit::eventually;

use super::scene::{DEADLINE, NoLock, Running, SECOND, Scene, config};
use crate::world::{World, everywhere, says};

everywhere! {
    one_that_is_killed_before_the_publish_is_followed_by_another,
    one_that_is_killed_unconfirmed_is_followed_by_another,
    one_that_is_killed_before_it_saved_is_followed_by_another,
    one_that_is_killed_once_it_has_saved_is_followed_by_another,
    three_beats_without_a_lock_put_in_the_same_tasks,
}

/// A leader and one that stands by, and something due.
async fn with_a_successor(world: World) -> (Scene, Running, Running) {
    let scene = Scene::new(world);
    scene.make("often", says("every 10s")).await;
    let leader = scene.lead().await;
    let other = scene.start();
    eventually(DEADLINE, "the other one is ready", || async { other.status.is_ready() }).await;
    assert!(!other.status.leads());
    (scene, leader, other)
}

/// Kills the leader, and checks what the other one does about what is due.
async fn succeed(scene: Scene, leader: Running, other: Running, messages: usize) {
    leader.kill().await;
    other.until_it_leads().await;
    scene.until_through("often", 10 * SECOND).await;
    scene.looked_twice().await;
    scene.assert_ids("often", [10 * SECOND]);
    assert_eq!(scene.broker.of("often").len(), messages);
    scene.clock.show(20 * SECOND);
    scene.until_through("often", 20 * SECOND).await;
    other.stop().await;
    scene.assert_ids("often", [10, 20].map(|s| s * SECOND));
}

async fn one_that_is_killed_before_the_publish_is_followed_by_another(world: World) {
    let (scene, leader, other) = with_a_successor(world).await;
    scene.broker.hitch.hang_before();
    scene.clock.show(10 * SECOND);
    scene.broker.hitch.reached().await;
    succeed(scene, leader, other, 1).await;
}

async fn one_that_is_killed_unconfirmed_is_followed_by_another(world: World) {
    let (scene, leader, other) = with_a_successor(world).await;
    scene.broker.hitch.hang_after();
    scene.clock.show(10 * SECOND);
    scene.broker.hitch.reached().await;
    // Its message is there, and nobody knows: it is put in again, under the same id.
    succeed(scene, leader, other, 2).await;
}

async fn one_that_is_killed_before_it_saved_is_followed_by_another(world: World) {
    let (scene, leader, other) = with_a_successor(world).await;
    scene.store.hitch.hang_before();
    scene.clock.show(10 * SECOND);
    scene.store.hitch.reached().await;
    // The record of what was accepted says so.
    succeed(scene, leader, other, 1).await;
}

async fn one_that_is_killed_once_it_has_saved_is_followed_by_another(world: World) {
    let (scene, leader, other) = with_a_successor(world).await;
    scene.store.hitch.hang_after();
    scene.clock.show(10 * SECOND);
    scene.store.hitch.reached().await;
    succeed(scene, leader, other, 1).await;
}

async fn three_beats_without_a_lock_put_in_the_same_tasks(world: World) {
    let scene = Scene::new(world);
    for name in ["a", "b", "c"] {
        scene.make(name, says("every 1s")).await;
    }
    let backend = Backend { leases: Arc::new(NoLock::default()), ..scene.backend.clone() };
    let beats: Vec<_> = (0..3).map(|_| scene.start_on(&backend, config())).collect();
    for beat in &beats {
        beat.until_it_leads().await;
    }
    for step in 1..=10 {
        scene.clock.show(step * 2 * SECOND);
        for name in ["a", "b", "c"] {
            scene.until_through(name, step * 2 * SECOND).await;
        }
    }
    for beat in beats {
        beat.stop().await;
    }
    for name in ["a", "b", "c"] {
        scene.assert_ids(name, (1..=20).map(|s| s * SECOND));
    }
}

#[tokio::test]
async fn a_leader_that_was_overtaken_notices_and_stands_down() {
    let scene = Scene::new(World::new());
    scene.make("often", says("every 1s")).await;
    let backend = Backend { leases: Arc::new(NoLock::default()), ..scene.backend.clone() };
    let first = scene.start_on(&backend, config());
    first.until_it_leads().await;
    let epoch = first.status.epoch();
    scene.clock.show(SECOND);
    scene.until_through("often", SECOND).await;
    let second = scene.start_on(&backend, config());
    second.until_it_leads().await;
    // One of the two is the first to move on; that of the older epoch learns of the other.
    let mut now = SECOND;
    eventually(DEADLINE, "the first one leads under another epoch", || {
        now += SECOND;
        scene.clock.show(now);
        let other = first.status.epoch().is_some_and(|now| Some(now) > epoch);
        std::future::ready(other)
    })
    .await;
    first.stop().await;
    second.stop().await;
}
