//! Many tasks at once.

use leveret_common::broker::PublishError;
use leveret_producer::{EnqueueError, Request};

use crate::world::World;

#[tokio::test]
async fn each_request_is_answered_in_its_place_and_a_wrong_one_hinders_no_other() {
    let world = World::new();
    let requests: Vec<Request> = (0..1_203)
        .map(|n| {
            if n % 100 == 7 {
                Request::new("not a kind", &n)
            } else {
                Request::new("a", &n).id(format!("n{n}"))
            }
        })
        .collect();
    let answers = world.producer.enqueue_all(requests).await;
    assert_eq!(answers.len(), 1_203);
    for (n, answer) in answers.into_iter().enumerate() {
        if n % 100 == 7 {
            assert!(matches!(answer, Err(EnqueueError::Invalid(_))), "{n}");
        } else {
            assert_eq!(answer.unwrap().id, world.producer.id_of(&format!("n{n}")).unwrap(), "{n}");
        }
    }
    assert_eq!(world.depth("default").await, 1_203 - 12);
}

#[tokio::test]
async fn a_failed_publish_is_the_answer_of_its_own_request_only() {
    let world = World::new();
    world.broker.fail_next(PublishError::Rejected("full".into()));
    let answers =
        world.producer.enqueue_all(vec![Request::new("a", &1), Request::new("a", &2)]).await;
    assert!(matches!(answers[0], Err(EnqueueError::Publish { .. })));
    assert!(answers[1].is_ok());
}

#[tokio::test]
async fn one_key_within_a_batch_is_one_task() {
    let world = World::new();
    let request = |args: u32| Request::new("a", &args).key("k");
    let answers = world.producer.enqueue_all(vec![request(1), request(1), request(2)]).await;
    let first = answers[0].as_ref().unwrap();
    let second = answers[1].as_ref().unwrap();
    assert_eq!((first.id, first.repeated, second.repeated), (second.id, false, true));
    assert!(matches!(answers[2], Err(EnqueueError::KeyConflict { .. })));
    assert_eq!(world.broker.published(), 1);
}

#[tokio::test]
async fn where_the_first_of_a_key_fails_the_next_one_is_published() {
    let world = World::new();
    world.broker.fail_next(PublishError::Blocked("disk".into()));
    let request = || Request::new("a", &1).key("k");
    let answers = world.producer.enqueue_all(vec![request(), request(), request()]).await;
    assert!(answers[0].is_err());
    assert!(!answers[1].as_ref().unwrap().repeated);
    assert!(answers[2].as_ref().unwrap().repeated);
    assert_eq!(world.depth("default").await, 1);
}

#[tokio::test]
async fn no_requests_are_no_answers() {
    assert!(World::new().producer.enqueue_all(Vec::new()).await.is_empty());
}
