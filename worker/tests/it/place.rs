//! A place of its own for each test: a backend, a producer, and workers in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::broker::Broker;
use leveret_common::broker::rabbitmq::{self, RabbitMq};
use leveret_common::clock::SystemClock;
use leveret_common::embedded::{self, Embedded};
use leveret_common::id::{Owner, TaskId};
use leveret_common::name::Namespace;
use leveret_common::retry::{Backoff, Jitter, RetryPolicy};
use leveret_common::spawn::Spawner;
use leveret_common::store::redis::{self, Redis};
use leveret_common::store::{
    Fleet, Leases, Ledger, Letters, Records, Retention, Schedules, Signal, Signals, TaskState,
    TaskView,
};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::fresh_namespace;
use leveret_producer::{Options, Producer};
use leveret_worker::handler::from_fn;
use leveret_worker::{Config, Handler, Kind, Registry, Status, Worker, WorkerError};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than anything here takes; a test that needs it has failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Place {
    pub(crate) backend: Backend,
    pub(crate) producer: Producer,
    spawner: Spawner,
    /// Kept until the test is over.
    folder: Option<TempDir>,
}

/// A worker that runs; dropped, it ends as if it was killed.
pub(crate) struct Running {
    pub(crate) status: Arc<Status>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), WorkerError>>,
}

impl Running {
    pub(crate) async fn drain(self) {
        self.stop.cancel();
        self.ended().await;
    }

    pub(crate) fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(mut self) {
        (&mut self.task).await.unwrap().unwrap();
    }

    /// Ends it where it is.
    pub(crate) async fn kill(mut self) {
        self.task.abort();
        assert!((&mut self.task).await.unwrap_err().is_cancelled(), "it has ended before");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Makes a test of each story on each backend.
macro_rules! on_every_backend {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            #[tokio::test]
            async fn embedded() {
                super::$story(crate::place::Place::embedded()).await;
            }

            #[tokio::test]
            async fn rabbitmq_3() {
                use leveret_common::testkit::services::{rabbitmq_3, redis_7};
                if let (Some(broker), Some(store)) = (rabbitmq_3().await, redis_7()) {
                    super::$story(crate::place::Place::servers(broker.url, store).await).await;
                }
            }

            #[tokio::test]
            async fn rabbitmq_4() {
                use leveret_common::testkit::services::{rabbitmq_4, redis_8};
                if let (Some(broker), Some(store)) = (rabbitmq_4().await, redis_8()) {
                    super::$story(crate::place::Place::servers(broker.url, store).await).await;
                }
            }
        }
    )*};
}

const RETENTION: Retention =
    Retention { record: Duration::from_secs(600), result: Duration::from_secs(600) };

impl Place {
    pub(crate) fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded::Config {
            folder: folder.path().to_path_buf(),
            namespace: Namespace::default(),
            payload_limit: 1 << 20,
            retention: RETENTION,
        };
        let embedded = Embedded::open(config, Arc::new(SystemClock)).unwrap();
        let namespace = Namespace::default();
        let place = Self::of(namespace, embedded.clone(), embedded, Spawner::new());
        Self { folder: Some(folder), ..place }
    }

    pub(crate) async fn servers(broker_url: String, store_url: String) -> Self {
        Self::servers_within(broker_url, store_url, Duration::from_secs(2)).await
    }

    /// On servers of which the store has so long to answer.
    pub(crate) async fn servers_within(
        broker_url: String,
        store_url: String,
        response_timeout: Duration,
    ) -> Self {
        let (namespace, spawner) = (fresh_namespace(), Spawner::new());
        let store = redis::Config {
            url: store_url,
            namespace: namespace.clone(),
            response_timeout,
            connect_timeout: Duration::from_secs(2),
            retention: RETENTION,
        };
        let broker = rabbitmq::Config {
            url: broker_url,
            namespace: namespace.clone(),
            publish_deadline: Duration::from_secs(10),
            new_queue: Duration::ZERO,
            publish_window: 256,
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            payload_limit: 1 << 20,
            receives: true,
            client_name: "test".to_owned(),
        };
        let store = Redis::connect(store, &spawner).await.unwrap();
        let broker = RabbitMq::connect(broker, Arc::new(SystemClock), &spawner).await.unwrap();
        Self::of(namespace, broker, store, spawner)
    }

    fn of<B: Broker, S: Ledger + Records + Fleet + Leases + Signals + Letters + Schedules>(
        namespace: Namespace,
        broker: Arc<B>,
        store: Arc<S>,
        spawner: Spawner,
    ) -> Self {
        let backend = Backend {
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
            clock: Arc::new(SystemClock),
            retention: RETENTION,
        };
        let producer = Producer::new(backend.clone(), Options::default());
        Self { backend, producer, spawner, folder: None }
    }

    /// Returns the folder of an embedded place.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().unwrap().path()
    }

    /// Starts a worker and waits until it is ready.
    pub(crate) async fn work(&self, kinds: Vec<Kind>, config: Config) -> Running {
        self.work_with(self.backend.fleet.clone(), kinds, config).await
    }

    /// Starts a worker that gives its signs of life to `fleet`, and waits until it is ready.
    pub(crate) async fn work_with(
        &self,
        fleet: Arc<dyn Fleet>,
        kinds: Vec<Kind>,
        config: Config,
    ) -> Running {
        self.work_on(Backend { fleet, ..self.backend.clone() }, kinds, config).await
    }

    /// Starts a worker on `backend`, and waits until it is ready.
    pub(crate) async fn work_on(
        &self,
        backend: Backend,
        kinds: Vec<Kind>,
        config: Config,
    ) -> Running {
        let mut registry = Registry::default();
        for kind in kinds {
            registry.add(kind).unwrap();
        }
        self.work_in(backend, registry, config).await
    }

    /// Starts a worker of what is registered, and waits until it is ready.
    pub(crate) async fn work_in(
        &self,
        backend: Backend,
        registry: Registry,
        config: Config,
    ) -> Running {
        let worker = Worker::new(backend, registry, config).unwrap();
        let (status, stop) = (worker.status(), CancellationToken::new());
        let task = self.spawner.spawn(worker.run(stop.clone()));
        eventually(DEADLINE, "the worker is ready", || async { status.is_ready() }).await;
        Running { status, stop, task }
    }

    /// Waits until the task is in this state.
    pub(crate) async fn until(&self, id: TaskId, state: TaskState) {
        eventually(DEADLINE, state.as_str(), || async {
            self.producer.find(id).await.unwrap().is_some_and(|view| view.state == state)
        })
        .await;
    }

    /// Waits until a worker has heard all signals that were sent to it.
    pub(crate) async fn heard(&self, owner: Owner) {
        self.backend.signals.send(owner, &[Signal::Resize { slots: 7 }]).await.unwrap();
        eventually(DEADLINE, "it has heard", || async {
            let workers = self.backend.fleet.workers().await.unwrap();
            workers.iter().any(|beat| beat.owner == owner && beat.info.slots == 7)
        })
        .await;
    }

    /// Waits until the task is over.
    pub(crate) async fn wait(&self, id: TaskId) -> TaskView {
        let view = self.producer.wait(id, DEADLINE).await.unwrap().unwrap();
        assert!(view.state.is_final(), "{view:?}");
        view
    }
}

/// Small waits, so that a test sees a worker's whole life.
pub(crate) fn config() -> Config {
    Config {
        slots: 4,
        grace: Duration::from_millis(300),
        heartbeat: Duration::from_millis(100),
        heartbeat_ttl: Duration::from_millis(400),
        soft_grace: Duration::from_millis(300),
        ..Config::default()
    }
}

pub(crate) fn kind(name: &str, handler: Arc<dyn Handler>) -> Kind {
    let backoff = Backoff::Exponential {
        base: Duration::from_millis(40),
        factor: 2.0,
        max: Duration::from_secs(1),
    };
    let retry =
        RetryPolicy { backoff, jitter: Jitter::None, max_attempts: 4, ..RetryPolicy::default() };
    Kind { name: name.parse().unwrap(), handler, retry, timeout: Duration::from_secs(20) }
}

/// Tells when it is dropped.
struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// Makes a handler that never ends; the first signal comes when it begins, the second when it is
/// dropped.
pub(crate) fn endless() -> (Arc<dyn Handler>, Arc<Notify>, Arc<Notify>) {
    let (begun, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, drops) = (begun.clone(), dropped.clone());
    let handler = from_fn(move |_: Value, _| {
        let (begin, tell) = (begin.clone(), Tell(drops.clone()));
        async move {
            begin.notify_one();
            std::future::pending::<()>().await;
            drop(tell);
            Ok(())
        }
    });
    (handler, begun, dropped)
}
