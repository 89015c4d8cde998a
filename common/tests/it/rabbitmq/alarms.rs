//! Back-pressure: a broker under an alarm takes no publishes, and says so at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::broker::rabbitmq::RabbitMq;
use leveret_common::broker::{Broker, Publish, PublishError, Settle};
use leveret_common::diagnose::{Diagnose, Health};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::fresh_namespace;
use leveret_nodes::{Alarm, Generation, or_skip};

use super::{SOON, acked, config, connect, one, place, to, wire};

/// A gateway has two seconds to say 503, and needs a moment for itself.
const PROMPT: Duration = Duration::from_millis(1_800);
/// Far more than the window of 256.
const FLOOD: usize = 5_000;

async fn put(broker: &Arc<RabbitMq>, body: &str) -> Result<(), PublishError> {
    let start = Instant::now();
    let answer = broker.publish(&[Publish { to: to("mail"), wire: wire(body) }]).await.remove(0);
    assert!(start.elapsed() < PROMPT, "{body}: {:?}: {answer:?}", start.elapsed());
    answer
}

async fn flood(broker: &Arc<RabbitMq>) -> (usize, usize) {
    let batch: Vec<_> =
        (0..FLOOD).map(|n| Publish { to: to("mail"), wire: wire(&format!("flood-{n}")) }).collect();
    let start = Instant::now();
    let answers = broker.publish(&batch).await;
    assert!(start.elapsed() < PROMPT, "{:?}", start.elapsed());
    let count = |is: fn(&PublishError) -> bool| {
        answers.iter().filter(|answer| answer.as_ref().is_err_and(is)).count()
    };
    (
        count(|error| matches!(error, PublishError::Blocked(_))),
        count(|error| matches!(error, PublishError::Unknown { .. })),
    )
}

/// The promises of an alarm, kept on a node with heartbeats of a second, so that an alarm of four
/// outlasts what a silent peer is given.
async fn an_alarm_is_told_at_once_and_acks_go_on(
    node: &leveret_nodes::Broker,
    alarm: Alarm,
    says: &str,
) {
    let mut config = config(&node.url(), &fresh_namespace());
    config.heartbeat = Duration::from_secs(1);
    let broker = connect(config).await.unwrap();
    let consumer = broker.consume(&place("mail"), 20).await.unwrap();
    for n in 0..20 {
        put(&broker, &format!("before-{n}")).await.unwrap();
    }
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(one(&consumer).await);
    }
    node.set_alarm(alarm, true).await.unwrap();
    // The server says so only to whoever publishes. What was on its way then may have arrived;
    // nothing else was sent, so no more than the window is ever kept for later.
    let (blocked, unknown) = flood(&broker).await;
    assert!(blocked + unknown == FLOOD && unknown <= 256, "{blocked} blocked, {unknown} unknown");
    let (blocked, unknown) = flood(&broker).await;
    assert_eq!((blocked, unknown), (FLOOD, 0));
    let Err(PublishError::Blocked(why)) = put(&broker, "refused").await else { panic!("taken") };
    assert!(why.contains(says), "{why}");
    let check = broker.check().await.unwrap_err().to_string();
    assert!(check.contains("it blocks publishers") && check.contains(says), "{check}");
    let findings = broker.diagnose().await;
    let found = findings.iter().find(|finding| finding.check == "publishes").unwrap();
    assert!(found.health == Health::Bad && found.found.contains(says), "{found:?}");
    assert!(found.mend.is_some(), "{found:?}");
    let generations = |batch: &[leveret_common::broker::Delivery]| -> Vec<u64> {
        batch.iter().map(|delivery| delivery.receipt.generation).collect()
    };
    // For longer than two heartbeats: workers go on acking on the same connection.
    let start = Instant::now();
    let first = generations(&held);
    while start.elapsed() < Duration::from_secs(4) {
        if let Some(delivery) = held.pop() {
            let acked = consumer.settle(&[(delivery.receipt, Settle::Ack)]).await;
            assert_eq!(acked, [Ok(())], "after {:?}", start.elapsed());
        }
        assert!(matches!(put(&broker, "refused").await, Err(PublishError::Blocked(_))));
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    assert!(first.iter().all(|generation| *generation == 1) && held.is_empty(), "{}", held.len());
    assert!(consumer.is_consuming());
    node.set_alarm(alarm, false).await.unwrap();
    eventually(SOON, "the broker takes publishes again", || async {
        put(&broker, "after").await.is_ok()
    })
    .await;
    broker.check().await.unwrap();
    let mut floods = 0;
    loop {
        let body = acked(&consumer).await;
        match body.as_str() {
            "after" => break,
            body if body.starts_with("flood-") => floods += 1,
            body => panic!("{body} was answered for, as done or as not sent"),
        }
    }
    assert!(floods <= 256, "{floods} came of what was unknown");
    broker.close().await;
}

async fn alarms_on(generation: Generation) {
    let Some(node) = or_skip(leveret_nodes::Broker::start(generation).await) else { return };
    an_alarm_is_told_at_once_and_acks_go_on(&node, Alarm::Memory, "memory").await;
    an_alarm_is_told_at_once_and_acks_go_on(&node, Alarm::Disk, "disk").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_disk_alarms_are_told_at_once_on_3() {
    alarms_on(Generation::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_and_disk_alarms_are_told_at_once_on_4() {
    alarms_on(Generation::New).await;
}
