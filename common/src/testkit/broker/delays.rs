//! Promises about tasks that come later.
//!
//! A backend may deliver early and expects to get the task back, as a worker does it
//! (`lv-not-before` decides). How early is bounded, so that a task is not parked without end.

use std::time::Duration;

use super::{
    BrokerUnderTest, SOON, drain, hand_out, lane, number, settle, stays_quiet, task, to_lane,
};
use crate::broker::{Consumer, Destination, Place, Publish, Settle};
use crate::clock::Millis;
use crate::envelope::header;
use crate::name::Lane;

/// Rests shorter than this are waited in the worker.
const SHORTEST: Duration = Duration::from_millis(250);
/// Brokers count in whole milliseconds and round.
const ROUNDING: Duration = Duration::from_millis(20);

fn later(lane: &Lane, until: Millis, n: usize) -> Publish {
    let mut wire = task(n);
    wire.headers.insert(header::NOT_BEFORE.to_owned(), until.0.into());
    Publish { to: Destination::Delay { lane: lane.clone(), until }, wire }
}

/// Receives the next task as a worker does: parks it again while it is early. Returns its number
/// and when it came at last.
async fn receive(
    under: &BrokerUnderTest,
    consumer: &std::sync::Arc<dyn Consumer>,
    lane: &Lane,
    mut sent_at: Millis,
) -> (usize, Millis) {
    loop {
        let delivery = hand_out(consumer, 1).await.remove(0);
        let now = under.clock.now();
        let Some(crate::envelope::HeaderValue::Int(at)) =
            delivery.wire.headers.get(header::NOT_BEFORE)
        else {
            panic!("lv-not-before was lost: {:?}", delivery.wire.headers);
        };
        let until = Millis(u64::try_from(*at).expect("a time"));
        let rest = until.since(now);
        if rest > Duration::ZERO {
            assert!(!under.exact_delays, "it came {rest:?} early");
            let bound = (until.since(sent_at) / 2).max(SHORTEST) + ROUNDING;
            assert!(rest <= bound, "it came {rest:?} early, more than its bucket");
        }
        if rest < SHORTEST {
            settle(consumer, std::slice::from_ref(&delivery), Settle::Ack).await;
            return (number(&delivery), now);
        }
        sent_at = now;
        under.put(vec![later(lane, until, number(&delivery))]).await;
        settle(consumer, &[delivery], Settle::Ack).await;
    }
}

pub(super) async fn a_delayed_task_arrives_in_its_lane_and_not_early(under: BrokerUnderTest) {
    let (lane, other) = (lane("mail.high"), lane("mail"));
    // The lane need not exist: a bucket could not route into one that does not.
    let now = under.clock.now();
    let until = now.after(Duration::from_millis(600));
    under.put(vec![later(&lane, until, 1)]).await;
    let consumer = under.consume(&lane, 10).await;
    let elsewhere = under.consume(&other, 10).await;
    let (n, at) = receive(&under, &consumer, &lane, now).await;
    assert_eq!(n, 1);
    assert!(until.since(at) < SHORTEST && at.since(until) < SOON);
    stays_quiet(&consumer).await;
    stays_quiet(&elsewhere).await;
}

pub(super) async fn a_delayed_task_does_not_rest_in_its_lane(under: BrokerUnderTest) {
    let lane = lane("mail");
    let hours = |h: u64| under.clock.now().after(Duration::from_secs(h * 3_600));
    under.put(vec![later(&lane, hours(1), 0), later(&lane, hours(24 * 400), 1)]).await;
    let consumer = under.consume(&lane, 10).await;
    stays_quiet(&consumer).await;
    assert_eq!(under.depth(Place::Lane(lane)).await, 0);
}

pub(super) async fn a_task_due_in_the_past_arrives_at_once(under: BrokerUnderTest) {
    let lane = lane("mail");
    under.put(vec![later(&lane, Millis(1), 4)]).await;
    let consumer = under.consume(&lane, 10).await;
    assert_eq!(drain(&consumer, 1).await, [4]);
}

pub(super) async fn shorter_delays_are_not_held_up_by_longer_ones(under: BrokerUnderTest) {
    let lane = lane("mail");
    let consumer = under.consume(&lane, 10).await;
    let now = under.clock.now();
    let at = |ms| now.after(Duration::from_millis(ms));
    under
        .put(vec![
            later(&lane, at(3_600_000), 0),
            later(&lane, at(700), 1),
            later(&lane, at(300), 2),
        ])
        .await;
    under
        .put(vec![to_lane(&lane, {
            let mut wire = task(3);
            wire.headers.insert(header::NOT_BEFORE.to_owned(), now.0.into());
            wire
        })])
        .await;
    let mut came = Vec::new();
    for _ in 0..3 {
        came.push(receive(&under, &consumer, &lane, now).await.0);
    }
    came.sort_unstable();
    assert_eq!(came, [1, 2, 3]);
    stays_quiet(&consumer).await;
}

pub(super) async fn a_delayed_task_survives_a_close(mut under: BrokerUnderTest) {
    let lane = lane("mail");
    let now = under.clock.now();
    under.put(vec![later(&lane, now.after(Duration::from_millis(500)), 9)]).await;
    under.reopen().await;
    let consumer = under.consume(&lane, 10).await;
    assert_eq!(receive(&under, &consumer, &lane, now).await.0, 9);
    stays_quiet(&consumer).await;
}
