//! Promises about what is handed out, to whom and in which order.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::poll;

use super::{
    BrokerUnderTest, SOON, drain, hand_out, hold, lane, number, settle, stays_quiet, task, to_lane,
};
use crate::broker::{Place, Settle};
use crate::envelope::{HeaderValue, Headers, Wire};

pub(super) async fn a_task_arrives_with_its_properties_headers_and_body_unchanged(
    under: BrokerUnderTest,
) {
    let nested = Headers::from([
        (
            "deep".to_owned(),
            HeaderValue::Table(Headers::from([("n".to_owned(), HeaderValue::Int(1))])),
        ),
        ("text".to_owned(), "ü".into()),
    ]);
    let values = [
        ("lv-null", HeaderValue::Null),
        ("lv-yes", HeaderValue::Bool(true)),
        ("lv-no", HeaderValue::Bool(false)),
        ("lv-small", HeaderValue::Int(-1)),
        ("lv-least", HeaderValue::Int(i64::MIN)),
        ("lv-most", HeaderValue::Int(i64::MAX)),
        ("lv-float", HeaderValue::Float(-0.1)),
        ("lv-decimal", HeaderValue::Decimal(2, 314)),
        ("lv-text", "grün \u{1F407} \n\t\"'".into()),
        ("lv-empty", "".into()),
        ("lv-bytes", HeaderValue::Bytes(vec![0xff, 0, 0xfe])),
        ("lv-time", HeaderValue::Time(1_790_000_000)),
        ("lv-list", HeaderValue::List(vec!["a".into(), HeaderValue::Int(2), HeaderValue::Null])),
        ("lv-table", HeaderValue::Table(nested)),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    ];
    let sent = Wire {
        message_id: Some("0192f0c0-0000-7000-8000-000000000001".to_owned()),
        kind: Some("order.paid".to_owned()),
        content_type: Some("application/json".to_owned()),
        content_encoding: Some("utf-8".to_owned()),
        correlation_id: Some("root".to_owned()),
        reply_to: Some("nobody".to_owned()),
        timestamp: Some(1_790_000_000),
        app_id: Some("shop".to_owned()),
        priority: Some(3),
        headers: values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        body: Bytes::from_iter(0..=255_u8),
    };
    let bare =
        Wire { kind: Some("demo.echo".to_owned()), body: Bytes::from("{}"), ..Wire::default() };
    let lane = lane("mail.high");
    under.put(vec![to_lane(&lane, sent.clone()), to_lane(&lane, bare.clone())]).await;
    let consumer = under.consume(&lane, 10).await;
    let mut got = hold(&consumer, 2).await;
    for delivery in &mut got {
        assert!(!delivery.redelivered, "nobody had it before");
        // What the broker itself adds is its own matter.
        delivery.wire.headers.retain(|name, _| !name.starts_with("x-"));
    }
    assert_eq!(got[0].wire, sent);
    assert_eq!(got[1].wire, bare);
}

pub(super) async fn tasks_of_one_producer_arrive_in_their_order(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 300).await;
    let consumer = under.consume(&lane, 50).await;
    assert_eq!(drain(&consumer, 300).await, (0..300).collect::<Vec<_>>());
}

pub(super) async fn a_lane_without_a_consumer_keeps_its_tasks(mut under: BrokerUnderTest) {
    let lane = lane("mail.low");
    under.fill(&lane, 3).await;
    under.reopen().await;
    under.settles_at(Place::Lane(lane.clone()), 3).await;
    let consumer = under.consume(&lane, 10).await;
    assert_eq!(drain(&consumer, 3).await, [0, 1, 2]);
}

pub(super) async fn lanes_are_separate(under: BrokerUnderTest) {
    let lanes = ["mail.high", "mail.normal", "post.high"].map(lane);
    for (n, lane) in lanes.iter().enumerate() {
        under.put(vec![to_lane(lane, task(n))]).await;
    }
    for (n, lane) in lanes.iter().enumerate() {
        let consumer = under.consume(lane, 10).await;
        assert_eq!(drain(&consumer, 1).await, [n], "{lane}");
        stays_quiet(&consumer).await;
    }
}

pub(super) async fn an_empty_lane_waits_and_a_publish_wakes_it(under: BrokerUnderTest) {
    let lane = lane("mail");
    let consumer = under.consume(&lane, 10).await;
    let mut waiting = consumer.next(10);
    assert!(poll!(&mut waiting).is_pending(), "an empty lane hands out nothing");
    under.put(vec![to_lane(&lane, task(7))]).await;
    let got = tokio::time::timeout(SOON, waiting).await.expect("the publish wakes the wait");
    assert_eq!(got.iter().map(number).collect::<Vec<_>>(), [7]);
}

pub(super) async fn a_dropped_wait_loses_no_delivery(under: BrokerUnderTest) {
    let lane = lane("mail");
    let consumer = under.consume(&lane, 4).await;
    let publish = under.fill(&lane, 40);
    let receive = async {
        let mut seen = Vec::new();
        while seen.len() < 40 {
            // Most of these waits are dropped at some point before or while a delivery comes.
            let short = Duration::from_micros(seen.len() as u64 * 97 % 700);
            let Ok(batch) = tokio::time::timeout(short, consumer.next(2)).await else { continue };
            settle(&consumer, &batch, Settle::Ack).await;
            seen.extend(batch.iter().map(number));
        }
        seen
    };
    let (seen, ()) = tokio::join!(tokio::time::timeout(SOON, receive), publish);
    let seen = seen.expect("a delivery was lost with a dropped wait");
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
}

pub(super) async fn prefetch_bounds_what_is_handed_out(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 8).await;
    let consumer = under.consume(&lane, 3).await;
    let held = hold(&consumer, 3).await;
    stays_quiet(&consumer).await;
    settle(&consumer, &held[..1], Settle::Ack).await;
    assert_eq!(number(&hold(&consumer, 1).await[0]), 3);
    stays_quiet(&consumer).await;
}

pub(super) async fn no_more_than_asked_for_are_handed_out_at_once(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 6).await;
    let consumer = under.consume(&lane, 6).await;
    let mut seen = Vec::new();
    for most in [1, 2, 3] {
        seen.extend(hand_out(&consumer, most).await);
    }
    seen.extend(hold(&consumer, 6 - seen.len()).await);
    assert_eq!(seen.iter().map(number).collect::<Vec<_>>(), (0..6).collect::<Vec<_>>());
}

pub(super) async fn two_consumers_share_a_lane_and_see_nothing_twice(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 30).await;
    let (one, two) = (under.consume(&lane, 5).await, under.consume(&lane, 5).await);
    // Both hold their full prefetch at the same time, so both take part.
    let (first, second) = tokio::join!(hold(&one, 5), hold(&two, 5));
    let mut seen: Vec<_> = first.iter().chain(&second).map(number).collect();
    settle(&one, &first, Settle::Ack).await;
    settle(&two, &second, Settle::Ack).await;
    while seen.len() < 30 {
        let (consumer, batch) = tokio::select! {
            batch = hand_out(&one, 5) => (&one, batch),
            batch = hand_out(&two, 5) => (&two, batch),
        };
        settle(consumer, &batch, Settle::Ack).await;
        seen.extend(batch.iter().map(number));
    }
    assert_eq!(seen.len(), 30);
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 30, "one was seen twice: {seen:?}");
    stays_quiet(&one).await;
}

pub(super) async fn every_waiting_consumer_is_woken_when_there_is_enough(under: BrokerUnderTest) {
    let lane = lane("mail");
    let (one, two) = (under.consume(&lane, 1).await, under.consume(&lane, 1).await);
    // Each holds what it got until the other has something too, so nobody's ack wakes the other.
    for round in 0..50 {
        let publish = under.put(vec![to_lane(&lane, task(round)), to_lane(&lane, task(round))]);
        let (first, second, ()) = tokio::join!(hold(&one, 1), hold(&two, 1), publish);
        settle(&one, &first, Settle::Ack).await;
        settle(&two, &second, Settle::Ack).await;
    }
}

pub(super) async fn what_one_connection_publishes_another_consumes(mut under: BrokerUnderTest) {
    if !under.shared {
        return under.reopen().await;
    }
    let lane = lane("mail");
    let other = (under.open)().await;
    let consumer = other.consume(&Place::Lane(lane.clone()), 10).await.expect("a consumer opens");
    under.fill(&lane, 5).await;
    let held = hold(&consumer, 5).await;
    settle(&consumer, &held[..2], Settle::Ack).await;
    other.close().await;
    let here: Arc<_> = under.consume(&lane, 10).await;
    let mut back: Vec<_> = hold(&here, 3).await.iter().map(number).collect();
    back.sort_unstable();
    assert_eq!(back, [2, 3, 4]);
}
