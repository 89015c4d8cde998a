//! A queue whose leader has no time to answer: it is not taken for an empty one.

use std::time::Duration;

use leveret_common::broker::{Broker as _, Publish};
use leveret_common::testkit::services::fresh_namespace;
use leveret_nodes::{Broker, Generation, or_skip};
use tokio::time::timeout;

use super::{config, connect, place, to, wire};

/// The server gives up on a leader after 250 ms.
const LONGER: Duration = Duration::from_millis(1_200);

async fn counted_on(generation: Generation) {
    let Some(node) = or_skip(Broker::start(generation).await) else { return };
    let namespace = fresh_namespace();
    let broker = connect(config(&node.url(), &namespace)).await.unwrap();
    broker.publish(&[Publish { to: to("mail"), wire: wire("1") }]).await.remove(0).unwrap();
    let leader = async |ask: &str| {
        let said = node.ask(&format!("sys:{ask}('%2F_{namespace}.lane.mail.normal').")).await;
        assert_eq!(said.unwrap(), "ok");
    };
    leader("suspend").await;
    let mail = [place("mail")];
    let asked = broker.survey(&mail);
    let mut asked = std::pin::pin!(asked);
    let answer = timeout(LONGER, &mut asked).await;
    assert!(answer.is_err(), "it was counted while nobody could count: {answer:?}");
    leader("resume").await;
    assert_eq!(asked.await.unwrap()[0].depth, 1);
    broker.close().await;
}

#[tokio::test]
async fn a_queue_without_time_to_answer_is_not_counted_as_empty_on_3() {
    counted_on(Generation::Old).await;
}

#[tokio::test]
async fn a_queue_without_time_to_answer_is_not_counted_as_empty_on_4() {
    counted_on(Generation::New).await;
}
