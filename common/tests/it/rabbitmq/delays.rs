//! Waits of any length: through a crash of the broker, and for more than a year.
//!
//! The broker may hand a task out early, to be parked again; [`due`] does what a worker does then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use leveret_common::broker::rabbitmq::RabbitMq;
use leveret_common::broker::{
    Broker, Consumer, Delivery, Destination, Publish, PublishError, Settle,
};
use leveret_common::clock::{Clock, ManualClock, Millis, SystemClock};
use leveret_common::envelope::{Wire, header};
use leveret_common::spawn::Spawner;
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::{VirtualHost, fresh_namespace};
use leveret_nodes::{Generation, or_skip};
use serde_json::json;

use super::{Fixture, SOON, config, connect, lane, one, place, wire};

/// A rest shorter than this is waited by the receiver.
const SHORTEST_BUCKET: Duration = Duration::from_millis(250);

fn later(body: &str, until: Millis) -> Publish {
    later_in("mail.high", body, until)
}

fn later_in(name: &str, body: &str, until: Millis) -> Publish {
    let mut wire = wire(body);
    wire.headers.insert(header::NOT_BEFORE.to_owned(), until.0.into());
    Publish { to: Destination::Delay { lane: lane(name), until }, wire }
}

fn again(wire: &Wire) -> Publish {
    let until = Millis(wire.number(header::NOT_BEFORE).expect("it says when it is due"));
    Publish { to: Destination::Delay { lane: lane("mail.high"), until }, wire: wire.clone() }
}

fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.wire.body.to_vec()).unwrap()
}

/// Publishes until it is confirmed.
async fn confirmed(broker: &RabbitMq, publish: &Publish) {
    eventually(SOON, "it is confirmed", || async {
        match broker.publish(std::slice::from_ref(publish)).await.remove(0) {
            Ok(()) => true,
            Err(error @ (PublishError::Topology { .. } | PublishError::TooLarge { .. })) => {
                panic!("{error}")
            }
            Err(_) => false,
        }
    })
    .await;
}

/// Receives tasks as a worker does until `count` are due; counts how often each was.
async fn due(broker: &RabbitMq, consumer: &Arc<dyn Consumer>, count: usize) -> Vec<String> {
    let mut order = Vec::new();
    while order.len() < count {
        let come = tokio::time::timeout(SOON, consumer.next(1)).await;
        let Ok(mut come) = come else { panic!("{order:?} of {count} came, and then nothing") };
        let delivery = come.remove(0);
        let until = Millis(delivery.wire.number(header::NOT_BEFORE).unwrap());
        let left = until.since(SystemClock.now());
        if left >= SHORTEST_BUCKET {
            confirmed(broker, &again(&delivery.wire)).await;
        } else {
            tokio::time::sleep(left).await;
            order.push(body(&delivery));
        }
        // Gone when the connection was just lost: then it comes once more.
        let _gone = consumer.settle(&[(delivery.receipt, Settle::Ack)]).await;
    }
    order
}

async fn waits_survive_a_crash(generation: Generation) {
    let Some(mut node) = or_skip(leveret_nodes::Broker::start(generation).await) else { return };
    let broker = connect(config(&node.url(), &fresh_namespace())).await.unwrap();
    let consumer = broker.consume(&place("mail.high"), 64).await.unwrap();
    // A broker that dies within half a second of a queue's declaration forgets the queue and what it
    // confirmed for it (guarantees.md says so); so the buckets are there before, and are written down.
    let buckets = [250, 1_000, 2_000, 8_000];
    eventually(SOON, "the broker has written down its queues", || async {
        let queues = node.queues().await.unwrap();
        let is_there = |bucket: &&u64| {
            queues.iter().any(|queue| queue.name.ends_with(&format!(".delay.{bucket}")))
        };
        for missing in buckets.iter().filter(|bucket| !is_there(bucket)) {
            // Until shortly before the next longer one would take it.
            let until = SystemClock.now().after(Duration::from_millis(missing * 2 - 50));
            confirmed(&broker, &later_in("mail.low", "other", until)).await;
        }
        buckets.iter().all(|bucket| is_there(&bucket))
            && node.has_written_its_queues().await.unwrap()
    })
    .await;
    // All but the shortest are in their buckets when the broker dies.
    let now = SystemClock.now();
    let waits: BTreeMap<String, u64> = (0..40_u64)
        .map(|n| {
            (format!("{n}"), [250, 2_000, 3_300, 9_000, 14_700][usize::try_from(n % 5).unwrap()])
        })
        .collect();
    let batch: Vec<Publish> = waits
        .iter()
        .map(|(body, wait)| later(body, now.after(Duration::from_millis(*wait))))
        .collect();
    for answer in broker.publish(&batch).await {
        answer.unwrap();
    }
    let before: BTreeSet<String> = due(&broker, &consumer, 8).await.into_iter().collect();
    assert!(before.iter().all(|body| waits[body] == 250), "{before:?}");
    node.kill().await.unwrap();
    node.start_again().await.unwrap();
    eventually(SOON, "it consumes again", || async { consumer.is_consuming() }).await;
    // The acks of the first ones may have died with the broker: those come once more.
    let mut after = BTreeSet::new();
    while after.len() < 32 {
        for body in due(&broker, &consumer, 1).await {
            assert!(before.contains(&body) || after.insert(body.clone()), "{body} came twice");
        }
    }
    assert!(after.is_disjoint(&before), "each of them: {before:?} {after:?}");
    // And nothing comes twice later.
    let more = tokio::time::timeout(Duration::from_secs(2), consumer.next(1)).await;
    assert!(more.is_err(), "{more:?}");
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_waits_survive_a_crash_of_the_broker_and_come_once_and_never_early_on_3() {
    waits_survive_a_crash(Generation::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn confirmed_waits_survive_a_crash_of_the_broker_and_come_once_and_never_early_on_4() {
    waits_survive_a_crash(Generation::New).await;
}

/// A bucket is a line: what was parked first leaves it first, and what is due first runs first.
pub(super) async fn what_is_due_first_runs_first_however_it_leaves_its_bucket(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail.high"), 10).await.unwrap();
    let now = SystemClock.now();
    let wait = |millis| now.after(Duration::from_millis(millis));
    let batch =
        [later("third", wait(3_900)), later("second", wait(3_000)), later("first", wait(2_050))];
    for answer in on.broker.publish(&batch).await {
        answer.unwrap();
    }
    assert_eq!(due(&on.broker, &consumer, 3).await, ["first", "second", "third"]);
}

/// 400 days on a clock of the test's own. The server's clock is not ours to move, so a policy makes
/// every bucket hand on at once; how long it would have kept the task is known from its name.
pub(super) async fn a_wait_of_400_days_hops_from_bucket_to_bucket_and_ends_on_time(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    let policy = json!({"pattern": format!("^{}[.]delay[.]", on.namespace),
        "definition": {"message-ttl": 1}, "apply-to": "queues"});
    on.call("PUT", &format!("/api/policies/{}/{}", on.host.name, on.namespace), policy).await;
    let start = Millis(1_790_000_000_000);
    let clock = Arc::new(ManualClock::at(start));
    let until = start.after(Duration::from_secs(400 * 86_400));
    let spawner = Spawner::new();
    let config = config(&on.host.url, &on.namespace);
    let broker = RabbitMq::connect(config, clock.clone(), &spawner).await.unwrap();
    let consumer = broker.consume(&place("mail.high"), 10).await.unwrap();
    let first = later("long", until);
    broker.publish(std::slice::from_ref(&first)).await.remove(0).unwrap();
    let mut passed: Vec<u64> = Vec::new();
    loop {
        let delivery = one(&consumer).await;
        assert_eq!(delivery.wire.number(header::NOT_BEFORE), Some(until.0));
        let bucket = left_bucket(&delivery.wire, on.namespace.as_str());
        assert!(bucket <= until.since(clock.now()).as_millis(), "early after {passed:?}");
        passed.push(u64::try_from(bucket).unwrap());
        clock.advance(Duration::from_millis(*passed.last().unwrap()));
        if until.since(clock.now()) >= SHORTEST_BUCKET {
            let mut wire = delivery.wire.clone();
            wire.keep_ours();
            broker.publish(&[again(&wire)]).await.remove(0).unwrap();
        }
        assert_eq!(consumer.settle(&[(delivery.receipt, Settle::Ack)]).await, [Ok(())]);
        if until.since(clock.now()) < SHORTEST_BUCKET {
            break;
        }
    }
    assert_eq!(passed[0], 65_536_000, "the longest bucket first");
    assert!(passed.windows(2).all(|pair| pair[0] >= pair[1]), "{passed:?}");
    let longest = passed.iter().filter(|bucket| **bucket == 65_536_000).count();
    assert_eq!(longest, 527, "34,560,000 s are 527 times 65,536 s and a rest");
    assert!(passed.len() <= 527 + 18, "{passed:?}");
    broker.close().await;
}

/// Reads from the broker's own note which bucket it took the task from; its time in ms.
fn left_bucket(wire: &Wire, namespace: &str) -> u128 {
    let deaths = format!("{:?}", wire.headers["x-death"]);
    let name = format!("{namespace}.delay.");
    let (_, bucket) = deaths.split_once(&name).unwrap_or_else(|| panic!("{deaths}"));
    let digits: String = bucket.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap()
}
