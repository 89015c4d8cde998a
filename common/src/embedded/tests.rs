//! Tests that need to reach past the seams: the writer is held back, the disk is made full.

mod doctor;
mod timetable;
mod upgrade;

use std::sync::mpsc;
use std::time::Duration;

use super::*;
use crate::broker::{
    Broker, Consumer, Delivery, Destination, Place, Publish, PublishError, Settle, SettleError,
};
use crate::clock::{Clock, ManualClock, Millis};
use crate::envelope::{Order, Wire};
use crate::id::{Fence, Owner, TaskId, Token};
use crate::ledger::Claim;
use crate::name::Lane;
use crate::store::{Act, Action, Interim, Ledger, Records};

struct Opened {
    store: Arc<Embedded>,
    clock: Arc<ManualClock>,
    _folder: tempfile::TempDir,
}

fn open() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Millis(1_790_000_000_000)));
    let hour = Duration::from_secs(3_600);
    let config = Config {
        folder: folder.path().to_owned(),
        namespace: Namespace::default(),
        payload_limit: 4 << 20,
        retention: Retention { record: hour, result: hour },
    };
    let store = Embedded::open(config, clock.clone()).unwrap();
    Opened { store, clock, _folder: folder }
}

fn lane() -> Lane {
    "mail.normal".parse().unwrap()
}

fn place() -> Place {
    Place::Lane(lane())
}

/// Waits for one delivery; a test that waits for ever says nothing.
async fn next(consumer: &dyn Consumer) -> Delivery {
    let soon = Duration::from_secs(20);
    tokio::time::timeout(soon, consumer.next(1)).await.expect("nothing was handed out").remove(0)
}

fn message(bytes: usize) -> Publish {
    let wire = Wire { body: vec![b'1'; bytes].into(), ..Wire::default() };
    Publish { to: Destination::Lane(lane()), wire }
}

impl Opened {
    async fn depth(&self) -> u64 {
        self.store.survey(&[place()]).await.unwrap()[0].depth
    }

    /// Runs one statement of any sort on the connection that writes.
    async fn sql(&self, sql: &'static str) {
        let run = move |to: &mut Transaction| Ok(to.prepare(sql)?.query([])?.next().map(drop)?);
        self.store.core.writer.write(1, run).await.unwrap();
    }

    async fn count(&self, sql: &'static str) -> i64 {
        let count = |connection: &rusqlite::Connection| {
            Ok(connection.query_row(sql, [], |row| row.get(0))?)
        };
        self.store.core.answers.read(count).await.unwrap()
    }

    /// Holds the writer inside a transaction until the answer is dropped or sent to.
    async fn hold_writer(&self) -> mpsc::Sender<()> {
        let (entered, inside) = tokio::sync::oneshot::channel();
        let (release, held) = mpsc::channel::<()>();
        let mut entered = Some(entered);
        let run = move |_: &mut Transaction| {
            if let Some(entered) = entered.take() {
                entered.send(()).unwrap();
                let _ = held.recv();
            }
            Ok(())
        };
        drop(self.store.core.writer.slot().await.unwrap().send(1, run, |_| ()));
        inside.await.unwrap();
        release
    }
}

#[tokio::test]
async fn what_gathers_while_the_writer_is_busy_shares_one_commit() {
    let opened = open();
    let release = opened.hold_writer().await;
    let before = opened.store.commits();
    let batch = [message(10)];
    let publishes = (0..500).map(|_| opened.store.publish(&batch));
    let publishes = futures_util::future::join_all(publishes);
    let mut publishes = Box::pin(tokio::task::unconstrained(publishes));
    // Polled once: every publish is in the channel, none is answered.
    assert!(futures_util::poll!(&mut publishes).is_pending());
    release.send(()).unwrap();
    assert!(publishes.await.into_iter().flatten().all(|answer| answer.is_ok()));
    assert_eq!(opened.store.commits() - before, 1);
}

#[tokio::test]
async fn what_is_wrong_in_a_group_fails_alone() {
    let opened = open();
    let release = opened.hold_writer().await;
    let batch = [message(10)];
    let (before, after) = (opened.store.publish(&batch), opened.store.publish(&batch));
    let wrong = opened.store.core.writer.write(1, |to: &mut Transaction| {
        to.execute("INSERT INTO message (id) VALUES (NULL)", []).map(drop)
    });
    let mut all = Box::pin(futures_util::future::join3(before, wrong, after));
    assert!(futures_util::poll!(&mut all).is_pending());
    release.send(()).unwrap();
    let (before, wrong, after) = all.await;
    assert!(before[0].is_ok() && wrong.is_err() && after[0].is_ok());
    assert_eq!(opened.depth().await, 2, "each of the others is there once");
}

#[tokio::test]
async fn a_full_disk_rejects_what_does_not_fit_and_takes_it_when_there_is_room() {
    let opened = open();
    opened.sql("PRAGMA max_page_count = 40").await;
    let big = [message(1 << 20)];
    let answer = opened.store.publish(&big).await.remove(0);
    assert!(
        matches!(&answer, Err(PublishError::Rejected(why)) if why.contains("full")),
        "{answer:?}"
    );
    assert!(opened.store.publish(&[message(10)]).await[0].is_ok(), "what fits still passes");
    opened.sql("PRAGMA max_page_count = 100000").await;
    assert!(opened.store.publish(&big).await[0].is_ok());
    assert_eq!(opened.depth().await, 2);
}

#[tokio::test]
async fn a_delivery_whose_ack_is_not_kept_comes_again() {
    let opened = open();
    assert!(opened.store.publish(&[message(10)]).await[0].is_ok());
    let consumer = opened.store.consume(&place(), 1).await.unwrap();
    let first = next(&*consumer).await;
    assert!(!first.redelivered);
    let sql = "CREATE TEMP TRIGGER keep BEFORE DELETE ON main.message
               BEGIN SELECT RAISE(FAIL, 'kept by the test'); END";
    opened.sql(sql).await;
    let answer = consumer.settle(&[(first.receipt, Settle::Ack)]).await;
    assert_eq!(answer, [Err(SettleError::Gone)]);
    opened.sql("DROP TRIGGER keep").await;
    let again = next(&*consumer).await;
    assert!(again.redelivered);
    assert_eq!(consumer.settle(&[(again.receipt, Settle::Ack)]).await, [Ok(())]);
    assert_eq!(opened.depth().await, 0);
}

#[tokio::test]
async fn a_check_finds_a_file_that_takes_no_writes() {
    let opened = open();
    assert!(Broker::check(&*opened.store).await.is_ok());
    let sql = "CREATE TEMP TRIGGER keep BEFORE UPDATE ON main.house
               BEGIN SELECT RAISE(FAIL, 'kept by the test'); END";
    opened.sql(sql).await;
    assert!(Broker::check(&*opened.store).await.is_err());
    let error = Ledger::check(&*opened.store).await.unwrap_err();
    assert!(error.retryable(), "{error}");
    assert!(error.endpoint.ends_with("leveret.db"), "{error}");
}

#[tokio::test]
async fn a_settle_that_is_dropped_before_it_is_sent_leaves_the_delivery_in_hand() {
    let opened = open();
    assert!(opened.store.publish(&[message(10)]).await[0].is_ok());
    let consumer = opened.store.consume(&place(), 1).await.unwrap();
    let first = next(&*consumer).await;
    let release = opened.hold_writer().await;
    // Fills the channel, so that the settle has to wait for a place in it.
    let batch = [message(1)];
    let publishes = (0..2_000).map(|_| opened.store.publish(&batch));
    let publishes = futures_util::future::join_all(publishes);
    let mut publishes = Box::pin(tokio::task::unconstrained(publishes));
    assert!(futures_util::poll!(&mut publishes).is_pending());
    let ack = [(first.receipt, Settle::Ack)];
    let mut settle = Box::pin(consumer.settle(&ack));
    assert!(futures_util::poll!(&mut settle).is_pending());
    drop(settle);
    release.send(()).unwrap();
    publishes.await;
    assert_eq!(consumer.settle(&ack).await, [Ok(())]);
}

#[tokio::test]
async fn what_has_expired_is_swept_by_later_commits() {
    let opened = open();
    let claim = |ttl| Claim {
        id: TaskId::mint(),
        order: Order::FIRST,
        owner: Owner::mint(),
        token: Token::draw(),
        expires_at: None,
        max_crashes: 3,
        ttl: Duration::from_secs(ttl),
    };
    let short: Vec<_> = (0..100).map(|_| claim(1)).collect();
    opened.store.claim(&short).await.unwrap();
    opened.clock.advance(Duration::from_secs(2));
    for _ in 0..10 {
        opened.store.claim(&[claim(60)]).await.unwrap();
    }
    assert_eq!(opened.count("SELECT count(*) FROM ledger").await, 10);
}

#[tokio::test]
async fn acts_that_have_expired_are_swept_by_the_commits_of_others() {
    let opened = open();
    let act = || Act {
        id: TaskId::mint(),
        action: Action::Cancelled { replay: 0 },
        at: opened.clock.now(),
        by: "ann".to_owned(),
    };
    let acts: Vec<_> = (0..300).map(|_| act()).collect();
    opened.store.acted(&acts).await.unwrap();
    opened.clock.advance(Duration::from_secs(3_600));
    assert_eq!(opened.count("SELECT count(*) FROM act").await, 300);
    for _ in 0..32 {
        assert!(opened.store.publish(&[message(1)]).await[0].is_ok());
    }
    assert_eq!(opened.count("SELECT count(*) FROM act").await, 0);
}

#[tokio::test]
async fn what_attempts_said_is_swept_by_the_commits_of_others_once_it_has_expired() {
    let opened = open();
    let said = |_| Interim {
        id: TaskId::mint(),
        order: Order::FIRST,
        fence: Fence(1),
        turn: 1,
        at: opened.clock.now(),
        percent: Some(7),
        message: None,
        checkpoint: None,
    };
    let said: Vec<_> = (0..300).map(said).collect();
    opened.store.say(&said).await.unwrap();
    let first = [said[0].id];
    assert_eq!(opened.store.last_said(&first).await.unwrap(), [Some(said[0].clone())]);
    opened.clock.advance(Duration::from_secs(3_600));
    assert_eq!(opened.store.last_said(&first).await.unwrap(), [None]);
    assert_eq!(opened.count("SELECT count(*) FROM interim").await, 300);
    for _ in 0..32 {
        assert!(opened.store.publish(&[message(1)]).await[0].is_ok());
    }
    assert_eq!(opened.count("SELECT count(*) FROM interim").await, 0);
}
