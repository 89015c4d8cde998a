//! Files of older schemas: opened, brought up to date, and nothing of them lost.
//!
//! `version_1.sql` was made by the program that had schema 1, and not by the migrations here.

use rusqlite::Connection;

use super::*;
use crate::broker::Survey;
use crate::envelope::HeaderValue;
use crate::ledger::{Ending, Entry, Settled};
use crate::store::{Letters, Records, Signals};

const NOW: Millis = Millis(1_790_000_000_000);

fn id(n: u128) -> TaskId {
    uuid::Uuid::from_u128(0x0192_f0c1_2345_7abc_8def_0000_0000_0000 + n).into()
}

/// Lays the old file into a folder.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join(schema::FILE)).unwrap();
    old.execute_batch(include_str!("version_1.sql")).unwrap();
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
    let folder = folder();
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
    let folder = folder();
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
    assert_eq!(version(&folder), 2);
    open_old(&folder).unwrap();
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_file_as_it_was() {
    let folder = folder();
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
