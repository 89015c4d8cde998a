//! `GET /v1/doctor`.

use std::time::Duration;

use leveret_common::name::Lane;
use leveret_gateway::operations::Known;
use serde_json::{Value, json};

use crate::explain::heartbeat;
use crate::world::{World, everywhere, letter};

everywhere! {
    the_doctor_looks_at_the_servers_and_at_the_fleet,
}

fn finding<'a>(told: &'a Value, part: &str, check: &str) -> Option<&'a Value> {
    let findings = told["findings"].as_array().unwrap();
    findings.iter().find(|finding| finding["part"] == part && finding["check"] == check)
}

async fn the_doctor_looks_at_the_servers_and_at_the_fleet(world: World) {
    let told = world.ask("/v1/doctor").await;
    assert_eq!(told["healthy"], true, "{told:#}");
    let parts = told["findings"].as_array().unwrap();
    let is_of_the_backend =
        |finding: &Value| ["store", "data"].map(|part| json!(part)).contains(&finding["part"]);
    assert!(parts.iter().any(is_of_the_backend), "{told:#}");
    assert_eq!(finding(&told, "workers", "living").unwrap()["health"], "risky");
    // A task that waits where nobody serves.
    world.accepted(json!({ "kind": "a", "queue": "mail" })).await;
    world.rest_at("mail.normal", 1).await;
    let told = world.ask("/v1/doctor").await;
    assert_eq!(told["healthy"], false);
    let bad = finding(&told, "queues", "served").unwrap();
    assert_eq!(bad["health"], "bad");
    assert!(bad["found"].as_str().unwrap().contains("1 task rests in mail.normal"), "{bad}");
    // The worst comes first.
    assert_eq!(told["findings"][0]["health"], "bad");
    // Somebody serves the lane and does not know the kind.
    let beats = heartbeat(&world, "mail.normal", &["other"]);
    world.backend.fleet.beat(&beats, Duration::from_secs(60)).await.unwrap();
    let told = world.ask("/v1/doctor").await;
    assert_eq!(finding(&told, "queues", "served"), None);
    let bad = finding(&told, "kinds", "served").unwrap();
    assert!(bad["found"].as_str().unwrap().starts_with("kind a "), "{bad}");
    assert!(bad["mend"].as_str().unwrap().contains("knows a"), "{bad}");
}

#[tokio::test]
async fn a_kind_that_runs_detached_is_named() {
    let limit = ("video.cut".parse().unwrap(), Duration::from_secs(7_200));
    let known = Known { timeouts: [limit].into(), ..Known::default() };
    let world = World::with(|config| config.known = known).await;
    let told = world.ask("/v1/doctor").await;
    let found = finding(&told, "kinds", "limits").unwrap();
    assert!(found["found"].as_str().unwrap().contains("run detached"), "{found}");
}

#[tokio::test]
async fn a_configured_kinds_lane_is_known_before_anything_is_enqueued() {
    let lane: Lane = "reports.low".parse().unwrap();
    let world = World::with_options(|options| {
        options.lanes.insert("report.daily".parse().unwrap(), lane);
    })
    .await;
    let queues = world.ask("/v1/queues").await;
    assert_eq!(queues["queues"][0]["lanes"][0]["lane"], "reports.low");
}

#[tokio::test]
async fn a_broker_that_is_away_hides_nothing_of_what_the_store_knows() {
    let world = World::new().await;
    let beats = heartbeat(&world, "mail.normal", &["a"]);
    world.backend.fleet.beat(&beats, Duration::from_secs(60)).await.unwrap();
    world.order("/v1/queues/mail/pause", json!({}), 200).await;
    world.broker.be_away();
    let told = world.ask("/v1/doctor").await;
    assert_eq!(told["healthy"], false);
    assert_eq!(finding(&told, "queues", "counted").unwrap()["health"], "bad");
    assert_eq!(finding(&told, "workers", "living").unwrap()["found"], "1 worker lives");
    assert!(finding(&told, "queues", "paused").is_some(), "{told:#}");
}

#[tokio::test]
async fn as_many_deaths_as_in_the_hour_before_are_no_growth() {
    let world = World::new().await;
    let now = world.backend.clock.now();
    let (namespace, queue) = (&world.backend.namespace, "mail".parse().unwrap());
    // Two hundred an hour, which is more in two hours than are read at a time.
    let letters: Vec<_> = (0..400)
        .map(|n| {
            let wire = letter("a", "1", now.0 - 18_000 * n);
            leveret_common::desk::letter::describe(namespace, &queue, &wire, now, now)
        })
        .collect();
    world.backend.letters.describe(&letters).await.unwrap();
    let told = world.ask("/v1/doctor").await;
    let found = finding(&told, "dead", "growth").unwrap();
    assert_eq!(found["health"], "good", "{found}");
}
