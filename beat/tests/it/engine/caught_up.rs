//! Catching up: what was missed while no beat ran, and clocks that jump.

use std::time::Duration;

use leveret_common::schedule::{Definition, MisfirePolicy};
use leveret_common::store::{Cause, Fate, Skip};

use super::scene::{HOUR, MINUTE, SECOND, Scene};
use crate::world::{World, everywhere, named, says};

const DAY: u64 = 24 * HOUR;

everywhere! {
    after_thirty_days_each_schedule_catches_up_by_its_own_rule,
    nothing_is_put_in_twice_when_the_clock_is_set_back,
    a_clock_that_jumps_forward_is_a_time_without_a_beat,
}

fn missed(when: &str, policy: MisfirePolicy) -> Definition {
    let mut definition = says(when);
    definition.misfire.policy = policy;
    definition.misfire.max = 5;
    definition
}

async fn after_thirty_days_each_schedule_catches_up_by_its_own_rule(world: World) {
    let scene = Scene::new(world);
    scene.make("latest", missed("every 1h", MisfirePolicy::Latest)).await;
    scene.make("skip", missed("every 1h", MisfirePolicy::Skip)).await;
    scene.make("all", missed("every 1h", MisfirePolicy::All)).await;
    scene.make("seconds", missed("every 1s", MisfirePolicy::All)).await;
    let mut short = missed("every 1h", MisfirePolicy::All);
    short.misfire.window = Duration::from_secs(2 * 3_600);
    scene.make("short", short).await;
    // Thirty days and half an hour: nothing of the hourly ones is on time.
    let now = 30 * DAY + 30 * MINUTE;
    scene.clock.show(now);
    let beat = scene.lead().await;
    for name in ["latest", "skip", "all", "short"] {
        scene.until_through(name, 30 * DAY).await;
    }
    scene.until_through("seconds", now).await;
    beat.stop().await;
    scene.assert_put_in("latest", [30 * DAY]);
    scene.assert_put_in("skip", []);
    scene.assert_put_in("all", (0..5).map(|back| 30 * DAY - (4 - back) * HOUR));
    scene.assert_put_in("short", [30 * DAY - HOUR, 30 * DAY]);
    // A minute is not missed, and five of those before that are caught up with.
    scene.assert_put_in("seconds", (now - 65 * SECOND..=now).step_by(1_000));
    let noted = scene.backend.schedules.occurrences(&named("latest")).await.unwrap();
    let fates: Vec<_> = noted.iter().map(|one| (one.cause, one.fate)).collect();
    let put_in = Fate::Fired { task: scene.broker.of("latest")[0].id };
    let left_out = Fate::Skipped { why: Skip::Missed, count: 30 * 24 - 1 };
    assert_eq!(fates, [(Cause::CatchUp, put_in), (Cause::CatchUp, left_out)]);
}

async fn nothing_is_put_in_twice_when_the_clock_is_set_back(world: World) {
    let scene = Scene::new(world);
    scene.make("often", says("every 10s")).await;
    let beat = scene.lead().await;
    scene.clock.show(30 * SECOND);
    scene.until_through("often", 30 * SECOND).await;
    scene.clock.set(leveret_common::clock::Millis(crate::world::NOON.0 - HOUR));
    scene.looked_twice().await;
    scene.clock.show(20 * SECOND);
    scene.looked_twice().await;
    assert_eq!(scene.broker.of("often").len(), 3);
    // Another beat, which has only the store's word.
    beat.stop().await;
    let beat = scene.lead().await;
    scene.looked_twice().await;
    scene.clock.show(40 * SECOND);
    scene.until_through("often", 40 * SECOND).await;
    beat.stop().await;
    scene.assert_put_in("often", [10, 20, 30, 40].map(|s| s * SECOND));
}

async fn a_clock_that_jumps_forward_is_a_time_without_a_beat(world: World) {
    let scene = Scene::new(world);
    scene.make("latest", missed("every 10m", MisfirePolicy::Latest)).await;
    scene.make("skip", missed("every 10m", MisfirePolicy::Skip)).await;
    let beat = scene.lead().await;
    scene.looked_twice().await;
    scene.clock.show(HOUR + 5 * MINUTE);
    scene.until_through("latest", HOUR).await;
    scene.until_through("skip", HOUR).await;
    scene.clock.show(HOUR + 10 * MINUTE);
    scene.until_through("latest", HOUR + 10 * MINUTE).await;
    scene.until_through("skip", HOUR + 10 * MINUTE).await;
    beat.stop().await;
    scene.assert_put_in("latest", [HOUR, HOUR + 10 * MINUTE]);
    scene.assert_put_in("skip", [HOUR + 10 * MINUTE]);
}
