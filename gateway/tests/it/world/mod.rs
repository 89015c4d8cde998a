//! A world for one test: a gateway on a free port, on a backend of its own, embedded or on servers.

mod backend;
mod broker;
mod frozen;
mod letters;

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::backend::Backend;
use leveret_common::broker::Place;
use leveret_common::envelope::Order;
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::{Answer, Claim, Hold, Mark, Marking};
use leveret_common::name::Lane;
use leveret_common::spawn::Spawner;
use leveret_common::store::AttemptNote;
use leveret_gateway::{Config, Gateway};
use leveret_producer::{Options, Producer};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::backend::Ground;
pub(crate) use self::backend::Servers;
pub(crate) use self::broker::FailingBroker;
pub(crate) use self::frozen::Freezer;
pub(crate) use self::letters::{letter, letters};
use crate::openapi::contract;

/// Most bytes of a task's args in these tests.
pub(crate) const PAYLOAD: usize = 10_000;

/// Runs cases, each given a world, on the embedded backend and on both pairs of servers.
macro_rules! everywhere {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test] async fn $case() {
                super::$case(crate::world::World::new().await).await;
            })+
        }
        mod rabbitmq_3_redis_7 {
            $(#[tokio::test] async fn $case() {
                let servers = crate::world::Servers::Older;
                if let Some(world) = crate::world::World::on(servers).await {
                    super::$case(world).await;
                }
            })+
        }
        mod rabbitmq_4_redis_8 {
            $(#[tokio::test] async fn $case() {
                let servers = crate::world::Servers::Newer;
                if let Some(world) = crate::world::World::on(servers).await {
                    super::$case(world).await;
                }
            })+
        }
    };
}
pub(crate) use everywhere;

/// A running gateway.
pub(crate) struct World {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) backend: Backend,
    pub(crate) broker: Arc<FailingBroker>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) running: JoinHandle<()>,
    _ground: Ground,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::built(Ground::embedded(), change, |_| {}).await
    }

    /// A world whose gateway enqueues as `change` says.
    pub(crate) async fn with_options(change: impl FnOnce(&mut Options)) -> Self {
        Self::built(Ground::embedded(), |_| {}, change).await
    }

    /// A world on servers; nothing where they are missing.
    pub(crate) async fn on(servers: Servers) -> Option<Self> {
        let ground = Ground::servers(servers, None).await?;
        Some(Self::built(ground, |_| {}, |_| {}).await)
    }

    /// A world on servers whose store can be frozen; nothing where they are missing.
    pub(crate) async fn freezing(servers: Servers, freezer: &Freezer) -> Option<Self> {
        let ground = Ground::servers(servers, Some(freezer)).await?;
        Some(Self::built(ground, |_| {}, |_| {}).await)
    }

    async fn built(
        ground: Ground,
        configure: impl FnOnce(&mut Config),
        choose: impl FnOnce(&mut Options),
    ) -> Self {
        let broker = Arc::new(FailingBroker::new(Arc::clone(&ground.backend.broker)));
        let backend = Backend { broker: broker.clone(), ..ground.backend.clone() };
        let mut options = Options { payload_limit: PAYLOAD, ..Options::default() };
        choose(&mut options);
        let producer = Producer::new(backend.clone(), options);
        let mut config = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::default() };
        configure(&mut config);
        let gateway = Gateway::new(producer, config).with_metrics(Arc::new(|| "m 1\n".to_owned()));
        let bound = gateway.bind().await.unwrap();
        let url = format!("http://{}", bound.local_addr());
        let shutdown = CancellationToken::new();
        let running = Spawner::new().spawn(bound.run(shutdown.clone()));
        let client = Client::builder().no_proxy().build().unwrap();
        Self { client, url, backend, broker, shutdown, running, _ground: ground }
    }

    pub(crate) fn post(&self) -> RequestBuilder {
        self.post_to("/v1/tasks")
    }

    pub(crate) fn post_to(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    pub(crate) fn put_to(&self, path: &str) -> RequestBuilder {
        self.client.put(format!("{}{path}", self.url))
    }

    pub(crate) fn delete_at(&self, path: &str) -> RequestBuilder {
        self.client.delete(format!("{}{path}", self.url))
    }

    /// Asks for what is at `path`.
    pub(crate) async fn ask(&self, path: &str) -> Value {
        json(self.get(path).send().await.unwrap(), 200).await
    }

    /// Has something done, and reads the answer.
    pub(crate) async fn order(&self, path: &str, body: Value, status: u16) -> Value {
        json(self.post_to(path).json(&body).send().await.unwrap(), status).await
    }

    /// Has something done that answers line by line, and reads all lines.
    pub(crate) async fn order_lines(&self, path: &str, body: Value) -> Vec<Value> {
        lines(self.post_to(path).json(&body).send().await.unwrap()).await
    }

    /// Waits until `/readyz` says no: what it saw last stands for a second.
    pub(crate) async fn unready(&self) -> Response {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let response = self.get("/readyz").send().await.unwrap();
            if response.status() != 200 || Instant::now() > deadline {
                return response;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Puts one task in.
    pub(crate) async fn put_in(&self, task: Value) -> Response {
        self.post().json(&task).send().await.unwrap()
    }

    /// Puts one task in and returns its id.
    pub(crate) async fn accepted(&self, task: Value) -> TaskId {
        json(self.put_in(task).await, 202).await["id"].as_str().unwrap().parse().unwrap()
    }

    /// Puts many tasks in and returns the result lines.
    pub(crate) async fn put_lines_in(&self, body: impl Into<reqwest::Body>) -> Vec<Value> {
        let request = self.post().header("content-type", "application/x-ndjson").body(body);
        lines(request.send().await.unwrap()).await
    }

    /// Counts what rests in a lane.
    pub(crate) async fn depth(&self, lane: &str) -> u64 {
        let lane: Lane = lane.parse().unwrap();
        self.backend.broker.survey(&[Place::Lane(lane)]).await.unwrap()[0].depth
    }

    /// Claims a task as a worker would.
    pub(crate) async fn claim(&self, id: TaskId) -> Hold {
        self.claim_at(id, Order::FIRST).await
    }

    /// Claims a task's message of this order as a worker would.
    pub(crate) async fn claim_at(&self, id: TaskId, order: Order) -> Hold {
        let owner = Owner::mint();
        let claim = Claim {
            id,
            order,
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
        let (id, order, ttl) = (note.id, note.order, Duration::from_secs(60));
        let mark = Mark { id, hold, order, marking, ttl };
        self.backend.records.attempted(&[note]).await.unwrap();
        self.backend.ledger.mark(&[mark]).await.unwrap();
    }
}

/// Reads an answer of lines.
pub(crate) async fn lines(response: Response) -> Vec<Value> {
    let (status, media) = (response.status(), response.headers()["content-type"].clone());
    let (path, headers) = (response.url().path().to_owned(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert_eq!((status.as_u16(), media.as_bytes()), (200, &b"application/x-ndjson"[..]), "{text}");
    contract::hold(&path, 200, &headers, &text);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Checks that an answer is a problem document of this status and type, and returns it.
pub(crate) async fn problem(response: Response, status: u16, name: &str) -> Value {
    let path = response.url().path().to_owned();
    let found = response.status();
    let headers = response.headers().clone();
    let media = headers["content-type"].clone();
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
        (&status.into(), &path.as_str().into()),
        "{text}"
    );
    contract::hold(&path, status, &headers, &text);
    problem
}

/// Reads a successful answer.
pub(crate) async fn json(response: Response, status: u16) -> Value {
    let found = response.status();
    let (path, headers) = (response.url().path().to_owned(), response.headers().clone());
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    contract::hold(&path, status, &headers, &text);
    serde_json::from_str(&text).unwrap()
}
