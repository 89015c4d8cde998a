//! Runs the three suites on every backend: one behaviour, proved the same way everywhere.
//!
//! Only constructors stand here; the promises are `testkit`'s.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::broker::Broker;
use leveret_common::broker::rabbitmq::{self, RabbitMq};
use leveret_common::clock::{SharedClock, SystemClock};
use leveret_common::embedded::{self, Embedded};
use leveret_common::name::{Namespace, QueueName};
use leveret_common::spawn::Spawner;
use leveret_common::store::redis::{self, Redis};
use leveret_common::store::{
    Fleet, Leases, Ledger, Letters, Records, Retention, Schedules, Signals,
};
use leveret_common::testkit;
use leveret_common::testkit::broker::{BrokerUnderTest, DeadLetters, Open};
use leveret_common::testkit::desk::DeskUnderTest;
use leveret_common::testkit::services::{self, VirtualHost};
use leveret_common::testkit::store::StoreUnderTest;

const PAYLOAD_LIMIT: usize = 64 * 1024;
const RETENTION: Retention =
    Retention { record: Duration::from_secs(600), result: Duration::from_secs(600) };

fn clock() -> SharedClock {
    Arc::new(SystemClock)
}

fn config(folder: &std::path::Path) -> embedded::Config {
    embedded::Config {
        folder: folder.to_owned(),
        namespace: Namespace::default(),
        payload_limit: PAYLOAD_LIMIT,
        retention: RETENTION,
    }
}

fn open_embedded(folder: &std::path::Path) -> Arc<Embedded> {
    Embedded::open(config(folder), clock()).expect("the folder opens")
}

/// The same without a file, as the tests of programs have it.
fn open_memory() -> Arc<Embedded> {
    Embedded::in_memory(config(std::path::Path::new("")), clock()).expect("there is memory")
}

fn embedded_store(embedded: Arc<Embedded>, guard: Box<dyn Any + Send + Sync>) -> StoreUnderTest {
    StoreUnderTest {
        ledger: embedded.clone(),
        records: embedded.clone(),
        fleet: embedded.clone(),
        leases: embedded.clone(),
        signals: embedded.clone(),
        letters: embedded.clone(),
        schedules: embedded,
        can_be_wiped: false,
        guard,
    }
}

async fn embedded_broker() -> BrokerUnderTest {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    let open: Open = Arc::new(move || {
        let opened: Arc<dyn Broker> = open_embedded(&path);
        Box::pin(async { opened })
    });
    BrokerUnderTest {
        broker: open().await,
        clock: clock(),
        payload_limit: PAYLOAD_LIMIT,
        open,
        shared: false,
        exact_delays: true,
        dead_letters: None,
        guard: Box::new(folder),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_keeps_every_promise_of_a_broker() {
    testkit::broker::suite("embedded", embedded_broker).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_keeps_every_promise_of_a_store() {
    testkit::store::suite("embedded", || async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        embedded_store(open_embedded(folder.path()), Box::new(folder))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_every_promise_of_a_store() {
    testkit::store::suite("memory", || async { embedded_store(open_memory(), Box::new(())) }).await;
}

async fn open_rabbitmq(
    host: VirtualHost,
    namespace: Namespace,
    spawner: Spawner,
) -> Arc<dyn Broker> {
    let config = rabbitmq::Config {
        url: host.url,
        namespace,
        publish_deadline: Duration::from_secs(15),
        new_queue: Duration::ZERO,
        publish_window: 256,
        heartbeat: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        payload_limit: PAYLOAD_LIMIT,
        receives: true,
        client_name: "conformance".to_owned(),
    };
    RabbitMq::connect(config, clock(), &spawner).await.expect("the broker is reached")
}

/// Reads dead letters through the management API, past our own code.
fn letters(host: VirtualHost, namespace: Namespace) -> DeadLetters {
    Arc::new(move |queue: QueueName| {
        let (host, name) = (host.clone(), format!("{namespace}.dead.{queue}"));
        Box::pin(async move {
            let messages = host.management.peek(&host.name, &name, 100).await;
            let read = |message: &serde_json::Value| {
                let body = message["payload"].as_str().expect("a text body").to_owned();
                (body, message["properties"]["headers"].clone())
            };
            messages.iter().map(read).collect()
        })
    })
}

async fn rabbitmq_broker(host: VirtualHost) -> BrokerUnderTest {
    let (namespace, spawner) = (services::fresh_namespace(), Spawner::new());
    let open: Open = {
        let (host, namespace, spawner) = (host.clone(), namespace.clone(), spawner.clone());
        Arc::new(move || Box::pin(open_rabbitmq(host.clone(), namespace.clone(), spawner.clone())))
    };
    BrokerUnderTest {
        broker: open().await,
        clock: clock(),
        payload_limit: PAYLOAD_LIMIT,
        open,
        shared: true,
        exact_delays: false,
        dead_letters: Some(letters(host, namespace)),
        guard: Box::new(spawner),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_3_keeps_every_promise_of_a_broker() {
    let Some(host) = services::rabbitmq_3().await else { return };
    testkit::broker::suite("rabbitmq-3", move || rabbitmq_broker(host.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_4_keeps_every_promise_of_a_broker() {
    let Some(host) = services::rabbitmq_4().await else { return };
    testkit::broker::suite("rabbitmq-4", move || rabbitmq_broker(host.clone())).await;
}

async fn open_redis(url: String, namespace: Namespace, spawner: &Spawner) -> Arc<Redis> {
    let config = redis::Config {
        url,
        namespace,
        // Longer than in production: a loaded machine is no broken promise.
        response_timeout: Duration::from_secs(10),
        connect_timeout: Duration::from_secs(10),
        retention: RETENTION,
    };
    Redis::connect(config, spawner).await.expect("the store is reached")
}

pub(crate) async fn redis_store(url: String) -> StoreUnderTest {
    let spawner = Spawner::new();
    let redis = open_redis(url, services::fresh_namespace(), &spawner).await;
    StoreUnderTest {
        ledger: redis.clone(),
        records: redis.clone(),
        fleet: redis.clone(),
        leases: redis.clone(),
        signals: redis.clone(),
        letters: redis.clone(),
        schedules: redis,
        can_be_wiped: true,
        guard: Box::new(spawner),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_7_keeps_every_promise_of_a_store() {
    let Some(url) = services::redis_7() else { return };
    testkit::store::suite("redis-7", move || redis_store(url.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_8_keeps_every_promise_of_a_store() {
    let Some(url) = services::redis_8() else { return };
    testkit::store::suite("redis-8", move || redis_store(url.clone())).await;
}

/// A backend of one broker and one store, without decorators.
fn backend<S>(namespace: Namespace, broker: Arc<dyn Broker>, store: Arc<S>) -> Backend
where
    S: Ledger + Records + Fleet + Leases + Signals + Letters + Schedules,
{
    Backend {
        namespace,
        broker,
        ledger: store.clone(),
        records: store.clone(),
        fleet: store.clone(),
        leases: store.clone(),
        signals: store.clone(),
        letters: store.clone(),
        schedules: store,
        patients: Vec::new(),
        clock: clock(),
        retention: RETENTION,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_keeps_every_promise_of_a_desk() {
    testkit::desk::suite("embedded", || async {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let embedded = open_embedded(folder.path());
        let backend = backend(Namespace::default(), embedded.clone(), embedded);
        DeskUnderTest { backend, guard: Box::new(folder) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_every_promise_of_a_desk() {
    testkit::desk::suite("memory", || async {
        let embedded = open_memory();
        let backend = backend(Namespace::default(), embedded.clone(), embedded);
        DeskUnderTest { backend, guard: Box::new(()) }
    })
    .await;
}

async fn servers(host: VirtualHost, redis: String) -> DeskUnderTest {
    let (namespace, spawner) = (services::fresh_namespace(), Spawner::new());
    let store = open_redis(redis, namespace.clone(), &spawner).await;
    let broker = open_rabbitmq(host, namespace.clone(), spawner.clone()).await;
    DeskUnderTest { backend: backend(namespace, broker, store), guard: Box::new(spawner) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_3_and_redis_7_keep_every_promise_of_a_desk() {
    let Some(host) = services::rabbitmq_3().await else { return };
    let Some(redis) = services::redis_7() else { return };
    let make = move || servers(host.clone(), redis.clone());
    testkit::desk::suite("rabbitmq-3+redis-7", make).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rabbitmq_4_and_redis_8_keep_every_promise_of_a_desk() {
    let Some(host) = services::rabbitmq_4().await else { return };
    let Some(redis) = services::redis_8() else { return };
    let make = move || servers(host.clone(), redis.clone());
    testkit::desk::suite("rabbitmq-4+redis-8", make).await;
}
