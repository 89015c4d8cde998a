//! Queues and workers: listed, paused, asked.

use std::time::Duration;

use leveret_common::store::{Heartbeat, Signal};
use serde_json::{Value, json};

use crate::explain::heartbeat;
use crate::world::{World, everywhere, json, letters, problem};

everywhere! {
    queues_show_their_lanes_workers_and_dead_letters,
    a_queue_is_paused_and_resumed_by_whom_and_why,
    workers_show_everything_that_their_heartbeats_say,
    workers_are_asked_by_any_of_their_names,
}

async fn living(world: &World) -> Heartbeat {
    let mut beats = heartbeat(world, "mail.high", &["email.welcome"]);
    let reached = world.backend.clock.now().0 - 90_000;
    beats.info.lanes[0].reached = Some(leveret_common::clock::Millis(reached));
    world.backend.fleet.beat(&beats, Duration::from_secs(60)).await.unwrap();
    beats
}

fn queue<'a>(queues: &'a Value, name: &str) -> &'a Value {
    let all = queues["queues"].as_array().unwrap();
    all.iter().find(|queue| queue["queue"] == name).unwrap_or_else(|| panic!("{queues}"))
}

async fn queues_show_their_lanes_workers_and_dead_letters(world: World) {
    living(&world).await;
    let task = json!({ "kind": "email.welcome", "queue": "mail", "class": "high" });
    world.accepted(task).await;
    world.bury("files", &letters("files.scan", 2)).await;
    world.rest_at("mail.high", 1).await;
    let queues = world.ask("/v1/queues").await;
    let mail = queue(&queues, "mail");
    assert_eq!(
        (&mail["workers"], &mail["dead"], &mail["paused"]),
        (&json!(1), &json!(0), &Value::Null)
    );
    let lane = &mail["lanes"][0];
    assert_eq!((&lane["lane"], &lane["class"]), (&json!("mail.high"), &json!("high")));
    assert_eq!((&lane["depth"], &lane["rate"]), (&json!(1), &json!(2.5)));
    // Either the broker can look at the oldest, or what workers have reached bounds it.
    let is_told = lane["oldest"].is_string() != lane["oldest_at_most"].is_string();
    assert!(is_told, "{lane}");
    assert_eq!(queue(&queues, "files")["dead"], 2);
    let mail = world.ask("/v1/queues/mail").await;
    assert_eq!(mail["lanes"].as_array().unwrap().len(), 4);
    let unknown = world.get("/v1/queues/nothing").send().await.unwrap();
    problem(unknown, 404, "unknown-queue").await;
    let wrong = world.get("/v1/queues/No").send().await.unwrap();
    problem(wrong, 400, "invalid-request").await;
}

async fn a_queue_is_paused_and_resumed_by_whom_and_why(world: World) {
    let post = world.post_to("/v1/queues/mail/pause").header("Leveret-By", "deploy@box");
    let paused = json(post.json(&json!({ "why": "relay down" })).send().await.unwrap(), 200).await;
    assert_eq!(
        (&paused["paused"]["by"], &paused["paused"]["why"]),
        (&json!("deploy@box"), &json!("relay down"))
    );
    // The first pause stays.
    let again = world.order("/v1/queues/mail/pause", json!({}), 200).await;
    assert_eq!(again["paused"], paused["paused"]);
    let queues = world.ask("/v1/queues").await;
    assert_eq!(queue(&queues, "mail")["paused"], paused["paused"]);
    let resumed = world.order("/v1/queues/mail/resume", json!({}), 200).await;
    assert_eq!((&resumed["paused"], &resumed["was_paused"]), (&Value::Null, &json!(true)));
    let resumed = world.order("/v1/queues/mail/resume", json!({}), 200).await;
    assert_eq!(resumed["was_paused"], false);
    let long = json!({ "why": "x".repeat(2_000) });
    let told = world.post_to("/v1/queues/mail/pause").json(&long).send().await.unwrap();
    problem(told, 400, "invalid-request").await;
}

async fn workers_show_everything_that_their_heartbeats_say(world: World) {
    assert_eq!(world.ask("/v1/workers").await, json!({ "workers": [] }));
    let mut beats = living(&world).await;
    let id = leveret_common::id::TaskId::mint();
    beats.held = vec![(id, leveret_common::id::Fence(7))];
    world.backend.fleet.beat(&beats, Duration::from_secs(60)).await.unwrap();
    let workers = world.ask("/v1/workers").await;
    let worker = &workers["workers"][0];
    for (member, value) in [
        ("owner", json!(beats.owner)),
        ("host", json!("box")),
        ("pid", json!(7)),
        ("state", json!("running")),
        ("version", json!("0.1.0")),
        ("slots", json!(4)),
        ("in_use", json!(4)),
        ("attempts", json!(3)),
        ("memory", json!(1 << 20)),
        ("kinds", json!(["email.welcome"])),
        ("running", json!([id])),
    ] {
        assert_eq!(worker[member], value, "{member}: {worker}");
    }
    assert!(worker["heartbeat_age_ms"].is_u64() && worker["started_at"].is_string(), "{worker}");
    assert_eq!(worker["lanes"][0]["lane"], "mail.high");
    assert_eq!(world.ask("/v1/workers/box:7").await["owner"], worker["owner"]);
}

async fn workers_are_asked_by_any_of_their_names(world: World) {
    let (one, other) = (living(&world).await, living(&world).await);
    let prefix = (1..=32)
        .map(|length| one.owner.to_string()[..length].to_owned())
        .find(|prefix| !other.owner.to_string().starts_with(prefix.as_str()))
        .unwrap();
    let path = |name: &str, verb: &str| format!("/v1/workers/{name}/{verb}");
    let asked = world.order(&path(&prefix, "quiet"), json!({}), 202).await;
    assert_eq!(asked, json!({ "workers": [one.owner] }));
    world.order(&path(&one.owner.to_string(), "resize"), json!({ "slots": 9 }), 202).await;
    let all = world.order(&path("all", "stop"), json!({}), 202).await;
    assert_eq!(all["workers"].as_array().unwrap().len(), 2);
    let signals = world.backend.signals.receive(one.owner).await.unwrap();
    assert_eq!(signals, [Signal::Quiet, Signal::Resize { slots: 9 }, Signal::Stop]);
    assert_eq!(world.backend.signals.receive(other.owner).await.unwrap(), [Signal::Stop]);
    // Both are of one process.
    let told = world.post_to(&path("box:7", "resume")).send().await.unwrap();
    let told = problem(told, 400, "invalid-request").await;
    assert!(told["detail"].as_str().unwrap().contains(&other.owner.to_string()), "{told}");
    let told = world.post_to(&path("nobody", "resume")).send().await.unwrap();
    let told = problem(told, 404, "unknown-worker").await;
    assert!(told["detail"].as_str().unwrap().contains("box:7"), "{told}");
    for orders in [json!({}), json!({ "slots": 0 }), json!({ "slots": 5_000 })] {
        let told = world.post_to(&path("all", "resize")).json(&orders).send().await.unwrap();
        let told = problem(told, 400, "invalid-request").await;
        assert_eq!(told["errors"][0]["field"], "slots", "{told}");
    }
}
