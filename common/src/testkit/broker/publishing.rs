//! Promises about what is accepted, what is refused, and what is counted.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::future::join_all;

use super::{BrokerUnderTest, SOON, drain, hold, lane, settle, stays_quiet, task, to_lane};
use crate::broker::{Destination, Place, Publish, PublishError, Settle, Survey};
use crate::clock::Millis;
use crate::envelope::{Wire, header};
use crate::testkit::eventually;

pub(super) async fn a_thousand_tasks_in_one_batch_arrive_once_each(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 1_000).await;
    under.settles_at(Place::Lane(lane.clone()), 1_000).await;
    let consumer = under.consume(&lane, 200).await;
    let seen: BTreeSet<_> = drain(&consumer, 1_000).await.into_iter().collect();
    assert_eq!(seen.len(), 1_000);
    stays_quiet(&consumer).await;
}

pub(super) async fn an_empty_batch_is_answered_with_nothing(under: BrokerUnderTest) {
    assert!(under.broker.publish(&[]).await.is_empty());
    assert!(under.survey(&[]).await.is_empty());
}

pub(super) async fn a_body_at_the_limit_passes_and_one_byte_more_is_refused_unsent(
    under: BrokerUnderTest,
) {
    let lane = lane("mail");
    let sized = |size: usize| {
        let mut wire = task(0);
        wire.body = Bytes::from(vec![b'1'; size]);
        vec![to_lane(&lane, wire)]
    };
    let limit = under.payload_limit;
    let answer = under.broker.publish(&sized(limit + 1)).await.remove(0);
    assert!(
        matches!(answer, Err(PublishError::TooLarge { size, limit: l }) if size == limit + 1 && l == limit),
        "{answer:?}"
    );
    assert_eq!(under.depth(Place::Lane(lane.clone())).await, 0);
    under.put(sized(limit)).await;
    let consumer = under.consume(&lane, 10).await;
    let held = hold(&consumer, 1).await;
    assert_eq!(held[0].wire.body.len(), limit);
    stays_quiet(&consumer).await;
}

pub(super) async fn each_publish_of_a_batch_is_answered_in_its_place(under: BrokerUnderTest) {
    let lane = lane("mail");
    let mut batch: Vec<_> = (0..5).map(|n| to_lane(&lane, task(n))).collect();
    batch[2].wire.body = Bytes::from(vec![b'1'; under.payload_limit + 1]);
    batch[3].to = Destination::Dead(lane.queue.clone());
    let answers = under.broker.publish(&batch).await;
    let refused: Vec<_> = answers.iter().map(Result::is_err).collect();
    assert_eq!(refused, [false, false, true, false, false], "{answers:?}");
    let consumer = under.consume(&lane, 10).await;
    assert_eq!(drain(&consumer, 3).await, [0, 1, 4]);
    under.settles_at(Place::Dead(lane.queue), 1).await;
}

pub(super) async fn concurrent_publishes_all_arrive(under: BrokerUnderTest) {
    let lane = lane("mail");
    let batches: Vec<Vec<_>> =
        (0..20).map(|b| (0..10).map(|n| to_lane(&lane, task(b * 10 + n))).collect()).collect();
    join_all(batches.into_iter().map(|batch| under.put(batch))).await;
    let consumer = under.consume(&lane, 50).await;
    let seen: BTreeSet<_> = drain(&consumer, 200).await.into_iter().collect();
    assert_eq!(seen, (0..200).collect());
}

pub(super) async fn depth_counts_what_rests_and_not_what_is_handed_out(under: BrokerUnderTest) {
    let (one, other) = (lane("mail"), lane("mail.high"));
    under.fill(&one, 5).await;
    under.fill(&other, 1).await;
    under.settles_at(Place::Lane(one.clone()), 5).await;
    let consumer = under.consume(&one, 2).await;
    let held = hold(&consumer, 2).await;
    under.settles_at(Place::Lane(one.clone()), 3).await;
    settle(&consumer, &held[..1], Settle::Ack).await;
    let held = hold(&consumer, 1).await;
    assert_eq!(held.len(), 1);
    under.settles_at(Place::Lane(one.clone()), 2).await;
    let places = [Place::Lane(other), Place::Dead(one.queue.clone()), Place::Lane(one)];
    let depths: Vec<_> = under.survey(&places).await.iter().map(|place| place.depth).collect();
    assert_eq!(depths, [1, 0, 2]);
}

pub(super) async fn a_survey_counts_the_consumers_of_each_place(under: BrokerUnderTest) {
    let lane = lane("mail");
    let places = [Place::Lane(lane.clone()), Place::Dead(lane.queue)];
    let counted = async |expected: [u32; 2]| {
        // A server learns of a consumer that ended in its own time.
        eventually(SOON, &format!("the consumers are {expected:?}"), || async {
            let found = under.survey(&places).await;
            [found[0].consumers, found[1].consumers] == expected
        })
        .await;
    };
    counted([0, 0]).await;
    let one = under.consume_place(&places[0], 1).await;
    let two = under.consume_place(&places[0], 1).await;
    counted([2, 0]).await;
    let walker = under.consume_place(&places[1], 1).await;
    counted([2, 1]).await;
    one.stop().await;
    walker.stop().await;
    counted([1, 0]).await;
    if under.shared {
        let other = (under.open)().await;
        let three = other.consume(&places[0], 1).await.expect("a consumer opens");
        counted([2, 0]).await;
        other.close().await;
        drop(three);
        counted([1, 0]).await;
    }
    two.stop().await;
    counted([0, 0]).await;
}

pub(super) async fn a_survey_tells_the_age_of_what_rests_longest_or_nothing(
    under: BrokerUnderTest,
) {
    let lane = lane("mail");
    let place = Place::Lane(lane.clone());
    let sent = |n: usize, seconds| Publish {
        to: Destination::Lane(lane.clone()),
        wire: Wire { timestamp: Some(seconds), ..task(n) },
    };
    under.put(vec![sent(0, 1_790_000_000), sent(1, 1_790_000_100)]).await;
    let said = async |count| {
        under.settles_at(place.clone(), count).await;
        under.survey(std::slice::from_ref(&place)).await[0].oldest
    };
    // Not every broker can look at a message without taking it out.
    let oldest = said(2).await;
    assert!(matches!(oldest, None | Some(Millis(1_790_000_000_000))), "{oldest:?}");
    let consumer = under.consume(&lane, 1).await;
    assert_eq!(drain(&consumer, 1).await, [0]);
    consumer.stop().await;
    let oldest = said(1).await;
    assert!(matches!(oldest, None | Some(Millis(1_790_000_100_000))), "{oldest:?}");
    let consumer = under.consume(&lane, 1).await;
    assert_eq!(drain(&consumer, 1).await, [1]);
    assert_eq!(said(0).await, None);
}

pub(super) async fn a_place_never_used_holds_nothing(under: BrokerUnderTest) {
    let lane = lane("never.low");
    let places = [Place::Lane(lane.clone()), Place::Dead(lane.queue)];
    assert_eq!(under.survey(&places).await, [Survey::default(); 2]);
    // Asking must not have cost the connection.
    under.fill(&super::lane("mail"), 1).await;
}

pub(super) async fn dead_letters_rest_apart_from_their_lane(mut under: BrokerUnderTest) {
    let lane = lane("mail");
    let consumer = under.consume(&lane, 10).await;
    let mut wire = task(1);
    wire.headers.insert(header::REASON.to_owned(), "handler".into());
    wire.headers.insert(header::ATTEMPT.to_owned(), 3_u32.into());
    wire.headers.insert("lv-later".to_owned(), "kept".into());
    under.put(vec![Publish { to: Destination::Dead(lane.queue.clone()), wire }]).await;
    under.settles_at(Place::Dead(lane.queue.clone()), 1).await;
    stays_quiet(&consumer).await;
    under.reopen().await;
    under.settles_at(Place::Dead(lane.queue.clone()), 1).await;
    under.settles_at(Place::Lane(lane.clone()), 0).await;
    let Some(read) = &under.dead_letters else { return };
    let letters = read(lane.queue).await;
    let [(body, headers)] = &letters[..] else { panic!("{letters:?}") };
    assert_eq!(body, "1");
    assert_eq!(headers["lv-reason"], "handler");
    assert_eq!(headers["lv-attempt"], 3);
    assert_eq!(headers["lv-later"], "kept");
}

pub(super) async fn a_closed_broker_refuses_instead_of_waiting(mut under: BrokerUnderTest) {
    let lane = lane("mail");
    let consumer = under.consume(&lane, 1).await;
    let closed = std::sync::Arc::clone(&under.broker);
    under.reopen().await;
    let batch = [to_lane(&lane, task(0))];
    let answers = tokio::time::timeout(SOON, closed.publish(&batch)).await.expect("it answers");
    assert!(matches!(&answers[..], [Err(error)] if error.retryable()), "{answers:?}");
    let place = Place::Lane(lane.clone());
    let opened = tokio::time::timeout(SOON, closed.consume(&place, 1)).await.expect("it answers");
    assert!(opened.is_err(), "a closed broker opened a consumer");
    let looked = tokio::time::timeout(SOON, closed.survey(&[place])).await.expect("it answers");
    assert!(looked.is_err(), "a closed broker counts");
    let checked = tokio::time::timeout(SOON, closed.check()).await.expect("it answers");
    assert!(checked.is_err(), "a closed broker says that it serves");
    let waited = tokio::time::timeout(SOON, consumer.next(1)).await.expect("the wait ends");
    assert!(waited.is_empty());
    assert_eq!(under.depth(Place::Lane(lane)).await, 0, "the refused publish was applied");
}

pub(super) async fn an_open_broker_says_that_it_serves(mut under: BrokerUnderTest) {
    under.broker.check().await.expect("it serves");
    under.reopen().await;
    under.broker.check().await.expect("it serves again");
}
