//! What only RabbitMQ can be asked: its errors, its topology, its lost connections.
//!
//! The promises that every broker keeps are asked by the suite (`conformance.rs`). What is here
//! runs on both servers too, each case in a namespace of its own; that is its client's name as
//! well, so that a case kills no connection but its own. Alarms and freezes need a [`leveret_nodes::Broker`].

mod alarms;
mod busy;
mod confirms;
mod delays;
mod diagnosis;
mod nonsense;
mod places;
mod several;
mod unfinished;
mod unrouted;
mod walking;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use leveret_common::broker::rabbitmq::{Config, RabbitMq};
use leveret_common::broker::{
    Broker, BrokerError, Consumer, Delivery, Destination, Place, Publish, PublishError, Settle,
    SettleError,
};
use leveret_common::clock::{Clock, SystemClock};
use leveret_common::diagnose::{Diagnose, Health};
use leveret_common::envelope::{HeaderValue, Wire};
use leveret_common::name::{Lane, Namespace};
use leveret_common::spawn::Spawner;
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::{VirtualHost, fresh_namespace, rabbitmq_3, rabbitmq_4};
use leveret_nodes::{Generation, or_skip};
use serde_json::{Value, json};

use self::confirms::{
    what_is_accepted_after_its_queue_was_deleted_is_there,
    what_is_accepted_by_a_queue_that_is_full_is_there,
};
use self::delays::{
    a_wait_of_400_days_hops_from_bucket_to_bucket_and_ends_on_time,
    what_is_due_first_runs_first_however_it_leaves_its_bucket,
};
use self::diagnosis::{
    a_difference_and_a_deleted_queue_are_told_by_name, a_missing_permission_is_told_by_name,
    looking_finds_all_good_and_makes_nothing, told,
    without_the_right_to_publish_it_is_not_ready_until_it_has_it_again,
};
use self::nonsense::a_frame_that_never_ends_does_not_keep_its_connection;
use self::places::{
    a_survey_of_a_hundred_places_answers_in_order_and_leaves_no_channel_behind,
    consuming_dead_letters_hangs_up_no_net_below_the_foreign_door,
};
use self::several::{
    one_of_several_that_answers_is_enough, one_of_several_that_is_away_is_a_risk_and_named,
    where_none_of_several_answers_each_is_told,
};
use self::unrouted::{
    a_key_that_is_no_lane_ends_as_a_dead_letter,
    an_undeclared_lane_is_declared_while_anything_is_consumed,
    unrouted_messages_rest_once_the_last_consumer_is_gone,
    unrouted_messages_survive_killed_connections, what_cannot_be_moved_is_kept_until_it_can,
};
use self::walking::{
    a_bare_message_among_the_dead_letters_goes_to_the_normal_lane,
    a_hundred_walks_lose_none_of_two_hundred_letters_and_double_none,
    a_task_that_the_broker_returned_too_often_goes_back_to_its_lane,
    a_walk_whose_connections_are_killed_loses_no_letter,
};

/// Generous: a loaded machine is no broken promise.
const SOON: Duration = Duration::from_secs(30);
const LIMIT: usize = 4_096;

struct Fixture {
    host: VirtualHost,
    namespace: Namespace,
    broker: Arc<RabbitMq>,
}

fn config(url: &str, namespace: &Namespace) -> Config {
    Config {
        url: url.to_owned(),
        namespace: namespace.clone(),
        publish_deadline: Duration::from_secs(10),
        new_queue: Duration::ZERO,
        publish_window: 256,
        heartbeat: Duration::from_secs(10),
        receives: true,
        connect_timeout: Duration::from_secs(10),
        payload_limit: LIMIT,
        client_name: namespace.to_string(),
    }
}

async fn connect(config: Config) -> Result<Arc<RabbitMq>, BrokerError> {
    RabbitMq::connect(config, Arc::new(SystemClock), &Spawner::new()).await
}

impl Fixture {
    async fn new(host: VirtualHost) -> Self {
        let namespace = fresh_namespace();
        let broker = connect(config(&host.url, &namespace)).await.unwrap();
        Self { host, namespace, broker }
    }

    fn path(&self, sort: &str, rest: &str) -> String {
        format!("/api/{sort}/{}/{}.{rest}", self.host.name, self.namespace)
    }

    async fn call(&self, method: &str, path: &str, body: Value) -> Value {
        self.host.management.call(method, path, &body).await
    }

    async fn delete(&self, sort: &str, rest: &str) {
        self.call("DELETE", &self.path(sort, rest), Value::Null).await;
    }

    /// Publishes as a foreign client would; tells whether any queue took it.
    async fn publish_foreign(&self, key: &str, payload: &str) -> bool {
        let message = json!({"properties": {"type": "demo.echo"}, "routing_key": key,
            "payload": payload, "payload_encoding": "string"});
        let path = self.path("exchanges", "enqueue/publish");
        self.call("POST", &path, message).await["routed"] == true
    }

    async fn publish(&self, to: Destination, body: &str) -> Result<(), PublishError> {
        self.broker.publish(&[Publish { to, wire: wire(body) }]).await.remove(0)
    }

    async fn depth(&self, place: Place) -> u64 {
        self.broker.survey(&[place]).await.unwrap()[0].depth
    }

    /// Kills both connections of this case, once the management API knows of them.
    async fn kill_connections(&self) {
        let mine = || async {
            let all = self.call("GET", "/api/connections", Value::Null).await;
            let is_mine = |connection: &&Value| {
                let name = &connection["client_properties"]["connection_name"];
                name.as_str().is_some_and(|name| name.starts_with(self.namespace.as_str()))
            };
            let all = all.as_array().cloned().unwrap_or_default();
            all.iter()
                .filter(is_mine)
                .filter_map(|c| Some(c["name"].as_str()?.to_owned()))
                .collect()
        };
        eventually(SOON, "both connections are listed", || async {
            let names: Vec<String> = mine().await;
            names.len() == 2
        })
        .await;
        for name in mine().await {
            let name = name.replace(' ', "%20").replace('>', "%3E");
            self.call("DELETE", &format!("/api/connections/{name}"), Value::Null).await;
        }
    }
}

fn lane(text: &str) -> Lane {
    text.parse().unwrap()
}

fn place(text: &str) -> Place {
    Place::Lane(lane(text))
}

fn to(text: &str) -> Destination {
    Destination::Lane(lane(text))
}

fn wire(body: &str) -> Wire {
    Wire {
        message_id: Some(leveret_common::id::TaskId::mint().to_string()),
        kind: Some("demo.echo".to_owned()),
        body: Bytes::from(body.to_owned()),
        ..Wire::default()
    }
}

async fn one(consumer: &Arc<dyn Consumer>) -> Delivery {
    let mut batch = tokio::time::timeout(SOON, consumer.next(1)).await.expect("nothing came");
    assert_eq!(batch.len(), 1, "the consumer was stopped");
    batch.remove(0)
}

async fn acked(consumer: &Arc<dyn Consumer>) -> String {
    let delivery = one(consumer).await;
    assert_eq!(consumer.settle(&[(delivery.receipt, Settle::Ack)]).await, [Ok(())]);
    String::from_utf8(delivery.wire.body.to_vec()).unwrap()
}

async fn a_wrong_password_is_told_apart_and_not_printed(host: VirtualHost) {
    let url = host.url.replacen(":guest@", ":s3cret@", 1);
    let error = connect(config(&url, &fresh_namespace())).await.err().unwrap().to_string();
    assert!(error.contains("user or password is wrong"), "{error}");
    assert!(error.contains("127.0.0.1:") && error.contains(r#"user "guest""#), "{error}");
    assert!(error.contains(&host.name) && error.contains("TLS off"), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

async fn a_missing_vhost_is_told_apart(host: VirtualHost) {
    let url = format!("{}-missing", host.url);
    let error = connect(config(&url, &fresh_namespace())).await.err().unwrap().to_string();
    assert!(error.contains(&format!(r#"there is no vhost "{}-missing""#, host.name)), "{error}");
    assert!(error.contains("rabbitmqctl add_vhost"), "{error}");
}

async fn a_tls_url_on_a_plain_port_is_an_error_and_no_panic(host: VirtualHost) {
    let url = host.url.replacen("amqp://", "amqps://", 1);
    let error = connect(config(&url, &fresh_namespace())).await.err().unwrap().to_string();
    assert!(error.contains("TLS on"), "{error}");
    assert!(error.contains("are host, port and TLS of broker.url right?"), "{error}");
}

async fn one_that_only_puts_in_moves_large_messages_and_receives_none(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let alone =
        Config { receives: false, payload_limit: 1 << 20, ..config(&on.host.url, &on.namespace) };
    let alone = connect(alone).await.unwrap();
    let mut large = wire(&"x".repeat(500_000));
    large.headers.insert("lv-tags".to_owned(), HeaderValue::Text("y".repeat(100_000)));
    let sent = alone.publish(&[Publish { to: to("mail"), wire: large }]).await.remove(0);
    sent.unwrap();
    assert_eq!(alone.survey(&[place("mail")]).await.unwrap()[0].depth, 1);
    let refused = alone.consume(&place("mail"), 1).await.err().unwrap().to_string();
    assert!(refused.contains("opened to put tasks in only"), "{refused}");
    let consumer = on.broker.consume(&place("mail"), 1).await.unwrap();
    let delivery = one(&consumer).await;
    assert_eq!(delivery.wire.body.len(), 500_000);
    alone.close().await;
}

async fn a_difference_in_topology_is_told_by_name(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let other = json!({"durable": true, "arguments": {
        "x-queue-type": "quorum", "x-overflow": "reject-publish", "x-delivery-limit": 20,
        "x-dead-letter-exchange": format!("{}.dead", on.namespace),
        "x-dead-letter-routing-key": "mail", "x-dead-letter-strategy": "at-least-once"}});
    on.call("PUT", &on.path("queues", "lane.mail.high"), other).await;
    let error = on.publish(to("mail.high"), "1").await.unwrap_err();
    assert!(matches!(&error, PublishError::Topology { .. }), "{error:?}");
    let told = error.to_string();
    assert!(told.contains(&format!("queue {}.lane.mail.high", on.namespace)), "{told}");
    assert!(told.contains("its x-delivery-limit is '20', and we need '1000'"), "{told}");
    let error = on.broker.consume(&place("mail.high"), 1).await.err().unwrap();
    assert!(matches!(error, BrokerError::Topology { .. }), "{error:?}");
    // The refusal cost neither connection: another lane works.
    on.publish(to("mail"), "1").await.unwrap();
}

async fn killed_connections_come_back_and_old_receipts_are_gone(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    on.publish(to("mail"), "held").await.unwrap();
    let held = one(&consumer).await;
    assert!(consumer.holds(held.receipt));
    on.kill_connections().await;
    eventually(SOON, "the old receipt is gone", || async { !consumer.holds(held.receipt) }).await;
    let again = one(&consumer).await;
    assert_eq!(&again.wire.body[..], b"held");
    assert!(again.redelivered && again.receipt.generation > held.receipt.generation);
    assert!(consumer.is_consuming());
    let both = [(held.receipt, Settle::Ack), (again.receipt, Settle::Ack)];
    assert_eq!(consumer.settle(&both).await, [Err(SettleError::Gone), Ok(())]);
    eventually(SOON, "a publish is confirmed", || async {
        on.publish(to("mail"), "after").await.is_ok()
    })
    .await;
    assert_eq!(acked(&consumer).await, "after");
    on.broker.check().await.unwrap();
    on.broker.close().await;
}

/// Publishes while connections die; whatever was answered "ok" has to arrive.
async fn what_was_confirmed_survives_killed_connections(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let mut confirmed = std::collections::BTreeSet::new();
    for round in 0..3 {
        let publish = async {
            let mut sent = Vec::new();
            for n in 0..40 {
                let bodies: Vec<_> = (0..25).map(|m| format!("{round}-{n}-{m}")).collect();
                let batch: Vec<_> =
                    bodies.iter().map(|b| Publish { to: to("mail"), wire: wire(b) }).collect();
                let answers = on.broker.publish(&batch).await;
                for (body, answer) in bodies.into_iter().zip(answers) {
                    match answer {
                        Ok(()) => sent.push(body),
                        Err(error) => assert!(error.retryable(), "{error}"),
                    }
                }
            }
            sent
        };
        let (sent, ()) = tokio::join!(publish, on.kill_connections());
        confirmed.extend(sent);
    }
    assert!(confirmed.len() > 1_000, "only {} of 3,000 were confirmed", confirmed.len());
    let consumer = on.broker.consume(&place("mail"), 200).await.unwrap();
    while !confirmed.is_empty() {
        confirmed.remove(&acked(&consumer).await);
    }
}

async fn a_delayed_task_passes_its_bucket_and_keeps_its_lane(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail.high"), 5).await.unwrap();
    let start = Instant::now();
    let until = SystemClock.now().after(Duration::from_millis(700));
    on.publish(Destination::Delay { lane: lane("mail.high"), until }, "later").await.unwrap();
    let bucket = on.call("GET", &on.path("queues", "delay.500"), Value::Null).await;
    assert_eq!(bucket["arguments"]["x-message-ttl"], 500);
    assert_eq!(acked(&consumer).await, "later");
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
}

async fn deleted_queues_and_exchanges_are_declared_again(host: VirtualHost) {
    let on = Fixture::new(host).await;
    for lane in ["mail", "post"] {
        on.publish(to(lane), "first").await.unwrap();
    }
    on.delete("queues", "lane.mail.normal").await;
    // Some of the batch come back, and lapin hands returns to the confirms of others.
    let batch: Vec<_> = (0..400)
        .map(|n| Publish { to: to(["mail", "post"][n % 2]), wire: wire(&n.to_string()) })
        .collect();
    for answer in on.broker.publish(&batch).await {
        answer.unwrap();
    }
    // Each is there. Whose confirm carried another's return was repeated: there may be copies.
    for (queue, parity) in [("mail", 0), ("post", 1)] {
        let consumer = on.broker.consume(&place(queue), 50).await.unwrap();
        let mut missing: HashSet<String> =
            (0..400).filter(|n| n % 2 == parity).map(|n: u32| n.to_string()).collect();
        while !missing.is_empty() {
            missing.remove(&acked(&consumer).await);
        }
        consumer.stop().await;
    }
    // A missing exchange closes the publishing channel instead.
    let hour = || Destination::Delay {
        lane: lane("mail"),
        until: SystemClock.now().after(Duration::from_secs(3_600)),
    };
    on.publish(hour(), "a").await.unwrap();
    on.delete("exchanges", "delay.2048000").await;
    eventually(SOON, "the bucket's exchange is there again", || async {
        match on.publish(hour(), "b").await {
            Ok(()) => true,
            Err(error) => {
                assert!(error.retryable(), "{error}");
                false
            }
        }
    })
    .await;
}

async fn a_consumer_cancelled_by_the_server_begins_anew(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    let other = on.broker.consume(&place("post"), 5).await.unwrap();
    on.publish(to("mail"), "1").await.unwrap();
    let held = one(&consumer).await;
    on.delete("queues", "lane.mail.normal").await;
    eventually(SOON, "the receipt is gone", || async { !consumer.holds(held.receipt) }).await;
    eventually(SOON, "it consumes again", || async { consumer.is_consuming() }).await;
    on.publish(to("mail"), "2").await.unwrap();
    assert_eq!(acked(&consumer).await, "2");
    on.publish(to("post"), "3").await.unwrap();
    assert_eq!(acked(&other).await, "3");
}

async fn a_settle_for_the_second_time_is_refused_and_harms_nothing(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    on.publish(to("mail"), "1").await.unwrap();
    on.publish(to("mail"), "2").await.unwrap();
    let (first, second) = (one(&consumer).await, one(&consumer).await);
    let twice = [(first.receipt, Settle::Ack), (first.receipt, Settle::Ack)];
    assert_eq!(consumer.settle(&twice).await, [Ok(()), Err(SettleError::Gone)]);
    assert_eq!(consumer.settle(&[(second.receipt, Settle::Ack)]).await, [Ok(())]);
    on.broker.close().await;
    let broker = connect(config(&on.host.url, &on.namespace)).await.unwrap();
    assert_eq!(broker.survey(&[place("mail")]).await.unwrap()[0].depth, 0);
}

async fn a_dropped_consumer_gives_everything_back(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail"), 5).await.unwrap();
    on.publish(to("mail"), "1").await.unwrap();
    one(&consumer).await;
    drop(consumer);
    eventually(SOON, "it is back", || async { on.depth(place("mail")).await == 1 }).await;
}

async fn a_full_queue_is_answered_as_rejected(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let policy = json!({"pattern": format!("^{}[.]lane", on.namespace),
        "definition": {"max-length": 1}, "apply-to": "queues"});
    let path = format!("/api/policies/{}/{}", on.host.name, on.namespace);
    on.call("PUT", &path, policy).await;
    // The queue notices that it is full a moment after it is.
    eventually(SOON, "a publish is rejected", || async {
        match on.publish(to("mail"), "1").await {
            Ok(()) => false,
            Err(PublishError::Rejected(_)) => true,
            Err(other) => panic!("{other:?}"),
        }
    })
    .await;
}

async fn a_foreign_message_finds_its_lane(host: VirtualHost) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail.normal"), 5).await.unwrap();
    assert!(on.publish_foreign("mail", "\"plain\"").await);
    assert_eq!(acked(&consumer).await, "\"plain\"");
}

macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod on_3 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(host) = super::rabbitmq_3().await {
                    super::$case(host).await;
                }
            })+
        }
        mod on_4 {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                if let Some(host) = super::rabbitmq_4().await {
                    super::$case(host).await;
                }
            })+
        }
    };
}

on_both![
    a_wrong_password_is_told_apart_and_not_printed,
    a_missing_vhost_is_told_apart,
    a_tls_url_on_a_plain_port_is_an_error_and_no_panic,
    one_that_only_puts_in_moves_large_messages_and_receives_none,
    a_difference_in_topology_is_told_by_name,
    a_frame_that_never_ends_does_not_keep_its_connection,
    killed_connections_come_back_and_old_receipts_are_gone,
    what_was_confirmed_survives_killed_connections,
    a_delayed_task_passes_its_bucket_and_keeps_its_lane,
    deleted_queues_and_exchanges_are_declared_again,
    a_consumer_cancelled_by_the_server_begins_anew,
    a_settle_for_the_second_time_is_refused_and_harms_nothing,
    a_dropped_consumer_gives_everything_back,
    a_full_queue_is_answered_as_rejected,
    a_foreign_message_finds_its_lane,
    what_is_accepted_by_a_queue_that_is_full_is_there,
    what_is_accepted_after_its_queue_was_deleted_is_there,
    an_undeclared_lane_is_declared_while_anything_is_consumed,
    unrouted_messages_rest_once_the_last_consumer_is_gone,
    a_key_that_is_no_lane_ends_as_a_dead_letter,
    unrouted_messages_survive_killed_connections,
    what_cannot_be_moved_is_kept_until_it_can,
    a_survey_of_a_hundred_places_answers_in_order_and_leaves_no_channel_behind,
    consuming_dead_letters_hangs_up_no_net_below_the_foreign_door,
    looking_finds_all_good_and_makes_nothing,
    a_difference_and_a_deleted_queue_are_told_by_name,
    a_missing_permission_is_told_by_name,
    without_the_right_to_publish_it_is_not_ready_until_it_has_it_again,
    what_is_due_first_runs_first_however_it_leaves_its_bucket,
    a_wait_of_400_days_hops_from_bucket_to_bucket_and_ends_on_time,
    a_hundred_walks_lose_none_of_two_hundred_letters_and_double_none,
    a_walk_whose_connections_are_killed_loses_no_letter,
    a_task_that_the_broker_returned_too_often_goes_back_to_its_lane,
    a_bare_message_among_the_dead_letters_goes_to_the_normal_lane,
    one_of_several_that_answers_is_enough,
    where_none_of_several_answers_each_is_told,
    one_of_several_that_is_away_is_a_risk_and_named,
];

#[tokio::test]
async fn a_refused_connection_names_the_port_and_how_to_mend_it() {
    // Bound and dropped: nobody listens there now.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("amqp://guest:guest@{free}");
    let error = connect(config(&url, &fresh_namespace())).await.err().unwrap().to_string();
    assert!(error.contains("nothing listens there"), "{error}");
    assert!(error.contains(&format!("{free} (vhost \"/\"")), "{error}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_and_its_socket_closed() {
    use std::io::Read;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqp://guest:guest@{}", listener.local_addr().unwrap());
    let mut config = config(&url, &fresh_namespace());
    config.connect_timeout = Duration::from_millis(300);
    let start = Instant::now();
    let error = connect(config).await.err().unwrap().to_string();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(error.contains("did not answer in time"), "{error}");
    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    let mut sent = Vec::new();
    socket.read_to_end(&mut sent).expect("the client closed its end");
    assert_eq!(sent, b"AMQP\x00\x00\x09\x01");
}

#[tokio::test]
async fn a_url_that_is_none_says_how_one_looks() {
    for url in ["rabbit", "http://localhost", "amqp://[::1]:5672"] {
        let error = connect(config(url, &fresh_namespace())).await.err().unwrap().to_string();
        assert!(error.contains("write it as amqp://user:password@host:5672/vhost"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_broker_is_answered_for_by_the_deadline_and_comes_back() {
    let Some(node) = or_skip(leveret_nodes::Broker::start(Generation::Old).await) else { return };
    let mut config = config(&node.url(), &fresh_namespace());
    config.publish_deadline = Duration::from_secs(2);
    config.heartbeat = Duration::from_secs(2);
    config.connect_timeout = Duration::from_secs(2);
    let broker = connect(config).await.unwrap();
    let put = || async {
        let start = Instant::now();
        let batch = [Publish { to: to("mail"), wire: wire("1") }];
        let answer = broker.publish(&batch).await.remove(0);
        assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
        answer
    };
    put().await.unwrap();
    let consumer = broker.consume(&place("mail"), 50).await.unwrap();
    assert_eq!(acked(&consumer).await, "1");
    node.pause().unwrap();
    let answer = put().await;
    assert!(matches!(answer, Err(PublishError::Unknown { .. })), "{answer:?}");
    eventually(SOON, "the silence is noticed", || async { !consumer.is_consuming() }).await;
    let answer = put().await;
    assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
    assert!(broker.check().await.is_err());
    let start = Instant::now();
    let findings = broker.diagnose().await;
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    assert!(told(&findings, "reachable", Health::Bad).contains("no greeting within"));
    assert!(told(&findings, "connections", Health::Bad).contains("consuming: "));
    node.resume().unwrap();
    eventually(SOON, "a publish is confirmed again", || async { put().await.is_ok() }).await;
    assert_eq!(acked(&consumer).await, "1");
    assert!(consumer.is_consuming());
    broker.close().await;
}
