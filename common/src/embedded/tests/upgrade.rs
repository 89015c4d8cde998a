//! Files of older schemas: opened, brought up to date, and nothing of them lost.
//!
//! `version_1.sql` was made by the program that had schema 1, `version_2.sql` by that of schema 2 out
//! of the former, and neither by the migrations here. `version_3.sql` is the latter with the third step
//! and a timetable of the program that had schema 3.

use rusqlite::Connection;

use super::*;
use crate::broker::Survey;
use crate::envelope::HeaderValue;
use crate::ledger::{Ending, Entry, Settled};
use crate::name::ScheduleName;
use crate::schedule::{Definition, Source};
use crate::store::{
    Change, Changed, Changes, Leases, Letters, Records, ScheduleEntry, Schedules, Signals,
};

const NOW: Millis = Millis(1_790_000_000_000);

fn id(n: u128) -> TaskId {
    uuid::Uuid::from_u128(0x0192_f0c1_2345_7abc_8def_0000_0000_0000 + n).into()
}

const VERSION_1: &str = include_str!("version_1.sql");
const VERSION_2: &str = include_str!("version_2.sql");
const VERSION_3: &str = include_str!("version_3.sql");
const NEWEST: u32 = 4;

/// Lays an old file into a folder.
fn folder(old: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = Connection::open(folder.path().join(schema::FILE)).unwrap();
    file.execute_batch(old).unwrap();
    folder
}

fn version(folder: &tempfile::TempDir) -> u32 {
    let file = Connection::open(folder.path().join(schema::FILE)).unwrap();
    file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn open_old(folder: &tempfile::TempDir) -> Result<(Arc<Embedded>, Arc<ManualClock>), OpenError> {
    let clock = Arc::new(ManualClock::at(NOW));
    let day = Duration::from_secs(86_400);
    let config = Config {
        folder: folder.path().to_owned(),
        namespace: Namespace::default(),
        payload_limit: 4 << 20,
        retention: Retention { record: day, result: day },
    };
    Embedded::open(config, clock.clone()).map(|store| (store, clock))
}

#[tokio::test]
async fn messages_of_a_file_of_version_one_are_all_there_and_as_they_were() {
    let folder = folder(VERSION_1);
    let (store, clock) = open_old(&folder).unwrap();
    let queue: crate::name::QueueName = "mail".parse().unwrap();
    let lane: Lane = "mail.high".parse().unwrap();
    let (lane, dead) = (Place::Lane(lane), Place::Dead(queue));
    let surveys = store.survey(&[lane.clone(), dead.clone()]).await.unwrap();
    let of =
        |depth, second: u64| Survey { depth, consumers: 0, oldest: Some(Millis(second * 1_000)) };
    assert_eq!(surveys, [of(2, 1_789_999_901), of(1, 1_789_999_904)]);

    let consumer = store.consume(&lane, 10).await.unwrap();
    clock.advance(Duration::from_secs(3_600));
    let mut bodies = Vec::new();
    for n in 1..=3 {
        let delivery = next(&*consumer).await;
        assert_eq!(delivery.wire.message_id, Some(id(n).to_string()));
        assert_eq!(delivery.wire.text("lv-key"), Some("order 7"));
        assert_eq!(delivery.wire.headers.get("lv-attempt"), Some(&HeaderValue::Int(1)));
        bodies.push(delivery.wire.body);
        assert_eq!(consumer.settle(&[(delivery.receipt, Settle::Ack)]).await, [Ok(())]);
    }
    assert_eq!(bodies, [&b"{\"n\":1}"[..], &[0, 159, 146, 150], b"{\"n\":3}"]);
    let buried = next(&*store.consume(&dead, 1).await.unwrap()).await;
    assert_eq!(buried.wire.message_id, Some(id(4).to_string()));
}

#[tokio::test]
async fn the_store_of_a_file_of_version_one_is_all_there_and_can_what_is_new() {
    let folder = folder(VERSION_1);
    let (store, _) = open_old(&folder).unwrap();
    let entries = store.entries(&[id(1), id(5)]).await.unwrap();
    assert!(matches!(entries[0], Some(Entry::Running(held)) if held.token == Token(5)));
    let done = Settled { replay: 0, ending: Ending::Done };
    assert_eq!(entries[1], Some(Entry::Settled(done)));
    let record = store.find(&[id(5)]).await.unwrap().remove(0);
    assert_eq!(record.enqueued.unwrap().tags["tenant"], "42");
    assert_eq!(record.history[0].outcome, "done");
    assert_eq!((record.result.as_deref(), record.acts.len()), (Some("{\"rows\":3}"), 0));

    let seen = store.seen().await.unwrap();
    let seen: Vec<_> =
        seen.iter().map(|one| (one.lane.to_string(), one.kind.as_str(), one.at)).collect();
    let expected = [
        ("mail.high".to_owned(), "email.welcome", Millis(1_789_999_999_002)),
        ("slow.low".to_owned(), "report", Millis(1_789_999_999_005)),
    ];
    assert_eq!(seen, expected, "what was enqueued before the upgrade");
    assert!(store.pauses().await.unwrap().is_empty());
    assert!(store.counts().await.unwrap().is_empty());
    store.close().await;
    assert_eq!(version(&folder), NEWEST);
    open_old(&folder).unwrap();
}

#[tokio::test]
async fn the_store_of_a_file_of_version_two_is_all_there_and_keeps_a_timetable() {
    let folder = folder(VERSION_2);
    let (store, clock) = open_old(&folder).unwrap();
    let pauses = store.pauses().await.unwrap();
    assert_eq!(pauses[0].queue.as_str(), "slow");
    let mail = "mail".parse().unwrap();
    let letters = store.list(&mail, None, 9).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id).collect::<Vec<_>>(), [id(4)]);
    let record = store.find(&[id(5)]).await.unwrap().remove(0);
    assert_eq!(record.acts[0].action, Action::Replayed { replay: 1 });
    assert_eq!(store.seen().await.unwrap().len(), 2);
    let lane: Lane = "mail.high".parse().unwrap();
    let places = [Place::Lane(lane), Place::Dead(mail)];
    let depths = store.survey(&places).await.unwrap();
    assert_eq!(depths.iter().map(|one| one.depth).collect::<Vec<_>>(), [2, 1]);
    let last = 1_790_000_000_000_000;
    let ttl = Duration::from_secs(60);
    let lease = store.acquire("beat", Owner::mint(), ttl).await.unwrap().unwrap();
    assert!(lease.epoch > last, "epochs grow on: {}", lease.epoch);

    let Changes { incarnation, version: none, names } = store.changes(None).await.unwrap();
    assert!(incarnation.is_some(), "what was never there was not lost");
    assert_eq!((none, names), (0, None));
    let name: ScheduleName = "report.nightly".parse().unwrap();
    let entry = ScheduleEntry {
        name: name.clone(),
        definition: Definition::new("0 2 * * *", "report".parse().unwrap()),
        source: Source::Api { by: "lea".to_owned() },
        revision: 0,
        since: clock.now(),
        paused: None,
        created_at: clock.now(),
        changed_at: clock.now(),
    };
    let change = Change { name: name.clone(), expected: None, entry: Some(entry) };
    let made = store.change(&[change]).await.unwrap();
    assert_eq!(made, [Changed::Written(1)]);
    let there = store.page(None, 9).await.unwrap();
    let changes = store.changes(Some(0)).await.unwrap();
    assert_eq!(changes.names, Some(vec![name]));
    store.close().await;
    assert_eq!(version(&folder), NEWEST);
    let (store, _) = open_old(&folder).unwrap();
    assert_eq!(store.page(None, 9).await.unwrap(), there);
    assert_eq!(store.changes(Some(0)).await.unwrap(), changes, "the same timetable");
}

#[tokio::test]
async fn the_store_of_a_file_of_version_three_is_all_there_and_keeps_what_attempts_say() {
    let folder = folder(VERSION_3);
    let (store, clock) = open_old(&folder).unwrap();
    assert_eq!(store.pauses().await.unwrap().len(), 1);
    let there = store.page(None, 9).await.unwrap();
    assert_eq!(there.len(), 1);
    let Changes { incarnation, version: changes, .. } = store.changes(None).await.unwrap();
    assert_eq!((incarnation, changes), (Some(8_551_553_503_036_849_138), 1));
    let record = store.find(&[id(5)]).await.unwrap().remove(0);
    assert_eq!((record.history.len(), record.acts.len()), (1, 1));
    assert_eq!(store.last_said(&[id(5)]).await.unwrap(), [None]);
    let said = Interim {
        id: id(5),
        order: Order::FIRST,
        fence: Fence(7),
        turn: 1,
        at: clock.now(),
        percent: Some(40),
        message: None,
        checkpoint: Some("4".to_owned()),
    };
    store.say(std::slice::from_ref(&said)).await.unwrap();
    store.close().await;
    assert_eq!(version(&folder), NEWEST);
    let (store, _) = open_old(&folder).unwrap();
    assert_eq!(store.page(None, 9).await.unwrap(), there);
    assert_eq!(store.last_said(&[id(5)]).await.unwrap(), [Some(said)]);
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_file_as_it_was() {
    let folder = folder(VERSION_1);
    let file = Connection::open(folder.path().join(schema::FILE)).unwrap();
    file.execute_batch(include_str!("in_the_way.sql")).unwrap();
    drop(file);
    let error = open_old(&folder).err().unwrap().to_string();
    assert!(error.starts_with("failed to migrate ") && error.contains("seen"), "{error}");
    assert_eq!(version(&folder), 1);
    let file = Connection::open(folder.path().join(schema::FILE)).unwrap();
    let half_done = "SELECT count(*) FROM sqlite_schema WHERE name IN ('pause', 'letter', 'act')";
    assert_eq!(file.query_row(half_done, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    file.execute_batch(include_str!("out_of_the_way.sql")).unwrap();
    drop(file);
    let (store, _) = open_old(&folder).unwrap();
    let lane = Place::Lane("mail.high".parse().unwrap());
    assert_eq!(store.survey(&[lane]).await.unwrap()[0].depth, 2);
}
