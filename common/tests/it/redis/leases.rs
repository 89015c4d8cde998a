//! What Redis adds to leases: keys that end, epochs that go by the server's clock.

use std::time::Duration;

use futures_util::future::join_all;
use leveret_common::id::Owner;
use leveret_common::store::{Lease, Leases, StoreErrorKind};

use super::bare::{Bare, Reply, start};
use super::{Fixture, TTL, both, patient};

const NAME: &str = "dead/mail";

#[tokio::test]
async fn a_lease_ends_by_itself_and_is_prolonged_only_under_its_epoch() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let key = format!("{namespace}:{{lease:{NAME}}}");
        let holder = Owner::mint();
        let before = bare.time();
        let first = redis.acquire(NAME, holder, TTL).await.unwrap().unwrap();
        assert!((before..=bare.time()).contains(&first.epoch), "{first:?}");
        let left = bare.ask(&["PTTL", &key]).number().unwrap();
        assert!((14_000..=15_000).contains(&left), "{left}");
        assert!(redis.renew(&first, 2 * TTL).await.unwrap());
        let left = bare.ask(&["PTTL", &key]).number().unwrap();
        assert!((29_000..=30_000).contains(&left), "{left}");
        let second = redis.acquire(NAME, holder, TTL).await.unwrap().unwrap();
        assert!(second.epoch > first.epoch);
        // The first one's late words change nothing.
        assert!(!redis.renew(&first, Duration::ZERO).await.unwrap());
        redis.give_back(&first).await.unwrap();
        assert_eq!(redis.acquire(NAME, Owner::mint(), TTL).await.unwrap(), None);
        redis.give_back(&second).await.unwrap();
        assert_eq!(bare.ask(&["EXISTS", &key]), Reply::Number(0));
    }
}

#[tokio::test]
async fn an_epoch_grows_even_where_the_clock_went_back() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let holder = Owner::mint();
        let ahead = 4_000_000_000_000_000_u64;
        let key = format!("{namespace}:{{lease:{NAME}}}");
        Bare::connect(&url).ask(&["SET", &key, &format!("{holder} {ahead}"), "PX", "60000"]);
        let lease = redis.acquire(NAME, holder, TTL).await.unwrap().unwrap();
        assert_eq!(lease, Lease { name: NAME.to_owned(), holder, epoch: ahead + 1 });
        assert!(redis.renew(&lease, TTL).await.unwrap());
    }
}

#[tokio::test]
async fn an_epoch_grows_where_the_clock_went_back_and_the_lease_has_ended() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let mut bare = Bare::connect(&url);
        let key = format!("{namespace}:{{lease:{NAME}}}");
        let kept = format!("{key}:epoch");
        let first = redis.acquire(NAME, Owner::mint(), TTL).await.unwrap().unwrap();
        assert_eq!(bare.ask(&["GET", &kept]).text(), Some(first.epoch.to_string()));
        assert_eq!(bare.ask(&["PTTL", &kept]).number().unwrap(), -1, "it must outlive the lease");
        // As it is left by a server whose clock was ahead.
        let ahead = 4_000_000_000_000_000_u64;
        bare.ask(&["SET", &kept, &ahead.to_string()]);
        bare.ask(&["DEL", &key]);
        for turn in 1..=3 {
            let lease = redis.acquire(NAME, Owner::mint(), TTL).await.unwrap().unwrap();
            assert_eq!(lease.epoch, ahead + turn);
            redis.give_back(&lease).await.unwrap();
        }
        // Wiped, all that is left to go by is the clock.
        bare.ask(&["DEL", &key, &kept]);
        let before = bare.time();
        let lease = redis.acquire(NAME, Owner::mint(), TTL).await.unwrap().unwrap();
        assert!((before..=bare.time()).contains(&lease.epoch), "{lease:?}");
        redis.give_back(&lease).await.unwrap();
        for spoilt in ["hello", "-7", "9007199254740992"] {
            bare.ask(&["SET", &kept, spoilt]);
            let error = redis.acquire(NAME, Owner::mint(), TTL).await.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(&kept), "{error}");
        }
        bare.ask(&["DEL", &kept]);
    }
}

#[tokio::test]
async fn of_fifty_who_ask_at_once_one_gets_the_lease() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let asks = (0..50).map(|_| redis.acquire(NAME, Owner::mint(), TTL));
        let answers = join_all(asks).await;
        assert_eq!(
            answers.into_iter().filter(|answer| answer.as_ref().unwrap().is_some()).count(),
            1
        );
    }
}

#[tokio::test]
async fn a_wipe_ends_a_lease_and_the_next_one_is_newer() {
    let Some(server) = start(&[]).await else { return };
    let Fixture { redis, .. } = patient(&server.url()).await;
    let lease = redis.acquire(NAME, Owner::mint(), TTL).await.unwrap().unwrap();
    Bare::connect(&server.url()).ask(&["FLUSHALL"]);
    assert!(!redis.renew(&lease, TTL).await.unwrap());
    let next = redis.acquire(NAME, Owner::mint(), TTL).await.unwrap().unwrap();
    assert!(next.epoch > lease.epoch);
}

#[tokio::test]
async fn what_is_no_lease_is_an_error_not_a_free_lease() {
    for url in both() {
        let Fixture { redis, namespace, .. } = patient(&url).await;
        let key = format!("{namespace}:{{lease:{NAME}}}");
        let mut bare = Bare::connect(&url);
        let lease = Lease { name: NAME.to_owned(), holder: Owner::mint(), epoch: 1 };
        let too_great = format!("{} 9007199254740992", lease.holder);
        let spoil: [&[&str]; 3] =
            [&["SET", &key, "hello"], &["SET", &key, &too_great], &["RPUSH", &key, "x"]];
        for words in spoil {
            bare.ask(&["DEL", &key]);
            bare.ask(words);
            let errors = [
                redis.acquire(NAME, lease.holder, TTL).await.unwrap_err(),
                redis.renew(&lease, TTL).await.unwrap_err(),
                redis.give_back(&lease).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
                assert!(error.to_string().contains(&key), "{error}");
            }
        }
        bare.ask(&["DEL", &key]);
    }
}
