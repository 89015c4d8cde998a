//! A queue whose leader has no time to answer: it is not taken for an empty one.

use std::time::Duration;

use leveret_common::broker::{Broker, Publish};
use leveret_common::testkit::services::fresh_namespace;
use tokio::time::timeout;

use super::node::Node;
use super::{config, connect, place, to, wire};

/// The server gives up on a leader after 250 ms.
const LONGER: Duration = Duration::from_millis(1_200);

async fn counted_on(generation: u8) {
    let Some(node) = Node::start(generation) else { return };
    let namespace = fresh_namespace();
    let broker = connect(config(&node.url(), &namespace)).await.unwrap();
    broker.publish(&[Publish { to: to("mail"), wire: wire("1") }]).await.remove(0).unwrap();
    let leader = |ask: &str| {
        let said =
            node.control(&["eval", &format!("sys:{ask}('%2F_{namespace}.lane.mail.normal').")]);
        assert!(said.contains("ok"), "{said}");
    };
    leader("suspend");
    let mail = [place("mail")];
    let asked = broker.survey(&mail);
    let mut asked = std::pin::pin!(asked);
    let answer = timeout(LONGER, &mut asked).await;
    assert!(answer.is_err(), "it was counted while nobody could count: {answer:?}");
    leader("resume");
    assert_eq!(asked.await.unwrap()[0].depth, 1);
    broker.close().await;
}

#[tokio::test]
async fn a_queue_without_time_to_answer_is_not_counted_as_empty_on_3() {
    counted_on(3).await;
}

#[tokio::test]
async fn a_queue_without_time_to_answer_is_not_counted_as_empty_on_4() {
    counted_on(4).await;
}
