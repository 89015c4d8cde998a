//! What Redis adds to letters: exact pages, times to live, and what other hands left.

use futures_util::future::join_all;
use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Order};
use leveret_common::id::TaskId;
use leveret_common::name::QueueName;
use leveret_common::store::{Behind, Gone, LETTER_TTL, Letter, Letters, StoreErrorKind};

use super::bare::{Bare, Reply};
use super::{Fixture, both, patient};

pub(super) fn letter(died_at: u64, replay: u32) -> Letter {
    Letter {
        id: TaskId::mint(),
        queue: "mail".parse().unwrap(),
        kind: "demo.echo".to_owned(),
        origin: "mail.normal".to_owned(),
        order: Order { replay, attempt: 3 },
        reason: Some(DeadReason::AttemptsExhausted),
        class: "exit".to_owned(),
        error: "no \"such\" file\nä \u{0} 漢".to_owned(),
        died_at: Millis(died_at),
        first_failed_at: None,
        key: None,
        origin_id: None,
        tags: [("tenant".to_owned(), "42".to_owned())].into(),
        args: "{\"a\":[1,2.50,null]}".to_owned(),
        args_size: 18,
        described_at: Millis(died_at),
    }
}

pub(super) fn gone(letter: &Letter) -> Gone {
    Gone { id: letter.id, queue: letter.queue.clone(), order: letter.order }
}

fn behind(letter: &Letter) -> Behind {
    Behind { died_at: letter.died_at, id: letter.id }
}

impl Fixture {
    fn letters_key(&self, rest: &str) -> String {
        format!("{}:{{letters}}:{rest}", self.namespace)
    }
}

fn mail() -> QueueName {
    "mail".parse().unwrap()
}

#[tokio::test]
async fn many_letters_of_one_millisecond_are_paged_exactly() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let times = [1_u64 << 53, 1_790_000_000_123, 1_790_000_000_122, 9, 0];
        let mut letters: Vec<_> = (0..700)
            .map(|number| letter(times[if number < 650 { 1 } else { number % 5 }], 0))
            .collect();
        redis.describe(&letters).await.unwrap();
        letters.sort_by_key(|letter| (letter.died_at, letter.id.uuid()));
        letters.reverse();
        assert_eq!(redis.counts().await.unwrap(), [(mail(), 700)].into());
        for most in [7, 250, 1_000] {
            let mut listed: Vec<Letter> = Vec::new();
            loop {
                let page = redis.list(&mail(), listed.last().map(behind), most).await.unwrap();
                assert!(page.len() <= most);
                if page.is_empty() || listed.len() > letters.len() {
                    break;
                }
                listed.extend(page);
            }
            assert!(listed == letters, "pages of {most}");
        }
        // The letter that a page ended with may go meanwhile.
        redis.forget(&[gone(&letters[6])]).await.unwrap();
        let page = redis.list(&mail(), Some(behind(&letters[6])), 2).await.unwrap();
        assert_eq!(page, letters[7..9]);
        assert!(redis.list(&mail(), None, 0).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn each_writing_keeps_a_description_for_ninety_days() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let letter = letter(5, 2);
        let own = fixture.letters_key(&letter.id.to_string());
        let keys = [
            own.clone(),
            fixture.letters_key("queue:mail"),
            fixture.letters_key("queues"),
            fixture.letters_key("ends"),
        ];
        let most = i64::try_from(LETTER_TTL.as_millis()).unwrap();
        redis.describe(std::slice::from_ref(&letter)).await.unwrap();
        for key in &keys {
            bare.ask(&["PEXPIRE", key, "50000"]);
        }
        let older = Letter { order: Order { replay: 1, attempt: 9 }, ..letter.clone() };
        redis.describe(std::slice::from_ref(&older)).await.unwrap();
        redis.forget(&[gone(&older)]).await.unwrap();
        let left = bare.ask(&["PTTL", &own]).number().unwrap();
        assert!((0..=50_000).contains(&left), "an older letter changes nothing: {left}");
        redis.describe(std::slice::from_ref(&letter)).await.unwrap();
        for key in &keys {
            let left = bare.ask(&["PTTL", key]).number().unwrap();
            assert!((most - 60_000..=most).contains(&left), "{key}: {left}");
        }
        let now = i64::try_from(bare.time() / 1_000).unwrap();
        let Reply::List(ends) = bare.ask(&["ZRANGE", &keys[3], "0", "-1", "WITHSCORES"]) else {
            panic!("a list")
        };
        assert_eq!(ends.len(), 2, "one end for one letter: {ends:?}");
        let end: i64 = ends[1].clone().text().unwrap().parse().unwrap();
        assert!((now + most - 60_000..=now + most).contains(&end), "{end}");
    }
}

#[tokio::test]
async fn a_letter_whose_description_ended_is_neither_listed_nor_counted() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let list = fixture.letters_key("queue:mail");
        let ends = fixture.letters_key("ends");
        let letters: Vec<_> = (0..5).map(|number| letter(number, 0)).collect();
        redis.describe(&letters).await.unwrap();
        let own = |letter: &Letter| fixture.letters_key(&letter.id.to_string());
        // Listing drops a place without a description, and fills the page nevertheless.
        bare.ask(&["DEL", &own(&letters[4])]);
        assert_eq!(redis.list(&mail(), None, 1).await.unwrap(), [letters[3].clone()]);
        assert_eq!(bare.ask(&["ZCARD", &list]), Reply::Number(4));
        assert_eq!(bare.ask(&["ZCARD", &ends]), Reply::Number(4));
        // Counting drops those whose time is over, without a look at the others.
        for letter in &letters[..2] {
            let member = format!("mail {:020}:{}", letter.died_at.0, letter.id);
            assert_eq!(bare.ask(&["ZADD", &ends, "XX", "CH", "1", &member]), Reply::Number(1));
            bare.ask(&["DEL", &own(letter)]);
        }
        assert_eq!(redis.counts().await.unwrap(), [(mail(), 2)].into());
        assert_eq!(redis.read(&[letters[0].id]).await.unwrap(), [None]);
        redis.forget(&letters.iter().map(gone).collect::<Vec<_>>()).await.unwrap();
        assert!(redis.counts().await.unwrap().is_empty());
        for rest in ["queue:mail", "queues", "ends"] {
            let key = fixture.letters_key(rest);
            assert_eq!(bare.ask(&["EXISTS", &key]), Reply::Number(0), "{rest}");
        }
    }
}

#[tokio::test]
async fn a_task_that_died_again_elsewhere_leaves_its_first_queue() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let first = letter(1, 0);
        let order = Order { replay: 1, attempt: 1 };
        let other: QueueName = "slow".parse().unwrap();
        let second = Letter { queue: other.clone(), order, died_at: Millis(2), ..first.clone() };
        redis.describe(&[first.clone(), second.clone(), first.clone()]).await.unwrap();
        assert_eq!(redis.counts().await.unwrap(), [(other.clone(), 1)].into());
        assert!(redis.list(&mail(), None, 9).await.unwrap().is_empty());
        redis.forget(&[gone(&first), Gone { queue: mail(), ..gone(&second) }]).await.unwrap();
        assert_eq!(redis.list(&other, None, 9).await.unwrap(), std::slice::from_ref(&second));
        redis.forget(&[gone(&second)]).await.unwrap();
        assert_eq!(redis.read(&[first.id]).await.unwrap(), [None]);
    }
}

#[tokio::test]
async fn a_date_that_no_script_can_hold_is_described_and_forgotten_all_the_same() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let mut strange = letter(u64::MAX, 0);
        redis.describe(std::slice::from_ref(&strange)).await.unwrap();
        assert_eq!(redis.list(&mail(), None, 9).await.unwrap(), [strange.clone()]);
        assert!(redis.list(&mail(), Some(behind(&strange)), 9).await.unwrap().is_empty());
        strange.died_at = Millis(u64::MAX - 1);
        redis.describe(std::slice::from_ref(&strange)).await.unwrap();
        assert_eq!(redis.counts().await.unwrap(), [(mail(), 1)].into());
        redis.forget(&[gone(&strange)]).await.unwrap();
        assert!(redis.counts().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn of_many_writers_at_once_the_newest_order_stays() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let one = letter(0, 0);
        let of = |replay: u32| Letter {
            order: Order { replay, attempt: 1 },
            died_at: Millis(u64::from(replay)),
            queue: if replay.is_multiple_of(2) { mail() } else { "slow".parse().unwrap() },
            ..one.clone()
        };
        let batches: Vec<Vec<Letter>> = (0..20)
            .map(|writer| (0..50).map(|turn| of((turn * 7 + writer) % 50)).collect())
            .collect();
        let written = batches.iter().map(|batch| redis.describe(batch));
        assert!(join_all(written).await.into_iter().all(|answer| answer.is_ok()));
        assert_eq!(redis.read(&[one.id]).await.unwrap(), [Some(of(49))]);
        assert_eq!(redis.counts().await.unwrap(), [("slow".parse().unwrap(), 1)].into());
    }
}

#[tokio::test]
async fn one_description_that_cannot_be_read_stops_no_other() {
    for url in both() {
        let fixture = patient(&url).await;
        let redis = &fixture.redis;
        let mut bare = Bare::connect(&url);
        let letters = [letter(1, 0), letter(2, 0), letter(3, 0)];
        redis.describe(&letters).await.unwrap();
        let key = fixture.letters_key(&letters[1].id.to_string());
        let text = serde_json::to_string(&letters[1]).unwrap();
        // A newer version's reason: not listed here, and still replaced and forgotten in order.
        let newer = text.replace("attempts-exhausted", "of-the-future");
        bare.ask(&["SET", &key, &newer, "PX", "60000"]);
        let rest = [letters[2].clone(), letters[0].clone()];
        assert_eq!(redis.list(&mail(), None, 2).await.unwrap(), rest);
        let error = redis.read(&[letters[1].id]).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(&key), "{error}");
        redis.describe(&letters).await.unwrap();
        assert_eq!(redis.list(&mail(), None, 9).await.unwrap().len(), 3);
        // What is not ours at all is left alone; the rest of the batch is done.
        for spoilt in ["hello", "7", "{\"order\":{\"replay\":0}}"] {
            bare.ask(&["SET", &key, spoilt, "PX", "60000"]);
            let next = letter(4, 0);
            let batch = [letters[1].clone(), next.clone()];
            let error = redis.describe(&batch).await.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(&key), "{error}");
            assert_eq!(redis.read(&[next.id]).await.unwrap(), [Some(next.clone())]);
            let error = redis.forget(&[gone(&letters[1]), gone(&next)]).await.unwrap_err();
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
            assert_eq!(redis.read(&[next.id]).await.unwrap(), [None]);
            assert_eq!(bare.ask(&["GET", &key]).text().as_deref(), Some(spoilt));
        }
    }
}

#[tokio::test]
async fn a_batch_of_more_than_one_round_trip_is_described_and_read_in_order() {
    for url in both() {
        let Fixture { redis, .. } = patient(&url).await;
        let mut letters: Vec<_> = (0..1_000)
            .map(|number| Letter { args: "x".repeat(4_096), ..letter(number, 0) })
            .collect();
        redis.describe(&letters).await.unwrap();
        let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
        let read = redis.read(&ids).await.unwrap();
        assert!(read.into_iter().flatten().eq(letters.iter().cloned()));
        letters.reverse();
        assert!(redis.list(&mail(), None, 1_000).await.unwrap() == letters);
        let gone: Vec<_> = letters[1..].iter().map(gone).collect();
        redis.forget(&gone).await.unwrap();
        assert_eq!(redis.list(&mail(), None, 9).await.unwrap(), letters[..1]);
    }
}
