//! A delay queue whose broker was killed a moment after it was made: it comes back without a leader, for ever.

use std::time::Duration;

use leveret_common::broker::rabbitmq::NEW_QUEUE;
use leveret_common::broker::{Broker, Destination, Publish};
use leveret_common::clock::{Clock, SystemClock};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::fresh_namespace;
use leveret_nodes::{Generation, or_skip};

use super::{SOON, config, connect, lane, one, place, wire};

/// Makes the queue of the bucket of 1 s, as whoever is killed with the broker does, and returns at once.
fn made(namespace: &str) -> String {
    format!(
        "Text = fun(Text) -> {{longstr, Text}} end,
         Named = fun({{Name, {{Sort, Value}}}}) -> {{Name, Sort, Value}} end,
         Arguments = [Named(Each) || Each <- [
             {{<<\"x-queue-type\">>, Text(<<\"quorum\">>)}},
             {{<<\"x-overflow\">>, Text(<<\"reject-publish\">>)}},
             {{<<\"x-dead-letter-exchange\">>, Text(<<\"{namespace}.tasks\">>)}},
             {{<<\"x-dead-letter-strategy\">>, Text(<<\"at-least-once\">>)}},
             {{<<\"x-message-ttl\">>, {{signedint, 1000}}}}]],
         Name = rabbit_misc:r(<<\"/\">>, queue, <<\"{namespace}.delay.1000\">>),
         {{new, _}} = rabbit_amqqueue:declare(Name, true, false, Arguments, none, <<\"guest\">>),
         ok."
    )
}

async fn is_made_anew(generation: Generation) {
    let Some(mut node) = or_skip(leveret_nodes::Broker::start(generation).await) else { return };
    let namespace = fresh_namespace();
    node.ask("ok.").await.unwrap();
    node.ask(&made(namespace.as_str())).await.unwrap();
    node.kill().await.unwrap();
    node.start_again().await.unwrap();

    let mut config = config(&node.url(), &namespace);
    config.new_queue = NEW_QUEUE;
    config.publish_deadline = SOON;
    let broker = connect(config).await.unwrap();
    let consumer = broker.consume(&place("mail"), 8).await.unwrap();
    let until = SystemClock.now().after(Duration::from_millis(1_400));
    let to = Destination::Delay { lane: lane("mail"), until };
    let answers = broker.publish(&[Publish { to, wire: wire("late") }]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(&*one(&consumer).await.wire.body, b"late");
    eventually(SOON, "every queue has a leader", || async { node.queues().await.is_ok() }).await;
    broker.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_queue_that_a_killed_broker_forgot_is_made_anew_on_3() {
    is_made_anew(Generation::Old).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delay_queue_that_a_killed_broker_forgot_is_made_anew_on_4() {
    is_made_anew(Generation::New).await;
}
