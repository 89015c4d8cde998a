//! A world for one test: a gateway on a free port, on an embedded backend in a folder of its own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::backend::Backend;
use leveret_common::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError};
use leveret_common::clock::SystemClock;
use leveret_common::embedded::{self, Embedded};
use leveret_common::envelope::Order;
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::{Answer, Claim, Hold, Mark, Marking};
use leveret_common::name::{Lane, Namespace};
use leveret_common::spawn::Spawner;
use leveret_common::store::{AttemptNote, Retention};
use leveret_gateway::{Config, Gateway};
use leveret_producer::{Options, Producer};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Most bytes of a task's args in these tests.
pub(crate) const PAYLOAD: usize = 10_000;

/// A running gateway.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) backend: Backend,
    pub(crate) broker: Arc<FailingBroker>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (backend, broker) = backend(folder.path());
        let options = Options { payload_limit: PAYLOAD, ..Options::default() };
        let producer = Producer::new(backend.clone(), options);
        let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
        change(&mut config);
        let gateway = Gateway::new(producer, config).with_metrics(Arc::new(|| "m 1\n".to_owned()));
        let bound = gateway.bind().await.unwrap();
        let url = format!("http://{}", bound.local_addr());
        let shutdown = CancellationToken::new();
        let running = Spawner::new().spawn(bound.run(shutdown.clone()));
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, url, backend, broker, shutdown, running, _folder: folder }
    }

    pub(crate) fn post(&self) -> RequestBuilder {
        self.client.post(format!("{}/v1/tasks", self.url))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    /// Puts one task in.
    pub(crate) async fn put_in(&self, task: Value) -> Response {
        self.post().json(&task).send().await.unwrap()
    }

    /// Puts many tasks in and returns the result lines.
    pub(crate) async fn put_lines_in(&self, lines: impl Into<reqwest::Body>) -> Vec<Value> {
        let request = self.post().header("content-type", "application/x-ndjson").body(lines);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let text = response.text().await.unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Counts what rests in a lane.
    pub(crate) async fn depth(&self, lane: &str) -> u64 {
        let lane: Lane = lane.parse().unwrap();
        self.backend.broker.depths(&[Place::Lane(lane)]).await.unwrap()[0]
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

    /// Ends a claimed task as a worker would.
    pub(crate) async fn end(&self, hold: Hold, marking: Marking, note: AttemptNote) {
        let (id, ttl) = (note.id, Duration::from_secs(60));
        let mark = Mark { id, hold, order: Order::FIRST, marking, ttl };
        self.backend.records.attempted(&[note]).await.unwrap();
        self.backend.ledger.mark(&[mark]).await.unwrap();
    }
}

fn backend(folder: &std::path::Path) -> (Backend, Arc<FailingBroker>) {
    let retention =
        Retention { record: Duration::from_secs(600), result: Duration::from_secs(600) };
    let config = embedded::Config {
        folder: folder.to_owned(),
        namespace: Namespace::default(),
        payload_limit: PAYLOAD,
        retention,
    };
    let embedded = Embedded::open(config, Arc::new(SystemClock)).unwrap();
    let broker = Arc::new(FailingBroker { inner: embedded.clone(), failure: Mutex::default() });
    let backend = Backend {
        namespace: Namespace::default(),
        broker: broker.clone(),
        ledger: embedded.clone(),
        records: embedded.clone(),
        fleet: embedded,
        clock: Arc::new(SystemClock),
        retention,
    };
    (backend, broker)
}

/// Checks that an answer is a problem document of this status and type, and returns it.
pub(crate) async fn problem(response: Response, status: u16, name: &str) -> Value {
    let path = response.url().path().to_owned();
    let found = response.status();
    let media = response.headers()["content-type"].clone();
    let text = response.text().await.unwrap();
    assert_eq!(
        (found.as_u16(), media.as_bytes()),
        (status, b"application/problem+json".as_slice()),
        "{text}"
    );
    let problem: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(problem["type"], format!("/problems/{name}"), "{text}");
    assert_eq!(
        (&problem["status"], &problem["instance"]),
        (&status.into(), &path.into()),
        "{text}"
    );
    assert!(problem["title"].is_string() && problem["detail"].is_string(), "{text}");
    problem
}

/// Reads a successful answer.
pub(crate) async fn json(response: Response, status: u16) -> Value {
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// A broker that fails when it is told to.
pub(crate) struct FailingBroker {
    inner: Arc<dyn Broker>,
    failure: Mutex<Option<fn() -> PublishError>>,
}

impl FailingBroker {
    /// Has every message answered with this error from now on.
    pub(crate) fn fail_with(&self, error: fn() -> PublishError) {
        *self.failure.lock().unwrap() = Some(error);
    }

    fn failure(&self) -> Option<PublishError> {
        self.failure.lock().unwrap().map(|error| error())
    }
}

#[async_trait]
impl Broker for FailingBroker {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        if self.failure().is_none() {
            return self.inner.publish(batch).await;
        }
        batch.iter().map(|_| self.failure().map_or(Ok(()), Err)).collect()
    }

    async fn consume(&self, lane: &Lane, prefetch: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.inner.consume(lane, prefetch).await
    }

    async fn depths(&self, places: &[Place]) -> Result<Vec<u64>, BrokerError> {
        self.inner.depths(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        match self.failure() {
            None => self.inner.check().await,
            Some(error) => Err(BrokerError::Operation {
                operation: "publish",
                why: error.to_string(),
                source: None,
            }),
        }
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
