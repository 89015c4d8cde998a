//! `GET /v1/tasks/{id}`.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Order};
use leveret_common::id::TaskId;
use leveret_common::ledger::{Failure, Marking};
use leveret_common::store::{AttemptNote, Interim};
use serde_json::json;
use tokio::time::timeout;

use crate::world::{World, json, problem};

fn note(id: TaskId, outcome: &str) -> AttemptNote {
    AttemptNote {
        id,
        kind: "demo.echo".parse().unwrap(),
        lane: "default".parse().unwrap(),
        order: Order::FIRST,
        worker: "host:1".to_owned(),
        started_at: Some(Millis(1_700_000_000_000)),
        ended_at: Millis(1_700_000_001_000),
        outcome: outcome.to_owned(),
        next_at: None,
        reason: None,
        failure: None,
        result: None,
        result_ttl: None,
    }
}

async fn enqueued(world: &World) -> TaskId {
    let accepted = json(world.put_in(json!({ "kind": "demo.echo" })).await, 202).await;
    accepted["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_id_nobody_knows_says_which_of_three_it_may_be() {
    let world = World::new().await;
    for id in [TaskId::mint().to_string(), "order-7".to_owned()] {
        let response = world.get(&format!("/v1/tasks/{id}")).send().await.unwrap();
        let told = problem(response, 404, "unknown-task").await;
        let detail = told["detail"].as_str().unwrap();
        for part in ["never accepted", "not recorded", "longer than tasks are remembered"] {
            assert!(detail.contains(part), "{detail}");
        }
    }
}

#[tokio::test]
async fn a_task_is_found_under_its_senders_own_text() {
    let world = World::new().await;
    let accepted = json(world.put_in(json!({ "kind": "a", "id": "order 7/ä" })).await, 202).await;
    let response = world.get("/v1/tasks/order%207%2F%C3%A4").send().await.unwrap();
    let shown = json(response, 200).await;
    assert_eq!((&shown["id"], &shown["origin_id"]), (&accepted["id"], &json!("order 7/ä")));
}

#[tokio::test]
async fn a_wait_ends_when_the_task_is_done_and_shows_the_result() {
    let world = World::new().await;
    let id = enqueued(&world).await;
    let asking = world.get(&format!("/v1/tasks/{id}?wait=30s")).send();
    let working = async {
        let hold = world.claim(id).await;
        let shown = json(world.get(&format!("/v1/tasks/{id}")).send().await.unwrap(), 200).await;
        assert_eq!((&shown["state"], &shown["attempt"]), (&json!("running"), &json!(1)));
        assert_eq!(shown["running"]["worker"], hold.owner.to_string());
        assert!(shown["running"]["since"].as_str().unwrap().ends_with('Z'), "{shown}");
        let note = AttemptNote { result: Some("{\"n\":[1]}".to_owned()), ..note(id, "done") };
        world.end(hold, Marking::Done, note).await;
    };
    let both = async { tokio::join!(asking, working) };
    let (response, ()) = timeout(Duration::from_secs(15), both).await.unwrap();
    let shown = json(response.unwrap(), 200).await;
    assert_eq!((&shown["state"], &shown["result"]), (&json!("done"), &json!({ "n": [1] })));
    assert_eq!(shown["history"][0]["started_at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(shown.get("error"), None);
}

#[tokio::test]
async fn a_task_that_runs_shows_what_its_attempt_said_last_until_it_is_done() {
    let world = World::new().await;
    let id = enqueued(&world).await;
    let said = Interim {
        id,
        order: Order::FIRST,
        fence: leveret_common::id::Fence(1),
        turn: 1,
        at: Millis(7),
        percent: Some(40),
        message: Some("page 4 of 10".to_owned()),
        checkpoint: Some("{\"page\":4}".to_owned()),
    };
    world.backend.records.say(&[said]).await.unwrap();
    let show =
        async || json(world.get(&format!("/v1/tasks/{id}")).send().await.unwrap(), 200).await;
    assert_eq!(show().await.get("progress"), None, "nobody runs it");
    let hold = world.claim(id).await;
    let told = json!({
        "attempt": 1, "at": "1970-01-01T00:00:00.007Z", "percent": 40, "message": "page 4 of 10",
        "checkpoint": 10,
    });
    assert_eq!(show().await["progress"], told);
    world.end(hold, Marking::Done, note(id, "done")).await;
    assert_eq!(show().await.get("progress"), None);
}

#[tokio::test]
async fn a_dead_task_shows_its_error_and_its_reason() {
    let world = World::new().await;
    let id = enqueued(&world).await;
    let hold = world.claim(id).await;
    let failure =
        Failure { class: "exit".to_owned(), message: "exit 65".to_owned(), at: Millis(7) };
    let reason = DeadReason::Handler;
    let decision = leveret_common::ledger::Decision {
        outcome: leveret_common::ledger::Outcome::Dead { reason, failure: failure.clone() },
        follow_ups: Vec::new(),
    };
    let ttl = Duration::from_secs(60);
    let decide = leveret_common::ledger::Decide { id, hold, order: Order::FIRST, decision, ttl };
    world.backend.ledger.decide(&[decide]).await.unwrap();
    let note = AttemptNote { failure: Some(failure), reason: Some(reason), ..note(id, "dead") };
    world.end(hold, Marking::Dead(reason), note).await;
    let shown = json(world.get(&format!("/v1/tasks/{id}")).send().await.unwrap(), 200).await;
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("dead"), &json!("handler")));
    let error = json!({ "class": "exit", "message": "exit 65", "at": "1970-01-01T00:00:00.007Z" });
    assert_eq!((&shown["error"], &shown["history"][0]["error"]), (&error, &error));
}

#[tokio::test]
async fn a_wait_that_runs_out_shows_where_the_task_stands() {
    let world = World::with(|config| config.request_timeout = Duration::from_secs(2)).await;
    let id = enqueued(&world).await;
    let response = world.get(&format!("/v1/tasks/{id}?wait=60s")).send();
    let response = timeout(Duration::from_secs(15), response).await.unwrap().unwrap();
    assert_eq!(json(response, 200).await["state"], "queued");
}

#[tokio::test]
async fn a_wrong_wait_is_refused_with_what_to_write() {
    let world = World::new().await;
    for (query, part) in [
        ("wait=61s", "longer than 60s"),
        ("wait=10", "10s for seconds"),
        ("wiat=10s", "did you mean"),
    ] {
        let response = world.get(&format!("/v1/tasks/x?{query}")).send().await.unwrap();
        let told = problem(response, 400, "invalid-request").await;
        assert!(told["errors"][0]["why"].as_str().unwrap().contains(part), "{told}");
    }
}
