//! What only Redis can be asked: its scripts, its errors, its absences and its returns.
//!
//! The promises that every store keeps are asked by the suite in `leveret_common::testkit`.
//! Servers that are killed, paused or misconfigured are the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking and say aloud what they skip"
)]

mod bare;
mod by_the_rules;
mod diagnosis;
mod leases;
mod letters;
mod notices;
mod records;
mod schedules;
mod several;
mod signals;
mod steps;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Order};
use leveret_common::id::{Fence, Owner, TaskId, Token};
use leveret_common::ledger::{
    Answer, Cancel, Cancelling, Claim, Decide, Decision, Ending, Entry, Failure, Hold, Mark,
    Marking, Outcome, Release, Ruling, Takeover, packed,
};
use leveret_common::name::{Class, Lane, Namespace};
use leveret_common::spawn::Spawner;
use leveret_common::store::redis::{Config, Redis};
use leveret_common::store::{
    Advanced, AttemptNote, Changed, Enqueued, Fleet, Heartbeat, LaneInfo, Leases, Ledger, Letters,
    Liveness, MAX_HISTORY, Pause, Records, Renewal, Retention, Schedules, Signal, Signals,
    StoreError, StoreErrorKind, Suspect, WorkerInfo, WorkerState,
};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::{fresh_namespace, redis_7, redis_8};

use self::bare::{Bare, Reply, start};

const RESPONSE: Duration = Duration::from_millis(500);
const HOUR: Duration = Duration::from_secs(3_600);
const TTL: Duration = Duration::from_secs(15);

struct Fixture {
    redis: Arc<Redis>,
    namespace: Namespace,
    spawner: Spawner,
}

impl Fixture {
    fn key(&self, sort: &str, id: TaskId) -> String {
        format!("{}:{sort}:{{{id}}}", self.namespace)
    }
}

async fn connect(url: &str) -> Result<Fixture, StoreError> {
    connect_within(url, RESPONSE).await
}

async fn connect_within(url: &str, response_timeout: Duration) -> Result<Fixture, StoreError> {
    let namespace = fresh_namespace();
    let spawner = Spawner::new();
    let config = Config {
        url: url.to_owned(),
        namespace: namespace.clone(),
        response_timeout,
        connect_timeout: Duration::from_secs(1),
        retention: Retention { record: HOUR, result: 2 * HOUR },
    };
    let redis = Redis::connect(config, &spawner).await?;
    Ok(Fixture { redis, namespace, spawner })
}

async fn fixture(url: &str) -> Fixture {
    connect(url).await.unwrap()
}

/// For what is not about times: a loaded machine is no broken promise.
async fn patient(url: &str) -> Fixture {
    connect_within(url, Duration::from_secs(10)).await.unwrap()
}

/// The servers that are there, each with its URL.
fn both() -> Vec<String> {
    redis_7().into_iter().chain(redis_8()).collect()
}

fn claim(id: TaskId, owner: Owner) -> Claim {
    Claim {
        id,
        order: Order { replay: 0, attempt: 1 },
        owner,
        token: Token::draw(),
        expires_at: None,
        max_crashes: 3,
        ttl: HOUR,
    }
}

async fn claimed(redis: &Redis, ask: &Claim) -> Hold {
    let answer = redis.claim(std::slice::from_ref(ask)).await.unwrap().remove(0);
    let Answer::Claimed { fence, .. } = answer else { panic!("not claimed but {answer:?}") };
    Hold { owner: ask.owner, fence }
}

fn heartbeat(owner: Owner, held: Vec<(TaskId, Fence)>) -> Heartbeat {
    let lane = LaneInfo {
        lane: Lane::new("mail".parse().unwrap(), Class::Normal),
        consuming: true,
        waiting: 3,
        rate: 0.1 + 0.2,
        reached: Some(Millis(2)),
    };
    let info = WorkerInfo {
        host: "box".to_owned(),
        pid: 7,
        started_at: Millis(1),
        at: Millis(2),
        version: "0.1.0".to_owned(),
        slots: 4,
        in_use: 1,
        lanes: vec![lane],
        kinds: vec!["demo.echo".to_owned()],
        state: WorkerState::Quiet,
        attempts: u64::MAX,
        memory: 7,
    };
    Heartbeat { owner, held, info }
}

fn note(id: TaskId, attempt: u32, result: Option<&str>) -> AttemptNote {
    AttemptNote {
        id,
        kind: "demo.echo".parse().unwrap(),
        lane: Lane::new("mail".parse().unwrap(), Class::Normal),
        order: Order { replay: 0, attempt },
        worker: "box:7".to_owned(),
        started_at: Some(Millis(1)),
        ended_at: Millis(2),
        outcome: "retry".to_owned(),
        next_at: None,
        reason: None,
        failure: None,
        result: result.map(str::to_owned),
        result_ttl: None,
    }
}

fn enqueued(id: TaskId, lane: &str, kind: &str, at: u64) -> Enqueued {
    Enqueued {
        id,
        kind: kind.parse().unwrap(),
        lane: lane.parse().unwrap(),
        at: Millis(at),
        not_before: None,
        key: None,
        origin_id: None,
        tags: [("tenant".to_owned(), "42".to_owned())].into(),
        occasion: None,
        args_fingerprint: id.uuid(),
    }
}

#[tokio::test]
async fn a_poisoned_task_is_decided_with_the_very_json_that_serde_writes() {
    for url in both() {
        let fixture = fixture(&url).await;
        let redis = &fixture.redis;
        let id = TaskId::mint();
        let first = claim(id, Owner::mint());
        let expected = claimed(redis, &first).await;
        let ask = Claim { max_crashes: 1, ..claim(id, Owner::mint()) };
        let takeover = Takeover { claim: ask, expected, orphan: false };
        let answer = redis.take_over(&[takeover]).await.unwrap().remove(0);
        let Answer::Resume { decision, .. } = answer else { panic!("not decided: {answer:?}") };
        let Outcome::Dead { failure, .. } = &decision.outcome else { panic!("{decision:?}") };
        let expected = Decision {
            outcome: Outcome::Dead {
                reason: DeadReason::Poison,
                failure: Failure {
                    class: "crash".to_owned(),
                    message: "1 workers died while they ran this task".to_owned(),
                    at: failure.at,
                },
            },
            follow_ups: Vec::new(),
        };
        assert_eq!(decision, expected);
        let stored = Bare::connect(&url).ask(&["GET", &fixture.key("t", id)]).text().unwrap();
        assert!(stored.ends_with(&serde_json::to_string(&expected).unwrap()), "{stored}");
    }
}

#[tokio::test]
async fn a_flush_of_the_scripts_is_healed_within_the_request() {
    for url in both() {
        let Fixture { redis, .. } = fixture(&url).await;
        for _ in 0..3 {
            Bare::connect(&url).ask(&["SCRIPT", "FLUSH", "SYNC"]);
            let owner = Owner::mint();
            let batch: Vec<_> = (0..200).map(|_| claim(TaskId::mint(), owner)).collect();
            let answers = redis.claim(&batch).await.unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Answer::Claimed { .. })));
        }
    }
}

#[tokio::test]
async fn every_script_is_loaded_again_where_it_was_flushed() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let mut flush = || bare.ask(&["SCRIPT", "FLUSH", "SYNC"]);
        let owner = Owner::mint();
        flush();
        let cancel = Cancel { id: TaskId::mint(), replay: 0, ttl: HOUR };
        assert_eq!(redis.cancel(&[cancel]).await.unwrap(), [Cancelling::Cancelled]);
        flush();
        let lease = redis.acquire("dead/mail", owner, TTL).await.unwrap().unwrap();
        flush();
        assert!(redis.renew(&lease, TTL).await.unwrap());
        flush();
        redis.give_back(&lease).await.unwrap();
        let letter = letters::letter(1, 0);
        flush();
        redis.describe(std::slice::from_ref(&letter)).await.unwrap();
        flush();
        assert_eq!(redis.counts().await.unwrap()[&letter.queue], 1);
        flush();
        assert_eq!(
            redis.list(&letter.queue, None, 5).await.unwrap(),
            std::slice::from_ref(&letter)
        );
        flush();
        redis.forget(&[letters::gone(&letter)]).await.unwrap();
        assert!(redis.counts().await.unwrap().is_empty());
        flush();
        let made = redis.change(&[schedules::creation("a")]).await.unwrap();
        assert_eq!(made, [Changed::Written(1)]);
        flush();
        assert_eq!(redis.advance(&[schedules::advance("a", 1)]).await.unwrap(), [Advanced::Moved]);
        flush();
        let page = redis.page(None, 9).await.unwrap();
        let past = redis.occurrences(&page[0].entry.name).await.unwrap();
        flush();
        redis.note(&[(page[0].entry.name.clone(), past[0].clone())]).await.unwrap();
        flush();
        redis.restore(&page).await.unwrap();
        flush();
        assert_eq!(redis.changes(Some(0)).await.unwrap().names.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_cancel_is_kept_as_long_as_the_entry_and_honoured_by_whoever_finds_it() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let mut left = |id| bare.ask(&["PTTL", &fixture.key("t", id)]).number().unwrap();
        let cancel = |id| async move {
            redis.cancel(&[Cancel { id, replay: 0, ttl: TTL }]).await.unwrap().remove(0)
        };
        let entry = |id| async move { redis.entries(&[id]).await.unwrap().remove(0).unwrap() };
        let failed =
            Decision { outcome: Outcome::Snooze { not_before: Millis(9) }, follow_ups: vec![] };
        for way in ["decide", "release", "take over", "complete"] {
            let ask = claim(TaskId::mint(), Owner::mint());
            let (id, order) = (ask.id, ask.order);
            let hold = claimed(redis, &ask).await;
            assert_eq!(cancel(id).await, Cancelling::Asked(hold));
            let Entry::Running(held) = entry(id).await else { panic!("it runs on") };
            assert!(held.cancel);
            assert!((3_590_000..=3_600_000).contains(&left(id)), "as long as before");
            match way {
                "decide" => {
                    let ask = Decide { id, hold, order, decision: failed.clone(), ttl: HOUR };
                    assert_eq!(redis.decide(&[ask]).await.unwrap(), [Ruling::Cancelled]);
                }
                "release" => {
                    let ask = Release { id, hold, ttl: HOUR };
                    assert_eq!(redis.release(&[ask]).await.unwrap(), [Ruling::Cancelled]);
                }
                "take over" => {
                    let claim = Claim { id, ..claim(id, Owner::mint()) };
                    let ask = Takeover { claim, expected: hold, orphan: false };
                    let answer = redis.take_over(&[ask]).await.unwrap();
                    assert_eq!(answer, [Answer::Settled(Ending::Cancelled)]);
                }
                _ => {
                    let ask = Mark { id, hold, order, marking: Marking::Done, ttl: HOUR };
                    assert_eq!(redis.mark(&[ask]).await.unwrap(), [Ruling::Accepted]);
                    assert_eq!(cancel(id).await, Cancelling::Over(Ending::Done));
                    continue;
                }
            }
            assert_eq!(packed::write(&entry(id).await), "C 0", "{way}");
            assert_eq!(cancel(id).await, Cancelling::Over(Ending::Cancelled));
        }
        let unknown = TaskId::mint();
        assert_eq!(cancel(unknown).await, Cancelling::Cancelled);
        assert!((14_000..=15_000).contains(&left(unknown)), "for the time that was asked for");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_flushed_in_the_middle_of_batches_apply_each_request_once() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut bare = Bare::connect(&server.url());
            while !stop.load(Ordering::Relaxed) {
                bare.ask(&["SCRIPT", "FLUSH", "SYNC"]);
            }
        });
        let served = tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(serve_in_spite_of_flushes(&redis))
        });
        stop.store(true, Ordering::Relaxed);
        assert!(served > 25, "only {served} of 50 batches got through");
    });
}

async fn serve_in_spite_of_flushes(redis: &Redis) -> usize {
    let mut served = 0;
    for _ in 0..50 {
        let owner = Owner::mint();
        let batch: Vec<_> = (0..200).map(|_| claim(TaskId::mint(), owner)).collect();
        // Flushed as fast as can be, a batch may fail for good; its caller would repeat it.
        let Ok(answers) = redis.claim(&batch).await else { continue };
        served += 1;
        for answer in answers {
            let Answer::Claimed { toll, .. } = answer else { panic!("not claimed: {answer:?}") };
            assert_eq!(toll.starts, 1);
        }
        let ids: Vec<_> = batch.iter().map(|ask| ask.id).collect();
        assert_eq!(redis.entries(&ids).await.unwrap().iter().flatten().count(), batch.len());
    }
    served
}

#[tokio::test]
async fn what_is_not_ours_under_our_key_is_an_error_that_names_the_key() {
    for url in both() {
        let fixture = fixture(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let id = TaskId::mint();
        let key = fixture.key("t", id);
        let ask = claim(id, Owner::mint());
        let hold = Hold { owner: ask.owner, fence: Fence(1) };
        let order = ask.order;
        let spoil: [&[&str]; 7] = [
            &["RPUSH", &key, "x"],
            &["SET", &key, ""],
            &["SET", &key, "hello"],
            &["SET", &key, "R 00 1 2 3 4 5 6 7 8 0"],
            &["SET", &key, "D 1 2"],
            &["SET", &key, "W 1 2 3 4 5 x"],
            &["HSET", &key, "a", "b"],
        ];
        for words in spoil {
            bare.ask(&["DEL", &key]);
            bare.ask(words);
            let dump = bare.ask(&["OBJECT", "ENCODING", &key]);
            let decision =
                Decision { outcome: Outcome::Done { result: None }, follow_ups: Vec::new() };
            let errors = [
                redis.claim(std::slice::from_ref(&ask)).await.unwrap_err(),
                redis
                    .take_over(&[Takeover { claim: ask.clone(), expected: hold, orphan: false }])
                    .await
                    .unwrap_err(),
                redis.decide(&[Decide { id, hold, order, decision, ttl: TTL }]).await.unwrap_err(),
                redis
                    .mark(&[Mark { id, hold, order, marking: Marking::Done, ttl: TTL }])
                    .await
                    .unwrap_err(),
                redis.cancel(&[Cancel { id, replay: 0, ttl: TTL }]).await.unwrap_err(),
                redis.entries(&[id]).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
                assert!(error.to_string().contains(&key), "{error}");
                assert!(!error.retryable());
            }
            assert_eq!(bare.ask(&["OBJECT", "ENCODING", &key]), dump, "it was left alone");
        }
    }
}

#[tokio::test]
async fn an_outcome_that_cannot_be_read_is_an_error_not_an_answer() {
    for url in both() {
        let fixture = fixture(&url).await;
        let id = TaskId::mint();
        let owner = Owner::mint();
        let text = format!("F {owner} 9 8 7 0 1 1 0 0 0 {{\"outcome\":{{\"newer\":1}}}}");
        Bare::connect(&url).ask(&["SET", &fixture.key("t", id), &text]);
        let expected = Hold { owner, fence: Fence(9) };
        let takeover = Takeover { claim: claim(id, Owner::mint()), expected, orphan: false };
        let error = fixture.redis.take_over(&[takeover]).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn records_have_caps_and_times_to_live() {
    for url in both() {
        let fixture = fixture(&url).await;
        let id = TaskId::mint();
        let enqueued = enqueued(id, "mail", "demo.echo", 1);
        fixture.redis.enqueued(std::slice::from_ref(&enqueued)).await.unwrap();
        let most = u32::try_from(MAX_HISTORY).unwrap();
        let notes: Vec<_> = (1..=most + 5).map(|attempt| note(id, attempt, None)).collect();
        fixture.redis.attempted(&notes).await.unwrap();
        fixture.redis.attempted(&[note(id, most + 6, Some("{\"a\":1}"))]).await.unwrap();
        let records = fixture.redis.find(&[TaskId::mint(), id]).await.unwrap();
        assert_eq!(records[0], Default::default());
        assert_eq!(records[1].enqueued.as_ref(), Some(&enqueued));
        assert_eq!(records[1].result.as_deref(), Some("{\"a\":1}"));
        let attempts: Vec<_> = records[1].history.iter().map(|note| note.order.attempt).collect();
        assert_eq!(attempts, (7..=most + 6).collect::<Vec<_>>());
        let mut bare = Bare::connect(&url);
        for (sort, kept) in [("e", HOUR), ("h", HOUR), ("r", 2 * HOUR)] {
            let left = bare.ask(&["PTTL", &fixture.key(sort, id)]).number().unwrap();
            let most = i64::try_from(kept.as_millis()).unwrap();
            assert!((most - 60_000..=most).contains(&left), "{sort}: {left}");
        }
        let own = AttemptNote { result_ttl: Some(HOUR / 2), ..note(id, most + 7, Some("2")) };
        fixture.redis.attempted(&[own]).await.unwrap();
        let left = bare.ask(&["PTTL", &fixture.key("r", id)]).number().unwrap();
        assert!((1_740_000..=1_800_000).contains(&left), "the task's own time wins: {left}");
        bare.ask(&["RPUSH", &fixture.key("h", id), "not ours"]);
        let error = fixture.redis.find(&[id]).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn a_heartbeat_after_a_wipe_is_absent_and_nothing_is_concluded() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let (reader, holder) = (Owner::mint(), Owner::mint());
    let id = TaskId::mint();
    let hold = Hold { owner: holder, fence: Fence(3) };
    let suspect = |age| Suspect { id, hold, age };
    for owner in [reader, holder] {
        let beat = heartbeat(owner, vec![(id, Fence(3))]);
        assert_eq!(redis.beat(&beat, TTL).await.unwrap(), Renewal::Absent);
        assert_eq!(redis.beat(&beat, TTL).await.unwrap(), Renewal::Kept);
    }
    assert_eq!(redis.workers().await.unwrap().len(), 2);
    assert_eq!(redis.judge(reader, &[suspect(HOUR)], TTL).await.unwrap(), [Liveness::Alive]);
    redis.beat(&heartbeat(holder, Vec::new()), TTL).await.unwrap();
    let verdicts = redis.judge(reader, &[suspect(HOUR), suspect(TTL / 2)], TTL).await.unwrap();
    assert_eq!(verdicts, [Liveness::Orphaned, Liveness::Alive]);
    redis.leave(holder).await.unwrap();
    assert_eq!(redis.judge(reader, &[suspect(HOUR)], TTL).await.unwrap(), [Liveness::Dead]);
    assert_eq!(redis.workers().await.unwrap().len(), 1);
    Bare::connect(&server.url()).ask(&["FLUSHALL"]);
    assert_eq!(redis.judge(reader, &[suspect(HOUR)], TTL).await.unwrap(), [Liveness::Unsure]);
    assert!(redis.workers().await.unwrap().is_empty());
    assert_eq!(redis.beat(&heartbeat(reader, vec![]), TTL).await.unwrap(), Renewal::Absent);
}

#[tokio::test]
async fn a_worker_that_stopped_beating_leaves_the_list_by_itself() {
    for url in both() {
        let fixture = fixture(&url).await;
        let (short, long) = (Owner::mint(), Owner::mint());
        fixture.redis.beat(&heartbeat(long, vec![]), TTL).await.unwrap();
        fixture.redis.beat(&heartbeat(short, vec![]), Duration::from_millis(50)).await.unwrap();
        eventually(Duration::from_secs(5), "only one worker is left", || async {
            fixture.redis.workers().await.unwrap().len() == 1
        })
        .await;
        // The next heartbeat prunes the directory, and the directory outlives its last worker.
        fixture.redis.beat(&heartbeat(long, vec![]), TTL).await.unwrap();
        let mut bare = Bare::connect(&url);
        let key = format!("{}:{{w}}:all", fixture.namespace);
        assert_eq!(bare.ask(&["ZCARD", &key]), Reply::Number(1));
        let left = bare.ask(&["PTTL", &key]).number().unwrap();
        assert!((10_000..=15_000).contains(&left), "{left}");
    }
}

#[tokio::test]
async fn nothing_listening_a_wrong_password_and_a_wrong_url_say_how_to_mend_them() {
    let Some(server) = start(&["--requirepass", "right"]).await else { return };
    let address = server.url().replace("redis://", "");
    let refused = |url: String| async move { connect(&url).await.err().expect("no connection") };

    let error = refused(format!("redis://:wr0ng-pw@{address}/3")).await;
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    let text = format!("{error} {error:?}");
    assert!(text.contains(&format!("{address}/3")) && text.contains("login"), "{text}");
    assert!(!text.contains("wr0ng-pw"), "{text}");

    let error = refused(server.url()).await;
    assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
    assert!(error.to_string().contains("login"), "{error}");
    connect(&format!("redis://:right@{address}/3")).await.unwrap();

    drop(server);
    let error = refused(format!("redis://{address}/3")).await;
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("start Redis there"), "{error}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let other = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let error = refused(format!("redis://{address}")).await;
    assert!(error.to_string().contains("not as Redis does"), "{error}");
    other.join().unwrap();

    let error = refused("http://example.org".to_owned()).await;
    assert!(error.to_string().contains("store.url"), "{error}");
}

#[tokio::test]
async fn a_tls_url_on_a_plain_server_is_an_error_not_a_panic() {
    let Some(server) = start(&[]).await else { return };
    let error = connect(&server.url().replace("redis:", "rediss:")).await.err().unwrap();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("with TLS"), "{error}");
}

#[tokio::test]
async fn a_server_that_would_evict_claims_is_refused_and_one_without_aof_is_named() {
    let evicting = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    let Some(server) = start(&evicting).await else { return };
    let error = connect(&server.url()).await.err().expect("it is refused");
    assert_eq!(error.kind, StoreErrorKind::Refused);
    assert!(error.to_string().contains("allkeys-lru"), "{error}");
    Bare::connect(&server.url()).ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let warnings = fixture(&server.url()).await.redis.warnings().to_vec();
    assert!(warnings.len() == 1 && warnings[0].contains("appendonly"), "{warnings:?}");
    Bare::connect(&server.url()).ask(&["CONFIG", "SET", "appendonly", "yes"]);
    assert!(fixture(&server.url()).await.redis.warnings().is_empty());
}

#[tokio::test]
async fn out_of_memory_a_replica_and_a_missing_permission_are_refusals_by_name() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let mut bare = Bare::connect(&server.url());
    let ask = claim(TaskId::mint(), Owner::mint());
    let cases: [(&[&str], &[&str], &str); 3] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "maxmemory"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "replica"),
        (&["ACL", "SETUSER", "default", "-set"], &["ACL", "SETUSER", "default", "+set"], "ACL"),
    ];
    for (breaks, mends, word) in cases {
        bare.ask(breaks);
        let errors = [
            redis.claim(std::slice::from_ref(&ask)).await.unwrap_err(),
            redis.cancel(&[Cancel { id: ask.id, replay: 0, ttl: TTL }]).await.unwrap_err(),
            redis.check().await.unwrap_err(),
            redis.beat(&heartbeat(ask.owner, vec![]), TTL).await.unwrap_err(),
            redis.acquire("dead/mail", ask.owner, TTL).await.unwrap_err(),
            redis.describe(&[letters::letter(1, 0)]).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
            assert!(error.to_string().contains(word), "{error}");
            assert!(error.retryable());
        }
        bare.ask(mends);
        redis.check().await.unwrap();
    }
    claimed(&redis, &ask).await;
}

#[tokio::test]
async fn what_is_written_by_plain_commands_is_refused_by_name_too() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let mut bare = Bare::connect(&server.url());
    let pause =
        Pause { queue: "mail".parse().unwrap(), at: Millis(1), by: "lea".to_owned(), why: None };
    let cases: [(&[&str], &[&str], &str); 2] = [
        (&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "maxmemory"),
        (&["REPLICAOF", "127.0.0.1", "1"], &["REPLICAOF", "NO", "ONE"], "replica"),
    ];
    for (breaks, mends, word) in cases {
        bare.ask(breaks);
        let errors = [
            redis.send(Owner::mint(), &[Signal::Quiet]).await.unwrap_err(),
            redis.pause(&pause).await.unwrap_err(),
            redis.acted(&[records::act(TaskId::mint(), 1)]).await.unwrap_err(),
            redis.enqueued(&[enqueued(TaskId::mint(), "mail", "demo.echo", 1)]).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind, StoreErrorKind::Refused, "{error}");
            assert!(error.to_string().contains(word), "{error}");
        }
        bare.ask(mends);
    }
    assert!(redis.seen().await.unwrap().is_empty());
    redis.enqueued(&[enqueued(TaskId::mint(), "mail", "demo.echo", 1)]).await.unwrap();
    assert_eq!(redis.seen().await.unwrap().len(), 1, "what was refused was not taken for written");
}

#[tokio::test]
async fn a_heartbeat_in_other_words_spares_its_owner_and_hides_no_other() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let [reader, older, odd, gone] = [(); 4].map(|()| Owner::mint());
        let id = TaskId::mint();
        redis.beat(&heartbeat(reader, vec![]), TTL).await.unwrap();
        let key = |owner: Owner| format!("{}:{{w}}:{owner}", fixture.namespace);
        for owner in [older, odd] {
            redis.beat(&heartbeat(owner, vec![]), TTL).await.unwrap();
        }
        let text = format!(
            "{{\"owner\":\"{older}\",\"held\":[[\"{id}\",3]],\"info\":{{\"host\":\"box\"}}}}"
        );
        bare.ask(&["SET", &key(older), &text, "PX", "15000"]);
        bare.ask(&["SET", &key(odd), "hello", "PX", "15000"]);
        let suspect =
            |owner, fence| Suspect { id, hold: Hold { owner, fence: Fence(fence) }, age: HOUR };
        let suspects = [suspect(older, 3), suspect(older, 4), suspect(odd, 3), suspect(gone, 3)];
        let expected = [Liveness::Alive, Liveness::Orphaned, Liveness::Unsure, Liveness::Dead];
        assert_eq!(redis.judge(reader, &suspects, TTL).await.unwrap(), expected);
        bare.ask(&["DEL", &key(odd)]);
        bare.ask(&["RPUSH", &key(odd), "hello"]);
        assert_eq!(redis.judge(reader, &suspects, TTL).await.unwrap(), expected);
        bare.ask(&["ZADD", &format!("{}:{{w}}:all", fixture.namespace), "9e15", "nobody"]);
        let workers = redis.workers().await.unwrap();
        assert_eq!(workers, [heartbeat(reader, vec![])], "what can be read is listed, as it was");
        bare.ask(&["DEL", &key(odd)]);
    }
}

#[tokio::test]
async fn a_paused_server_is_a_timeout_in_time_and_recovers_by_itself() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let ask = claim(TaskId::mint(), Owner::mint());
    for pause in ["900", "2500"] {
        Bare::connect(&server.url()).ask(&["CLIENT", "PAUSE", pause, "ALL"]);
        let began = Instant::now();
        let beat = heartbeat(ask.owner, vec![]);
        let (claim, beat) =
            tokio::join!(redis.claim(std::slice::from_ref(&ask)), redis.beat(&beat, TTL));
        assert!(began.elapsed() < RESPONSE + Duration::from_millis(300), "{:?}", began.elapsed());
        for error in [claim.unwrap_err(), beat.unwrap_err()] {
            assert_eq!(error.kind, StoreErrorKind::Timeout, "{error}");
        }
        eventually(Duration::from_secs(10), "Redis answers again", || async {
            redis.check().await.is_ok()
                && redis.beat(&heartbeat(ask.owner, vec![]), TTL).await.is_ok()
        })
        .await;
    }
    let hold = claimed(&redis, &ask).await;
    let Some(Entry::Running(held)) = redis.entries(&[ask.id]).await.unwrap().remove(0) else {
        panic!("it runs");
    };
    assert_eq!((held.hold, held.toll.starts), (hold, 1), "however often it was asked");
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_once_it_is_back() {
    let Some(mut server) = start(&["--appendonly", "yes", "--appendfsync", "always"]).await else {
        return;
    };
    let Fixture { redis, spawner, .. } = fixture(&server.url()).await;
    let ask = claim(TaskId::mint(), Owner::mint());
    let hold = claimed(&redis, &ask).await;
    server.kill().await.unwrap();
    eventually(Duration::from_secs(5), "the loss is noticed", || async {
        let began = Instant::now();
        let error = redis.check().await.unwrap_err();
        assert!(began.elapsed() < RESPONSE + Duration::from_millis(300), "{:?}", began.elapsed());
        error.kind == StoreErrorKind::Unavailable
    })
    .await;
    let began = Instant::now();
    for _ in 0..100 {
        let error = redis.check().await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    }
    assert!(began.elapsed() < RESPONSE, "requests fail at once while it is away");
    // A shutdown has begun meanwhile: what runs must still be able to record its outcome.
    spawner.shut_down();
    server.start_again().await.unwrap();
    let order = ask.order;
    eventually(Duration::from_secs(10), "the claim is marked", || async {
        let mark = Mark { id: ask.id, hold, order, marking: Marking::Done, ttl: HOUR };
        redis.mark(&[mark]).await.is_ok_and(|rulings| rulings == [Ruling::Accepted])
    })
    .await;
    spawner.drained().await;
}

#[tokio::test]
async fn a_drain_ends_while_the_server_is_away() {
    let Some(mut server) = start(&[]).await else { return };
    let Fixture { redis, spawner, .. } = fixture(&server.url()).await;
    server.kill().await.unwrap();
    redis.check().await.unwrap_err();
    tokio::time::timeout(Duration::from_secs(5), spawner.drained()).await.expect("it ends");
    redis.check().await.unwrap_err();
}

#[tokio::test]
async fn an_idle_connection_that_was_cut_is_opened_before_it_is_needed() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = fixture(&server.url()).await;
    let mut bare = Bare::connect(&server.url());
    let own = bare.ask(&["CLIENT", "ID"]).number().unwrap().to_string();
    let others = |bare: &mut Bare| {
        let list = bare.ask(&["CLIENT", "LIST"]).text().unwrap();
        list.lines().filter(|line| !line.contains(&format!("id={own} "))).count()
    };
    assert_eq!(others(&mut bare), 2);
    bare.ask(&["CLIENT", "KILL", "SKIPME", "yes", "TYPE", "normal"]);
    eventually(Duration::from_secs(5), "both connections are back", || {
        let back = others(&mut bare) == 2;
        async move { back }
    })
    .await;
    // The server lists a connection before its handshake is over.
    eventually(Duration::from_secs(5), "they serve", || async { redis.check().await.is_ok() })
        .await;
}

#[tokio::test]
async fn a_batch_longer_than_one_pipeline_is_answered_in_order() {
    for url in both() {
        let Fixture { redis, .. } = fixture(&url).await;
        let owner = Owner::mint();
        let mut batch: Vec<_> = (0..2_500).map(|_| claim(TaskId::mint(), owner)).collect();
        batch[1_700] = Claim { expires_at: Some(Millis(1)), ..batch[1_700].clone() };
        let answers = redis.claim(&batch).await.unwrap();
        let expired = |answer: &Answer| matches!(answer, Answer::Settled(_));
        assert_eq!(answers.len(), batch.len());
        assert_eq!(answers.iter().position(expired), Some(1_700));
        let ids: Vec<_> = batch.iter().map(|ask| ask.id).collect();
        let entries = redis.entries(&ids).await.unwrap();
        let texts: Vec<_> = entries.iter().flatten().map(packed::write).collect();
        assert_eq!(texts.len(), batch.len());
        assert_eq!(texts[1_700], "E 0");
    }
}
