//! What Redis adds to records: acts under their own key, and pairs written once a minute.

use leveret_common::clock::Millis;
use leveret_common::envelope::Order;
use leveret_common::id::TaskId;
use leveret_common::store::{
    Act, Action, AttemptNote, Enqueued, MAX_HISTORY, MAX_SEEN, Records, Seen, StoreErrorKind,
};

use super::bare::{Bare, Reply};
use super::{Fixture, both, enqueued, patient};

pub(super) fn act(id: TaskId, replay: u32) -> Act {
    let action = Action::Replaced { replay, with: TaskId::of_bytes(b"copy") };
    Act { id, action, at: Millis(u64::from(replay)), by: "lea".to_owned() }
}

#[tokio::test]
async fn acts_are_capped_kept_like_attempts_and_found_in_order() {
    for url in both() {
        let fixture = patient(&url).await;
        let (id, other) = (TaskId::mint(), TaskId::mint());
        let most = u32::try_from(MAX_HISTORY).unwrap();
        let mut acts: Vec<_> = (1..=most + 5).map(|replay| act(id, replay)).collect();
        acts.insert(3, act(other, 1));
        fixture.redis.acted(&acts).await.unwrap();
        let records = fixture.redis.find(&[id, other]).await.unwrap();
        let replays: Vec<_> = records[0].acts.iter().map(|act| act.action.replay()).collect();
        assert_eq!(replays, (6..=most + 5).collect::<Vec<_>>());
        assert_eq!(records[1].acts, [act(other, 1)]);
        let mut bare = Bare::connect(&url);
        let key = fixture.key("a", id);
        bare.ask(&["PEXPIRE", &key, "5000"]);
        fixture.redis.acted(&[act(id, 99)]).await.unwrap();
        let left = bare.ask(&["PTTL", &key]).number().unwrap();
        assert!((3_540_000..=3_600_000).contains(&left), "{left}");
        bare.ask(&["RPUSH", &key, "not ours"]);
        let error = fixture.redis.find(&[id]).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(&key), "{error}");
    }
}

#[tokio::test]
async fn what_waits_for_its_time_is_remembered_until_then_and_the_retention_after() {
    const YEAR: u64 = 365 * 86_400_000;
    for url in both() {
        let fixture = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let mut left = |key: &str| bare.ask(&["PTTL", key]).number().unwrap();
        let now = 1_790_000_000_000;
        let sent = enqueued(TaskId::mint(), "mail", "demo.echo", now);
        let later = Enqueued { not_before: Some(Millis(now + YEAR)), ..sent.clone() };
        let id = later.id;
        fixture.redis.enqueued(&[later]).await.unwrap();
        let kept = (YEAR + 3_540_000).cast_signed()..=(YEAR + 3_600_000).cast_signed();
        let found = left(&fixture.key("e", id));
        assert!(kept.contains(&found), "{found}");
        let failed = AttemptNote {
            id,
            kind: sent.kind,
            lane: sent.lane,
            order: Order::FIRST,
            worker: "box:1".to_owned(),
            started_at: None,
            ended_at: Millis(now),
            outcome: "retry".to_owned(),
            next_at: Some(Millis(now + YEAR)),
            reason: None,
            failure: None,
            result: None,
            result_ttl: None,
        };
        fixture.redis.attempted(std::slice::from_ref(&failed)).await.unwrap();
        let found = left(&fixture.key("h", id));
        assert!(kept.contains(&found), "{found}");
        // Once it is over, the retention counts from then.
        let done = AttemptNote { next_at: None, ..failed };
        fixture.redis.attempted(&[done]).await.unwrap();
        let found = left(&fixture.key("h", id));
        assert!((3_540_000..=3_600_000).contains(&found), "{found}");
    }
}

#[tokio::test]
async fn a_pair_of_lane_and_kind_is_written_once_a_minute() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let key = format!("{namespace}:seen");
        let enqueue = |lane: &'static str, kind: &'static str, at: u64| {
            let redis = redis.clone();
            async move {
                redis.enqueued(&[enqueued(TaskId::mint(), lane, kind, at)]).await.unwrap();
            }
        };
        let now = 1_790_000_000_123;
        enqueue("mail.high", "demo.echo", now).await;
        let expected = Seen {
            lane: "mail.high".parse().unwrap(),
            kind: "demo.echo".parse().unwrap(),
            at: Millis(now),
        };
        assert_eq!(redis.seen().await.unwrap(), [expected]);
        let left = bare.ask(&["PTTL", &key]).number().unwrap();
        assert!((90 * 86_400_000 - 60_000..=90 * 86_400_000).contains(&left), "{left}");
        bare.ask(&["DEL", &key]);
        enqueue("mail.high", "demo.echo", now + 59_999).await;
        assert_eq!(bare.ask(&["EXISTS", &key]), Reply::Number(0), "it was just written");
        enqueue("mail.high", "demo.echo", now + 60_000).await;
        enqueue("mail", "demo.echo", now + 60_000).await;
        enqueue("mail", "demo.other", now + 60_000).await;
        assert_eq!(redis.seen().await.unwrap().len(), 3);
        // A machine whose clock is behind does not make a pair older.
        bare.ask(&["ZADD", &key, "1890000000000", "mail.low demo.echo"]);
        enqueue("mail.low", "demo.echo", now).await;
        let last = redis.seen().await.unwrap().pop().unwrap();
        assert_eq!(last.at, Millis(1_890_000_000_000));
    }
}

#[tokio::test]
async fn pairs_unseen_for_longest_go_first() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let key = format!("{namespace}:seen");
        let pairs: Vec<_> = (0..MAX_SEEN)
            .flat_map(|number| [(1_000 + number).to_string(), format!("mail.normal k{number}")])
            .collect();
        let mut words = vec!["ZADD", key.as_str()];
        words.extend(pairs.iter().map(String::as_str));
        bare.ask(&words);
        redis.enqueued(&[enqueued(TaskId::mint(), "mail", "newest", 900_000)]).await.unwrap();
        let seen = redis.seen().await.unwrap();
        assert_eq!(seen.len(), MAX_SEEN);
        assert_eq!(seen[0].kind.as_str(), "k1", "k0 went");
        assert_eq!(seen[MAX_SEEN - 1].kind.as_str(), "newest");
        bare.ask(&["ZADD", &key, "1", "nothing"]);
        let error = redis.seen().await.expect_err("it is no pair");
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
    }
}
