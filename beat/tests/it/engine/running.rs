//! A beat in good times: what is due is put in, once, in order, as the timetable says now.

use std::sync::Arc;
use std::time::Duration;

use leveret_beat::engine::Config;
use leveret_common::backend::Backend;
use leveret_common::clock::{Clock, SystemClock};
use leveret_common::store::{Cause, Fate, Skip};
use leveret_common::testkit::eventually;
use serde_json::value::RawValue;

use super::scene::{DEADLINE, HOUR, MINUTE, SECOND, Scene, at, config};
use crate::world::{World, everywhere, named, says};

everywhere! {
    each_occurrence_is_put_in_once_and_in_order,
    what_changes_in_the_timetable_counts_within_a_moment,
    a_beat_that_starts_again_goes_on_where_it_was,
    an_occurrence_says_what_its_schedule_says,
}

async fn each_occurrence_is_put_in_once_and_in_order(world: World) {
    let scene = Scene::new(world);
    for (name, when) in [("often", "every 1s"), ("seldom", "every 8s"), ("cron", "* * * * *")] {
        scene.make(name, says(when)).await;
    }
    let mut jittered = says("every 10s");
    jittered.jitter = Some(Duration::from_secs(8));
    scene.make("jittered", jittered).await;
    let beat = scene.lead().await;
    for step in 1..=8 {
        scene.clock.show(step * 10 * SECOND);
        scene.until_through("often", step * 10 * SECOND).await;
    }
    scene.until_through("seldom", 80 * SECOND).await;
    scene.until_through("cron", 60 * SECOND).await;
    beat.stop().await;
    scene.assert_put_in("often", (1..=80).map(|s| s * SECOND));
    scene.assert_put_in("seldom", (1..=10).map(|s| s * 8 * SECOND));
    scene.assert_put_in("cron", [MINUTE]);
    let jittered = scene.broker.of("jittered").len() as u64;
    assert!(jittered == 7 || jittered == 8, "the last may be put off: {jittered}");
    scene.assert_put_in("jittered", (1..=jittered).map(|s| s * 10 * SECOND));
    let noted = scene.backend.schedules.occurrences(&named("cron")).await.unwrap();
    assert_eq!(noted.len(), 1);
    let fate = Fate::Fired { task: scene.id_of("cron", at(MINUTE)) };
    assert_eq!((noted[0].due, noted[0].cause, noted[0].fate), (at(MINUTE), Cause::Clock, fate));
}

async fn what_changes_in_the_timetable_counts_within_a_moment(world: World) {
    let scene = Scene::new(world);
    let beat = scene.lead().await;
    scene.make("made", says("every 10s")).await;
    scene.looked_twice().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("made", 10 * SECOND).await;
    // Paused, nothing of it is put in; resumed, what fell into the pause is not caught up with.
    let name = named("made");
    scene.timetable.pause(&name, "test", None).await.unwrap();
    scene.looked_twice().await;
    scene.clock.show(25 * SECOND);
    scene.looked_twice().await;
    scene.timetable.resume(&name).await.unwrap();
    scene.looked_twice().await;
    scene.clock.show(30 * SECOND);
    scene.until_through("made", 30 * SECOND).await;
    scene.assert_put_in("made", [10, 30].map(|s| s * SECOND));
    // Changed, its new times count.
    scene.timetable.replace(&name, says("every 4s"), None).await.unwrap();
    scene.looked_twice().await;
    scene.clock.show(37 * SECOND);
    scene.until_through("made", 36 * SECOND).await;
    assert_eq!(scene.broker.of("made").last().map(|message| message.revision), Some(4));
    // Deleted, nothing.
    scene.timetable.delete(&name, None).await.unwrap();
    scene.looked_twice().await;
    scene.make("other", says("every 1h")).await;
    scene.looked_twice().await;
    scene.clock.show(HOUR);
    scene.until_through("other", HOUR).await;
    beat.stop().await;
    scene.assert_put_in("made", [10, 30, 32, 36].map(|s| s * SECOND));
}

async fn a_beat_that_starts_again_goes_on_where_it_was(world: World) {
    let scene = Scene::new(world);
    scene.make("often", says("every 1s")).await;
    for step in 1..=3 {
        let beat = scene.lead().await;
        scene.clock.show(step * 20 * SECOND);
        scene.until_through("often", step * 20 * SECOND).await;
        // Its lease is given back, so that the next one leads at once.
        beat.stop().await;
        scene.clock.show(step * 20 * SECOND + 5 * SECOND);
    }
    scene.assert_put_in("often", (1..=60).map(|s| s * SECOND));
}

async fn an_occurrence_says_what_its_schedule_says(world: World) {
    let scene = Scene::new(world);
    let mut definition = says("every 10s");
    definition.args = RawValue::from_string("{\"n\": 7}".to_owned()).unwrap();
    definition.queue = Some("reports".parse().unwrap());
    definition.expires = Some(Duration::from_secs(40));
    scene.make("report", definition).await;
    let beat = scene.lead().await;
    scene.clock.show(15 * SECOND);
    scene.until_through("report", 10 * SECOND).await;
    beat.stop().await;
    let [message] = &scene.broker.of("report")[..] else { panic!("one is due") };
    assert_eq!((message.args.as_str(), message.revision), ("{\"n\": 7}", 1));
    // Counted from when it was due, not from when it was put in.
    assert_eq!(message.expires_at, Some(at(50 * SECOND)));
    assert_eq!(message.not_before, None);
    assert_eq!(scene.world().depth("reports").await, 1);
}

#[tokio::test]
async fn a_task_that_is_refused_for_good_is_left_out_and_the_others_go_on() {
    let scene = Scene::new(World::new());
    let mut large = says("every 10s");
    large.args = RawValue::from_string(format!("\"{}\"", "x".repeat(2_000))).unwrap();
    // Its beat is told that more is allowed than the broker takes.
    scene.make("large", large).await;
    scene.make("small", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.clock.show(20 * SECOND);
    scene.until_through("small", 20 * SECOND).await;
    scene.until_through("large", 20 * SECOND).await;
    beat.stop().await;
    scene.assert_put_in("small", [10, 20].map(|s| s * SECOND));
    scene.assert_put_in("large", []);
    let noted = scene.backend.schedules.occurrences(&named("large")).await.unwrap();
    let refused = Fate::Skipped { why: Skip::Refused, count: 1 };
    assert_eq!(noted.iter().map(|one| one.fate).collect::<Vec<_>>(), [refused, refused]);
}

#[tokio::test]
async fn the_lead_grows_with_the_time_that_confirms_take_and_no_task_is_early() {
    let scene = Scene::new(World::new());
    let clock = Arc::new(SystemClock);
    let backend = Backend { clock: clock.clone(), ..scene.backend.clone() };
    *scene.broker.takes.lock().unwrap() = Duration::from_millis(60);
    scene.clock.set(clock.now());
    scene.make("often", says("every 1s")).await;
    let beat =
        scene.start_on(&backend, Config { max_lead: Duration::from_millis(200), ..config() });
    eventually(DEADLINE, "one is handed over 50 ms before it is due", || async {
        let messages = scene.broker.of("often");
        messages.iter().any(|message| {
            // Noted once the time of a publish is over.
            let begun = message.handed_over.0 - 60;
            message.due.0 >= begun + 50
        })
    })
    .await;
    beat.stop().await;
    for message in scene.broker.of("often") {
        let may_start = message.not_before.unwrap_or(message.handed_over);
        assert!(may_start >= message.due, "{message:?}");
    }
}
