//! The ground under a world: an embedded folder, or a namespace of its own on servers.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::backend::Backend;
use leveret_common::broker::rabbitmq::{self, RabbitMq};
use leveret_common::clock::SystemClock;
use leveret_common::embedded::{self, Embedded};
use leveret_common::name::Namespace;
use leveret_common::spawn::Spawner;
use leveret_common::store::Retention;
use leveret_common::store::redis::{self, Redis};
use leveret_common::testkit::services;

use super::{Freezer, PAYLOAD};

const RETENTION: Retention =
    Retention { record: Duration::from_secs(600), result: Duration::from_secs(600) };

/// Which servers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Servers {
    /// RabbitMQ 3.10 and Redis 7.
    Older,
    /// RabbitMQ 4.0 and Redis 8.
    Newer,
}

/// A backend, and what must live as long.
pub(super) struct Ground {
    pub(super) backend: Backend,
    _alive: Box<dyn Any + Send + Sync>,
}

impl Ground {
    pub(super) fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let backend = open_folder(folder.path());
        Self { backend, _alive: Box::new(folder) }
    }

    pub(super) async fn servers(servers: Servers, freezer: Option<&Freezer>) -> Option<Self> {
        let (host, store) = match servers {
            Servers::Older => (services::rabbitmq_3().await?, services::redis_7()?),
            Servers::Newer => (services::rabbitmq_4().await?, services::redis_8()?),
        };
        let store = match freezer {
            Some(freezer) => freezer.before(&store).await,
            None => store,
        };
        let (namespace, spawner) = (services::fresh_namespace(), Spawner::new());
        let clock = Arc::new(SystemClock);
        let config = redis::Config {
            url: store,
            namespace: namespace.clone(),
            response_timeout: Duration::from_millis(500),
            connect_timeout: Duration::from_secs(2),
            retention: RETENTION,
        };
        let redis = Redis::connect(config, &spawner).await.unwrap();
        let config = rabbitmq::Config {
            url: host.url,
            namespace: namespace.clone(),
            publish_deadline: Duration::from_secs(15),
            new_queue: Duration::ZERO,
            publish_window: 256,
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            payload_limit: PAYLOAD,
            receives: true,
            client_name: "gateway tests".to_owned(),
        };
        let broker = RabbitMq::connect(config, clock.clone(), &spawner).await.unwrap();
        let backend = Backend {
            namespace,
            broker: broker.clone(),
            ledger: redis.clone(),
            records: redis.clone(),
            fleet: redis.clone(),
            leases: redis.clone(),
            signals: redis.clone(),
            letters: redis.clone(),
            schedules: redis.clone(),
            patients: vec![broker, redis],
            clock,
            retention: RETENTION,
        };
        Some(Self { backend, _alive: Box::new(spawner) })
    }
}

fn open_folder(folder: &Path) -> Backend {
    let config = embedded::Config {
        folder: folder.to_owned(),
        namespace: Namespace::default(),
        payload_limit: PAYLOAD,
        retention: RETENTION,
    };
    let embedded = Embedded::open(config, Arc::new(SystemClock)).unwrap();
    Backend {
        namespace: Namespace::default(),
        broker: embedded.clone(),
        ledger: embedded.clone(),
        records: embedded.clone(),
        fleet: embedded.clone(),
        leases: embedded.clone(),
        signals: embedded.clone(),
        letters: embedded.clone(),
        schedules: embedded.clone(),
        patients: vec![embedded],
        clock: Arc::new(SystemClock),
        retention: RETENTION,
    }
}
