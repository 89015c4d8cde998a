//! The relay on SQLite and the embedded backend, with a broker that fails when it is told to.

mod hung;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::backend::Backend;
use leveret_common::broker::{
    Broker, BrokerError, Consumer, Destination, Place, Publish, PublishError, Survey as Depth,
};
use leveret_common::clock::SystemClock;
use leveret_common::embedded::{Config as Embed, Embedded};
use leveret_common::name::{Lane, Namespace};
use leveret_common::spawn::Spawner;
use leveret_common::store::Retention;
use leveret_common::testkit::eventually;
use leveret_producer::{Options, Producer, Request};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Address, Config, Relay, Status};
use crate::Dialect;

const DEADLINE: Duration = Duration::from_secs(30);

/// What a broker does instead of taking a message.
type Mood = Box<dyn Fn(&Lane) -> Option<PublishError> + Send>;

/// A broker with moods.
struct Moody {
    inner: Arc<Embedded>,
    mood: Mutex<Option<Mood>>,
    /// Whether nothing is ever answered.
    is_hung: AtomicBool,
    /// Told when it hangs.
    asked: Notify,
}

#[async_trait]
impl Broker for Moody {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        if self.is_hung.load(Ordering::SeqCst) {
            self.asked.notify_one();
            std::future::pending::<()>().await;
        }
        let mut answers = Vec::new();
        for one in batch {
            let (Destination::Lane(lane) | Destination::Delay { lane, .. }) = &one.to else {
                panic!("an outbox enqueues");
            };
            let refusal = self.mood.lock().unwrap().as_ref().and_then(|mood| mood(lane));
            answers.push(match refusal {
                Some(error) => Err(error),
                None => self.inner.publish(std::slice::from_ref(one)).await.remove(0),
            });
        }
        answers
    }

    async fn consume(&self, _: &Place, _: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
        panic!("an outbox performs nothing");
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Depth>, BrokerError> {
        self.inner.survey(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

/// An application's own file, and a backend.
struct World {
    folder: TempDir,
    app: Connection,
    broker: Arc<Moody>,
    backend: Backend,
    spawner: Spawner,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (namespace, clock) = (Namespace::default(), Arc::new(SystemClock));
        let retention = Retention { record: DEADLINE, result: DEADLINE };
        let embed = Embed {
            folder: folder.path().join("data"),
            namespace: namespace.clone(),
            payload_limit: 1 << 20,
            retention,
        };
        let embedded = Embedded::open(embed, clock.clone()).unwrap();
        let broker = Arc::new(Moody {
            inner: embedded.clone(),
            mood: Mutex::default(),
            is_hung: AtomicBool::new(false),
            asked: Notify::new(),
        });
        let backend = Backend {
            namespace,
            broker: broker.clone(),
            ledger: embedded.clone(),
            records: embedded.clone(),
            fleet: embedded.clone(),
            leases: embedded.clone(),
            signals: embedded.clone(),
            letters: embedded.clone(),
            schedules: embedded,
            patients: Vec::new(),
            clock,
            retention,
        };
        let app = Connection::open(folder.path().join("app.db")).unwrap();
        app.execute_batch(Dialect::Sqlite.schema()).unwrap();
        Self { folder, app, broker, backend, spawner: Spawner::new() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("app.db")
    }

    fn address(&self) -> Address {
        format!("sqlite://{}", self.path().display()).parse().unwrap()
    }

    async fn relay(&self, config: Config) -> Running {
        let producer = Producer::new(self.backend.clone(), Options::default());
        let config = Config { poll: Duration::from_millis(50), ..config };
        let relay = Relay::open(self.address(), producer, config, &self.spawner).await.unwrap();
        let (status, stop) = (relay.status(), CancellationToken::new());
        let ended = self.spawner.spawn(relay.run(stop.clone()));
        Running { status, stop, ended }
    }

    fn put(&self, kind: &str, options: &str) {
        let row = (kind, "{\"n\":1}", options);
        let insert = "insert into leveret_outbox (kind, args, options) values (?1, ?2, ?3)";
        self.app.execute(insert, row).unwrap();
    }

    fn mood(&self, mood: impl Fn(&Lane) -> Option<PublishError> + Send + 'static) {
        *self.broker.mood.lock().unwrap() = Some(Box::new(mood));
    }

    fn rows(&self, condition: &str) -> i64 {
        let sql = format!("select count(*) from leveret_outbox where {condition}");
        self.app.query_row(&sql, [], |row| row.get(0)).unwrap()
    }

    async fn becomes(&self, condition: &str, rows: i64) {
        let holds = || async { self.rows(condition) == rows };
        eventually(DEADLINE, &format!("{rows} rows are {condition}"), holds).await;
    }

    async fn depth(&self, lane: &str) -> u64 {
        let lane: Lane = lane.parse().unwrap();
        self.backend.broker.survey(&[Place::Lane(lane)]).await.unwrap()[0].depth
    }
}

struct Running {
    status: Arc<Status>,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn end(self) {
        self.stop.cancel();
        self.ended.await.unwrap();
    }
}

#[tokio::test]
async fn what_is_committed_is_handed_on_and_what_is_rolled_back_is_not() {
    let mut world = World::new();
    let relay = world.relay(Config::default()).await;
    let transaction = world.app.transaction().unwrap();
    crate::sqlite::enqueue(&transaction, Request::new("a.b", &1).queue("never")).unwrap();
    transaction.rollback().unwrap();
    let transaction = world.app.transaction().unwrap();
    let id = crate::sqlite::enqueue(&transaction, Request::new("a.b", &1).queue("mail")).unwrap();
    let wrong = Request::new("no kind", &1).max_attempts(0);
    let why = crate::sqlite::enqueue(&transaction, wrong).unwrap_err().to_string();
    assert!(why.contains("kind: ") && why.contains("max_attempts: "), "{why}");
    transaction.commit().unwrap();
    world.becomes("true", 0).await;
    assert_eq!((world.depth("mail").await, world.depth("never").await), (1, 0));
    let known = world.backend.records.find(&[id.unwrap().parse().unwrap()]).await.unwrap();
    assert_eq!(
        known.iter().filter(|record| record.enqueued.is_some()).count(),
        1,
        "it is found under the id that was returned"
    );
    relay.end().await;
}

#[tokio::test]
async fn rows_wait_while_the_broker_is_away_and_go_when_it_is_back() {
    let world = World::new();
    world.mood(|_| Some(PublishError::Unavailable("connection refused".to_owned())));
    (0..3).for_each(|_| world.put("a.b", "{\"queue\": \"mail\"}"));
    let relay = world.relay(Config::default()).await;
    let is_told = || async { relay.status.trouble().is_some_and(|why| why.contains("refused")) };
    eventually(DEADLINE, "probes are told", is_told).await;
    assert_eq!(world.rows("tries = 0 and problem is null"), 3, "nobody's row is at fault");
    world.mood(|_| None);
    world.becomes("true", 0).await;
    assert_eq!(world.depth("mail").await, 3);
    let is_well = || async { relay.status.trouble().is_none() };
    eventually(DEADLINE, "probes are told that it is well", is_well).await;
    relay.end().await;
}

#[tokio::test]
async fn a_lane_in_trouble_holds_up_no_other() {
    let world = World::new();
    world.mood(|lane| {
        let is_full = lane.queue.as_str() == "full";
        is_full.then(|| PublishError::Rejected("the queue is full".to_owned()))
    });
    (0..5).for_each(|_| world.put("a.b", "{\"queue\": \"full\"}"));
    world.put("a.b", "{\"queue\": \"mail\"}");
    // Fewer than those in trouble: they would fill every batch.
    let relay = world.relay(Config { batch: 2, ..Config::default() }).await;
    world.becomes("options like '%mail%'", 0).await;
    world
        .becomes("problem like '%the queue is full%' and tries > 0 and next_at is not null", 5)
        .await;
    let survey = Relay::survey(&world.address(), &world.spawner).await.unwrap();
    assert_eq!((survey.waiting, survey.failing, survey.refused), (5, 5, 0));
    assert!(!survey.troubled[0].is_final && survey.troubled[0].kind == "a.b", "{survey:?}");
    world.mood(|_| None);
    world.becomes("true", 0).await;
    assert_eq!(world.depth("full").await, 5);
    relay.end().await;
}

#[tokio::test]
async fn a_row_that_can_never_be_accepted_is_set_aside_and_tried_again_once_it_is_mended() {
    let world = World::new();
    let wrong = [
        "{\"delay\": \"soon\", \"timeout\": \"1000d\"}",
        "{\"max_attempts\": 0}",
        "{\"class\": \"urgent\"}",
    ];
    wrong.iter().for_each(|options| world.put("a.b", options));
    world.put("a.b", "{\"queue\": \"mail\"}");
    let relay = world.relay(Config::default()).await;
    world.becomes("refused_at is not null", 3).await;
    world.becomes("true", 3).await;
    assert_eq!(world.rows("problem like '%delay:%' and problem like '%timeout:%'"), 1);
    let survey = Relay::survey(&world.address(), &world.spawner).await.unwrap();
    assert_eq!((survey.waiting, survey.refused, survey.oldest), (0, 3, None));
    assert!(survey.troubled.iter().all(|row| row.is_final), "{survey:?}");
    let mend =
        "update leveret_outbox set options = '{\"queue\": \"mail\"}' where refused_at is not null";
    assert_eq!(world.app.execute(mend, []).unwrap(), 3);
    world.becomes("true", 0).await;
    assert_eq!(world.depth("mail").await, 4);
    relay.end().await;
}

#[tokio::test]
async fn whatever_an_application_wrote_is_refused_and_stops_nobody() {
    let world = World::new();
    world.app.execute_batch("drop trigger leveret_outbox_checked").unwrap();
    for (args, options) in [("x'ff'", "'{}'"), ("'1,2'", "'{}'"), ("1.5", "x'00'"), ("'1'", "'[]'")]
    {
        let insert = format!(
            "insert into leveret_outbox (kind, args, options) values ('a.b', {args}, {options})"
        );
        world.app.execute_batch(&insert).unwrap();
    }
    world.put("a.b", "{}");
    let relay = world.relay(Config::default()).await;
    world.becomes("refused_at is not null", 4).await;
    world.becomes("true", 4).await;
    assert_eq!(world.depth("default").await, 1);
    relay.end().await;
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_refused_and_stops_nobody() {
    let world = World::new();
    let wrong = "insert into leveret_outbox (kind, created_at) values ('a.b', 1.5)";
    let why = world.app.execute_batch(wrong).unwrap_err().to_string();
    assert!(why.contains("created_at: write whole milliseconds"), "{why}");
    world.app.execute_batch("drop trigger leveret_outbox_checked").unwrap();
    for (columns, values) in [
        ("kind, created_at", "'a.b', '2026-01-01 00:00:00'"),
        ("kind, args", "'a.b', '\"' || cast(x'ff' as text) || '\"'"),
        ("kind", "'a' || cast(x'ff' as text)"),
        ("kind, id", "'a.b', cast(x'ff' as text)"),
        ("kind, created_at, tries", "'a.b', 1e18 + 0.5, 'many'"),
        ("kind, created_at", "'a.b', (julianday('now') - 2440587.5) * 86400000 + 0.3"),
        ("kind, tries", "'a.b', 99999999999"),
    ] {
        let insert = format!("insert into leveret_outbox ({columns}) values ({values})");
        world.app.execute_batch(&insert).unwrap();
    }
    world.put("a.b", "{}");
    let relay = world.relay(Config::default()).await;
    world.becomes("refused_at is null", 0).await;
    assert_eq!((world.rows("true"), world.depth("default").await), (4, 4));
    let survey = Relay::survey(&world.address(), &world.spawner).await.unwrap();
    assert!(survey.troubled[0].problem.contains("created_at is no number"), "{survey:?}");
    assert!(survey.troubled[1].problem.contains("args is not UTF-8"), "{survey:?}");
    relay.end().await;
}

#[tokio::test]
async fn a_key_that_was_used_is_the_same_task_or_a_row_that_is_refused() {
    let world = World::new();
    let relay = world.relay(Config::default()).await;
    world.put("a.b", "{\"key\": \"k\"}");
    world.becomes("true", 0).await;
    world.put("a.b", "{\"key\": \"k\"}");
    world.becomes("true", 0).await;
    let other =
        "insert into leveret_outbox (kind, args, options) values ('a.b', '2', '{\"key\":\"k\"}')";
    world.app.execute_batch(other).unwrap();
    world.becomes("refused_at is not null and problem like '%key was used before%'", 1).await;
    assert_eq!(world.depth("default").await, 1);
    relay.end().await;
}

#[tokio::test]
async fn rows_are_kept_as_long_as_asked_and_then_deleted() {
    let world = World::new();
    (0..3).for_each(|_| world.put("a.b", "{}"));
    let kept = Config { kept: Duration::from_secs(600), ..Config::default() };
    let relay = world.relay(kept).await;
    world.becomes("sent_at is not null", 3).await;
    relay.end().await;
    world
        .app
        .execute_batch("update leveret_outbox set sent_at = sent_at - 601000 where seq < 3")
        .unwrap();
    let kept = Config { kept: Duration::from_secs(600), ..Config::default() };
    let relay = world.relay(kept).await;
    world.becomes("true", 1).await;
    relay.end().await;
    assert_eq!(world.depth("default").await, 3, "none was handed on again");
}

#[tokio::test]
async fn one_relay_serves_a_file_and_the_next_takes_over() {
    let world = World::new();
    let first = world.relay(Config::default()).await;
    let second = world.relay(Config::default()).await;
    eventually(DEADLINE, "it stands by", || async { second.status.stands_by() }).await;
    first.end().await;
    world.put("a.b", "{}");
    world.becomes("true", 0).await;
    eventually(DEADLINE, "it serves", || async { !second.status.stands_by() }).await;
    second.end().await;
}

#[tokio::test]
async fn ids_that_the_table_mints_are_uuids_of_version_7() {
    let world = World::new();
    let mint = || -> String {
        let insert = "insert into leveret_outbox (kind) values ('a.b') returning id";
        world.app.query_row(insert, [], |row| row.get(0)).unwrap()
    };
    let minted: BTreeSet<String> = (0..50).map(|_| mint()).collect();
    assert_eq!(minted.len(), 50);
    for text in minted {
        let id: leveret_common::id::TaskId = text.parse().unwrap();
        assert_eq!((id.uuid().get_version_num(), id.to_string()), (7, text));
    }
}

#[tokio::test]
async fn a_file_without_an_outbox_says_what_to_do() {
    let world = World::new();
    world.app.execute_batch("drop table leveret_outbox").unwrap();
    let told = |answer: Result<_, super::RelayError>| answer.map(drop).unwrap_err().to_string();
    let why = told(Relay::survey(&world.address(), &world.spawner).await);
    assert!(why.contains("leveret relay schema --for sqlite"), "{why}");
    let nowhere: Address = "sqlite:///nowhere/app.db".parse().unwrap();
    let why = told(Relay::survey(&nowhere, &world.spawner).await);
    assert!(why.contains("/nowhere/app.db: there is no such file"), "{why}");
}

#[tokio::test]
async fn who_only_looks_keeps_no_relay_from_serving() {
    let world = World::new();
    world.put("a.b", "{}");
    let survey = Relay::survey(&world.address(), &world.spawner).await.unwrap();
    assert_eq!(survey.waiting, 1);
    // A lock file of an operator's might be one that the relay's user may not write.
    assert!(!world.folder.path().join("app.db-relay").exists());
    let relay = world.relay(Config::default()).await;
    world.becomes("true", 0).await;
    assert!(world.folder.path().join("app.db-relay").exists());
    relay.end().await;
}
