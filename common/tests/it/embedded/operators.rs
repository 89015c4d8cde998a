//! What operators rely on, as far as only one file and its one process can show it: what survives
//! a restart and what does not, what ends by the clock, and what a survey and a diagnosis see.

use std::os::unix::fs::PermissionsExt;

use leveret_common::diagnose::{Diagnose, Finding, Health};
use leveret_common::envelope::{DeadReason, HeaderValue};
use leveret_common::store::{
    Act, Action, Behind, Gone, LETTER_TTL, Lease, Leases, Letter, Letters, Pause, Signal, Signals,
};

use super::*;

const START: Millis = Millis(1_790_000_000_000);

fn open_at(folder: &Path, now: Millis) -> (Arc<Embedded>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(now));
    (Embedded::open(config(folder), clock.clone()).unwrap(), clock)
}

fn dead() -> Place {
    Place::Dead("mail".parse().unwrap())
}

fn letter(id: TaskId, died_at: Millis) -> Letter {
    Letter {
        id,
        queue: "mail".parse().unwrap(),
        kind: "email.welcome".to_owned(),
        origin: "mail.high".to_owned(),
        order: Order::FIRST,
        reason: Some(DeadReason::Handler),
        class: "smtp".to_owned(),
        error: "refused".to_owned(),
        died_at,
        first_failed_at: None,
        key: None,
        origin_id: None,
        tags: [("tenant".to_owned(), "42".to_owned())].into(),
        args: "{}".to_owned(),
        args_size: 2,
        described_at: died_at,
    }
}

fn sent(lane: &str, kind: &str, at: Millis) -> Enqueued {
    Enqueued {
        id: TaskId::mint(),
        kind: kind.parse().unwrap(),
        lane: lane.parse().unwrap(),
        at,
        not_before: None,
        key: None,
        origin_id: None,
        tags: [].into(),
        occasion: None,
        args_fingerprint: uuid::Uuid::nil(),
    }
}

#[tokio::test]
async fn pauses_letters_acts_and_what_was_seen_outlive_the_process_and_signals_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let now = SystemClock.now();
    let pause = Pause {
        queue: "mail".parse().unwrap(),
        at: now,
        by: "ann@here".to_owned(),
        why: Some("the relay is down".to_owned()),
    };
    let (id, worker) = (TaskId::mint(), Owner::mint());
    let act =
        Act { id, action: Action::Discarded { replay: 0 }, at: now, by: "ann@here".to_owned() };
    store.pause(&pause).await.unwrap();
    store.describe(&[letter(id, now)]).await.unwrap();
    store.acted(std::slice::from_ref(&act)).await.unwrap();
    store.enqueued(&[sent("mail.high", "email.welcome", now)]).await.unwrap();
    store.send(worker, &[Signal::Quiet]).await.unwrap();
    drop(store);

    let store = open(folder.path());
    assert_eq!(store.pauses().await.unwrap(), std::slice::from_ref(&pause));
    assert_eq!(store.list(&pause.queue, None, 10).await.unwrap(), [letter(id, now)]);
    assert_eq!(store.counts().await.unwrap(), [(pause.queue.clone(), 1)].into());
    assert_eq!(store.find(&[id]).await.unwrap()[0].acts, [act]);
    let seen = store.seen().await.unwrap();
    assert_eq!((seen[0].lane.to_string().as_str(), seen[0].at), ("mail.high", now));
    assert_eq!(store.receive(worker).await.unwrap(), [], "the worker it was for is dead");
    assert!(store.resume(&pause.queue).await.unwrap());
    store.close().await;
    assert_eq!(open(folder.path()).pauses().await.unwrap(), []);
}

#[tokio::test]
async fn what_waits_for_its_time_is_remembered_until_then_and_the_retention_after() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = open_at(folder.path(), START);
    let year = HOUR * 24 * 365;
    let due = START.after(year);
    let delayed = Enqueued { not_before: Some(due), ..sent("mail", "demo.echo", START) };
    let retried = TaskId::mint();
    let failed = AttemptNote {
        id: retried,
        kind: delayed.kind.clone(),
        lane: delayed.lane.clone(),
        order: Order::FIRST,
        worker: "box:1".to_owned(),
        started_at: None,
        ended_at: START,
        outcome: "retry".to_owned(),
        next_at: Some(due),
        reason: None,
        failure: None,
        result: None,
        result_ttl: None,
    };
    store.enqueued(std::slice::from_ref(&delayed)).await.unwrap();
    store.attempted(std::slice::from_ref(&failed)).await.unwrap();
    clock.advance(year + HOUR - Duration::from_millis(1));
    let records = store.find(&[delayed.id, retried]).await.unwrap();
    assert_eq!(records[0].enqueued.as_ref(), Some(&delayed));
    assert_eq!(records[1].history, [failed]);
    clock.advance(Duration::from_millis(1));
    let records = store.find(&[delayed.id, retried]).await.unwrap();
    assert!(records[0].enqueued.is_none() && records[1].history.is_empty(), "{records:?}");
}

#[tokio::test]
async fn a_lease_dies_with_the_process_and_its_epoch_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = open_at(folder.path(), START);
    let mut epochs = Vec::new();
    for _ in 0..3 {
        let lease = store.acquire("dead/mail", Owner::mint(), HOUR).await.unwrap().unwrap();
        assert!(store.acquire("dead/mail", Owner::mint(), HOUR).await.unwrap().is_none());
        epochs.push(lease.epoch);
        store.give_back(&lease).await.unwrap();
    }
    let held = store.acquire("dead/mail", Owner::mint(), HOUR).await.unwrap().unwrap();
    epochs.push(held.epoch);
    assert!(epochs[0] >= clock.now().0 * 1_000, "at least the time in µs");
    store.close().await;
    assert!(store.renew(&held, HOUR).await.is_err(), "nobody holds anything of a free folder");
    assert!(store.acquire("dead/news", Owner::mint(), HOUR).await.is_err());
    drop(store);

    // Whoever opens the folder next is never kept waiting, not even by a clock that was set back.
    let (store, _) = open_at(folder.path(), Millis(START.0 - 86_400_000));
    assert!(!store.renew(&held, HOUR).await.unwrap());
    let next = store.acquire("dead/mail", Owner::mint(), HOUR).await.unwrap().unwrap();
    epochs.push(next.epoch);
    store.give_back(&held).await.unwrap();
    assert!(store.renew(&next, HOUR).await.unwrap(), "it was not the older holder's to give");
    assert!(epochs.is_sorted_by(|one, next| one < next), "{epochs:?}");
}

#[tokio::test]
async fn of_many_who_ask_at_once_for_many_leases_each_is_given_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let asks = (0..200).map(|n| {
        let (store, name) = (Arc::clone(&store), format!("dead/q{}", n % 10));
        async move { store.acquire(&name, Owner::mint(), HOUR).await.unwrap() }
    });
    let given: Vec<Lease> = join_all(asks).await.into_iter().flatten().collect();
    let mut names: Vec<_> = given.iter().map(|lease| lease.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!((given.len(), names.len()), (10, 10));
    for lease in &given {
        assert!(store.renew(lease, HOUR).await.unwrap());
    }
}

#[tokio::test]
async fn a_description_ends_ninety_days_after_it_was_last_written() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = open_at(folder.path(), START);
    let queue = "mail".parse().unwrap();
    let (old, anew) = (letter(TaskId::mint(), START), letter(TaskId::mint(), START));
    store.describe(&[old.clone(), anew.clone()]).await.unwrap();
    clock.advance(HOUR);
    store.describe(std::slice::from_ref(&anew)).await.unwrap();
    clock.advance(LETTER_TTL - HOUR - Duration::from_millis(1));
    assert_eq!(store.list(&queue, None, 10).await.unwrap().len(), 2);
    clock.advance(Duration::from_millis(1));
    let listed = store.list(&queue, None, 10).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&anew));
    assert_eq!(store.read(&[old.id, anew.id]).await.unwrap(), [None, Some(anew.clone())]);
    assert_eq!(store.counts().await.unwrap(), [(queue.clone(), 1)].into());
    // What has expired is in nobody's way, however new it was.
    let older = Letter { order: Order { replay: 0, attempt: 1 }, ..old.clone() };
    let newer = Letter { order: Order { replay: 5, attempt: 1 }, ..old };
    store.describe(std::slice::from_ref(&newer)).await.unwrap();
    clock.advance(LETTER_TTL);
    store.describe(std::slice::from_ref(&older)).await.unwrap();
    assert_eq!(store.read(&[older.id]).await.unwrap(), [Some(older)]);
}

#[tokio::test]
async fn letters_that_died_in_one_millisecond_are_listed_by_id_and_none_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_at(folder.path(), START);
    let queue = "mail".parse().unwrap();
    let mut all: Vec<_> = (0..25).map(|n| letter(TaskId::mint(), Millis(5 + n / 10))).collect();
    // A time that no signed number holds: what a letter says is not trusted.
    all.push(letter(TaskId::mint(), Millis(u64::MAX)));
    store.describe(&all).await.unwrap();
    all.sort_unstable_by_key(|letter| std::cmp::Reverse((letter.died_at, letter.id)));
    for most in [1, 7, 26] {
        let (mut listed, mut behind) = (Vec::new(), None);
        loop {
            let page = store.list(&queue, behind, most).await.unwrap();
            let Some(last) = page.last() else { break };
            behind = Some(Behind { died_at: last.died_at, id: last.id });
            listed.extend(page);
        }
        assert_eq!(listed, all, "in pages of {most}");
    }
    let gone = |letter: &Letter| Gone { id: letter.id, queue: queue.clone(), order: letter.order };
    store.forget(&all.iter().map(gone).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(store.counts().await.unwrap(), [].into());
}

#[tokio::test]
async fn a_pair_is_seen_at_once_and_written_again_after_a_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = open_at(folder.path(), START);
    let seen = async |at: Millis| {
        store.enqueued(&[sent("mail.high", "email.welcome", at)]).await.unwrap();
        store.seen().await.unwrap()[0].at
    };
    let late = START.after(Duration::from_secs(60));
    assert_eq!(seen(START).await, START);
    assert_eq!(seen(START.after(Duration::from_millis(59_999))).await, START);
    assert_eq!(seen(late).await, late);
    assert_eq!(seen(START).await, late, "an older task does not make it unseen");
}

#[tokio::test]
async fn a_survey_tells_when_what_rests_longest_was_enqueued() {
    let folder = tempfile::tempdir().unwrap();
    let (store, clock) = open_at(folder.path(), START);
    let stamped = |second: u64, to: Destination| Publish {
        to,
        wire: Wire { timestamp: Some(second), ..Wire::default() },
    };
    let oldest = async |place: Place| store.survey(&[place]).await.unwrap()[0].oldest;
    let at = |second: u64| Some(Millis(second * 1_000));
    let delay = Destination::Delay { lane: lane(), until: START.after(HOUR) };
    let batch = [
        stamped(1, delay),
        stamped(10, Destination::Lane(lane())),
        stamped(20, Destination::Lane(lane())),
        stamped(30, Destination::Lane(lane())),
        stamped(7, Destination::Dead("mail".parse().unwrap())),
    ];
    assert!(store.publish(&batch).await.iter().all(Result::is_ok));
    assert_eq!(oldest(dead()).await, at(7));
    assert_eq!(oldest(place()).await, at(10), "what waits for its time does not rest here");

    let consumer = store.consume(&place(), 2).await.unwrap();
    let taken = take(&consumer, 2).await;
    assert_eq!(oldest(place()).await, at(30), "what is handed out does not rest");
    assert_eq!(consumer.settle(&[(taken[1].receipt, Settle::Return)]).await, [Ok(())]);
    assert_eq!(oldest(place()).await, at(20), "it is back at the head");
    drop(consumer);
    assert_eq!(oldest(place()).await, at(10));

    let consumer = store.consume(&place(), 10).await.unwrap();
    let taken = take(&consumer, 3).await;
    assert_eq!(oldest(place()).await, None);
    clock.advance(HOUR);
    assert_eq!(oldest(place()).await, at(1), "it is due");
    ack(&consumer, &taken).await;
    assert_eq!(oldest(place()).await, at(1));
    let survey = store.survey(&[place()]).await.unwrap()[0];
    assert_eq!((survey.depth, survey.consumers), (1, 1));
    let _other = store.consume(&place(), 10).await.unwrap();
    consumer.stop().await;
    drop(consumer);
    assert_eq!(store.survey(&[place()]).await.unwrap()[0].consumers, 1, "it is counted off once");
    let foreign =
        [Publish { to: Destination::Dead("slow".parse().unwrap()), wire: Wire::default() }];
    assert!(store.publish(&foreign).await[0].is_ok());
    let survey = store.survey(&[Place::Dead("slow".parse().unwrap())]).await.unwrap()[0];
    assert_eq!((survey.depth, survey.oldest), (1, None), "it does not say when");
}

#[tokio::test]
async fn dead_letters_are_walked_round_after_a_restart_and_come_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bury = |n| {
        let mut publish = numbered(n, Destination::Dead("mail".parse().unwrap()));
        let header = ("lv-mystery".to_owned(), HeaderValue::Bytes(vec![0, 255]));
        publish.wire.headers.extend([header]);
        publish
    };
    let batch: Vec<_> = (0..5).map(bury).collect();
    assert!(store.publish(&batch).await.iter().all(Result::is_ok));
    drop(store);
    let store = open(folder.path());
    let consumer = store.consume(&dead(), 3).await.unwrap();
    for n in 0..100 {
        let taken = take(&consumer, 1).await.remove(0);
        assert_eq!((number(&taken), taken.redelivered), (n % 5, n < 5));
        let copy = Publish { to: Destination::Dead("mail".parse().unwrap()), wire: taken.wire };
        assert_eq!(copy.wire, bury(n % 5).wire);
        assert!(store.publish(&[copy]).await[0].is_ok());
        assert_eq!(consumer.settle(&[(taken.receipt, Settle::Ack)]).await, [Ok(())]);
    }
    assert_eq!(store.survey(&[dead()]).await.unwrap()[0].depth, 5);
    assert_eq!(depth(&store).await, 0, "a lane has nothing of it");
}

fn about<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no finding about {check}: {findings:?}"))
}

#[tokio::test]
async fn a_diagnosis_names_every_part_of_the_folder_and_how_to_mend_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    fill(&store, 3).await;
    let buried = numbered(1, Destination::Dead("mail".parse().unwrap()));
    assert!(store.publish(&[buried]).await[0].is_ok());
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let findings = store.diagnose().await;
    for check in ["writes", "settings", "file", "log", "permissions", "backlog", "integrity"] {
        assert_eq!(about(&findings, check).health, Health::Good, "{findings:?}");
    }
    assert!(about(&findings, "room").found.contains("free on its disk"));
    assert!(about(&findings, "writes").took_ms.is_some());
    let backlog = "3 tasks wait or run, 0 wait for their time, 1 are dead";
    assert_eq!(about(&findings, "backlog").found, backlog);
    assert!(about(&findings, "file").found.contains("leveret.db"), "{findings:?}");

    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let findings = store.diagnose().await;
    let open_to_all = about(&findings, "permissions");
    assert_eq!(open_to_all.health, Health::Risky);
    assert!(open_to_all.mend.as_ref().unwrap().starts_with("chmod 700 /"), "{open_to_all:?}");

    store.close().await;
    let findings = store.diagnose().await;
    assert_eq!(about(&findings, "writes").health, Health::Bad);
    for finding in &findings {
        assert_eq!(finding.part, "data");
        assert!(finding.health == Health::Good || finding.mend.is_some(), "{finding:?}");
    }
}
