//! The broker suite: what every backend that moves tasks promises.
//!
//! A backend's test calls [`suite`] with a constructor. The promises are the functions of the
//! modules below, by name; [`BrokerUnderTest`] says what a backend can be asked. Not here: how a
//! lost connection is made again, which each backend tests beside itself.

mod delays;
mod delivery;
mod letters;
mod publishing;
mod settling;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::eventually;
use super::suite::{self, cases};
use crate::broker::{Broker, Consumer, Delivery, Destination, Place, Publish, Settle, Survey};
use crate::clock::SharedClock;
use crate::envelope::Wire;
use crate::id::TaskId;
use crate::name::{Lane, QueueName};

/// Within this, what must come has come: generous, because a loaded machine is no broken promise.
const SOON: Duration = Duration::from_secs(20);
/// For this long, what must not come is waited for.
const QUIET: Duration = Duration::from_millis(300);

/// Opens the broker anew on the same data.
pub type Open = Arc<dyn Fn() -> BoxFuture<'static, Arc<dyn Broker>> + Send + Sync>;
/// Reads the dead letters of a queue past the seam: for each the body and the headers as JSON.
pub type DeadLetters =
    Arc<dyn Fn(QueueName) -> BoxFuture<'static, Vec<(String, serde_json::Value)>> + Send + Sync>;

/// A broker with nothing in it, and what a case may do with it.
pub struct BrokerUnderTest {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// Its clock, which runs by itself.
    pub clock: SharedClock,
    /// The largest body it takes, in bytes; at least 1,000.
    pub payload_limit: usize,
    /// Opens it anew on the same data, after it was closed.
    pub open: Open,
    /// Whether it may also be opened while it is open.
    pub shared: bool,
    /// Whether a delayed task comes exactly when it is due, and not earlier to be parked again.
    pub exact_delays: bool,
    /// Reads dead letters past the seam, where that is possible.
    pub dead_letters: Option<DeadLetters>,
    /// Dropped at the end of the case: a folder, for example.
    pub guard: Box<dyn Any + Send + Sync>,
}

/// Checks every promise on the backend called `name`; each case gets a broker from `make`.
///
/// # Panics
/// When promises are broken; the message lists them all.
///
/// # Cancel safety
/// Dropped, cases may run on.
pub async fn suite<F, Fut>(name: &str, make: F)
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = BrokerUnderTest> + Send + 'static,
{
    let cases = cases![
        delivery:
            a_task_arrives_with_its_properties_headers_and_body_unchanged,
            tasks_of_one_producer_arrive_in_their_order,
            a_lane_without_a_consumer_keeps_its_tasks,
            lanes_are_separate,
            an_empty_lane_waits_and_a_publish_wakes_it,
            a_dropped_wait_loses_no_delivery,
            prefetch_bounds_what_is_handed_out,
            no_more_than_asked_for_are_handed_out_at_once,
            two_consumers_share_a_lane_and_see_nothing_twice,
            every_waiting_consumer_is_woken_when_there_is_enough,
            what_one_connection_publishes_another_consumes;
        settling:
            an_acked_task_is_gone,
            a_returned_task_comes_back_as_redelivered,
            unsettled_tasks_come_back_after_a_close,
            each_settle_is_answered_in_its_place,
            tasks_settled_out_of_order_neither_vanish_nor_return,
            a_stopped_consumer_gives_back_what_it_did_not_hand_out,
            a_stopped_consumer_still_settles_what_it_handed_out,
            a_receipt_of_a_closed_connection_is_gone,
            a_dropped_consumer_gives_back_what_it_held,
            a_consumer_knows_whether_it_consumes;
        letters:
            dead_letters_are_handed_out_in_the_order_they_came,
            a_dead_letter_arrives_as_it_was_sent_however_often_it_is_moved_to_the_tail,
            moving_letters_to_the_tail_keeps_all_of_them_in_their_order,
            an_acked_letter_is_gone,
            a_returned_letter_comes_again_as_often_as_it_is_returned,
            unsettled_letters_come_back_after_a_close,
            what_a_stopped_walk_held_is_there_for_the_next,
            prefetch_bounds_the_letters_in_hand,
            two_consumers_share_the_letters_and_see_nothing_twice,
            an_empty_place_of_dead_letters_waits_and_a_letter_wakes_it,
            lanes_and_dead_letters_do_not_mix,
            a_letter_with_a_time_in_it_is_not_held_back;
        publishing:
            a_thousand_tasks_in_one_batch_arrive_once_each,
            an_empty_batch_is_answered_with_nothing,
            a_body_at_the_limit_passes_and_one_byte_more_is_refused_unsent,
            each_publish_of_a_batch_is_answered_in_its_place,
            concurrent_publishes_all_arrive,
            depth_counts_what_rests_and_not_what_is_handed_out,
            a_survey_counts_the_consumers_of_each_place,
            a_survey_tells_the_age_of_what_rests_longest_or_nothing,
            a_place_never_used_holds_nothing,
            dead_letters_rest_apart_from_their_lane,
            a_closed_broker_refuses_instead_of_waiting,
            an_open_broker_says_that_it_serves;
        delays:
            a_delayed_task_arrives_in_its_lane_and_not_early,
            a_delayed_task_does_not_rest_in_its_lane,
            a_task_due_in_the_past_arrives_at_once,
            shorter_delays_are_not_held_up_by_longer_ones,
            a_delayed_task_survives_a_close;
    ];
    suite::run("broker", name, cases, make).await;
}

impl BrokerUnderTest {
    /// Publishes every message and insists that each is accepted.
    async fn put(&self, batch: Vec<Publish>) {
        for (at, answer) in self.broker.publish(&batch).await.into_iter().enumerate() {
            answer.unwrap_or_else(|error| panic!("publish {at} of {}: {error}", batch.len()));
        }
    }

    /// Publishes `count` numbered tasks to a lane.
    async fn fill(&self, lane: &Lane, count: usize) {
        self.put((0..count).map(|n| to_lane(lane, task(n))).collect()).await;
    }

    async fn consume(&self, lane: &Lane, prefetch: u16) -> Arc<dyn Consumer> {
        self.consume_place(&Place::Lane(lane.clone()), prefetch).await
    }

    async fn consume_place(&self, place: &Place, prefetch: u16) -> Arc<dyn Consumer> {
        self.broker.consume(place, prefetch).await.expect("a consumer opens")
    }

    async fn survey(&self, places: &[Place]) -> Vec<Survey> {
        self.broker.survey(places).await.expect("places are surveyed")
    }

    async fn depth(&self, place: Place) -> u64 {
        self.survey(&[place]).await[0].depth
    }

    /// Waits until `place` holds `count`.
    async fn settles_at(&self, place: Place, count: u64) {
        let what = format!("{place:?} holds {count}");
        eventually(SOON, &what, || async { self.depth(place.clone()).await == count }).await;
    }

    /// Closes the broker and opens it anew.
    async fn reopen(&mut self) {
        self.broker.close().await;
        self.broker = (self.open)().await;
    }
}

fn lane(text: &str) -> Lane {
    text.parse().expect("a test's lane is valid")
}

/// A task whose body is its number.
fn task(number: usize) -> Wire {
    Wire {
        message_id: Some(TaskId::mint().to_string()),
        kind: Some("demo.echo".to_owned()),
        content_type: Some("application/json".to_owned()),
        body: Bytes::from(number.to_string()),
        ..Wire::default()
    }
}

fn to_lane(lane: &Lane, wire: Wire) -> Publish {
    Publish { to: Destination::Lane(lane.clone()), wire }
}

/// The number of a [`task`].
fn number(delivery: &Delivery) -> usize {
    let text = std::str::from_utf8(&delivery.wire.body).expect("a number");
    text.parse().unwrap_or_else(|_| panic!("a body that was never sent: {text:?}"))
}

/// Waits for one hand-out; never an empty one.
async fn hand_out(consumer: &Arc<dyn Consumer>, most: usize) -> Vec<Delivery> {
    let batch = tokio::time::timeout(SOON, consumer.next(most)).await;
    let batch = batch.unwrap_or_else(|_| panic!("nothing was handed out within {SOON:?}"));
    assert!(!batch.is_empty(), "an empty answer means a stopped consumer; it was not");
    assert!(batch.len() <= most, "{} were handed out, {most} were asked for", batch.len());
    batch
}

/// Collects `count` deliveries without settling any; the prefetch must allow it.
async fn hold(consumer: &Arc<dyn Consumer>, count: usize) -> Vec<Delivery> {
    let mut held = Vec::new();
    while held.len() < count {
        held.extend(hand_out(consumer, count - held.len()).await);
    }
    held
}

/// Insists that nothing is handed out for a while.
async fn stays_quiet(consumer: &Arc<dyn Consumer>) {
    if let Ok(batch) = tokio::time::timeout(QUIET, consumer.next(100)).await {
        panic!("{} deliveries came that must not come", batch.len());
    }
}

async fn settle(consumer: &Arc<dyn Consumer>, deliveries: &[Delivery], how: Settle) {
    let batch: Vec<_> = deliveries.iter().map(|delivery| (delivery.receipt, how)).collect();
    for answer in consumer.settle(&batch).await {
        answer.expect("a held delivery is settled");
    }
}

/// Takes and acks `count` deliveries, and returns their numbers in the order they came.
async fn drain(consumer: &Arc<dyn Consumer>, count: usize) -> Vec<usize> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let batch = hand_out(consumer, count - seen.len()).await;
        settle(consumer, &batch, Settle::Ack).await;
        seen.extend(batch.iter().map(number));
    }
    seen
}
