//! The embedded backend beside the suites: the folder and its owner, crashes, and the clock.

mod operators;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use leveret_common::broker::{
    Broker, Consumer, Delivery, Destination, Place, Publish, PublishError, Settle,
};
use leveret_common::clock::{Clock, ManualClock, Millis, SharedClock, SystemClock};
use leveret_common::embedded::{Config, Embedded, OpenError};
use leveret_common::envelope::{Order, Wire};
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::{Answer, Claim, Entry};
use leveret_common::name::Lane;
use leveret_common::store::{
    AttemptNote, Enqueued, Ledger, MAX_HISTORY, Records, Retention, TaskRecord,
};

const HOUR: Duration = Duration::from_secs(3_600);
const SOON: Duration = Duration::from_secs(20);
/// Where SQLite's header holds the two numbers that say whose file it is.
const USER_VERSION: usize = 60;
const APPLICATION_ID: usize = 68;

fn config(folder: &Path) -> Config {
    Config {
        folder: folder.to_owned(),
        namespace: "leveret".parse().unwrap(),
        payload_limit: 1_000,
        retention: Retention { record: HOUR, result: HOUR / 2 },
    }
}

fn open(folder: &Path) -> Arc<Embedded> {
    Embedded::open(config(folder), Arc::new(SystemClock)).unwrap()
}

fn refused(folder: &Path) -> OpenError {
    match Embedded::open(config(folder), Arc::new(SystemClock)) {
        Ok(_) => panic!("{} was opened", folder.display()),
        Err(error) => error,
    }
}

fn manual() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Millis(1_790_000_000_000)))
}

fn lane() -> Lane {
    "mail.high".parse().unwrap()
}

fn place() -> Place {
    Place::Lane(lane())
}

async fn depth(store: &Embedded) -> u64 {
    store.survey(&[place()]).await.unwrap()[0].depth
}

fn numbered(number: usize, to: Destination) -> Publish {
    Publish { to, wire: Wire { body: number.to_string().into(), ..Wire::default() } }
}

fn number(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.wire.body).unwrap().parse().unwrap()
}

async fn fill(store: &Embedded, count: usize) {
    let batch: Vec<_> = (0..count).map(|n| numbered(n, Destination::Lane(lane()))).collect();
    assert!(store.publish(&batch).await.iter().all(Result::is_ok));
}

async fn take(consumer: &Arc<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        let more = tokio::time::timeout(SOON, consumer.next(count - taken.len())).await.unwrap();
        assert!(!more.is_empty(), "the consumer was stopped after {}", taken.len());
        taken.extend(more);
    }
    taken
}

async fn ack(consumer: &Arc<dyn Consumer>, deliveries: &[Delivery]) {
    let batch: Vec<_> = deliveries.iter().map(|one| (one.receipt, Settle::Ack)).collect();
    assert!(consumer.settle(&batch).await.iter().all(Result::is_ok));
}

fn patch(folder: &Path, at: usize, value: u32) {
    let file = folder.join("leveret.db");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
    std::fs::write(&file, bytes).unwrap();
}

#[tokio::test]
async fn a_second_process_on_the_folder_is_told_who_owns_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path());
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Locked { .. }), "{error:?}");
    let message = error.to_string();
    let owner = format!("process {} on host ", std::process::id());
    for part in [&owner, " since 20", "--data OTHER", folder.path().to_str().unwrap()] {
        assert!(message.contains(part), "{part:?} is not in {message:?}");
    }
    first.close().await;
    open(folder.path());
}

#[tokio::test]
async fn a_file_that_is_no_leveret_database_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leveret.db");
    std::fs::write(&file, "my diary, which is longer than a hundred bytes ".repeat(9)).unwrap();
    let before = std::fs::read(&file).unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // A database, but somebody else's.
    std::fs::remove_file(&file).unwrap();
    open(folder.path()).close().await;
    patch(folder.path(), APPLICATION_ID, 7);
    let before = std::fs::read(&file).unwrap();
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Foreign { .. }), "{error:?}");
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

#[tokio::test]
async fn a_file_of_a_newer_program_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().await;
    patch(folder.path(), USER_VERSION, 99);
    let error = refused(folder.path());
    assert!(matches!(error, OpenError::Newer { found: 99, known: 4, .. }), "{error:?}");
}

#[tokio::test]
async fn a_file_of_another_namespace_is_refused_with_both_names() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).close().await;
    let config = Config { namespace: "shop".parse().unwrap(), ..config(folder.path()) };
    let error = Embedded::open(config, Arc::new(SystemClock)).err().unwrap();
    let message = error.to_string();
    assert!(message.contains("\"leveret\"") && message.contains("\"shop\""), "{message}");
}

#[tokio::test]
async fn unacked_tasks_are_back_in_their_order_after_a_drop_without_a_close() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 10).await;
    let consumer = store.consume(&place(), 10).await.unwrap();
    let taken = take(&consumer, 6).await;
    assert!(taken.iter().all(|delivery| !delivery.redelivered));
    ack(&consumer, &taken[..2]).await;
    drop(consumer);
    drop(store);

    let store = open(folder.path());
    let consumer = store.consume(&place(), 10).await.unwrap();
    let again = take(&consumer, 8).await;
    assert!(again.iter().map(number).eq(2..10));
    assert!(again.iter().all(|delivery| delivery.redelivered));
    fill(&store, 1).await;
    assert!(!take(&consumer, 1).await[0].redelivered, "what is new was never handed out");
}

#[tokio::test]
async fn everything_confirmed_is_there_after_a_crash() {
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(folder.path());
    fill(&store, 500).await;
    let consumer = store.consume(&place(), 200).await.unwrap();
    let taken = take(&consumer, 100).await;
    ack(&consumer, &taken[..50]).await;
    let ask = claim(TaskId::mint(), HOUR);
    let Answer::Claimed { fence, .. } =
        store.claim(std::slice::from_ref(&ask)).await.unwrap().remove(0)
    else {
        panic!("the first claim is granted")
    };
    // The files of an open store are what a killed process leaves behind.
    for file in ["leveret.db", "leveret.db-wal"] {
        std::fs::copy(folder.path().join(file), copy.path().join(file)).unwrap();
    }
    let log = std::fs::metadata(copy.path().join("leveret.db-wal")).unwrap();
    assert!(log.len() > 0, "nothing would be proved: everything is in the main file");

    let revived = open(copy.path());
    assert_eq!(depth(&revived).await, 450);
    let consumer = revived.consume(&place(), 1_000).await.unwrap();
    let again = take(&consumer, 450).await;
    assert!(again.iter().map(number).eq(50..500));
    match revived.entries(&[ask.id]).await.unwrap().remove(0) {
        Some(Entry::Running(held)) => assert_eq!(held.hold.fence, fence),
        other => panic!("the claim is lost: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_publishes_at_once_are_all_kept_in_far_fewer_commits() {
    const COUNT: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let before = store.commits();
    let batches: Vec<_> = (0..COUNT).map(|n| [numbered(n, Destination::Lane(lane()))]).collect();
    let answers = join_all(batches.iter().map(|batch| store.publish(batch))).await;
    assert!(answers.iter().all(|answer| matches!(answer[..], [Ok(())])));
    let commits = store.commits() - before;
    assert!(commits <= 1_000, "{commits} commits for {COUNT} publishes");
    store.close().await;
    let store = open(folder.path());
    assert_eq!(depth(&store).await, COUNT as u64);
    let consumer = store.consume(&place(), u16::MAX).await.unwrap();
    let mut numbers: Vec<_> = take(&consumer, COUNT).await.iter().map(number).collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..COUNT));
}

#[tokio::test]
async fn a_delayed_task_comes_on_time_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let consumer = store.consume(&place(), 10).await.unwrap();
    let start = SystemClock.now();
    let until = start.after(Duration::from_millis(400));
    let sooner = start.after(Duration::from_millis(200));
    let delayed = |n, until| numbered(n, Destination::Delay { lane: lane(), until });
    // The second makes a waiting consumer wake up earlier than the first asked for.
    let waiting = take(&consumer, 2);
    let publishing = async {
        assert!(store.publish(&[delayed(1, until)]).await[0].is_ok());
        assert!(store.publish(&[delayed(2, sooner)]).await[0].is_ok());
        assert_eq!(depth(&store).await, 0);
    };
    let (taken, ()) = tokio::join!(waiting, publishing);
    let end = SystemClock.now();
    assert!(end >= until, "{end:?} is before {until:?}");
    assert!(end.since(until) < Duration::from_secs(5), "{:?} late", end.since(until));
    assert!(taken.iter().map(number).eq([2, 1]));
    assert!(!taken[0].redelivered);
}

#[tokio::test]
async fn a_clock_moved_by_hand_makes_delayed_tasks_due_in_the_order_of_their_times() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual();
    let store = Embedded::open(config(folder.path()), clock.clone()).unwrap();
    let consumer = store.consume(&place(), 10).await.unwrap();
    let now = clock.now();
    let batch: Vec<_> = [3, 1, 2]
        .map(|n| {
            let until = now.after(HOUR * u32::try_from(n).unwrap());
            numbered(n, Destination::Delay { lane: lane(), until })
        })
        .into();
    assert!(store.publish(&batch).await.iter().all(Result::is_ok));
    let mut waiting = Box::pin(consumer.next(10));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err());
    clock.advance(HOUR * 3);
    assert_eq!(depth(&store).await, 3, "what is due counts as ready");
    store.poke();
    let taken = tokio::time::timeout(SOON, waiting).await.unwrap();
    assert!(taken.iter().map(number).eq([1, 2, 3]));
}

#[tokio::test]
async fn a_crowd_that_falls_due_at_once_arrives_whole_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual();
    let store = Embedded::open(config(folder.path()), clock.clone()).unwrap();
    let until = clock.now().after(HOUR);
    let delayed = |n| numbered(n, Destination::Delay { lane: lane(), until });
    let batch: Vec<_> = (0..2_300).map(delayed).collect();
    assert!(store.publish(&batch).await.iter().all(Result::is_ok));
    clock.advance(HOUR);
    let consumer = store.consume(&place(), u16::MAX).await.unwrap();
    assert!(take(&consumer, 2_300).await.iter().map(number).eq(0..2_300));
    assert_eq!(depth(&store).await, 0);
}

#[tokio::test]
async fn a_returned_task_stands_before_those_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 3).await;
    let consumer = store.consume(&place(), 10).await.unwrap();
    let first = take(&consumer, 1).await.remove(0);
    assert_eq!(consumer.settle(&[(first.receipt, Settle::Return)]).await, [Ok(())]);
    assert!(take(&consumer, 3).await.iter().map(number).eq(0..3));
}

#[tokio::test]
async fn a_dropped_consumer_returns_what_it_held() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 3).await;
    let first = store.consume(&place(), 10).await.unwrap();
    take(&first, 2).await;
    assert_eq!(depth(&store).await, 1);
    drop(first);
    assert_eq!(depth(&store).await, 3);
    let second = store.consume(&place(), 10).await.unwrap();
    let redelivered: Vec<_> = take(&second, 3).await.iter().map(|one| one.redelivered).collect();
    assert_eq!(redelivered, [true, true, false]);
}

#[tokio::test]
async fn a_closed_store_answers_instead_of_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let consumer = store.consume(&place(), 1).await.unwrap();
    let waiting = consumer.next(1);
    let (taken, ()) = tokio::join!(waiting, store.close());
    assert!(taken.is_empty());
    assert!(!consumer.is_consuming());
    let answer = store.publish(&[numbered(1, Destination::Lane(lane()))]).await.remove(0);
    assert!(matches!(answer, Err(PublishError::Unavailable(_))), "{answer:?}");
    assert!(store.claim(&[claim(TaskId::mint(), HOUR)]).await.unwrap_err().retryable());
    assert!(store.find(&[TaskId::mint()]).await.is_err());
    store.close().await;
    assert!(!folder.path().join("leveret.db-wal").exists(), "the log was not moved into the file");
}

fn claim(id: TaskId, ttl: Duration) -> Claim {
    Claim {
        id,
        order: Order::FIRST,
        owner: Owner::mint(),
        token: Token::draw(),
        expires_at: None,
        max_crashes: 3,
        ttl,
    }
}

#[tokio::test]
async fn an_entry_of_the_ledger_is_forgotten_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual();
    let shared: SharedClock = clock.clone();
    let store = Embedded::open(config(folder.path()), shared).unwrap();
    let id = TaskId::mint();
    let first = store.claim(&[claim(id, HOUR)]).await.unwrap().remove(0);
    let Answer::Claimed { fence: first, .. } = first else { panic!("{first:?}") };
    clock.advance(HOUR - Duration::from_millis(1));
    assert!(store.entries(&[id]).await.unwrap()[0].is_some());
    assert!(matches!(store.claim(&[claim(id, HOUR)]).await.unwrap()[..], [Answer::Busy { .. }]));
    clock.advance(Duration::from_millis(1));
    assert!(store.entries(&[id]).await.unwrap()[0].is_none());
    let second = store.claim(&[claim(id, HOUR)]).await.unwrap().remove(0);
    let Answer::Claimed { fence: second, .. } = second else { panic!("{second:?}") };
    assert!(second > first);
}

#[tokio::test]
async fn fences_grow_also_where_the_clock_stands_still() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(config(folder.path()), manual()).unwrap();
    let asks: Vec<_> = (0..100).map(|_| claim(TaskId::mint(), HOUR)).collect();
    let answers = store.claim(&asks).await.unwrap();
    let fences: Vec<_> = answers
        .iter()
        .map(|answer| match answer {
            Answer::Claimed { fence, .. } => *fence,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(fences.is_sorted_by(|one, next| one < next), "{fences:?}");
}

#[tokio::test]
async fn records_keep_the_first_enqueue_and_the_newest_attempts_until_they_expire() {
    let folder = tempfile::tempdir().unwrap();
    let clock = manual();
    let store = Embedded::open(config(folder.path()), clock.clone()).unwrap();
    let id = TaskId::mint();
    let enqueued = |print| Enqueued {
        id,
        kind: "email.welcome".parse().unwrap(),
        lane: lane(),
        at: Millis(1),
        not_before: None,
        key: None,
        origin_id: None,
        tags: [("a".to_owned(), "b".to_owned())].into(),
        occasion: None,
        args_fingerprint: uuid::Uuid::from_u128(print),
    };
    let note = |attempt: u32| AttemptNote {
        id,
        kind: "email.welcome".parse().unwrap(),
        lane: lane(),
        order: Order { replay: 0, attempt },
        worker: "here/1".to_owned(),
        started_at: Some(Millis(1)),
        ended_at: Millis(2),
        outcome: "done".to_owned(),
        next_at: None,
        reason: None,
        failure: None,
        result: Some(attempt.to_string()),
        result_ttl: None,
    };
    store.enqueued(&[enqueued(1)]).await.unwrap();
    store.enqueued(&[enqueued(2)]).await.unwrap();
    let most = u32::try_from(MAX_HISTORY).unwrap();
    let notes: Vec<_> = (1..=most + 5).map(note).collect();
    store.attempted(&notes[..3]).await.unwrap();
    store.attempted(&notes[3..]).await.unwrap();

    let record = store.find(&[id]).await.unwrap().remove(0);
    assert_eq!(record.enqueued, Some(enqueued(1)));
    assert!(record.history.iter().map(|note| note.order.attempt).eq(6..=most + 5));
    assert_eq!(record.result, Some((most + 5).to_string()));

    clock.advance(HOUR / 2);
    let record = store.find(&[id]).await.unwrap().remove(0);
    assert_eq!((record.result, record.history.len()), (None, MAX_HISTORY));
    clock.advance(HOUR / 2);
    assert_eq!(store.find(&[id]).await.unwrap(), [TaskRecord::default()]);
    store.enqueued(&[enqueued(3)]).await.unwrap();
    assert_eq!(store.find(&[id]).await.unwrap()[0].enqueued, Some(enqueued(3)));
}
