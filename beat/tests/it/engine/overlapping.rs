//! Overlaps: an occurrence that is due while the task of the previous one is not over.

use std::time::Duration;

use leveret_common::envelope::Order;
use leveret_common::id::{Owner, TaskId, Token};
use leveret_common::ledger::{Answer, Claim, Ending, Entry, Hold, Mark, Marking};
use leveret_common::schedule::{Definition, Overlap};
use leveret_common::store::{Cause, Fate, Signal, Skip};
use leveret_common::testkit::eventually;

use super::scene::{DEADLINE, SECOND, Scene, at};
use crate::world::{World, everywhere, named, says};

everywhere! {
    an_occurrence_is_left_out_while_the_previous_one_runs,
    one_occurrence_waits_until_the_previous_one_is_over,
    the_previous_one_is_cancelled,
}

const TTL: Duration = Duration::from_secs(600);

fn overlapping(overlap: Overlap) -> Definition {
    Definition { overlap, ..says("every 10s") }
}

/// Claims a task as a worker would.
async fn claim(scene: &Scene, id: TaskId) -> Hold {
    let (owner, token) = (Owner::mint(), Token::draw());
    let order = Order::FIRST;
    let claim = Claim { id, order, owner, token, expires_at: None, max_crashes: 3, ttl: TTL };
    match scene.backend.ledger.claim(&[claim]).await.unwrap().pop() {
        Some(Answer::Claimed { fence, .. }) => Hold { owner, fence },
        other => panic!("{other:?}"),
    }
}

async fn finish(scene: &Scene, id: TaskId, hold: Hold) {
    let mark = Mark { id, hold, order: Order::FIRST, marking: Marking::Done, ttl: TTL };
    scene.backend.ledger.mark(&[mark]).await.unwrap();
}

async fn fates(scene: &Scene, name: &str) -> Vec<(u64, Cause, Fate)> {
    let noted = scene.backend.schedules.occurrences(&named(name)).await.unwrap();
    noted.into_iter().rev().map(|one| (one.due.0 - at(0).0, one.cause, one.fate)).collect()
}

async fn an_occurrence_is_left_out_while_the_previous_one_runs(world: World) {
    let scene = Scene::new(world);
    scene.make("report", overlapping(Overlap::Skip)).await;
    let beat = scene.lead().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("report", 10 * SECOND).await;
    // It waits in its lane, then it runs: neither is over.
    scene.clock.show(20 * SECOND);
    scene.until_through("report", 20 * SECOND).await;
    let first = scene.id_of("report", at(10 * SECOND));
    let hold = claim(&scene, first).await;
    scene.clock.show(30 * SECOND);
    scene.until_through("report", 30 * SECOND).await;
    finish(&scene, first, hold).await;
    scene.clock.show(40 * SECOND);
    scene.until_through("report", 40 * SECOND).await;
    beat.stop().await;
    scene.assert_put_in("report", [10, 40].map(|s| s * SECOND));
    let left_out = Fate::Skipped { why: Skip::Overlap, count: 1 };
    let fates = fates(&scene, "report").await;
    assert_eq!(fates[1..3], [20, 30].map(|s| (s * SECOND, Cause::Clock, left_out)));
}

async fn one_occurrence_waits_until_the_previous_one_is_over(world: World) {
    let scene = Scene::new(world);
    scene.make("report", overlapping(Overlap::Queue)).await;
    let beat = scene.lead().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("report", 10 * SECOND).await;
    let first = scene.id_of("report", at(10 * SECOND));
    let hold = claim(&scene, first).await;
    scene.clock.show(20 * SECOND);
    scene.until_through("report", 20 * SECOND).await;
    assert_eq!(scene.position("report").await.queued, Some(at(20 * SECOND)));
    scene.clock.show(40 * SECOND);
    scene.until_through("report", 40 * SECOND).await;
    scene.assert_put_in("report", [10 * SECOND]);
    // Another beat knows what waits.
    beat.stop().await;
    let beat = scene.lead().await;
    finish(&scene, first, hold).await;
    scene.until_messages("report", 2).await;
    eventually(DEADLINE, "nothing waits any more", || async {
        scene.position("report").await.queued.is_none()
    })
    .await;
    beat.stop().await;
    scene.assert_put_in("report", [10, 20].map(|s| s * SECOND));
    let second = scene.id_of("report", at(20 * SECOND));
    let position = scene.position("report").await;
    assert_eq!((position.through, position.previous), (at(40 * SECOND), Some(second)));
    let expected = [
        (10 * SECOND, Cause::Clock, Fate::Fired { task: first }),
        (20 * SECOND, Cause::Clock, Fate::Waiting),
        (40 * SECOND, Cause::Clock, Fate::Skipped { why: Skip::Overlap, count: 2 }),
        (20 * SECOND, Cause::Queued, Fate::Fired { task: second }),
    ];
    assert_eq!(fates(&scene, "report").await, expected);
}

async fn the_previous_one_is_cancelled(world: World) {
    let scene = Scene::new(world);
    scene.make("report", overlapping(Overlap::Cancel)).await;
    let beat = scene.lead().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("report", 10 * SECOND).await;
    // One that waits in its lane is cancelled for good.
    scene.clock.show(20 * SECOND);
    scene.until_through("report", 20 * SECOND).await;
    let [first, second] = [10, 20].map(|s| scene.id_of("report", at(s * SECOND)));
    let entry = scene.backend.ledger.entries(&[first]).await.unwrap().remove(0);
    let Some(Entry::Settled(settled)) = entry else { panic!("{entry:?}") };
    assert_eq!(settled.ending, Ending::Cancelled);
    // The holder of one that runs is told.
    let hold = claim(&scene, second).await;
    scene.clock.show(30 * SECOND);
    scene.until_through("report", 30 * SECOND).await;
    let told = scene.backend.signals.receive(hold.owner).await.unwrap();
    assert_eq!(told, [Signal::Cancel { task: second, fence: hold.fence }]);
    beat.stop().await;
    scene.assert_put_in("report", [10, 20, 30].map(|s| s * SECOND));
    let acts = scene.backend.records.find(&[second]).await.unwrap().remove(0).acts;
    assert_eq!(acts.len(), 1, "it is on record who cancelled");
}
