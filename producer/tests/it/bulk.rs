//! Many tasks at once.

use std::time::Duration;

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
    world.broker.fail_next(PublishError::Rejected("full".into()));
    let request = || Request::new("a", &1).key("k");
    let answers = world.producer.enqueue_all(vec![request(), request(), request()]).await;
    assert!(answers[0].is_err());
    assert!(!answers[1].as_ref().unwrap().repeated);
    assert!(answers[2].as_ref().unwrap().repeated);
    assert_eq!(world.depth("default").await, 1);
}

#[tokio::test]
async fn a_broker_that_is_away_is_waited_for_once_for_all_that_have_one_id() {
    let unknown =
        PublishError::Unknown { within: Duration::from_secs(10), why: "it is silent".into() };
    for error in [PublishError::Unavailable("gone".into()), unknown] {
        let world = World::new();
        world.broker.fail_next(error);
        let request = |args: u32| Request::new("a", &args).key("k");
        let answers = world.producer.enqueue_all(vec![request(1), request(1), request(2)]).await;
        let told: Vec<String> =
            answers.into_iter().map(|answer| answer.unwrap_err().to_string()).collect();
        assert!(told.iter().all(|why| *why == told[0] && why.contains("publish")), "{told:?}");
        // The broker was back at once: whoever asked it again would have been heard.
        assert_eq!(world.broker.published(), 0);
    }
}

#[tokio::test]
async fn where_the_broker_took_nothing_of_a_chunk_those_after_it_are_not_tried() {
    let world = World::new();
    let requests = || (0..1_001).map(|n| Request::new("a", &n).id(format!("n{n}"))).collect();
    (0..500).for_each(|_| world.broker.fail_next(PublishError::Unavailable("gone".into())));
    let answers = world.producer.enqueue_all(requests()).await;
    let told = answers.iter().map(|answer| answer.as_ref().unwrap_err());
    assert!(told.clone().all(EnqueueError::retryable));
    let untried = told.filter(|error| error.to_string().contains("not tried")).count();
    assert_eq!((answers.len(), untried, world.broker.published()), (1_001, 501, 0));
    assert!(world.producer.enqueue_all(requests()).await.iter().all(Result::is_ok));
}

fn silent() -> PublishError {
    PublishError::Unknown { within: Duration::from_secs(10), why: "it is silent".into() }
}

#[tokio::test]
async fn a_task_that_may_be_there_is_never_said_to_be_unsent() {
    let world = World::new();
    (0..499).for_each(|_| world.broker.fail_next(PublishError::Unavailable("gone".into())));
    world.broker.fail_next(silent());
    // The last of the first chunk and the first of the next stand for one task.
    let id = |n: u32| if n == 500 { "n499".to_owned() } else { format!("n{n}") };
    let requests = (0..502).map(|n| Request::new("a", &id(n)).id(id(n))).collect();
    let answers = world.producer.enqueue_all(requests).await;
    let unknown = |answer: &Result<_, EnqueueError>| {
        matches!(answer, Err(EnqueueError::Publish { source: PublishError::Unknown { .. }, .. }))
    };
    let told: Vec<usize> = (0..502).filter(|n| unknown(&answers[*n])).collect();
    assert_eq!((told, world.broker.published()), (vec![499, 500], 0));
}

#[tokio::test]
async fn where_nothing_is_known_of_a_chunk_and_the_broker_is_well_those_after_it_are_tried() {
    let world = World::new();
    (0..500).for_each(|_| world.broker.fail_next(silent()));
    let requests = (0..600).map(|n| Request::new("a", &n).id(format!("n{n}"))).collect();
    let answers = world.producer.enqueue_all(requests).await;
    assert!(answers.iter().enumerate().all(|(n, answer)| answer.is_ok() == (n >= 500)));
}

#[tokio::test]
async fn where_the_broker_took_anything_of_a_chunk_those_after_it_are_tried() {
    let world = World::new();
    (0..499).for_each(|_| world.broker.fail_next(PublishError::Unavailable("gone".into())));
    let requests = (0..600).map(|n| Request::new("a", &n).id(format!("n{n}"))).collect();
    let answers = world.producer.enqueue_all(requests).await;
    assert!(answers.iter().enumerate().all(|(n, answer)| answer.is_ok() == (n >= 499)));
}

#[tokio::test]
async fn no_requests_are_no_answers() {
    assert!(World::new().producer.enqueue_all(Vec::new()).await.is_empty());
}
