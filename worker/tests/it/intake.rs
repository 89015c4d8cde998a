//! What the worker makes of messages that are not simply due tasks of a known kind.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use leveret_common::broker::{Destination, Place as Rest, Publish, Settle};
use leveret_common::clock::{Clock as _, Millis};
use leveret_common::envelope::{DeadReason, Envelope, HeaderValue, Wire, header};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{Letter, TaskState};
use leveret_common::testkit::eventually;
use leveret_worker::handler::{echo, from_fn};
use serde_json::json;

use crate::place::{DEADLINE, Place, Running, config, kind};

on_every_backend! {
    whatever_is_no_task_becomes_a_dead_letter_and_the_lane_goes_on,
    a_message_with_only_a_kind_and_a_body_gets_an_id_and_runs_once,
    the_same_task_published_three_times_runs_once,
    many_tasks_published_three_times_run_once_each,
    a_delayed_task_starts_when_it_is_due_and_not_before,
    an_unknown_kind_waits_for_the_worker_that_knows_it,
    an_unknown_kind_is_dead_after_a_deploys_time,
    a_newer_version_waits_for_a_newer_worker_and_is_dead_after_a_deploys_time,
    an_expired_task_is_not_started,
    with_all_lanes_full_urgent_classes_get_their_share_and_low_is_not_starved,
}

async fn publish_raw(place: &Place, wire: Wire) {
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let answers = place.backend.broker.publish(&[Publish { to, wire }]).await;
    assert!(answers[0].is_ok(), "{answers:?}");
}

async fn dead_letters(place: &Place) -> u64 {
    place.backend.broker.survey(&[Rest::Dead(QueueName::default())]).await.unwrap()[0].depth
}

async fn whatever_is_no_task_becomes_a_dead_letter_and_the_lane_goes_on(place: Place) {
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let text = |text: &str| Some(text.to_owned());
    let deep = "[".repeat(100_000);
    for wire in [
        Wire::default(),
        Wire { kind: text("demo.echo"), body: "{".into(), ..Wire::default() },
        Wire { kind: text("demo.echo"), body: deep.into(), ..Wire::default() },
        Wire { kind: text("demo.echo"), body: vec![0xff, 0xfe].into(), ..Wire::default() },
        Wire { kind: text("no kind!"), body: "{}".into(), ..Wire::default() },
        Wire {
            kind: text("demo.echo"),
            body: "{}".into(),
            headers: [(header::ATTEMPT.to_owned(), HeaderValue::Int(-1))].into(),
            ..Wire::default()
        },
    ] {
        publish_raw(&place, wire).await;
    }
    let id = place.producer.task("demo.echo", &json!(1)).await.unwrap().id;
    assert_eq!(place.wait(id).await.state, TaskState::Done);
    eventually(DEADLINE, "all six are dead letters", || async { dead_letters(&place).await == 6 })
        .await;
}

async fn a_message_with_only_a_kind_and_a_body_gets_an_id_and_runs_once(place: Place) {
    let ids = Arc::new(Mutex::new(Vec::new()));
    let journal = Arc::clone(&ids);
    let note = from_fn(move |_: serde_json::Value, execution: leveret_worker::Execution| {
        journal.lock().unwrap().push(execution.id);
        async { Ok(()) }
    });
    let _worker = place.work(vec![kind("demo.note", note)], config()).await;
    let wire = Wire { kind: Some("demo.note".to_owned()), body: "{}".into(), ..Wire::default() };
    publish_raw(&place, wire).await;
    eventually(DEADLINE, "it ran", || async { !ids.lock().unwrap().is_empty() }).await;
    let id = ids.lock().unwrap()[0];
    assert_eq!(place.wait(id).await.state, TaskState::Done);
    assert_eq!(ids.lock().unwrap().len(), 1);
}

async fn the_same_task_published_three_times_runs_once(place: Place) {
    let runs = Arc::new(Mutex::new(0));
    let count = Arc::clone(&runs);
    let note = from_fn(move |_: serde_json::Value, _| {
        *count.lock().unwrap() += 1;
        async { Ok(()) }
    });
    let _worker = place.work(vec![kind("demo.note", note)], config()).await;
    let wire = Wire {
        message_id: Some("order-7".to_owned()),
        kind: Some("demo.note".to_owned()),
        body: "{}".into(),
        ..Wire::default()
    };
    for _ in 0..3 {
        publish_raw(&place, wire.clone()).await;
    }
    let id = place.producer.id_of("order-7").unwrap();
    assert_eq!(place.wait(id).await.state, TaskState::Done);
    // A later task on the same lane: when it is done, the copies before it are settled.
    let last = place.producer.task("demo.note", &()).await.unwrap().id;
    place.wait(last).await;
    assert_eq!(*runs.lock().unwrap(), 2);
}

async fn many_tasks_published_three_times_run_once_each(place: Place) {
    const TASKS: usize = 200;
    let runs = Arc::new(Mutex::new(Vec::new()));
    let journal = Arc::clone(&runs);
    let note = from_fn(move |_: serde_json::Value, execution: leveret_worker::Execution| {
        journal.lock().unwrap().push(execution.id);
        async { Ok(()) }
    });
    let _worker = place.work(vec![kind("demo.note", note)], config()).await;
    let ids: Vec<_> = (0..TASKS).map(|_| TaskId::mint()).collect();
    // Copies side by side: their claims go out together.
    let to = Destination::Lane(Lane::new(QueueName::default(), Class::Normal));
    let batch: Vec<_> = ids
        .iter()
        .flat_map(|id| [id; 3])
        .map(|id| Wire {
            message_id: Some(id.to_string()),
            kind: Some("demo.note".to_owned()),
            body: "{}".into(),
            ..Wire::default()
        })
        .map(|wire| Publish { to: to.clone(), wire })
        .collect();
    for answer in place.backend.broker.publish(&batch).await {
        answer.unwrap();
    }
    for id in &ids {
        assert_eq!(place.wait(*id).await.state, TaskState::Done);
    }
    // A copy whose task was busy is parked for a second: this one comes after all of them.
    let last = place.producer.task("demo.note", &()).delay(Duration::from_millis(1_500));
    place.wait(last.await.unwrap().id).await;
    let mut runs = runs.lock().unwrap().clone();
    runs.sort();
    let all = runs.len();
    runs.dedup();
    assert_eq!((runs.len(), all), (TASKS + 1, TASKS + 1), "runs of as many tasks");
}

async fn a_delayed_task_starts_when_it_is_due_and_not_before(place: Place) {
    let starts = Arc::new(Mutex::new(Vec::new()));
    let journal = Arc::clone(&starts);
    let note = from_fn(move |_: serde_json::Value, _| {
        journal.lock().unwrap().push(leveret_common::clock::SystemClock.now());
        async { Ok(()) }
    });
    let _worker = place.work(vec![kind("demo.note", note)], config()).await;
    let accepted =
        place.producer.task("demo.note", &()).delay(Duration::from_millis(700)).await.unwrap();
    assert_eq!(accepted.state, TaskState::Delayed);
    place.wait(accepted.id).await;
    assert!(starts.lock().unwrap()[0] >= accepted.not_before.unwrap());
}

async fn an_unknown_kind_waits_for_the_worker_that_knows_it(place: Place) {
    let old = place.work(vec![kind("demo.old", echo())], config()).await;
    let id = place.producer.task("demo.new", &json!("hello")).await.unwrap().id;
    let parked = take_parked(&place, old).await;
    assert_eq!(parked.number(header::PARKS), Some(1));
    let since = parked.number(header::PARKED_SINCE).map(Millis).unwrap();
    let until = parked.number(header::NOT_BEFORE).map(Millis).unwrap();
    assert_eq!(until.since(since), Duration::from_secs(5), "the first park");
    publish_raw(&place, parked).await;
    let _new = place.work(vec![kind("demo.new", echo())], config()).await;
    let view = place.wait(id).await;
    assert_eq!((view.state, view.attempt), (TaskState::Done, 1));
}

async fn an_unknown_kind_is_dead_after_a_deploys_time(place: Place) {
    let _worker = place.work(vec![kind("demo.old", echo())], config()).await;
    let id = TaskId::mint();
    publish_raw(&place, long_parked(&place, id)).await;
    assert_eq!(place.wait(id).await.state, TaskState::Dead);
    let letter = only_letter(&place).await;
    assert_eq!((letter.id, letter.reason), (id, Some(DeadReason::NoHandler)));
    assert_eq!((letter.kind.as_str(), letter.args.as_str()), ("demo.new", "[7]"));
}

async fn a_newer_version_waits_for_a_newer_worker_and_is_dead_after_a_deploys_time(place: Place) {
    let worker = place.work(vec![kind("demo.old", echo())], config()).await;
    let (fresh, old) = (TaskId::mint(), TaskId::mint());
    let newer = |id, headers: &[&str]| {
        let mut wire = long_parked(&place, id);
        wire.headers.retain(|name, _| headers.contains(&name.as_str()));
        wire.headers.insert(header::VERSION.to_owned(), 2_u32.into());
        wire.headers.insert("lv-of-tomorrow".to_owned(), "kept".into());
        wire
    };
    publish_raw(&place, newer(old, &[header::PARKS, header::PARKED_SINCE])).await;
    let letter = only_letter(&place).await;
    assert_eq!((letter.id, letter.reason), (old, Some(DeadReason::UnsupportedVersion)));
    assert_eq!(letter.args, "[7]");

    publish_raw(&place, newer(fresh, &[])).await;
    let parked = take_parked(&place, worker).await;
    assert_eq!(parked.message_id, Some(fresh.to_string()));
    assert_eq!((parked.number(header::VERSION), parked.number(header::PARKS)), (Some(2), Some(1)));
    assert_eq!(parked.text("lv-of-tomorrow"), Some("kept"));
    assert_eq!(dead_letters(&place).await, 1);
}

/// A task of a kind that nobody knows, parked for the first time longer ago than a deploy takes.
fn long_parked(place: &Place, id: TaskId) -> Wire {
    let mut task = Envelope::new(id, "demo.new".parse().unwrap(), "[7]".into());
    task.moving.parks = 14;
    let long_ago = place.backend.clock.now().0 - 11 * 60 * 1_000;
    task.moving.parked_since = Some(Millis(long_ago));
    task.to_wire()
}

/// Waits until the worker has taken what is in the lane, ends it, and takes what comes next: had the
/// worker not parked it, that would be the message as it was.
async fn take_parked(place: &Place, worker: Running) -> Wire {
    let lane = Rest::Lane(Lane::new(QueueName::default(), Class::Normal));
    eventually(DEADLINE, "the worker has taken it", || async {
        place.backend.broker.survey(std::slice::from_ref(&lane)).await.unwrap()[0].depth == 0
    })
    .await;
    worker.drain().await;
    let consumer = place.backend.broker.consume(&lane, 1).await.unwrap();
    let delivery = consumer.next(1).await.remove(0);
    consumer.settle(&[(delivery.receipt, Settle::Ack)]).await[0].as_ref().unwrap();
    consumer.stop().await;
    delivery.wire
}

async fn only_letter(place: &Place) -> Letter {
    let letters =
        || async { place.backend.letters.list(&QueueName::default(), None, 10).await.unwrap() };
    eventually(DEADLINE, "a dead letter is listed", || async { !letters().await.is_empty() }).await;
    let mut letters = letters().await;
    assert_eq!((letters.len(), dead_letters(place).await), (1, 1));
    letters.remove(0)
}

async fn an_expired_task_is_not_started(place: Place) {
    let expires = Duration::from_millis(1);
    let id = place.producer.task("demo.echo", &()).expires(expires).await.unwrap().id;
    let begun = place.backend.clock.now();
    eventually(DEADLINE, "it is expired", || async {
        place.backend.clock.now().since(begun) > 2 * expires
    })
    .await;
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let view = place.wait(id).await;
    assert_eq!(view.state, TaskState::Expired);
    assert!(view.history.iter().all(|note| note.started_at.is_none()), "it never ran: {view:?}");
}

async fn with_all_lanes_full_urgent_classes_get_their_share_and_low_is_not_starved(place: Place) {
    for class in Class::ALL {
        let requests = (0..150)
            .map(|_| leveret_producer::Request::new("demo.note", class.as_str()).class(class))
            .collect();
        for answer in place.producer.enqueue_all(requests).await {
            answer.unwrap();
        }
    }
    let order = Arc::new(Mutex::new(Vec::new()));
    let journal = Arc::clone(&order);
    let note = from_fn(move |class: String, _| {
        journal.lock().unwrap().push(class);
        async { Ok(()) }
    });
    let slots = 8;
    let config = leveret_worker::Config { slots, ..config() };
    let _worker = place.work(vec![kind("demo.note", note)], config).await;
    eventually(DEADLINE, "150 tasks ran", || async { order.lock().unwrap().len() >= 150 }).await;
    let seen: Vec<_> = order.lock().unwrap().iter().take(150).cloned().collect();
    let share = |class: &str| seen.iter().filter(|seen| *seen == class).count();
    assert!(share("low") > 0, "low starved: {seen:?}");
    assert!(share("critical") > share("low"), "critical did not go first: {seen:?}");
}
