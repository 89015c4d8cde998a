//! A world for one test: a timetable on a backend of its own, with a clock that the test moves.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_beat::timetable::Timetable;
use leveret_common::backend::Backend;
use leveret_common::broker::rabbitmq::{self, RabbitMq};
use leveret_common::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError, Survey};
use leveret_common::clock::{Clock, ManualClock, Millis, SystemClock};
use leveret_common::embedded::{self, Embedded};
use leveret_common::name::{KindName, Lane, Namespace, ScheduleName};
use leveret_common::schedule::{Definition, Source};
use leveret_common::spawn::Spawner;
use leveret_common::store::redis::{self, Redis};
use leveret_common::store::{
    Advance, Advanced, BeatInfo, Change, Changed, Changes, Occurrence, Retention, ScheduleEntry,
    Scheduled, Schedules, StoreError,
};
use leveret_common::testkit::services;
use leveret_producer::{Options, Producer};

/// 2027-01-01T12:00:00Z, a Friday: the time as a test begins.
pub(crate) const NOON: Millis = Millis(1_798_804_800_000);
const PAYLOAD: usize = 1_000;
const RETENTION: Retention =
    Retention { record: Duration::from_secs(600), result: Duration::from_secs(600) };

/// Makes tests of stories, each told on every backend: `story::on_embedded`, ….
macro_rules! everywhere {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            use crate::world::{Servers, World};

            #[tokio::test]
            async fn on_embedded() {
                super::$story(World::new()).await;
            }

            #[tokio::test]
            async fn on_rabbitmq_3_and_redis_7() {
                if let Some(world) = World::on(Servers::Older).await {
                    super::$story(world).await;
                }
            }

            #[tokio::test]
            async fn on_rabbitmq_4_and_redis_8() {
                if let Some(world) = World::on(Servers::Newer).await {
                    super::$story(world).await;
                }
            }
        }
    )*};
}
pub(crate) use everywhere;

/// Which servers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Servers {
    /// RabbitMQ 3.10 and Redis 7.
    Older,
    /// RabbitMQ 4.0 and Redis 8.
    Newer,
}

/// A timetable and what it works on.
pub(crate) struct World {
    pub(crate) timetable: Timetable,
    pub(crate) backend: Backend,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) broker: Arc<MoodyBroker>,
    pub(crate) store: Arc<MeddledStore>,
    _alive: Box<dyn Any + Send + Sync>,
}

impl World {
    /// A world in a folder of its own.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(NOON));
        let config = embedded::Config {
            folder: folder.path().to_owned(),
            namespace: Namespace::default(),
            payload_limit: PAYLOAD,
            retention: RETENTION,
        };
        let embedded = Embedded::open(config, clock.clone()).unwrap();
        let backend = Backend {
            namespace: Namespace::default(),
            broker: embedded.clone(),
            ledger: embedded.clone(),
            records: embedded.clone(),
            fleet: embedded.clone(),
            leases: embedded.clone(),
            signals: embedded.clone(),
            letters: embedded.clone(),
            schedules: embedded,
            patients: Vec::new(),
            clock: clock.clone(),
            retention: RETENTION,
        };
        Self::of(backend, clock, Box::new(folder))
    }

    /// A world on servers, in a namespace of its own; nothing where they are missing.
    pub(crate) async fn on(servers: Servers) -> Option<Self> {
        let (host, url) = match servers {
            Servers::Older => (services::rabbitmq_3().await?, services::redis_7()?),
            Servers::Newer => (services::rabbitmq_4().await?, services::redis_8()?),
        };
        let (namespace, spawner) = (services::fresh_namespace(), Spawner::new());
        let config = redis::Config {
            url,
            namespace: namespace.clone(),
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
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
            client_name: "beat tests".to_owned(),
        };
        let broker = RabbitMq::connect(config, Arc::new(SystemClock), &spawner).await.unwrap();
        let clock = Arc::new(ManualClock::at(NOON));
        let backend = Backend {
            namespace,
            broker,
            ledger: redis.clone(),
            records: redis.clone(),
            fleet: redis.clone(),
            leases: redis.clone(),
            signals: redis.clone(),
            letters: redis.clone(),
            schedules: redis,
            patients: Vec::new(),
            clock: clock.clone(),
            retention: RETENTION,
        };
        Some(Self::of(backend, clock, Box::new(spawner)))
    }

    fn of(backend: Backend, clock: Arc<ManualClock>, alive: Box<dyn Any + Send + Sync>) -> Self {
        let broker = Arc::new(MoodyBroker {
            inner: Arc::clone(&backend.broker),
            takes: AtomicUsize::new(usize::MAX),
        });
        let store = Arc::new(MeddledStore {
            inner: Arc::clone(&backend.schedules),
            first: Mutex::default(),
        });
        let backend = Backend { broker: broker.clone(), schedules: store.clone(), ..backend };
        let options = Options { payload_limit: PAYLOAD, ..Options::default() };
        let timetable = Timetable::new(Producer::new(backend.clone(), options));
        Self { timetable, backend, clock, broker, store, _alive: alive }
    }

    /// Counts what rests in a lane.
    pub(crate) async fn depth(&self, lane: &str) -> u64 {
        let lane: Lane = lane.parse().unwrap();
        self.backend.broker.survey(&[Place::Lane(lane)]).await.unwrap()[0].depth
    }

    /// Returns the names of all schedules.
    pub(crate) async fn names(&self) -> Vec<String> {
        let listed = self.timetable.list(None, 1_000).await.unwrap();
        listed.into_iter().map(|scheduled| scheduled.entry.name.to_string()).collect()
    }

    /// Reads an entry.
    pub(crate) async fn entry(&self, name: &str) -> ScheduleEntry {
        self.timetable.show(&named(name)).await.unwrap().entry
    }

    pub(crate) fn now(&self) -> Millis {
        self.clock.now()
    }
}

/// Returns a schedule's name.
pub(crate) fn named(name: &str) -> ScheduleName {
    name.parse().unwrap()
}

/// Returns a schedule of the kind `demo.echo`.
pub(crate) fn says(when: &str) -> Definition {
    let kind: KindName = "demo.echo".parse().unwrap();
    Definition::new(when, kind)
}

/// Returns a file as a source.
pub(crate) fn file(path: &str) -> Source {
    Source::File { path: path.to_owned() }
}

/// Returns a program as a source.
pub(crate) fn program(name: &str) -> Source {
    Source::Code { program: name.to_owned() }
}

/// A broker that stops taking messages.
pub(crate) struct MoodyBroker {
    inner: Arc<dyn Broker>,
    takes: AtomicUsize,
}

impl MoodyBroker {
    /// Has it take so many more messages, and no more.
    pub(crate) fn take_only(&self, messages: usize) {
        self.takes.store(messages, Ordering::SeqCst);
    }
}

#[async_trait]
impl Broker for MoodyBroker {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let takes = self.takes.load(Ordering::SeqCst);
        let taken = takes.min(batch.len());
        if takes != usize::MAX {
            self.takes.fetch_sub(taken, Ordering::SeqCst);
        }
        let mut answers = self.inner.publish(&batch[..taken]).await;
        answers.resize_with(batch.len(), || Err(PublishError::Blocked("memory".to_owned())));
        answers
    }

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.inner.consume(place, prefetch).await
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        self.inner.survey(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// A store in which somebody else is faster.
pub(crate) struct MeddledStore {
    inner: Arc<dyn Schedules>,
    first: Mutex<VecDeque<Change>>,
}

impl MeddledStore {
    /// Has somebody else make a change just before the next one is.
    pub(crate) fn meddle(&self, change: Change) {
        self.first.lock().unwrap().push_back(change);
    }
}

#[async_trait]
impl Schedules for MeddledStore {
    async fn page(
        &self,
        behind: Option<&ScheduleName>,
        most: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        self.inner.page(behind, most).await
    }

    async fn read(&self, names: &[ScheduleName]) -> Result<Vec<Option<Scheduled>>, StoreError> {
        self.inner.read(names).await
    }

    async fn change(&self, batch: &[Change]) -> Result<Vec<Changed>, StoreError> {
        let first = self.first.lock().unwrap().pop_front();
        if let Some(first) = first {
            let changed = self.inner.change(&[first]).await?;
            assert!(matches!(changed[..], [Changed::Written(_)]), "{changed:?}");
        }
        self.inner.change(batch).await
    }

    async fn advance(&self, batch: &[Advance]) -> Result<Vec<Advanced>, StoreError> {
        self.inner.advance(batch).await
    }

    async fn restore(&self, batch: &[Scheduled]) -> Result<(), StoreError> {
        self.inner.restore(batch).await
    }

    async fn note(&self, batch: &[(ScheduleName, Occurrence)]) -> Result<(), StoreError> {
        self.inner.note(batch).await
    }

    async fn occurrences(&self, name: &ScheduleName) -> Result<Vec<Occurrence>, StoreError> {
        self.inner.occurrences(name).await
    }

    async fn changes(&self, since: Option<u64>) -> Result<Changes, StoreError> {
        self.inner.changes(since).await
    }

    async fn announce(&self, beat: &BeatInfo, ttl: Duration) -> Result<(), StoreError> {
        self.inner.announce(beat, ttl).await
    }

    async fn beats(&self) -> Result<Vec<BeatInfo>, StoreError> {
        self.inner.beats().await
    }
}
