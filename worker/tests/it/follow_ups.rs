//! Tasks that handlers enqueue: with a success, or during the run.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use leveret_common::broker::{Destination, Place as Rest, Publish, Settle};
use leveret_common::envelope::{Decoded, Envelope, decode};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, KindName, Lane};
use leveret_common::store::{TaskState, TaskView};
use leveret_common::testkit::eventually;
use leveret_producer::Request;
use leveret_worker::handler::{MAX_RESULT, Reply, echo, from_fn};
use leveret_worker::{Execution, Handler, TaskError};
use serde_json::{Value, json};

use crate::place::{DEADLINE, Place, config, kind};

on_every_backend! {
    follow_ups_are_enqueued_with_the_success_under_ids_that_derive_from_the_parent,
    a_follow_up_carries_parent_root_and_trace,
    a_delayed_follow_up_starts_when_it_is_due_and_not_before,
    a_follow_up_that_an_enqueue_would_refuse_fails_the_attempt_and_none_is_enqueued,
    a_failed_attempt_enqueues_nothing,
    what_is_enqueued_during_the_run_is_the_same_task_when_the_attempt_is_made_again,
    a_keyed_follow_up_that_was_accepted_before_is_that_task,
}

/// A lane that no worker serves, where messages can be looked at.
fn aside() -> Lane {
    Lane::new("aside".parse().unwrap(), Class::High)
}

fn to_aside(args: &Value) -> Request {
    Request::new("demo.next", args).queue("aside").class(Class::High)
}

fn next_id(parent: TaskId, args: &Value, ordinal: u32) -> TaskId {
    let next: KindName = "demo.next".parse().unwrap();
    parent.follow_up(0, &next, args.to_string().as_bytes(), ordinal)
}

impl Place {
    async fn depth_of_aside(&self) -> u64 {
        self.backend.broker.survey(&[Rest::Lane(aside())]).await.unwrap()[0].depth
    }

    /// Takes `count` messages from the lane that nobody serves.
    async fn take_aside(&self, count: usize) -> Vec<Envelope> {
        let consumer = self.backend.broker.consume(&Rest::Lane(aside()), 10).await.unwrap();
        let mut taken = Vec::new();
        while taken.len() < count {
            for delivery in consumer.next(10).await {
                let decoded = decode(&self.backend.namespace, &delivery.wire).unwrap();
                let Decoded::Task(envelope) = decoded else { panic!("{decoded:?}") };
                taken.push(*envelope);
                consumer.settle(&[(delivery.receipt, Settle::Ack)]).await[0].as_ref().unwrap();
            }
        }
        consumer.stop().await;
        taken
    }

    async fn run_once(&self, handler: Arc<dyn Handler>) -> TaskView {
        let worker = self.work(vec![kind("demo.parent", handler)], config()).await;
        let id = self.producer.task("demo.parent", &()).max_attempts(1).await.unwrap().id;
        let view = self.wait(id).await;
        worker.drain().await;
        view
    }
}

async fn follow_ups_are_enqueued_with_the_success_under_ids_that_derive_from_the_parent(
    place: Place,
) {
    let parent = from_fn(|_: Value, _| async move {
        let next = |n: u32| Request::new("demo.next", &json!(n)).tag("of", "parent");
        // Two are alike, and two tasks.
        let reply = Reply::new("done")?.follow_up(next(1)).follow_up(next(2)).follow_up(next(1));
        Ok::<_, TaskError>(reply.follow_up(next(3).key("three")))
    });
    let kinds = vec![kind("demo.parent", parent), kind("demo.next", echo())];
    let _worker = place.work(kinds, config()).await;
    let id = place.producer.task("demo.parent", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!(view.result.as_deref(), Some(r#""done""#));
    let keyed = TaskId::from_key(&place.backend.namespace, &"demo.next".parse().unwrap(), "three");
    let children = [
        (next_id(id, &json!(1), 0), "1"),
        (next_id(id, &json!(2), 0), "2"),
        (next_id(id, &json!(1), 1), "1"),
        (keyed.unwrap(), "3"),
    ];
    for (child, result) in children {
        let view = place.wait(child).await;
        assert_eq!((view.state, view.result.as_deref()), (TaskState::Done, Some(result)));
        assert_eq!(view.history.len(), 1);
        // Remembered as any accepted task.
        let record = view.enqueued.unwrap();
        assert_eq!(record.tags["of"], "parent");
        assert_eq!(record.key.as_deref(), (result == "3").then_some("three"));
    }
}

async fn a_follow_up_carries_parent_root_and_trace(place: Place) {
    let chain = from_fn(|depth: u32, _| async move {
        let next = json!(depth + 1);
        let request = if depth == 0 { Request::new("demo.chain", &next) } else { to_aside(&next) };
        Ok::<_, TaskError>(Reply::default().follow_up(request))
    });
    let _worker = place.work(vec![kind("demo.chain", chain)], config()).await;
    let id = TaskId::mint();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let mut first = Envelope::new(id, "demo.chain".parse().unwrap(), Bytes::from_static(b"0"));
    first.fixed.trace.insert("traceparent".to_owned(), trace.to_owned());
    let lane = Lane::new("default".parse().unwrap(), Class::Normal);
    let publish = Publish { to: Destination::Lane(lane), wire: first.to_wire() };
    place.backend.broker.publish(&[publish]).await[0].as_ref().unwrap();

    let taken = place.take_aside(1).await;
    let middle = id.follow_up(0, &"demo.chain".parse().unwrap(), b"1", 0);
    assert_eq!(taken[0].id, next_id(middle, &json!(2), 0));
    let fixed = &taken[0].fixed;
    assert_eq!(fixed.parent, Some(middle));
    assert_eq!(fixed.root, Some(id.to_string()), "the first of the family");
    assert_eq!(fixed.trace["traceparent"], trace);
    assert_eq!(fixed.producer.as_deref(), Some("leveret-worker"));
}

async fn a_delayed_follow_up_starts_when_it_is_due_and_not_before(place: Place) {
    let wait = Duration::from_millis(700);
    let parent = from_fn(move |_: Value, _| async move {
        let later = Request::new("demo.next", &json!(1)).delay(wait);
        Ok::<_, TaskError>(Reply::default().follow_up(later))
    });
    let kinds = vec![kind("demo.parent", parent), kind("demo.next", echo())];
    let _worker = place.work(kinds, config()).await;
    let id = place.producer.task("demo.parent", &()).await.unwrap().id;
    let began = place.wait(id).await.history[0].started_at.unwrap();
    let view = place.wait(next_id(id, &json!(1), 0)).await;
    let due = view.enqueued.unwrap().not_before.unwrap();
    // The delay counts from the answer.
    assert!(due >= began.after(wait), "{due:?} {began:?}");
    assert!(view.history[0].started_at.unwrap() >= due);
}

async fn a_follow_up_that_an_enqueue_would_refuse_fails_the_attempt_and_none_is_enqueued(
    place: Place,
) {
    let good = || to_aside(&json!(1));
    let replies = [
        (
            vec![good(), Request::new("demo.next", &()).queue("No Queue")],
            "follow-up 2 of 2, kind \"demo.next\": failed to enqueue: queue: ",
        ),
        (vec![good(); 101], "there are 101 follow-ups; at most 100"),
        (
            vec![
                good(),
                to_aside(&json!("x".repeat(600_000))),
                to_aside(&json!("y".repeat(600_000))),
            ],
            "bytes of args; at most 1048576",
        ),
        (
            vec![good().key("k"), to_aside(&json!(2)).key("k")],
            "follow-up 2 of 2, kind \"demo.next\": failed to enqueue: the key was used before",
        ),
    ];
    for (requests, told) in replies {
        let parent = from_fn(move |_: Value, _| {
            let requests = requests.clone();
            async move {
                let reply = requests.into_iter().fold(Reply::default(), Reply::follow_up);
                Ok::<_, TaskError>(reply)
            }
        });
        let view = place.run_once(parent).await;
        assert_eq!(view.state, TaskState::Dead);
        let failure = view.history[0].failure.as_ref().unwrap();
        assert_eq!(failure.class, "follow-ups");
        assert!(failure.message.contains(told), "{}", failure.message);
    }
    assert_eq!(place.depth_of_aside().await, 0);
}

async fn a_failed_attempt_enqueues_nothing(place: Place) {
    let parent = from_fn(|_: Value, execution: Execution| async move {
        let attempt = execution.order.attempt;
        // Its follow-ups are as good as those of a success, and its result is not.
        let result = if attempt < 3 { "x".repeat(MAX_RESULT) } else { "short".to_owned() };
        Ok::<_, TaskError>(Reply::new(&result)?.follow_up(to_aside(&json!(attempt))))
    });
    let _worker = place.work(vec![kind("demo.parent", parent)], config()).await;
    let id = place.producer.task("demo.parent", &()).await.unwrap().id;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 3));
    assert_eq!(view.history[0].failure.as_ref().unwrap().class, "result");
    // By the attempt that succeeded, under an id in which no attempt counts.
    assert_eq!(place.take_aside(1).await[0].id, next_id(id, &json!(3), 0));
    assert_eq!(place.depth_of_aside().await, 0);
}

async fn what_is_enqueued_during_the_run_is_the_same_task_when_the_attempt_is_made_again(
    place: Place,
) {
    let parent = from_fn(|_: Value, execution: Execution| async move {
        for n in [1, 2, 1] {
            execution.enqueue(to_aside(&json!(n))).await?;
        }
        if execution.order.attempt == 1 {
            return Err(TaskError::failed("not-yet", "after the enqueues"));
        }
        // Alike with two of before: the third of its sort.
        Ok(Reply::default().follow_up(to_aside(&json!(1))))
    });
    let _worker = place.work(vec![kind("demo.parent", parent)], config()).await;
    let id = place.producer.task("demo.parent", &()).await.unwrap().id;
    assert_eq!(place.wait(id).await.state, TaskState::Done);
    let mut taken: Vec<_> = place.take_aside(7).await.iter().map(|next| next.id).collect();
    taken.sort_unstable();
    let (ones, two) = ([0, 1, 2].map(|n| next_id(id, &json!(1), n)), next_id(id, &json!(2), 0));
    let mut expected = vec![ones[0], ones[0], ones[1], ones[1], ones[2], two, two];
    expected.sort_unstable();
    assert_eq!(taken, expected, "two attempts, the same three tasks, and a follow-up");
}

async fn a_keyed_follow_up_that_was_accepted_before_is_that_task(place: Place) {
    let first = place.producer.enqueue(to_aside(&json!(1)).key("k")).await.unwrap();
    assert_eq!(place.take_aside(1).await[0].id, first.id);
    let repeat = |args: Value| {
        from_fn(move |_: Value, _| {
            let next = to_aside(&args).key("k");
            async move { Ok::<_, TaskError>(Reply::default().follow_up(next)) }
        })
    };
    assert_eq!(place.run_once(repeat(json!(1))).await.state, TaskState::Done);
    let view = place.run_once(repeat(json!(2))).await;
    assert_eq!(view.state, TaskState::Dead);
    let failure = view.history[0].failure.as_ref().unwrap();
    assert!(failure.message.contains("the key was used before"), "{}", failure.message);
    eventually(DEADLINE, "nothing is published", || async { place.depth_of_aside().await == 0 })
        .await;
}
