//! What Redis adds to signals and pauses: the cap, the times to live, other versions' words.

use leveret_common::clock::Millis;
use leveret_common::id::Owner;
use leveret_common::store::{MAX_SIGNALS, Pause, Signal, Signals, StoreErrorKind};

use super::bare::{Bare, Reply};
use super::{Fixture, both, patient};

fn resize(slots: usize) -> Signal {
    Signal::Resize { slots: u32::try_from(slots).unwrap() }
}

#[tokio::test]
async fn signals_are_capped_and_each_sending_keeps_them_a_minute() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let owner = Owner::mint();
        let key = format!("{namespace}:signals:{owner}");
        let many: Vec<_> = (0..MAX_SIGNALS + 5).map(resize).collect();
        redis.send(owner, &many).await.unwrap();
        bare.ask(&["PEXPIRE", &key, "5000"]);
        redis.send(owner, &[Signal::Stop]).await.unwrap();
        let left = bare.ask(&["PTTL", &key]).number().unwrap();
        assert!((55_000..=60_000).contains(&left), "{left}");
        assert_eq!(
            bare.ask(&["LLEN", &key]).number().unwrap(),
            i64::try_from(MAX_SIGNALS).unwrap()
        );
        let mut expected = many[6..].to_vec();
        expected.push(Signal::Stop);
        assert_eq!(redis.receive(owner).await.unwrap(), expected, "the oldest went first");
        assert_eq!(bare.ask(&["EXISTS", &key]), Reply::Number(0));
        redis.send(owner, &[]).await.unwrap();
        assert!(redis.receive(owner).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_signal_in_a_newer_version_s_words_is_left_out() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let owner = Owner::mint();
        let key = format!("{namespace}:signals:{owner}");
        redis.send(owner, &[Signal::Quiet]).await.unwrap();
        bare.ask(&["RPUSH", &key, "{\"ask\":\"dance\"}"]);
        redis.send(owner, &[resize(3)]).await.unwrap();
        assert_eq!(redis.receive(owner).await.unwrap(), [Signal::Quiet, resize(3)]);
    }
}

#[tokio::test]
async fn a_pause_holds_until_it_is_resumed_and_is_never_read_as_none() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let key = format!("{namespace}:pauses");
        let queue = "mail".parse().unwrap();
        let pause = Pause { queue, at: Millis(1), by: "lea".to_owned(), why: None };
        redis.pause(&pause).await.unwrap();
        assert_eq!(bare.ask(&["PTTL", &key]), Reply::Number(-1), "it does not end by itself");
        assert_eq!(redis.pauses().await.unwrap(), std::slice::from_ref(&pause));
        bare.ask(&["HSET", &key, "mail", "{\"queue\":7}"]);
        let error = redis.pauses().await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(&key), "{error}");
        assert!(redis.resume(&pause.queue).await.unwrap());
        assert!(redis.pauses().await.unwrap().is_empty());
        assert_eq!(bare.ask(&["EXISTS", &key]), Reply::Number(0));
    }
}
