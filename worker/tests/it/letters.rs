//! Dead letters are listed with what people need to know of them.

use std::time::Duration;

use leveret_common::broker::{Destination, Place as Rest, Publish};
use leveret_common::envelope::{DeadReason, Order, Wire};
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{Gone, Letter, TaskState};
use leveret_common::testkit::eventually;
use leveret_worker::handler::from_fn;
use leveret_worker::{Execution, TaskError};
use serde_json::{Value, json};

use crate::place::{DEADLINE, Place, Running, config, kind};

on_every_backend! {
    a_dead_task_is_listed_with_its_error_its_args_and_where_it_came_from,
    a_message_that_is_no_task_is_listed_too,
}

async fn listed(place: &Place) -> Vec<Letter> {
    place.backend.letters.list(&QueueName::default(), None, 10).await.unwrap()
}

async fn worker(place: &Place) -> Running {
    let fail = from_fn(|_: Value, execution: Execution| async move {
        let attempt = execution.order.attempt;
        Err::<(), _>(TaskError::failed("refused", format!("no answer to attempt {attempt}")))
    });
    place.work(vec![kind("demo.fail", fail)], config()).await
}

async fn a_dead_task_is_listed_with_its_error_its_args_and_where_it_came_from(place: Place) {
    let _worker = worker(&place).await;
    let task = place.producer.task("demo.fail", &json!({"n": 7})).class(Class::High);
    let id = task.key("order-7").max_attempts(2).await.unwrap().id;
    assert_eq!(place.wait(id).await.state, TaskState::Dead);
    let letters = listed(&place).await;
    assert_eq!(letters.len(), 1);
    let letter = &letters[0];
    assert_eq!((letter.id, letter.kind.as_str()), (id, "demo.fail"));
    assert_eq!(letter.origin, "default.high");
    assert_eq!(letter.order, Order { replay: 0, attempt: 2 });
    assert_eq!(letter.reason, Some(DeadReason::AttemptsExhausted));
    assert_eq!(letter.class, "refused");
    assert_eq!(letter.error, "no answer to attempt 2");
    assert_eq!((letter.args.as_str(), letter.key.as_deref()), (r#"{"n":7}"#, Some("order-7")));
    assert!(letter.first_failed_at.unwrap() < letter.died_at);
}

async fn a_message_that_is_no_task_is_listed_too(place: Place) {
    let _worker = worker(&place).await;
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let wire = Wire { kind: Some("NOT a kind".to_owned()), body: "{}".into(), ..Wire::default() };
    place.backend.broker.publish(&[Publish { to, wire }]).await.remove(0).unwrap();
    eventually(DEADLINE, "it is listed", || async { !listed(&place).await.is_empty() }).await;
    let letter = listed(&place).await.remove(0);
    assert_eq!((letter.kind.as_str(), letter.args.as_str()), ("NOT a kind", "{}"));
    assert_eq!(letter.reason, Some(DeadReason::Malformed));
    assert_eq!(letter.origin, "default.normal");
}

/// The keeper looks each 15 s, and walks what was wrong twice: once is enough here, because it is
/// the same on every backend.
#[tokio::test]
async fn a_list_that_has_lost_a_letter_is_mended_beside_the_worker() {
    let place = Place::embedded();
    let _worker = worker(&place).await;
    let id = place.producer.task("demo.fail", &json!(1)).max_attempts(1).await.unwrap().id;
    assert_eq!(place.wait(id).await.state, TaskState::Dead);
    let Letter { id, queue, order, .. } = listed(&place).await.remove(0);
    place.backend.letters.forget(&[Gone { id, queue: queue.clone(), order }]).await.unwrap();
    assert!(listed(&place).await.is_empty());
    let patience = Duration::from_secs(90);
    eventually(patience, "the keeper has seen it", || async { !listed(&place).await.is_empty() })
        .await;
    assert_eq!(listed(&place).await[0].id, id);
    let rest = place.backend.broker.survey(&[Rest::Dead(queue)]).await.unwrap()[0];
    assert_eq!(rest.depth, 1, "the letter is where it was");
}
