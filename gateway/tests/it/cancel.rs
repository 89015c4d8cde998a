//! `POST /v1/tasks/{id}/cancel`.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::TaskId;
use leveret_common::ledger::{
    Answer, Claim, Decide, Decision, Ending, Failure, Hold, Marking, Outcome, Ruling,
};
use leveret_common::store::{AttemptNote, Signal};
use serde_json::json;

use crate::world::{World, everywhere, json, problem};

everywhere! {
    a_task_that_waits_is_cancelled_and_will_not_run,
    a_delayed_task_is_cancelled,
    a_running_tasks_worker_is_told_and_it_ends_as_cancelled,
    a_task_whose_outcome_is_decided_is_too_late,
    a_task_that_is_over_says_how_it_ended,
    an_id_nobody_knows_is_cancelled_by_force_only,
}

fn path(id: TaskId) -> String {
    format!("/v1/tasks/{id}/cancel")
}

fn failed(id: TaskId, hold: Hold) -> Decide {
    let failure = Failure { class: "exit".to_owned(), message: "exit 1".to_owned(), at: Millis(7) };
    let outcome = Outcome::Retry { not_before: Millis(9), failure };
    let decision = Decision { outcome, follow_ups: Vec::new() };
    Decide { id, hold, order: Order::FIRST, decision, ttl: Duration::from_secs(60) }
}

fn note(id: TaskId, outcome: &str) -> AttemptNote {
    AttemptNote {
        id,
        kind: "a".parse().unwrap(),
        lane: "default".parse().unwrap(),
        order: Order::FIRST,
        worker: "host:1".to_owned(),
        started_at: Some(Millis(1)),
        ended_at: Millis(2),
        outcome: outcome.to_owned(),
        next_at: None,
        reason: None,
        failure: None,
        result: None,
        result_ttl: None,
    }
}

async fn claim(world: &World, id: TaskId) -> Answer {
    let ask = Claim {
        id,
        order: Order::FIRST,
        owner: leveret_common::id::Owner::mint(),
        token: leveret_common::id::Token::draw(),
        expires_at: None,
        max_crashes: 3,
        ttl: Duration::from_secs(60),
    };
    world.backend.ledger.claim(&[ask]).await.unwrap().remove(0)
}

async fn a_task_that_waits_is_cancelled_and_will_not_run(world: World) {
    let id = world.accepted(json!({ "kind": "a" })).await;
    let post = world.post_to(&path(id)).header("Leveret-By", "deploy@box").send().await.unwrap();
    assert_eq!(json(post, 200).await, json!({ "id": id, "state": "cancelled" }));
    assert_eq!(claim(&world, id).await, Answer::Settled(Ending::Cancelled));
    let task = world.ask(&format!("/v1/tasks/{id}")).await;
    assert_eq!(task["state"], "cancelled");
    assert_eq!(task["acts"][0]["action"], "cancelled");
    assert_eq!(task["acts"][0]["by"], "deploy@box");
    // A repetition after a lost answer is no error, and is not written down again.
    world.order(&path(id), json!({}), 200).await;
    let task = world.ask(&format!("/v1/tasks/{id}")).await;
    assert_eq!(task["acts"].as_array().unwrap().len(), 1);
}

async fn a_delayed_task_is_cancelled(world: World) {
    let id = world.accepted(json!({ "kind": "a", "delay": "400d" })).await;
    world.order(&path(id), json!({}), 200).await;
    assert_eq!(world.ask(&format!("/v1/tasks/{id}")).await["state"], "cancelled");
}

async fn a_running_tasks_worker_is_told_and_it_ends_as_cancelled(world: World) {
    let id = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(id).await;
    let asked = world.order(&path(id), json!({}), 202).await;
    assert_eq!(asked, json!({ "id": id, "state": "cancelling", "worker": hold.owner }));
    let signals = world.backend.signals.receive(hold.owner).await.unwrap();
    assert_eq!(signals, [Signal::Cancel { task: id, fence: hold.fence }]);
    assert_eq!(world.ask(&format!("/v1/tasks/{id}")).await["state"], "running");
    let waited = format!("{}?wait=20s", path(id));
    let asking = world.post_to(&waited).send();
    let ending = async {
        let ruled = world.backend.ledger.decide(&[failed(id, hold)]).await.unwrap();
        assert_eq!(ruled, [Ruling::Cancelled]);
    };
    let (response, ()) = tokio::join!(asking, ending);
    assert_eq!(json(response.unwrap(), 200).await["state"], "cancelled");
}

async fn a_task_whose_outcome_is_decided_is_too_late(world: World) {
    let id = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(id).await;
    world.backend.ledger.decide(&[failed(id, hold)]).await.unwrap();
    let late = problem(world.post_to(&path(id)).send().await.unwrap(), 409, "too-late").await;
    assert_eq!(late["id"], id.to_string());
}

async fn a_task_that_is_over_says_how_it_ended(world: World) {
    let id = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(id).await;
    world.end(hold, Marking::Done, note(id, "done")).await;
    let over = problem(world.post_to(&path(id)).send().await.unwrap(), 409, "already-over").await;
    assert_eq!(over["state"], "done");
    assert_eq!(world.ask(&format!("/v1/tasks/{id}")).await["state"], "done");
    // The same when only the record knows.
    let forgotten = TaskId::mint();
    world.backend.records.attempted(&[note(forgotten, "done")]).await.unwrap();
    let told = world.post_to(&path(forgotten)).send().await.unwrap();
    assert_eq!(problem(told, 409, "already-over").await["state"], "done");
}

async fn an_id_nobody_knows_is_cancelled_by_force_only(world: World) {
    let id = TaskId::mint();
    let told = world.post_to(&path(id)).send().await.unwrap();
    problem(told, 404, "unknown-task").await;
    assert!(matches!(claim(&world, TaskId::mint()).await, Answer::Claimed { .. }));
    let told = world.order(&path(id), json!({ "force": true }), 200).await;
    assert_eq!(told["state"], "cancelled");
    // Nobody knows when its message is due: it is said how long the cancel holds.
    let until = told["until"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let now = i64::try_from(world.backend.clock.now().0).unwrap();
    let left = until.timestamp_millis() - now;
    assert!((86_000_000..=86_400_000).contains(&left), "{told}");
    assert_eq!(claim(&world, id).await, Answer::Settled(Ending::Cancelled));
}

#[tokio::test]
async fn a_replay_that_waits_is_cancelled() {
    let world = World::new().await;
    let id = world.bury("mail", &crate::world::letters("a", 1)).await[0];
    let dead = problem(world.post_to(&path(id)).send().await.unwrap(), 409, "already-over").await;
    assert_eq!(dead["state"], "dead");
    world.order(&format!("/v1/dead/{id}/replay"), json!({}), 202).await;
    world.order(&path(id), json!({}), 200).await;
    let task = world.ask(&format!("/v1/tasks/{id}")).await;
    assert_eq!((&task["state"], &task["acts"][1]["replay"]), (&json!("cancelled"), &json!(1)));
}

#[tokio::test]
async fn a_cancel_that_is_waited_for_says_when_the_task_succeeded_first() {
    let world = World::new().await;
    let id = world.accepted(json!({ "kind": "a" })).await;
    let hold = world.claim(id).await;
    let waited = format!("{}?wait=20s", path(id));
    let asking = world.post_to(&waited).send();
    let ending = async {
        loop {
            let entries = world.backend.ledger.entries(&[id]).await.unwrap();
            let flagged = |entry: &leveret_common::ledger::Entry| matches!(entry, leveret_common::ledger::Entry::Running(held) if held.cancel);
            if entries[0].as_ref().is_some_and(flagged) {
                break;
            }
            tokio::task::yield_now().await;
        }
        world.end(hold, Marking::Done, note(id, "done")).await;
    };
    let (response, ()) = tokio::join!(asking, ending);
    let over = problem(response.unwrap(), 409, "already-over").await;
    assert_eq!(over["state"], "done");
}

#[tokio::test]
async fn who_acts_has_to_be_readable() {
    let world = World::new().await;
    let id = world.accepted(json!({ "kind": "a" })).await;
    let long = "x".repeat(129);
    let post = world.post_to(&path(id)).header("Leveret-By", long).send().await.unwrap();
    let told = problem(post, 400, "invalid-request").await;
    assert_eq!(told["errors"][0]["field"], "Leveret-By");
    world.order(&path(id), json!({}), 200).await;
    assert_eq!(world.ask(&format!("/v1/tasks/{id}")).await["acts"][0]["by"], "unknown");
}
