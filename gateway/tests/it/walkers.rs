//! Two who walk the same dead letters at once.

use std::time::Duration;

use leveret_common::broker::{Place, Settle};
use leveret_common::id::Owner;
use leveret_common::name::QueueName;
use serde_json::json;

use crate::world::{World, everywhere, letters, problem};

everywhere! {
    a_queue_whose_letters_are_all_in_another_walkers_hands_is_not_taken_for_an_empty_one,
}

async fn a_queue_whose_letters_are_all_in_another_walkers_hands_is_not_taken_for_an_empty_one(
    world: World,
) {
    world.bury("mail", &letters("email.welcome", 10)).await;
    let queue: QueueName = "mail".parse().unwrap();
    let (leases, ttl) = (&world.backend.leases, Duration::from_secs(60));
    let lease = leases.acquire("dead/mail", Owner::mint(), ttl).await.unwrap().unwrap();
    let place = Place::Dead(queue.clone());
    let walker = world.backend.broker.consume(&place, 10).await.unwrap();
    let mut taken = Vec::new();
    while taken.len() < 10 {
        taken.extend(walker.next(10).await);
    }
    world.dead_rest_at(0).await;
    for orders in [json!({ "all": true }), json!({ "filter": "queue:mail" })] {
        let second = world.post_to("/v1/dead/discard").json(&orders).send().await.unwrap();
        problem(second, 409, "desk-busy").await;
    }
    for path in ["/v1/dead/export", "/v1/dead/export?filter=queue:mail"] {
        problem(world.get(path).send().await.unwrap(), 409, "desk-busy").await;
    }
    let back: Vec<_> = taken.iter().map(|letter| (letter.receipt, Settle::Return)).collect();
    walker.settle(&back).await;
    walker.stop().await;
    leases.give_back(&lease).await.unwrap();
    world.dead_rest_at(10).await;
    let lines = world.order_lines("/v1/dead/discard", json!({ "all": true })).await;
    assert_eq!(lines.last().unwrap()["totals"]["discarded"], 10, "{lines:?}");
}
