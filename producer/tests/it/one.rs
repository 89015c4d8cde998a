//! One task at a time.

use std::sync::atomic::Ordering;
use std::time::Duration;

use leveret_common::broker::{Destination, PublishError};
use leveret_common::clock::Millis;
use leveret_common::name::Class;
use leveret_common::store::TaskState;
use leveret_producer::{EnqueueError, Options, Request};
use serde_json::json;

use crate::world::{World, now};

#[tokio::test]
async fn an_accepted_task_rests_in_its_lane_and_can_be_found() {
    let world = World::new();
    let accepted = world
        .producer
        .task("email.welcome", &json!({ "user_id": 7 }))
        .queue("mail")
        .class(Class::High)
        .tag("tenant", "42")
        .await
        .unwrap();
    assert_eq!((accepted.state, accepted.repeated), (TaskState::Queued, false));
    assert_eq!(accepted.lane.to_string(), "mail.high");
    assert_eq!(world.depth("mail.high").await, 1);
    let view = world.producer.find(accepted.id).await.unwrap().unwrap();
    let record = view.enqueued.unwrap();
    assert_eq!((view.state, record.kind.as_str()), (TaskState::Queued, "email.welcome"));
    assert_eq!(record.tags["tenant"], "42");
}

#[tokio::test]
async fn a_delayed_task_goes_to_the_delay_with_its_instant() {
    let world = World::new();
    let before = now();
    let accepted = world.producer.task("a", &1).delay(Duration::from_secs(3_600)).await.unwrap();
    let due = accepted.not_before.unwrap();
    assert!(
        due >= before.after(Duration::from_secs(3_600))
            && due <= now().after(Duration::from_secs(3_600))
    );
    assert_eq!(accepted.state, TaskState::Delayed);
    match world.broker.last_destination() {
        Destination::Delay { until, .. } => assert_eq!(until, due),
        other => panic!("{other:?}"),
    }
    let view = world.producer.find(accepted.id).await.unwrap().unwrap();
    assert_eq!((view.state, view.next_at), (TaskState::Delayed, Some(due)));
}

#[tokio::test]
async fn a_wrong_request_sends_nothing() {
    let world = World::new();
    let wrong = [
        Request::new("a b", &1),
        Request::new("a", &1).delay(Duration::from_secs(1)).at(Millis(1)),
        Request::new("a", &1).id("x").key("x"),
        Request::from_json("a", "{"),
    ];
    for request in wrong {
        let error = world.producer.enqueue(request).await.unwrap_err();
        assert!(matches!(error, EnqueueError::Invalid(_)) && !error.retryable(), "{error}");
    }
    let large = Request::new("a", &"x".repeat(1 << 20));
    let error = world.producer.enqueue(large).await.unwrap_err();
    assert!(matches!(error, EnqueueError::TooLarge { .. }), "{error}");
    assert_eq!(world.broker.published(), 0);
}

#[tokio::test]
async fn the_same_key_with_the_same_args_is_one_task_and_is_not_published_again() {
    let world = World::new();
    let enqueue = || world.producer.task("a", &json!({ "n": 1 })).key("k");
    let first = enqueue().await.unwrap();
    let second = enqueue().await.unwrap();
    assert!(!first.repeated && second.repeated);
    assert_eq!(first.id, second.id);
    assert_eq!(world.broker.published(), 1);
    let other_kind = world.producer.task("b", &json!({ "n": 1 })).key("k").await.unwrap();
    assert!(!other_kind.repeated, "a key belongs to its kind");
}

#[tokio::test]
async fn a_key_or_an_id_with_other_args_is_a_conflict_that_names_the_first_task() {
    let world = World::new();
    let first = world.producer.task("a", &1).key("k").await.unwrap();
    match world.producer.task("a", &2).key("k").await.unwrap_err() {
        EnqueueError::KeyConflict { id, by } => assert_eq!((id, by), (first.id, "key")),
        other => panic!("{other}"),
    }
    world.producer.task("a", &1).id("order-7").await.unwrap();
    assert!(world.producer.task("a", &1).id("order-7").await.unwrap().repeated);
    let error = world.producer.task("b", &1).id("order-7").await.unwrap_err();
    assert!(matches!(error, EnqueueError::KeyConflict { by: "id", .. }), "{error}");
    assert_eq!(world.broker.published(), 2);
}

#[tokio::test]
async fn a_task_that_was_not_confirmed_is_published_again_under_the_id_of_the_error() {
    let world = World::new();
    let within = Duration::from_secs(1);
    world.broker.fail_next(PublishError::Unknown { within, why: "cut".into() });
    let error = world.producer.task("a", &1).key("k").await.unwrap_err();
    assert!(error.retryable());
    let EnqueueError::Publish { id, .. } = error else { panic!("{error}") };
    assert!(world.producer.find(id).await.unwrap().is_none(), "nothing is remembered of it");
    let again = world.producer.task("a", &1).key("k").await.unwrap();
    assert_eq!((again.id, again.repeated), (id, false));

    world.broker.fail_next(PublishError::Blocked("memory".into()));
    let error = world.producer.task("a", &1).await.unwrap_err();
    let EnqueueError::Publish { id, .. } = error else { panic!("{error}") };
    let again = world.producer.task("a", &1).id(id.to_string()).await.unwrap();
    assert_eq!((again.id, again.repeated), (id, false));
    assert_eq!(world.depth("default").await, 2);
}

#[tokio::test]
async fn an_enqueue_succeeds_while_the_records_are_away() {
    let world = World::new();
    world.records.away.store(true, Ordering::SeqCst);
    let first = world.producer.task("a", &1).key("k").await.unwrap();
    let second = world.producer.task("a", &1).key("k").await.unwrap();
    assert_eq!((first.id, second.repeated), (second.id, false));
    assert_eq!(world.broker.published(), 2, "under the same id: the ledger runs it once");
    world.records.away.store(false, Ordering::SeqCst);
    assert!(world.producer.find(first.id).await.unwrap().is_none());
}

#[tokio::test]
async fn without_records_a_repetition_is_recognised_once_a_worker_has_the_task() {
    let world = World::with(Options { record: false, ..Options::default() });
    let first = world.producer.task("a", &1).key("k").await.unwrap();
    assert!(world.producer.find(first.id).await.unwrap().is_none());
    assert!(!world.producer.task("a", &1).key("k").await.unwrap().repeated);
    world.claim(first.id).await;
    let third = world.producer.task("a", &1).key("k").await.unwrap();
    assert_eq!((third.repeated, third.state), (true, TaskState::Running));
}

#[tokio::test]
async fn a_task_that_names_no_queue_or_class_goes_where_its_kind_does() {
    let lanes = [("text.words".parse().unwrap(), "files.low".parse().unwrap())].into();
    let world = World::with(Options { lanes, ..Options::default() });
    let lane = |accepted: leveret_producer::Accepted| accepted.lane.to_string();
    assert_eq!(lane(world.producer.task("text.words", &1).await.unwrap()), "files.low");
    let named = world.producer.task("text.words", &1).queue("mail").class(Class::Normal);
    assert_eq!(lane(named.await.unwrap()), "mail.normal");
    assert_eq!(lane(world.producer.task("other", &1).await.unwrap()), "default.normal");
}
