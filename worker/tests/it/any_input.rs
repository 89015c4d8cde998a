//! Any bytes that a publisher can get past the broker: they run, are parked, or are a dead letter
//! with a reason, and nobody else notices.
//!
//! What comes through our own client is [`crate::intake`]'s matter. Here a publisher that keeps no
//! rule speaks to the servers.

use std::collections::{BTreeSet, HashSet};

use leveret_common::broker::{Place as Rest, Settle};
use leveret_common::envelope::{DeadReason, header};
use leveret_common::id::TaskId;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{Letter, TaskState};
use leveret_common::testkit::raw::{Properties, RawPublisher, block, entry};
use leveret_common::testkit::{eventually, malformed};
use leveret_worker::handler::{echo, from_fn};
use serde_json::{Map, Value, json};

use crate::place::{DEADLINE, Place, config, kind};

/// Makes a test of each story on servers of each generation.
macro_rules! on_both_generations {
    ($($story:ident),* $(,)?) => {$(
        mod $story {
            use leveret_common::testkit::raw::RawPublisher;
            use leveret_common::testkit::services::{self, redis_7, redis_8};

            use crate::place::Place;

            #[tokio::test]
            async fn rabbitmq_3() {
                if let (Some(broker), Some(store)) = (services::rabbitmq_3().await, redis_7()) {
                    let publisher = RawPublisher::connect(&broker.url).await;
                    super::$story(Place::servers(broker.url, store).await, publisher).await;
                }
            }

            #[tokio::test]
            async fn rabbitmq_4() {
                if let (Some(broker), Some(store)) = (services::rabbitmq_4().await, redis_8()) {
                    let publisher = RawPublisher::connect(&broker.url).await;
                    super::$story(Place::servers(broker.url, store).await, publisher).await;
                }
            }
        }
    )*};
}

on_both_generations! {
    what_the_client_could_not_read_is_a_dead_letter_and_the_lane_goes_on,
    a_message_whose_headers_fill_a_frame_runs_also_when_it_is_delivered_again,
    a_routing_key_that_is_no_text_is_unroutable,
    every_type_in_every_header_leads_to_an_end,
    properties_out_of_all_bounds_lead_to_an_end,
    a_body_of_any_bytes_runs_or_is_kept_in_a_dead_letter,
}

/// A publisher that sends to the worker's lane.
struct Sender {
    publisher: RawPublisher,
    door: String,
    lane: Lane,
}

impl Sender {
    fn new(place: &Place, publisher: RawPublisher) -> Self {
        let door = format!("{}.tasks", place.backend.namespace);
        Self { publisher, door, lane: Lane::new(QueueName::default(), Class::Normal) }
    }

    async fn send(&mut self, properties: &Properties, body: &[u8]) {
        let key = self.lane.to_string();
        self.publisher.publish(&self.door, key, properties, body).await.unwrap();
    }
}

fn echoed() -> Properties {
    Properties::default().text("type", "demo.echo")
}

/// The longest text of a header, such that the frame is full but for so many bytes.
fn filling(left: usize) -> Vec<u8> {
    // Frame, class to flags, the type, and the lengths of the table, the name and the text.
    vec![b'y'; 131_072 - 8 - 14 - 10 - (4 + 1 + 5 + 1 + 4) - left]
}

async fn letters(place: &Place) -> Vec<Letter> {
    place.backend.letters.list(&QueueName::default(), None, 2_000).await.unwrap()
}

async fn letters_of(place: &Place, count: usize) -> Vec<Letter> {
    eventually(DEADLINE, "all dead letters are listed", || async {
        letters(place).await.len() >= count
    })
    .await;
    let letters = letters(place).await;
    assert_eq!(letters.len(), count, "{letters:#?}");
    let rest = [Rest::Dead(QueueName::default())];
    let depth = place.backend.broker.survey(&rest).await.unwrap()[0].depth;
    assert_eq!(depth, u64::try_from(count).unwrap(), "dead letters that rest in the broker");
    letters
}

/// A task that comes last in the lane is done: the worker lives, and nothing is stuck before it.
async fn a_neighbour_is_done(place: &Place) {
    let id = place.producer.task("demo.echo", &json!(1)).await.unwrap().id;
    assert_eq!(place.wait(id).await.state, TaskState::Done);
}

async fn what_the_client_could_not_read_is_a_dead_letter_and_the_lane_goes_on(
    place: Place,
    publisher: RawPublisher,
) {
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let mut sender = Sender::new(&place, publisher);
    let cases = malformed::unreadable(&echoed());
    for (at, (properties, _)) in cases.iter().enumerate() {
        sender.send(properties, at.to_string().as_bytes()).await;
    }
    a_neighbour_is_done(&place).await;
    for letter in letters_of(&place, cases.len()).await {
        let why = &cases[letter.args.parse::<usize>().unwrap()].1;
        assert_eq!(letter.reason, Some(DeadReason::Malformed), "{letter:?}");
        assert!(letter.error.contains(why), "{why}: {letter:?}");
    }
    // Whoever walks through them can read them too.
    let consumer =
        place.backend.broker.consume(&Rest::Dead(QueueName::default()), 64).await.unwrap();
    let mut bodies = BTreeSet::new();
    while bodies.len() < cases.len() {
        let walked = consumer.next(64).await;
        bodies.extend(walked.iter().map(|delivery| delivery.wire.body.clone()));
    }
    consumer.stop().await;
}

async fn a_message_whose_headers_fill_a_frame_runs_also_when_it_is_delivered_again(
    place: Place,
    publisher: RawPublisher,
) {
    // It declares the lane and is gone before there is anything in it.
    place.work(vec![kind("demo.echo", echo())], config()).await.drain().await;
    let mut sender = Sender::new(&place, publisher);
    for name in ["other", "lv-xx"] {
        let full = entry(name, &block(b'S', &filling(0)));
        sender.send(&echoed().headers(&[full]), name.as_bytes()).await;
    }
    let bad_json = 2;
    let lane = Rest::Lane(sender.lane.clone());
    let consumer = place.backend.broker.consume(&lane, 8).await.unwrap();
    let mut taken = Vec::new();
    while taken.len() < bad_json {
        taken.extend(consumer.next(8).await);
    }
    let back: Vec<_> = taken.iter().map(|delivery| (delivery.receipt, Settle::Return)).collect();
    for settled in consumer.settle(&back).await {
        settled.unwrap();
    }
    consumer.stop().await;
    // Now the server adds a header of its own, and they are larger than a frame.
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    a_neighbour_is_done(&place).await;
    // The bodies are no JSON, so that both end where they can be looked at.
    let mut letters = letters_of(&place, bad_json).await;
    letters.sort_by(|a, b| a.args.cmp(&b.args));
    assert!(letters[0].error.contains("header lv-xx has"), "{:?}", letters[0]);
    assert!(letters[1].error.contains("the body is not JSON"), "{:?}", letters[1]);
}

async fn a_routing_key_that_is_no_text_is_unroutable(place: Place, mut publisher: RawPublisher) {
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let door = format!("{}.enqueue", place.backend.namespace);
    publisher.publish(&door, b"ma\xffil", &echoed(), b"7").await.unwrap();
    a_neighbour_is_done(&place).await;
    eventually(DEADLINE, "it is a dead letter", || async {
        let rest = [Rest::Dead(QueueName::default())];
        place.backend.broker.survey(&rest).await.unwrap()[0].depth == 1
    })
    .await;
    let consumer =
        place.backend.broker.consume(&Rest::Dead(QueueName::default()), 1).await.unwrap();
    let letter = consumer.next(1).await.remove(0).wire;
    assert_eq!(letter.text(header::REASON), Some("unroutable"));
    assert_eq!(letter.text(header::ORIGIN), Some("ma?il"));
    assert_eq!(letter.body, "7");
}

async fn every_type_in_every_header_leads_to_an_end(place: Place, publisher: RawPublisher) {
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let mut sender = Sender::new(&place, publisher);
    let mut sent = Vec::new();
    for (name, value) in malformed::every_type_in_every_header() {
        let id = TaskId::mint();
        let properties =
            echoed().text("message_id", id.to_string()).headers(&[entry(name, &value)]);
        sender.send(&properties, b"{}").await;
        sent.push((id, name));
    }
    a_neighbour_is_done(&place).await;
    let open = async || {
        let dead: HashSet<TaskId> = letters(&place).await.iter().map(|letter| letter.id).collect();
        let mut open = Vec::new();
        for (id, name) in &sent {
            // What waits for its time or for a newer worker rests among the delayed.
            let waits = [header::NOT_BEFORE, header::VERSION].contains(name);
            if dead.contains(id) || waits {
                continue;
            }
            let view = place.producer.find(*id).await.unwrap();
            if !view.is_some_and(|view| view.state.is_final()) {
                open.push((*id, *name));
            }
        }
        open
    };
    eventually(DEADLINE, "all are over or wait", || async { open().await.is_empty() }).await;
    for letter in letters(&place).await {
        assert!(letter.reason.is_some(), "{letter:?}");
        assert_eq!(letter.args, "{}", "{letter:?}");
    }
}

async fn properties_out_of_all_bounds_lead_to_an_end(place: Place, publisher: RawPublisher) {
    let _worker = place.work(vec![kind("demo.echo", echo())], config()).await;
    let mut sender = Sender::new(&place, publisher);
    let (runs, dead) = malformed::out_of_bounds(&echoed());
    for properties in runs.iter().chain(&dead) {
        sender.send(properties, b"[0]").await;
    }
    a_neighbour_is_done(&place).await;
    for letter in letters_of(&place, dead.len()).await {
        assert_eq!((letter.reason, letter.args.as_str()), (Some(DeadReason::Malformed), "[0]"));
    }
}

async fn a_body_of_any_bytes_runs_or_is_kept_in_a_dead_letter(
    place: Place,
    publisher: RawPublisher,
) {
    let count = from_fn(|args: Map<String, Value>, _| async move { Ok(args.len()) });
    let kinds = vec![kind("demo.echo", echo()), kind("demo.count", count)];
    let _worker = place.work(kinds, config()).await;
    let mut sender = Sender::new(&place, publisher);
    let bad = malformed::bodies();
    for body in &bad {
        sender.send(&echoed(), body).await;
    }
    let id = TaskId::mint();
    let counted = Properties::default().text("type", "demo.count");
    sender.send(&counted.text("message_id", id.to_string()), &malformed::wide()).await;
    a_neighbour_is_done(&place).await;
    let over = place.wait(id).await;
    assert_eq!((over.state, over.history.len()), (TaskState::Done, 1), "{over:?}");
    for letter in letters_of(&place, bad.len()).await {
        assert_eq!(letter.reason, Some(DeadReason::Malformed), "{letter:?}");
    }
    let consumer =
        place.backend.broker.consume(&Rest::Dead(QueueName::default()), 64).await.unwrap();
    let mut kept = BTreeSet::new();
    while kept.len() < bad.len() {
        kept.extend(consumer.next(64).await.into_iter().map(|letter| letter.wire.body.to_vec()));
    }
    assert_eq!(kept, bad.into_iter().collect());
}
