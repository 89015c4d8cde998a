//! Looking at many places at once, those that are not there among them.

use leveret_common::broker::{Broker, Place, Survey};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::VirtualHost;
use serde_json::Value;

use super::{Fixture, SOON, acked, place, to};

/// A missing queue costs a channel; none may stay behind, and no neighbour may pay for it.
pub(super) async fn a_survey_of_a_hundred_places_answers_in_order_and_leaves_no_channel_behind(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    let consumer = on.broker.consume(&place("mail"), 1).await.unwrap();
    on.publish(to("post.high"), "rests").await.unwrap();
    let mut places: Vec<Place> = (0..100).map(|n| place(&format!("nobody-{n}.low"))).collect();
    places[7] = place("post.high");
    places[42] = place("mail");
    places[99] = Place::Dead("mail".parse().unwrap());
    let mut expected = vec![Survey::default(); 100];
    expected[7].depth = 1;
    expected[42].consumers = 1;
    let survey = || async { on.broker.survey(&places).await.unwrap() };
    // Counts of a queue lag behind its confirms for a moment.
    eventually(SOON, "all is counted", || async { survey().await == expected }).await;
    let rounds = futures_util::future::join_all((0..5).map(|_| survey())).await;
    assert!(rounds.iter().all(|round| *round == expected));
    let channels = || async {
        let all = on.call("GET", "/api/connections", Value::Null).await;
        let mine = all.as_array().into_iter().flatten().filter(|connection| {
            let name = connection["client_properties"]["connection_name"].as_str();
            name.is_some_and(|name| name.starts_with(on.namespace.as_str()))
        });
        // None while the broker has not counted those of each connection.
        mine.map(|connection| connection["channels"].as_u64()).sum::<Option<u64>>()
    };
    // One publishes, one consumes the lane, one the foreign door's net.
    eventually(SOON, "no other channel is left", || async { channels().await == Some(3) }).await;
    assert!(consumer.is_consuming());
    on.publish(to("mail"), "1").await.unwrap();
    assert_eq!(acked(&consumer).await, "1");
}

pub(super) async fn consuming_dead_letters_hangs_up_no_net_below_the_foreign_door(
    host: VirtualHost,
) {
    let on = Fixture::new(host).await;
    let dead = || Place::Dead("mail".parse().unwrap());
    let consumer = on.broker.consume(&dead(), 5).await.unwrap();
    assert!(consumer.is_consuming());
    assert_eq!(on.broker.survey(&[dead()]).await.unwrap()[0].consumers, 1);
    let net = on.call("GET", &on.path("queues", "unrouted"), Value::Null).await;
    assert_eq!(net["consumers"].as_u64().unwrap_or(0), 0, "{net}");
    consumer.stop().await;
    assert!(!consumer.is_consuming());
    // What is open when the broker closes ends with it.
    let left_open = on.broker.consume(&dead(), 5).await.unwrap();
    on.broker.close().await;
    assert!(!left_open.is_consuming());
    assert!(left_open.next(1).await.is_empty());
}
