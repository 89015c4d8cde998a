//! Dead letters on a real broker: what its own counters and limits do to them.
//!
//! What a walk promises on every backend is asked by the desk's suite (`conformance.rs`). Here the
//! store is an embedded one beside RabbitMQ: it is the broker that is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::broker::{Broker, Destination, Place, Publish, Settle};
use leveret_common::clock::{SharedClock, SystemClock};
use leveret_common::desk::walk::Terms;
use leveret_common::desk::{Desk, Plan, Verdict, Walked};
use leveret_common::embedded::{self, Embedded};
use leveret_common::envelope::{HeaderValue, Wire, header};
use leveret_common::name::QueueName;
use leveret_common::store::{Letter, Retention};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::VirtualHost;
use serde_json::json;

use super::{Fixture, SOON, one, place, to, wire};

const LETTERS: usize = 200;

/// A desk on this case's broker, with the folder of its store.
fn desk(on: &Fixture) -> (Desk, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let kept = Duration::from_secs(600);
    let retention = Retention { record: kept, result: kept };
    let config = embedded::Config {
        folder: folder.path().to_owned(),
        namespace: on.namespace.clone(),
        payload_limit: 64 * 1024,
        retention,
    };
    let store = Embedded::open(config, clock.clone()).unwrap();
    let backend = Backend {
        namespace: on.namespace.clone(),
        broker: on.broker.clone(),
        ledger: store.clone(),
        records: store.clone(),
        fleet: store.clone(),
        leases: store.clone(),
        signals: store.clone(),
        letters: store.clone(),
        schedules: store,
        patients: Vec::new(),
        clock,
        retention,
    };
    (Desk::new(backend), folder)
}

struct KeepAll;

impl Plan for KeepAll {
    fn decide(&mut self, _: &Letter, _: &Wire) -> Verdict {
        Verdict::Keep
    }
}

fn queue() -> QueueName {
    "mail".parse().unwrap()
}

fn dead() -> Place {
    Place::Dead(queue())
}

async fn walk(desk: &Desk) -> Walked {
    desk.walk(&queue(), &mut KeepAll, &Terms::default()).await.unwrap()
}

fn letter(body: &str) -> Publish {
    let mut wire = wire(body);
    for (name, value) in [
        (header::REASON, HeaderValue::from("handler")),
        (header::ERROR, "refused".into()),
        (header::ORIGIN, "mail.high".into()),
        (header::DEAD_AT, 1_790_000_000_000_u64.into()),
    ] {
        wire.headers.insert(name.to_owned(), value);
    }
    Publish { to: Destination::Dead(queue()), wire }
}

async fn bury(on: &Fixture, count: usize) {
    let batch: Vec<_> = (0..count).map(|n| letter(&n.to_string())).collect();
    for answer in on.broker.publish(&batch).await {
        answer.unwrap();
    }
    eventually(SOON, "they rest", || async { on.depth(dead()).await == count as u64 }).await;
}

/// Takes everything out: each body, and how often it was there.
async fn drain(on: &Fixture) -> BTreeMap<String, usize> {
    let mut seen = BTreeMap::new();
    let consumer = on.broker.consume(&dead(), 256).await.unwrap();
    while let Ok(batch) = tokio::time::timeout(Duration::from_secs(2), consumer.next(256)).await {
        for delivery in batch {
            assert_eq!(consumer.settle(&[(delivery.receipt, Settle::Ack)]).await, [Ok(())]);
            *seen.entry(String::from_utf8(delivery.wire.body.to_vec()).unwrap()).or_default() += 1;
        }
    }
    consumer.stop().await;
    seen
}

fn all() -> BTreeMap<String, usize> {
    (0..LETTERS).map(|n| (n.to_string(), 1)).collect()
}

pub(super) async fn a_hundred_walks_lose_none_of_two_hundred_letters_and_double_none(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    let (desk, _folder) = desk(&on);
    bury(&on, LETTERS).await;
    let count = LETTERS as u64;
    let expected = Walked { total: count, taken: count, kept: count, ..Walked::default() };
    for turn in 0..100 {
        // The queue counts a letter a moment after it was confirmed.
        eventually(SOON, "all rest", || async { on.depth(dead()).await == count }).await;
        assert_eq!(walk(&desk).await, expected, "walk {turn}");
    }
    // No letter is on its way to the limit of returns that RabbitMQ 4 has where none is set.
    let name = format!("{}.dead.mail", on.namespace);
    let kept = on.host.management.peek(&on.host.name, &name, 1_000).await;
    assert_eq!(kept.len(), LETTERS);
    for letter in &kept {
        let returns = letter["properties"]["headers"]["x-delivery-count"].as_u64().unwrap_or(0);
        assert!(returns <= 1, "{letter}");
    }
    assert_eq!(drain(&on).await, all());
}

pub(super) async fn a_walk_whose_connections_are_killed_loses_no_letter(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let (desk, _folder) = desk(&on);
    bury(&on, LETTERS).await;
    for _ in 0..3 {
        let walk = async {
            // What was begun may fail; it is begun again until one passes after the cut.
            for _ in 0..6 {
                let _walked = desk.walk(&queue(), &mut KeepAll, &Terms::default()).await;
            }
        };
        tokio::join!(walk, on.kill_connections());
    }
    eventually(SOON, "both connections are back", || async { on.broker.check().await.is_ok() })
        .await;
    let seen = drain(&on).await;
    let lost: Vec<_> = all().into_keys().filter(|body| !seen.contains_key(body)).collect();
    assert!(lost.is_empty() && seen.len() == LETTERS, "lost: {lost:?}");
}

/// What falls into the last net because it was returned too often, and was never started, goes
/// back to where it came from, class and all.
pub(super) async fn a_task_that_the_broker_returned_too_often_goes_back_to_its_lane(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    let (desk, _folder) = desk(&on);
    let consumer = on.broker.consume(&place("mail.low"), 1).await.unwrap();
    on.publish(to("mail.low"), "stray").await.unwrap();
    for turn in 0..=1_000 {
        let delivery = one(&consumer).await;
        let returned = consumer.settle(&[(delivery.receipt, Settle::Return)]).await;
        assert_eq!(returned, [Ok(())], "turn {turn}");
    }
    eventually(SOON, "the net has it", || async { on.depth(dead()).await == 1 }).await;
    let walked = walk(&desk).await;
    assert_eq!(walked, Walked { total: 1, taken: 1, returned: 1, ..Walked::default() });
    let delivery = one(&consumer).await;
    assert_eq!(&delivery.wire.body[..], b"stray");
    let count = &delivery.wire.headers.get("x-delivery-count");
    assert!(matches!(count, None | Some(HeaderValue::Int(0))), "it starts anew: {count:?}");
    assert!(!delivery.wire.headers.keys().any(|name| name.starts_with("lv-")), "as it was");
    assert_eq!(consumer.settle(&[(delivery.receipt, Settle::Ack)]).await, [Ok(())]);
    assert_eq!(on.depth(dead()).await, 0);
}

/// A message that somebody put among the dead letters by hand: nobody says where it came from.
pub(super) async fn a_bare_message_among_the_dead_letters_goes_to_the_normal_lane(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    let (desk, _folder) = desk(&on);
    on.publish(to("mail.high"), "declares").await.unwrap();
    let message = json!({"properties": {"type": "demo.echo", "message_id": "foreign-1"},
        "routing_key": "mail", "payload": "\"bare\"", "payload_encoding": "string"});
    let path = on.path("exchanges", "dead/publish");
    assert_eq!(on.call("POST", &path, message).await["routed"], true);
    eventually(SOON, "it rests", || async { on.depth(dead()).await == 1 }).await;
    assert_eq!(walk(&desk).await.returned, 1);
    let consumer = on.broker.consume(&place("mail"), 1).await.unwrap();
    let delivery = one(&consumer).await;
    assert_eq!(&delivery.wire.body[..], b"\"bare\"");
    assert_eq!(delivery.wire.message_id.as_deref(), Some("foreign-1"));
}
