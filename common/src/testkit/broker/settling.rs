//! Promises about how a delivery ends, and what comes again when it did not.

use std::collections::BTreeSet;

use super::{BrokerUnderTest, SOON, drain, hold, lane, number, settle, stays_quiet, task};
use crate::broker::{Destination, Place, Publish, Settle, SettleError};
use crate::testkit::eventually;

pub(super) async fn an_acked_task_is_gone(mut under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 3).await;
    let consumer = under.consume(&lane, 10).await;
    assert_eq!(drain(&consumer, 3).await, [0, 1, 2]);
    under.reopen().await;
    under.settles_at(Place::Lane(lane.clone()), 0).await;
    let consumer = under.consume(&lane, 10).await;
    stays_quiet(&consumer).await;
}

pub(super) async fn a_returned_task_comes_back_as_redelivered(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 1).await;
    let consumer = under.consume(&lane, 10).await;
    for _ in 0..3 {
        let held = hold(&consumer, 1).await;
        assert_eq!(number(&held[0]), 0);
        settle(&consumer, &held, Settle::Return).await;
    }
    let held = hold(&consumer, 1).await;
    assert!(held[0].redelivered, "it was handed out before");
    settle(&consumer, &held, Settle::Ack).await;
    stays_quiet(&consumer).await;
}

pub(super) async fn unsettled_tasks_come_back_after_a_close(mut under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 10).await;
    let consumer = under.consume(&lane, 10).await;
    let held = hold(&consumer, 6).await;
    settle(&consumer, &held[..2], Settle::Ack).await;
    under.reopen().await;
    let consumer = under.consume(&lane, 10).await;
    let back = hold(&consumer, 8).await;
    let numbers: BTreeSet<_> = back.iter().map(number).collect();
    assert_eq!(numbers, (2..10).collect());
    for delivery in back.iter().filter(|delivery| number(delivery) < 6) {
        assert!(delivery.redelivered, "task {} was handed out before", number(delivery));
    }
}

pub(super) async fn each_settle_is_answered_in_its_place(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 3).await;
    let consumer = under.consume(&lane, 10).await;
    let held = hold(&consumer, 3).await;
    let mut foreign = held[1].receipt;
    foreign.generation += 1_000;
    let answers = consumer
        .settle(&[
            (held[0].receipt, Settle::Ack),
            (foreign, Settle::Ack),
            (held[2].receipt, Settle::Return),
        ])
        .await;
    assert_eq!(answers, [Ok(()), Err(SettleError::Gone), Ok(())]);
    assert!(consumer.settle(&[]).await.is_empty());
    // The refused one is still held and still to be settled; the returned one is back.
    assert!(consumer.holds(held[1].receipt) && !consumer.holds(foreign));
    settle(&consumer, &held[1..2], Settle::Ack).await;
    assert_eq!(drain(&consumer, 1).await, [2]);
    under.settles_at(Place::Lane(lane), 0).await;
}

pub(super) async fn tasks_settled_out_of_order_neither_vanish_nor_return(
    mut under: BrokerUnderTest,
) {
    let lane = lane("mail");
    under.fill(&lane, 20).await;
    let consumer = under.consume(&lane, 20).await;
    let held = hold(&consumer, 20).await;
    // Acks with gaps, from the end: an ack must never cover a neighbour that is not settled.
    for delivery in held.iter().rev().filter(|delivery| !number(delivery).is_multiple_of(3)) {
        settle(&consumer, std::slice::from_ref(delivery), Settle::Ack).await;
    }
    under.reopen().await;
    let consumer = under.consume(&lane, 20).await;
    let mut back = drain(&consumer, 7).await;
    back.sort_unstable();
    assert_eq!(back, [0, 3, 6, 9, 12, 15, 18]);
    stays_quiet(&consumer).await;
}

pub(super) async fn a_stopped_consumer_gives_back_what_it_did_not_hand_out(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 10).await;
    let consumer = under.consume(&lane, 10).await;
    let held = hold(&consumer, 1).await;
    consumer.stop().await;
    under.settles_at(Place::Lane(lane.clone()), 9).await;
    let after = tokio::time::timeout(SOON, consumer.next(10)).await.expect("it answers at once");
    assert!(after.is_empty(), "a stopped consumer handed out {}", after.len());
    let other = under.consume(&lane, 10).await;
    let mut rest = drain(&other, 9).await;
    rest.sort_unstable();
    assert_eq!(rest, (1..10).collect::<Vec<_>>());
    settle(&consumer, &held, Settle::Ack).await;
}

pub(super) async fn a_stopped_consumer_still_settles_what_it_handed_out(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 2).await;
    let consumer = under.consume(&lane, 2).await;
    let held = hold(&consumer, 2).await;
    consumer.stop().await;
    consumer.stop().await;
    assert!(held.iter().all(|delivery| consumer.holds(delivery.receipt)));
    settle(&consumer, &held[..1], Settle::Ack).await;
    settle(&consumer, &held[1..], Settle::Return).await;
    under.settles_at(Place::Lane(lane.clone()), 1).await;
    let other = under.consume(&lane, 2).await;
    assert_eq!(drain(&other, 1).await, [1]);
    stays_quiet(&other).await;
}

pub(super) async fn a_dropped_consumer_gives_back_what_it_held(under: BrokerUnderTest) {
    let lane = lane("mail");
    for (place, stopped) in [
        (Place::Lane(lane.clone()), false),
        (Place::Dead(lane.queue.clone()), false),
        (Place::Lane(lane.clone()), true),
        (Place::Dead(lane.queue.clone()), true),
    ] {
        let to = match &place {
            Place::Lane(lane) => Destination::Lane(lane.clone()),
            Place::Dead(queue) => Destination::Dead(queue.clone()),
        };
        under.put((0..6).map(|n| Publish { to: to.clone(), wire: task(n) }).collect()).await;
        let consumer = under.consume_place(&place, 4).await;
        let held = hold(&consumer, 3).await;
        settle(&consumer, &held[..1], Settle::Ack).await;
        if stopped {
            consumer.stop().await;
        }
        // Whoever walks a place may be dropped between any two steps, without a word.
        drop(consumer);
        let what = format!("{place:?} holds 5, stopped: {stopped}");
        eventually(SOON, &what, || async { under.depth(place.clone()).await == 5 }).await;
        let next = under.consume_place(&place, 10).await;
        let mut rest = drain(&next, 5).await;
        rest.sort_unstable();
        assert_eq!(rest, [1, 2, 3, 4, 5], "{what}");
        stays_quiet(&next).await;
    }
}

pub(super) async fn a_receipt_of_a_closed_connection_is_gone(mut under: BrokerUnderTest) {
    let lane = lane("mail");
    under.fill(&lane, 1).await;
    let old = under.consume(&lane, 1).await;
    let held = hold(&old, 1).await;
    assert!(old.holds(held[0].receipt));
    under.reopen().await;
    let answers = old.settle(&[(held[0].receipt, Settle::Ack)]).await;
    assert_eq!(answers, [Err(SettleError::Gone)]);
    assert!(!old.holds(held[0].receipt));
    let consumer = under.consume(&lane, 1).await;
    assert_eq!(drain(&consumer, 1).await, [0], "the refused ack must not have been applied");
}

pub(super) async fn a_consumer_knows_whether_it_consumes(under: BrokerUnderTest) {
    let consumer = under.consume(&lane("mail"), 1).await;
    assert!(consumer.is_consuming(), "the broker knows it from the start");
    consumer.stop().await;
    assert!(!consumer.is_consuming(), "a stopped consumer takes nothing");
}
