//! `GET /v1/tasks/{id}/explain`: every place of custody.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::{Owner, TaskId};
use leveret_common::ledger::{Decide, Decision, Hold, Marking, Outcome};
use leveret_common::store::{AttemptNote, Heartbeat, LaneInfo, WorkerInfo, WorkerState};
use serde_json::{Value, json};

use crate::world::{World, everywhere, letter, letters};

everywhere! {
    an_unknown_id_says_which_of_three_it_may_be_and_what_can_be_excluded,
    a_task_in_a_lane_says_who_serves_it_and_what_to_do,
    a_task_that_runs_names_its_worker_and_how_old_its_heartbeat_is,
    a_task_that_ended_says_how_and_why,
}

async fn explain(world: &World, id: impl std::fmt::Display) -> Value {
    let told = world.ask(&format!("/v1/tasks/{id}/explain")).await;
    assert!(told["summary"].as_str().unwrap().ends_with('.'), "{told}");
    assert!(told["because"].is_array() && told["do"].is_array(), "{told}");
    told
}

fn has(told: &Value, member: &str, part: &str) {
    let sentences = told[member].as_array().unwrap();
    let found = sentences.iter().any(|sentence| sentence.as_str().unwrap().contains(part));
    assert!(found, "no {part:?} in {told:#}");
}

pub(crate) fn heartbeat(world: &World, lane: &str, kinds: &[&str]) -> Heartbeat {
    let lane = LaneInfo {
        lane: lane.parse().unwrap(),
        consuming: true,
        waiting: 0,
        rate: 2.5,
        reached: None,
    };
    let now = world.backend.clock.now();
    let info = WorkerInfo {
        host: "box".to_owned(),
        pid: 7,
        started_at: now,
        at: now,
        version: "0.1.0".to_owned(),
        slots: 4,
        in_use: 4,
        lanes: vec![lane],
        kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
        state: WorkerState::Running,
        attempts: 3,
        memory: 1 << 20,
    };
    Heartbeat { owner: Owner::mint(), held: Vec::new(), info }
}

async fn beat(world: &World, heartbeat: &Heartbeat) {
    world.backend.fleet.beat(heartbeat, Duration::from_secs(60)).await.unwrap();
}

async fn an_unknown_id_says_which_of_three_it_may_be_and_what_can_be_excluded(world: World) {
    let young = explain(&world, TaskId::mint()).await;
    assert_eq!(
        (&young["state"], &young["custody"]["place"]),
        (&json!("unknown"), &json!("unknown"))
    );
    let possibilities = young["custody"]["possibilities"].as_array().unwrap();
    let excluded: Vec<_> = possibilities.iter().map(|p| (&p["what"], &p["excluded"])).collect();
    assert_eq!(
        excluded,
        [
            (&json!("never-accepted"), &json!(false)),
            (&json!("not-recorded"), &json!(false)),
            (&json!("forgotten"), &json!(true)),
        ]
    );
    has(&young, "because", "its id was made only");
    has(&young, "because", "this gateway records enqueues");
    let old = explain(&world, "0180f0c0-0000-7000-8000-000000000001").await;
    assert_eq!(old["custody"]["possibilities"][2]["excluded"], false);
    has(&explain(&world, "order-7").await, "because", "does not say how old it is");
}

async fn a_task_in_a_lane_says_who_serves_it_and_what_to_do(world: World) {
    let id = world.accepted(json!({ "kind": "email.welcome", "queue": "mail" })).await;
    world.rest_at("mail.normal", 1).await;
    let told = explain(&world, id).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("queued"), &json!("lane")));
    assert_eq!(told["summary"], "It waits in mail.normal, which no living worker serves.");
    assert_eq!(
        (&told["custody"]["lane"], &told["custody"]["depth"]),
        (&json!("mail.normal"), &json!(1))
    );
    has(&told, "do", "Start a worker");
    beat(&world, &heartbeat(&world, "mail.normal", &["other"])).await;
    let told = explain(&world, id).await;
    assert_eq!(
        (&told["custody"]["workers_serving"], &told["custody"]["workers_able"]),
        (&json!(1), &json!(0))
    );
    has(&told, "because", "knows kind email.welcome");
    beat(&world, &heartbeat(&world, "mail.normal", &["email.welcome"])).await;
    let told = explain(&world, id).await;
    assert_eq!(told["summary"], "It waits for its turn in mail.normal.");
    has(&told, "because", "drains at 5.0 a second");
    has(&told, "because", "8 of 8 slots");
    has(&told, "do", "`leveret worker resize WORKER --slots N`");
    world.order("/v1/queues/mail/pause", json!({ "why": "relay down" }), 200).await;
    let told = explain(&world, id).await;
    assert_eq!(told["summary"], "It waits in mail.normal, and queue mail is paused.");
    assert_eq!(told["custody"]["paused"]["why"], "relay down");
    has(&told, "do", "leveret queue resume mail");
    let later = world.accepted(json!({ "kind": "a", "delay": "1h" })).await;
    let told = explain(&world, later).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("delayed"), &json!("delay")));
    assert_eq!(told["custody"]["lane"], "default.normal");
    assert!(told["custody"]["until"].as_str().unwrap().ends_with('Z'), "{told}");
}

async fn a_task_that_runs_names_its_worker_and_how_old_its_heartbeat_is(world: World) {
    let id = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(id).await;
    let told = explain(&world, id).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("running"), &json!("worker")));
    has(&told, "because", "There is no heartbeat of that worker");
    let mut beats = heartbeat(&world, "default.normal", &["a"]);
    beats.owner = hold.owner;
    beats.held = vec![(id, hold.fence)];
    beat(&world, &beats).await;
    let told = explain(&world, id).await;
    let worker = &told["custody"]["worker"];
    assert_eq!(
        (&worker["owner"], &worker["host"], &worker["pid"]),
        (&json!(hold.owner), &json!("box"), &json!(7))
    );
    assert!(worker["heartbeat_age_ms"].is_u64(), "{told}");
    has(&told, "because", "lists this claim");
    world.order(&format!("/v1/tasks/{id}/cancel"), json!({}), 202).await;
    let told = explain(&world, id).await;
    assert_eq!(told["custody"]["cancelling"], true);
    let decision = Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() };
    let (order, ttl) = (Order::FIRST, Duration::from_secs(60));
    let decide = Decide { id, hold, order, decision, ttl };
    world.backend.ledger.decide(&[decide]).await.unwrap();
    let told = explain(&world, id).await;
    assert_eq!(
        (&told["custody"]["place"], &told["custody"]["outcome"]),
        (&json!("finishing"), &json!("done"))
    );
}

fn done(id: TaskId, hold: Hold) -> (Hold, AttemptNote) {
    let note = AttemptNote {
        id,
        kind: "a".parse().unwrap(),
        lane: "default".parse().unwrap(),
        order: Order::FIRST,
        worker: "box:7".to_owned(),
        started_at: Some(Millis(1)),
        ended_at: Millis(2),
        outcome: "done".to_owned(),
        next_at: None,
        reason: None,
        failure: None,
        result: None,
        result_ttl: None,
    };
    (hold, note)
}

async fn a_task_that_ended_says_how_and_why(world: World) {
    let id = world.accepted(json!({ "kind": "a" })).await;
    let (hold, note) = done(id, world.claim(id).await);
    world.end(hold, Marking::Done, note).await;
    let told = explain(&world, id).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("done"), &json!("over")));
    has(&told, "because", "Attempt 1 succeeded on worker box:7");
    let dead = world.bury("mail", &letters("email.welcome", 2)).await;
    let told = explain(&world, dead[0]).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("dead"), &json!("dead")));
    for (member, value) in [
        ("queue", json!("mail")),
        ("reason", json!("handler")),
        ("error_class", json!("smtp")),
        ("attempts", json!(3)),
        ("listed", json!(true)),
    ] {
        assert_eq!(told["custody"][member], value, "{told}");
    }
    has(&told, "because", "the server refused");
    has(&told, "do", &format!("leveret dead replay {}", dead[0]));
    world.order(&format!("/v1/dead/{}/replay", dead[0]), json!({}), 202).await;
    let told = explain(&world, dead[0]).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("queued"), &json!("lane")));
    has(&told, "because", "gave it a fresh start");
    world.order(&format!("/v1/dead/{}/discard", dead[1]), json!({}), 200).await;
    let told = explain(&world, dead[1]).await;
    assert_eq!((&told["state"], &told["custody"]["place"]), (&json!("discarded"), &json!("over")));
    assert_eq!(told["custody"]["by"], "unknown");
}

#[tokio::test]
async fn a_replay_is_not_said_to_be_in_its_own_lane_for_sure() {
    let world = World::new().await;
    let id = world.accepted(json!({ "kind": "a", "queue": "mail" })).await;
    let told = explain(&world, id).await;
    assert_eq!(told["custody"].get("presumed"), None, "{told}");
    world.take_from("mail.normal").await;
    let mut dead = letter("a", "1", 1_700_000_000_000);
    dead.message_id = Some(id.to_string());
    world.bury("mail", &[dead]).await;
    world.order(&format!("/v1/dead/{id}/replay"), json!({ "queue": "later" }), 202).await;
    let told = explain(&world, id).await;
    assert_eq!(
        (&told["custody"]["lane"], &told["custody"]["presumed"]),
        (&json!("mail.normal"), &json!(true))
    );
    assert!(
        told["summary"].as_str().unwrap().ends_with("unless another lane was named."),
        "{told}"
    );
    has(&told, "because", "If another queue or class was named then, it is there");
    has(&told, "do", "If it is in mail.normal: Start a worker");
}

#[tokio::test]
async fn an_outcome_that_the_broker_does_not_take_is_blocked() {
    let world = World::new().await;
    let id = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(id).await;
    let decision = Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() };
    let (order, ttl) = (Order::FIRST, Duration::from_secs(60));
    let decide = Decide { id, hold, order, decision, ttl };
    world.backend.ledger.decide(&[decide]).await.unwrap();
    world.broker.fall_silent();
    let told = explain(&world, id).await;
    assert_eq!(told["custody"]["place"], "blocked");
    has(&told, "because", "low on memory");
}

#[tokio::test]
async fn without_records_the_second_possibility_names_the_setting() {
    let world = World::with_options(|options| options.record = false).await;
    let accepted = world.accepted(json!({ "kind": "a" })).await;
    let told = explain(&world, accepted).await;
    assert_eq!(told["state"], "unknown");
    has(&told, "because", "records.enqueue is off");
}

#[tokio::test]
async fn a_claim_that_the_ledger_forgot_is_found_in_its_workers_heartbeat() {
    let world = World::new().await;
    let id = TaskId::mint();
    let mut beats = heartbeat(&world, "default.normal", &["a"]);
    beats.held = vec![(id, leveret_common::id::Fence(7))];
    beat(&world, &beats).await;
    let told = explain(&world, id).await;
    assert_eq!(told["custody"]["place"], "worker");
    has(&told, "because", "lost its memory");
}
