//! A world for one test: an embedded backend in a folder of its own, watched.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::backend::Backend;
use leveret_common::broker::{
    Broker, BrokerError, Consumer, Destination, Place, Publish, PublishError, Survey,
};
use leveret_common::clock::{Clock, Millis, SystemClock};
use leveret_common::embedded::{Config, Embedded};
use leveret_common::envelope::Order;
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::{Answer, Claim, Hold, Mark, Marking};
use leveret_common::name::{Lane, Namespace};
use leveret_common::store::{
    Act, AttemptNote, Enqueued, Interim, Records, Retention, Seen, StoreError, StoreErrorKind,
    TaskRecord,
};
use leveret_producer::{Options, Producer};
use tokio::sync::Notify;

/// A producer and what it works on.
pub(crate) struct World {
    pub(crate) producer: Producer,
    pub(crate) backend: Backend,
    pub(crate) broker: Arc<WatchedBroker>,
    pub(crate) records: Arc<MoodyRecords>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let retention =
            Retention { record: Duration::from_secs(600), result: Duration::from_secs(600) };
        let config = Config {
            folder: folder.path().to_owned(),
            namespace: Namespace::default(),
            payload_limit: 2 << 20,
            retention,
        };
        let embedded = Embedded::open(config, Arc::new(SystemClock)).unwrap();
        let broker = Arc::new(WatchedBroker {
            inner: embedded.clone(),
            published: Mutex::default(),
            failures: Mutex::default(),
        });
        let records = Arc::new(MoodyRecords {
            inner: embedded.clone(),
            away: AtomicBool::new(false),
            looked: Notify::new(),
        });
        let backend = Backend {
            namespace: Namespace::default(),
            broker: broker.clone(),
            ledger: embedded.clone(),
            records: records.clone(),
            fleet: embedded.clone(),
            leases: embedded.clone(),
            signals: embedded.clone(),
            letters: embedded.clone(),
            schedules: embedded,
            patients: Vec::new(),
            clock: Arc::new(SystemClock),
            retention,
        };
        let producer = Producer::new(backend.clone(), options);
        Self { producer, backend, broker, records, _folder: folder }
    }

    /// Counts what rests in a lane.
    pub(crate) async fn depth(&self, lane: &str) -> u64 {
        let lane: Lane = lane.parse().unwrap();
        self.backend.broker.survey(&[Place::Lane(lane)]).await.unwrap()[0].depth
    }

    /// Claims a task as a worker would.
    pub(crate) async fn claim(&self, id: TaskId) -> Hold {
        let owner = Owner::mint();
        let claim = Claim {
            id,
            order: Order::FIRST,
            owner,
            token: Token::draw(),
            expires_at: None,
            max_crashes: 3,
            ttl: Duration::from_secs(60),
        };
        match self.backend.ledger.claim(&[claim]).await.unwrap().pop() {
            Some(Answer::Claimed { fence, .. }) => Hold { owner, fence },
            other => panic!("{other:?}"),
        }
    }

    /// Marks a claimed task as done.
    pub(crate) async fn mark_done(&self, id: TaskId, hold: Hold) {
        let ttl = Duration::from_secs(60);
        let mark = Mark { id, hold, order: Order::FIRST, marking: Marking::Done, ttl };
        self.backend.ledger.mark(&[mark]).await.unwrap();
    }

    /// Writes the note of a successful attempt.
    pub(crate) async fn note_done(&self, id: TaskId, result: &str) {
        let note = AttemptNote {
            id,
            kind: "demo.echo".parse().unwrap(),
            lane: "default".parse().unwrap(),
            order: Order::FIRST,
            worker: "test".to_owned(),
            started_at: None,
            ended_at: SystemClock.now(),
            outcome: "done".to_owned(),
            next_at: None,
            reason: None,
            failure: None,
            result: Some(result.to_owned()),
            result_ttl: None,
        };
        self.backend.records.attempted(&[note]).await.unwrap();
    }
}

/// A broker that remembers what was published, and fails on demand.
pub(crate) struct WatchedBroker {
    inner: Arc<dyn Broker>,
    published: Mutex<Vec<Publish>>,
    failures: Mutex<VecDeque<PublishError>>,
}

impl WatchedBroker {
    /// Has the next message answered with `error`.
    pub(crate) fn fail_next(&self, error: PublishError) {
        self.failures.lock().unwrap().push_back(error);
    }

    /// Returns how many messages were really published.
    pub(crate) fn published(&self) -> usize {
        self.published.lock().unwrap().len()
    }

    /// Returns where the last one went.
    pub(crate) fn last_destination(&self) -> Destination {
        self.published.lock().unwrap().last().unwrap().to.clone()
    }
}

#[async_trait]
impl Broker for WatchedBroker {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let mut answers = Vec::new();
        for message in batch {
            let failure = self.failures.lock().unwrap().pop_front();
            answers.push(match failure {
                Some(error) => Err(error),
                None => {
                    self.published.lock().unwrap().push(message.clone());
                    self.inner.publish(std::slice::from_ref(message)).await.pop().unwrap()
                }
            });
        }
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

/// Records that can be away.
pub(crate) struct MoodyRecords {
    inner: Arc<dyn Records>,
    pub(crate) away: AtomicBool,
    /// Told of each look.
    pub(crate) looked: Notify,
}

impl MoodyRecords {
    fn mood(&self) -> Result<(), StoreError> {
        if !self.away.load(Ordering::SeqCst) {
            return Ok(());
        }
        Err(StoreError {
            operation: "read or write records",
            endpoint: "test".to_owned(),
            kind: StoreErrorKind::Unavailable,
            why: "it is away".to_owned(),
            source: None,
        })
    }
}

#[async_trait]
impl Records for MoodyRecords {
    async fn enqueued(&self, batch: &[Enqueued]) -> Result<(), StoreError> {
        self.mood()?;
        self.inner.enqueued(batch).await
    }

    async fn attempted(&self, batch: &[AttemptNote]) -> Result<(), StoreError> {
        self.mood()?;
        self.inner.attempted(batch).await
    }

    async fn acted(&self, batch: &[Act]) -> Result<(), StoreError> {
        self.mood()?;
        self.inner.acted(batch).await
    }

    async fn say(&self, batch: &[Interim]) -> Result<(), StoreError> {
        self.mood()?;
        self.inner.say(batch).await
    }

    async fn last_said(&self, ids: &[TaskId]) -> Result<Vec<Option<Interim>>, StoreError> {
        self.mood()?;
        self.inner.last_said(ids).await
    }

    async fn seen(&self) -> Result<Vec<Seen>, StoreError> {
        self.mood()?;
        self.inner.seen().await
    }

    async fn find(&self, ids: &[TaskId]) -> Result<Vec<TaskRecord>, StoreError> {
        self.mood()?;
        let found = self.inner.find(ids).await;
        self.looked.notify_one();
        found
    }
}

/// The present instant.
pub(crate) fn now() -> Millis {
    SystemClock.now()
}
