//! The timetable file of a beat: reconciled by who leads, read again when asked, and never half.

use std::path::Path;

use leveret_beat::engine::{BeatError, Config};
use leveret_common::testkit::eventually;

use super::scene::{DEADLINE, SECOND, Scene, config};
use crate::world::{World, everywhere, named, says};

everywhere! {
    the_leaders_file_is_reconciled_and_read_again_when_asked,
}

fn write(file: &Path, schedules: &[(&str, &str)]) {
    let section = |(name, when): &(&str, &str)| {
        format!("[schedules.\"{name}\"]\nwhen = \"{when}\"\nkind = \"demo.echo\"\n")
    };
    std::fs::write(file, schedules.iter().map(section).collect::<String>()).unwrap();
}

async fn until_names(scene: &Scene, expected: &[&str]) {
    eventually(DEADLINE, &format!("there are {expected:?}"), || async {
        let listed = scene.timetable.list(None, 100).await.unwrap();
        let names: Vec<_> = listed.iter().map(|one| one.entry.name.to_string()).collect();
        names == expected
    })
    .await;
}

async fn the_leaders_file_is_reconciled_and_read_again_when_asked(world: World) {
    let scene = Scene::new(world);
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one.toml", "other.toml"].map(|name| folder.path().join(name));
    write(&one, &[("a", "every 10s"), ("b", "every 10s")]);
    write(&other, &[("c", "every 10s")]);
    scene.make("mine", says("every 1h")).await;
    let on = |file: &Path| Config { file: Some(file.to_owned()), ..config() };
    let leader = scene.start_on(&scene.backend, on(&one));
    until_names(&scene, &["a", "b", "mine"]).await;
    let second = scene.start_on(&scene.backend, on(&other));
    eventually(DEADLINE, "the second one is ready", || async { second.status.is_ready() }).await;
    scene.looked_twice().await;
    scene.clock.show(10 * SECOND);
    scene.until_through("a", 10 * SECOND).await;
    // What is wrong changes nothing, what is right counts.
    write(&one, &[("a", "every 61 minutes past tea")]);
    leader.reloader.reload();
    scene.looked_twice().await;
    until_names(&scene, &["a", "b", "mine"]).await;
    write(&one, &[("a", "every 20s"), ("d", "every 10s")]);
    leader.reloader.reload();
    until_names(&scene, &["a", "d", "mine"]).await;
    scene.looked_twice().await;
    scene.clock.show(20 * SECOND);
    scene.until_through("d", 20 * SECOND).await;
    scene.until_through("a", 20 * SECOND).await;
    // The other file counts once its beat leads.
    leader.stop().await;
    until_names(&scene, &["c", "mine"]).await;
    second.stop().await;
    scene.assert_put_in("a", [10, 20].map(|s| s * SECOND));
    scene.assert_put_in("b", [10 * SECOND]);
}

#[tokio::test]
async fn a_beat_does_not_start_on_a_file_that_is_wrong_or_missing_and_says_why() {
    let scene = Scene::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedules.toml");
    let start = || {
        let config = Config { file: Some(file.clone()), ..config() };
        scene.start_on(&scene.backend, config)
    };
    let told = start().error().await;
    assert!(matches!(told, BeatError::File { .. }), "{told}");
    write(&file, &[("a", "every 0s"), ("b", "61 * * * *"), ("c", "every 1s")]);
    let told = start().error().await.to_string();
    for part in ["schedules.toml", "a: when: ", "b: when: "] {
        assert!(told.contains(part), "{told}");
    }
    assert!(scene.timetable.list(None, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn beats_say_of_themselves_who_leads_and_which_file_they_have() {
    let scene = Scene::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedules.toml");
    write(&file, &[("a", "every 10s")]);
    let config = Config { file: Some(file.clone()), ..config() };
    let leader = scene.start_on(&scene.backend, config);
    leader.until_it_leads().await;
    let other = scene.start();
    eventually(DEADLINE, "both are there, with what they know", || async {
        let mut beats = scene.timetable.beats().await.unwrap();
        beats.sort_by_key(|beat| beat.leads);
        let [standing_by, leads] = &beats[..] else { return false };
        leads.leads == leader.status.epoch()
            && leads.file.as_ref().is_some_and(|known| known.path == file.display().to_string())
            && standing_by.leads.is_none()
            && standing_by.file.is_none()
            && beats.iter().all(|beat| beat.schedules == 1 && beat.host == "test")
    })
    .await;
    assert_eq!(leader.status.schedules(), 1);
    scene.timetable.show(&named("a")).await.unwrap();
    other.stop().await;
    leader.stop().await;
}
