//! What the broker writes on a message that it moved goes no further than the worker that reads it.
//!
//! RabbitMQ 3 reads there where a message has been. One that comes to such a place again by itself, as
//! from a delay to its lane, goes in a circle: it is confirmed, and then dropped.

use std::time::Duration;

use leveret_common::broker::{Destination, Publish};
use leveret_common::envelope::{HeaderValue, Headers, Wire};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::TaskState;
use leveret_worker::handler::from_fn;
use leveret_worker::{Execution, TaskError};
use serde_json::Value;

use crate::place::{Place, config, kind};

on_every_backend! {
    a_task_that_the_broker_has_moved_before_is_delayed_like_any_other,
}

/// Returns the header that tells of a message which was moved out of its lane, as the broker writes it.
fn moved_out_of(queue: &str) -> HeaderValue {
    let death = Headers::from([
        ("count".to_owned(), HeaderValue::Int(1)),
        ("exchange".to_owned(), "".into()),
        ("queue".to_owned(), queue.into()),
        ("reason".to_owned(), "expired".into()),
        ("routing-keys".to_owned(), HeaderValue::List(vec![queue.into()])),
        ("time".to_owned(), HeaderValue::Time(1_790_000_000)),
    ]);
    HeaderValue::List(vec![HeaderValue::Table(death)])
}

async fn a_task_that_the_broker_has_moved_before_is_delayed_like_any_other(place: Place) {
    // Longer than what a worker waits itself: it goes through a delay queue.
    const WAIT: Duration = Duration::from_millis(300);
    let busy = from_fn(|_: Value, execution: Execution| async move {
        match execution.order.attempt {
            attempt @ 3.. => Ok(attempt),
            _ => Err(TaskError::retry_in(WAIT, "busy")),
        }
    });
    let _worker = place.work(vec![kind("demo.busy", busy)], config()).await;
    let (id, lane) = (TaskId::mint(), Lane::new(QueueName::default(), Class::Normal));
    let queue = format!("{}.lane.{lane}", place.backend.namespace);
    let wire = Wire {
        message_id: Some(id.to_string()),
        kind: Some("demo.busy".to_owned()),
        body: "null".into(),
        headers: Headers::from([("x-death".to_owned(), moved_out_of(&queue))]),
        ..Wire::default()
    };
    let publish = Publish { to: Destination::Lane(lane), wire };
    place.backend.broker.publish(&[publish]).await.remove(0).unwrap();
    let ended = place.producer.wait(id, Duration::from_secs(20)).await.unwrap();
    let ended = ended.map(|view| (view.state, view.attempt));
    assert_eq!(ended, Some((TaskState::Done, 3)), "it is lost");
}
