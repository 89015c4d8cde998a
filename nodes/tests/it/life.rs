//! The life of servers of one's own: each generation is walked through it once.

use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use leveret_nodes::Connection as Redis;
use leveret_nodes::{Alarm, Broker, Generation, QueueState, Reply, Store, or_skip};

const SOON: Duration = Duration::from_secs(30);
const QUEUE: &str = "walk";

async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let asked = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, asked).await.expect(what);
}

/// Connects, and has three messages in a quorum queue of which one is taken.
async fn three_messages_of_which_one_is_taken(broker: &Broker) -> (Connection, Channel) {
    let connection =
        Connection::connect(&broker.url(), ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(QUEUE.into(), durable, arguments).await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    for _ in 0..3 {
        let options = BasicPublishOptions::default();
        let properties = BasicProperties::default().with_delivery_mode(2);
        let publish = channel.basic_publish("".into(), QUEUE.into(), options, b"x", properties);
        assert!(publish.await.unwrap().await.unwrap().is_ack());
    }
    channel.basic_get(QUEUE.into(), BasicGetOptions::default()).await.unwrap().unwrap();
    (connection, channel)
}

async fn held(broker: &Broker) -> Vec<(String, u64, u64)> {
    let queues = broker.queues().await.unwrap();
    queues
        .into_iter()
        .map(|QueueState { name, ready, unacked, .. }| (name, ready, unacked))
        .collect()
}

/// What the system says of a process, such as `S` or, stopped, `T`.
fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(") ").next().unwrap().chars().next().unwrap()
}

async fn a_broker_lives_through_everything(generation: Generation) {
    let Some(mut broker) = or_skip(Broker::start(generation).await) else { return };
    assert!(broker.queues().await.unwrap().is_empty());

    let client = three_messages_of_which_one_is_taken(&broker).await;
    let first = broker.queues().await.unwrap();
    assert_eq!(held(&broker).await, [(QUEUE.to_owned(), 2, 1)]);
    assert_eq!(broker.queues().await.unwrap(), first, "nothing has moved");
    assert_eq!(broker.connections().await.unwrap(), 1);

    for alarm in [Alarm::Memory, Alarm::Disk] {
        broker.set_alarm(alarm, true).await.unwrap();
        assert_ne!(broker.ask("rabbit_alarm:get_alarms().").await.unwrap(), "[]");
        broker.set_alarm(alarm, false).await.unwrap();
    }
    assert_eq!(broker.ask("rabbit_alarm:get_alarms().").await.unwrap(), "[]");

    assert_eq!(broker.close_connections("a \"test\"").await.unwrap(), 1);
    let all_ready = [(QUEUE.to_owned(), 3, 0)];
    eventually("what was taken is ready", async || held(&broker).await == all_ready).await;
    eventually("the client knows", async || !client.0.status().connected()).await;

    let pid = broker.pid().unwrap();
    broker.pause().unwrap();
    eventually("it is stopped", async || state(pid) == 'T').await;
    broker.resume().unwrap();
    assert_eq!(held(&broker).await, all_ready);

    eventually("its queue is written", async || broker.has_written_its_queues().await.unwrap())
        .await;
    broker.kill().await.unwrap();
    assert!(broker.pid().is_err() && broker.queues().await.is_err());
    broker.start_again().await.unwrap();
    eventually("it has read what it had", async || held(&broker).await == all_ready).await;
    assert!(broker.start_again().await.is_err(), "it runs");

    assert!(broker.ask("no_such_module:call().").await.is_err());
    broker.delete_queue(QUEUE).await.unwrap();
    assert!(broker.queues().await.unwrap().is_empty());
    broker.stop().await.unwrap();
    assert!(broker.pid().is_err());
}

#[tokio::test]
async fn brokers_of_both_generations_live_through_everything() {
    // At once: most of it is waiting for their starts.
    tokio::join!(
        a_broker_lives_through_everything(Generation::Old),
        a_broker_lives_through_everything(Generation::New),
    );
}

async fn a_store_lives_through_everything(generation: Generation) {
    let Some(mut store) = or_skip(Store::start(generation).await) else { return };
    let text = |text: &str| Reply::Text(text.to_owned());
    assert_eq!(store.ask(&["SET", "a", "1"]).await.unwrap(), text("OK"));

    store.kill().await.unwrap();
    assert!(store.ask(&["GET", "a"]).await.is_err());
    store.start_again().await.unwrap();
    assert_eq!(store.ask(&["GET", "a"]).await.unwrap(), text("1"));
    assert!(store.start_again().await.is_err(), "it runs");

    let pid = store.pid().unwrap();
    store.pause().unwrap();
    eventually("it is stopped", async || state(pid) == 'T').await;
    store.resume().unwrap();

    let mut connection = Redis::open(&store.url()).unwrap();
    assert_eq!(connection.ask(&["RPUSH", "l", "x", ""]).unwrap(), Reply::Number(2));
    let list = Reply::List(vec![text("x"), text("")]);
    assert_eq!(connection.ask(&["LRANGE", "l", "0", "-1"]).unwrap(), list);
    let nested = ["EVAL", "return {1, {}, {'a', {2}}, false}", "0"];
    let two = Reply::List(vec![text("a"), Reply::List(vec![Reply::Number(2)])]);
    let nested_list = vec![Reply::Number(1), Reply::List(Vec::new()), two, Reply::Nil];
    assert_eq!(connection.ask(&nested).unwrap(), Reply::List(nested_list));
    assert!(matches!(connection.ask(&["GET", "l"]).unwrap(), Reply::Error(_)));

    store.stop_without_saving().await.unwrap();
    store.start_again_empty().await.unwrap();
    assert_eq!(store.ask(&["GET", "a"]).await.unwrap(), Reply::Nil);
}

#[tokio::test]
async fn stores_of_both_generations_live_through_everything() {
    tokio::join!(
        a_store_lives_through_everything(Generation::Old),
        a_store_lives_through_everything(Generation::New),
    );
}

#[tokio::test]
async fn what_a_store_is_started_with_counts() {
    let small = ["--maxmemory", "1", "--appendonly", "no"];
    let started = Store::start_with(Generation::Old, &small).await;
    let Some(store) = or_skip(started) else { return };
    let refused = store.ask(&["SET", "a", "1"]).await.unwrap();
    assert!(matches!(refused, Reply::Error(ref why) if why.starts_with("OOM")), "{refused:?}");
}
