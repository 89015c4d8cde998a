//! Promises about dead letters: a place to consume like a lane, which keeps what is in it.
//!
//! The desk reads a queue by taking each letter, publishing it to the tail and acking it. Nothing
//! may be lost by that, however often it is done, and no limit of the broker may be met.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::poll;

use super::{
    BrokerUnderTest, SOON, drain, hand_out, hold, lane, number, settle, stays_quiet, task, to_lane,
};
use crate::broker::{Consumer, Destination, Place, Publish, Settle};
use crate::envelope::{HeaderValue, Wire, header};
use crate::name::QueueName;

fn queue(text: &str) -> QueueName {
    text.parse().expect("a test's queue is valid")
}

fn dead(text: &str) -> Place {
    Place::Dead(queue(text))
}

fn letter(of: &str, wire: Wire) -> Publish {
    Publish { to: Destination::Dead(queue(of)), wire }
}

impl BrokerUnderTest {
    /// Publishes `count` numbered letters to the dead letters of a queue.
    async fn bury(&self, of: &str, count: usize) {
        self.put((0..count).map(|n| letter(of, task(n))).collect()).await;
    }

    /// Moves `count` letters to the tail, a handful at a time, as a walk does it.
    async fn rotate(&self, of: &str, consumer: &Arc<dyn Consumer>, count: usize) {
        let mut moved = 0;
        while moved < count {
            let batch = hand_out(consumer, (count - moved).min(7)).await;
            let copies = batch.iter().map(|delivery| {
                let mut wire = delivery.wire.clone();
                wire.keep_ours();
                letter(of, wire)
            });
            self.put(copies.collect()).await;
            settle(consumer, &batch, Settle::Ack).await;
            moved += batch.len();
        }
    }
}

pub(super) async fn dead_letters_are_handed_out_in_the_order_they_came(under: BrokerUnderTest) {
    under.bury("mail", 60).await;
    let consumer = under.consume_place(&dead("mail"), 20).await;
    assert_eq!(drain(&consumer, 60).await, (0..60).collect::<Vec<_>>());
    stays_quiet(&consumer).await;
}

pub(super) async fn a_dead_letter_arrives_as_it_was_sent_however_often_it_is_moved_to_the_tail(
    under: BrokerUnderTest,
) {
    let mut sent = Wire {
        timestamp: Some(1_790_000_000),
        app_id: Some("shop".to_owned()),
        correlation_id: Some("root".to_owned()),
        body: Bytes::from_iter(0..=255_u8),
        ..task(0)
    };
    let tags = [("tenant".to_owned(), "42".into())].into();
    for (name, value) in [
        (header::REASON, HeaderValue::from("attempts-exhausted")),
        (header::ERROR, "grün \u{1F407} \n\t\"'".into()),
        (header::ORIGIN, "mail.high".into()),
        (header::REPLAY, 3_u32.into()),
        (header::DEAD_AT, 1_790_000_000_123_u64.into()),
        (header::TAGS, HeaderValue::Table(tags)),
        ("lv-later", HeaderValue::List(vec![HeaderValue::Int(i64::MIN), HeaderValue::Null])),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    ] {
        sent.headers.insert(name.to_owned(), value);
    }
    under.put(vec![letter("mail", sent.clone())]).await;
    let consumer = under.consume_place(&dead("mail"), 1).await;
    under.rotate("mail", &consumer, 40).await;
    let mut held = hold(&consumer, 1).await;
    // What the broker itself adds is its own matter.
    held[0].wire.headers.retain(|name, _| !name.starts_with("x-"));
    assert_eq!(held[0].wire, sent);
}

pub(super) async fn moving_letters_to_the_tail_keeps_all_of_them_in_their_order(
    under: BrokerUnderTest,
) {
    under.bury("mail", 30).await;
    let consumer = under.consume_place(&dead("mail"), 10).await;
    under.rotate("mail", &consumer, 30 * 10).await;
    assert_eq!(drain(&consumer, 30).await, (0..30).collect::<Vec<_>>());
    stays_quiet(&consumer).await;
    consumer.stop().await;
    under.settles_at(dead("mail"), 0).await;
}

pub(super) async fn an_acked_letter_is_gone(mut under: BrokerUnderTest) {
    under.bury("mail", 5).await;
    let consumer = under.consume_place(&dead("mail"), 10).await;
    assert_eq!(drain(&consumer, 3).await, [0, 1, 2]);
    under.reopen().await;
    under.settles_at(dead("mail"), 2).await;
    let consumer = under.consume_place(&dead("mail"), 10).await;
    assert_eq!(drain(&consumer, 2).await, [3, 4]);
    stays_quiet(&consumer).await;
}

pub(super) async fn a_returned_letter_comes_again_as_often_as_it_is_returned(
    under: BrokerUnderTest,
) {
    under.bury("mail", 1).await;
    let consumer = under.consume_place(&dead("mail"), 1).await;
    // RabbitMQ 4 drops after 20 returns what has no limit of its own.
    for turn in 0..50 {
        let held = hold(&consumer, 1).await;
        assert_eq!(number(&held[0]), 0);
        assert_eq!(held[0].redelivered, turn > 0, "turn {turn}");
        settle(&consumer, &held, Settle::Return).await;
    }
    assert_eq!(drain(&consumer, 1).await, [0]);
    under.settles_at(dead("mail"), 0).await;
}

pub(super) async fn unsettled_letters_come_back_after_a_close(mut under: BrokerUnderTest) {
    under.bury("mail", 8).await;
    let consumer = under.consume_place(&dead("mail"), 8).await;
    let held = hold(&consumer, 5).await;
    settle(&consumer, &held[..2], Settle::Ack).await;
    under.reopen().await;
    let consumer = under.consume_place(&dead("mail"), 8).await;
    let back: BTreeSet<_> = hold(&consumer, 6).await.iter().map(number).collect();
    assert_eq!(back, (2..8).collect());
}

pub(super) async fn what_a_stopped_walk_held_is_there_for_the_next(under: BrokerUnderTest) {
    under.bury("mail", 10).await;
    let consumer = under.consume_place(&dead("mail"), 6).await;
    let held = hold(&consumer, 4).await;
    consumer.stop().await;
    // What was handed out can still be ended either way; the rest is back already.
    settle(&consumer, &held[..1], Settle::Ack).await;
    settle(&consumer, &held[1..], Settle::Return).await;
    under.settles_at(dead("mail"), 9).await;
    let next = under.consume_place(&dead("mail"), 10).await;
    let rest: BTreeSet<_> = drain(&next, 9).await.into_iter().collect();
    assert_eq!(rest, (1..10).collect());
    stays_quiet(&next).await;
}

pub(super) async fn prefetch_bounds_the_letters_in_hand(under: BrokerUnderTest) {
    under.bury("mail", 6).await;
    let consumer = under.consume_place(&dead("mail"), 2).await;
    let held = hold(&consumer, 2).await;
    stays_quiet(&consumer).await;
    under.settles_at(dead("mail"), 4).await;
    settle(&consumer, &held[..1], Settle::Ack).await;
    assert_eq!(number(&hold(&consumer, 1).await[0]), 2);
    stays_quiet(&consumer).await;
}

pub(super) async fn two_consumers_share_the_letters_and_see_nothing_twice(under: BrokerUnderTest) {
    under.bury("mail", 12).await;
    let (one, two) =
        (under.consume_place(&dead("mail"), 6).await, under.consume_place(&dead("mail"), 6).await);
    let (first, second) = tokio::join!(hold(&one, 6), hold(&two, 6));
    let seen: BTreeSet<_> = first.iter().chain(&second).map(number).collect();
    assert_eq!(seen, (0..12).collect());
}

pub(super) async fn an_empty_place_of_dead_letters_waits_and_a_letter_wakes_it(
    under: BrokerUnderTest,
) {
    // Nothing ever died here: the place is made by whoever asks first.
    let consumer = under.consume_place(&dead("never"), 5).await;
    assert!(consumer.is_consuming());
    let mut waiting = consumer.next(5);
    assert!(poll!(&mut waiting).is_pending(), "an empty place hands out nothing");
    under.put(vec![letter("never", task(7))]).await;
    let got = tokio::time::timeout(SOON, waiting).await.expect("the letter wakes the wait");
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [7]);
    assert!(consumer.holds(got[0].receipt));
}

pub(super) async fn lanes_and_dead_letters_do_not_mix(under: BrokerUnderTest) {
    let (high, low, post) = (lane("mail.high"), lane("mail.low"), lane("post"));
    let consumers = [
        under.consume(&high, 10).await,
        under.consume(&low, 10).await,
        under.consume_place(&dead("mail"), 10).await,
        under.consume_place(&dead("post"), 10).await,
    ];
    under
        .put(vec![
            to_lane(&high, task(0)),
            to_lane(&low, task(1)),
            letter("mail", task(2)),
            letter("post", task(3)),
            // A queue named as another's letters might be is a queue like any other.
            to_lane(&lane("dead"), task(4)),
            letter("dead", task(5)),
        ])
        .await;
    for (n, consumer) in consumers.iter().enumerate() {
        assert_eq!(drain(consumer, 1).await, [n]);
    }
    for consumer in &consumers {
        stays_quiet(consumer).await;
    }
    under.settles_at(Place::Lane(post), 0).await;
    under.settles_at(dead("dead"), 1).await;
    under.settles_at(Place::Lane(lane("dead")), 1).await;
}

pub(super) async fn a_letter_with_a_time_in_it_is_not_held_back(under: BrokerUnderTest) {
    let mut wire = task(1);
    let later = under.clock.now().after(std::time::Duration::from_secs(3_600));
    wire.headers.insert(header::NOT_BEFORE.to_owned(), later.0.into());
    under.put(vec![letter("mail", wire)]).await;
    let consumer = under.consume_place(&dead("mail"), 1).await;
    assert_eq!(drain(&consumer, 1).await, [1]);
}
