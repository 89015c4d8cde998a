//! What becomes of a foreign message whose routing key no lane is bound to.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use leveret_common::broker::Broker;
use leveret_common::broker::Place;
use leveret_common::clock::{Clock, Millis, SystemClock};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::VirtualHost;
use serde_json::{Value, json};

use super::{Fixture, SOON, acked, one, place, to};

/// How many messages the queue `unrouted` has, those that a sweeper holds included.
async fn unrouted(on: &Fixture) -> Option<u64> {
    let queue = on.call("GET", &on.path("queues", "unrouted"), Value::Null).await;
    queue["messages"].as_u64()
}

pub(super) async fn an_undeclared_lane_is_declared_while_anything_is_consumed(host: VirtualHost) {
    let on = Fixture::new(host).await;
    // Our own first use declares the doors.
    on.publish(to("mail"), "ours").await.unwrap();
    assert!(on.publish_foreign("nobody.high", "\"waits\"").await, "the alternate takes it");
    let name = format!("{}.unrouted", on.namespace);
    let kept = on.host.management.peek(&on.host.name, &name, 10).await;
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(kept[0]["routing_key"], "nobody.high");

    let other = on.broker.consume(&place("mail"), 5).await.unwrap();
    eventually(SOON, "it is in its lane", || async { on.depth(place("nobody.high")).await == 1 })
        .await;
    assert!(on.publish_foreign("plain", "\"plain\"").await);
    let consumer = on.broker.consume(&place("nobody.high"), 5).await.unwrap();
    let delivery = one(&consumer).await;
    assert_eq!(&delivery.wire.body[..], b"\"waits\"");
    assert_eq!(delivery.wire.kind.as_deref(), Some("demo.echo"));
    assert_eq!(delivery.wire.message_id, None, "its id is for the worker to give");
    let plain = on.broker.consume(&place("plain.normal"), 5).await.unwrap();
    assert_eq!(acked(&plain).await, "\"plain\"");
    eventually(SOON, "nothing is left", || async { unrouted(&on).await == Some(0) }).await;
    assert_eq!(acked(&other).await, "ours");
}

pub(super) async fn unrouted_messages_rest_once_the_last_consumer_is_gone(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumers = || async {
        on.call("GET", &on.path("queues", "unrouted"), Value::Null).await["consumers"].as_u64()
    };
    let first = on.broker.consume(&place("mail"), 5).await.unwrap();
    let second = on.broker.consume(&place("post"), 5).await.unwrap();
    eventually(SOON, "one sweeper runs", || async { consumers().await == Some(1) }).await;
    first.stop().await;
    on.publish_foreign("nobody", "\"1\"").await;
    eventually(SOON, "the other consumer's sweeper takes it", || async {
        on.depth(place("nobody")).await == 1
    })
    .await;
    drop(second);
    eventually(SOON, "no sweeper runs", || async { consumers().await == Some(0) }).await;
    assert!(on.publish_foreign("other", "\"2\"").await);
    eventually(SOON, "it rests", || async { unrouted(&on).await == Some(1) }).await;
}

pub(super) async fn a_key_that_is_no_lane_ends_as_a_dead_letter(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let _consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    let message = json!({"routing_key": "Mail.urgent", "payload": "{\"n\":1}",
        "payload_encoding": "string", "properties": {"type": "demo.echo",
        "headers": {"lv-key": "k", "x-death": [{"count": 3}], "other": 1}}});
    let before = SystemClock.now();
    on.call("POST", &on.path("exchanges", "enqueue/publish"), message).await;
    let dead = || Place::Dead("default".parse().unwrap());
    eventually(SOON, "it is dead", || async { on.depth(dead()).await == 1 }).await;
    let name = format!("{}.dead.default", on.namespace);
    let letter = on.host.management.peek(&on.host.name, &name, 10).await.remove(0);
    assert_eq!(letter["payload"], "{\"n\":1}");
    let headers = &letter["properties"]["headers"];
    assert_eq!(headers["lv-reason"], "unroutable");
    assert_eq!(headers["lv-origin"], "Mail.urgent");
    assert_eq!(headers["lv-key"], "k");
    let died_at = Millis(headers["lv-dead-at"].as_u64().unwrap());
    assert!(before <= died_at && died_at <= SystemClock.now(), "{died_at:?}");
    assert!(headers["x-death"].is_null() && headers["other"].is_null(), "{headers}");
    let why = headers["lv-error"].as_str().unwrap();
    assert!(
        why.contains("\"Mail.urgent\" names no lane") && why.contains("<queue>.<class>"),
        "{why}"
    );
    let id = letter["properties"]["message_id"].as_str().unwrap();
    id.parse::<leveret_common::id::TaskId>().unwrap();
    eventually(SOON, "nothing is left", || async { unrouted(&on).await == Some(0) }).await;
}

/// The keys name no lane, so that every one of many messages has to pass the net.
pub(super) async fn unrouted_messages_survive_killed_connections(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let _consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    let killed = AtomicBool::new(false);
    let send = async {
        let mut sent = BTreeSet::new();
        while !killed.load(Ordering::Relaxed) || sent.len() < 100 {
            let body = format!("\"{}\"", sent.len());
            assert!(on.publish_foreign("No Lane", &body).await);
            sent.insert(body);
        }
        sent
    };
    let kill = async {
        on.kill_connections().await;
        killed.store(true, Ordering::Relaxed);
    };
    let (sent, ()) = tokio::join!(send, kill);
    let name = format!("{}.dead.default", on.namespace);
    eventually(SOON, "all are dead letters", || async {
        let letters = on.host.management.peek(&on.host.name, &name, 100_000).await;
        let bodies: BTreeSet<_> =
            letters.iter().filter_map(|letter| letter["payload"].as_str()).collect();
        sent.iter().all(|body| bodies.contains(body.as_str()))
    })
    .await;
    eventually(SOON, "nothing is left", || async { unrouted(&on).await == Some(0) }).await;
}

pub(super) async fn what_cannot_be_moved_is_kept_until_it_can(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let _consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    // Not as we declare it, and bound to nothing.
    let other = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    on.call("PUT", &on.path("queues", "lane.stuck.high"), other).await;
    assert!(on.publish_foreign("stuck.high", "\"stuck\"").await);
    assert!(on.publish_foreign("fine", "\"fine\"").await);
    let depth = |name: &'static str| {
        let on = &on;
        async move { on.depth(place(name)).await }
    };
    eventually(SOON, "the other one passes", || async { depth("fine").await == 1 }).await;
    eventually(SOON, "one is kept", || async { unrouted(&on).await == Some(1) }).await;
    on.delete("queues", "lane.stuck.high").await;
    eventually(SOON, "it is moved", || async { depth("stuck.high").await == 1 }).await;
    eventually(SOON, "nothing is left", || async { unrouted(&on).await == Some(0) }).await;
}
