//! The timetable file of a beat: reconciled by who leads, read again when asked, and never half.

use std::path::Path;

use leveret_beat::engine::{FileError, Filed};
use leveret_common::testkit::eventually;

use super::scene::{DEADLINE, SECOND, Scene};
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
    let leader = scene.start_with(&one);
    until_names(&scene, &["a", "b", "mine"]).await;
    let second = scene.start_with(&other);
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
async fn a_file_that_is_wrong_or_missing_is_refused_with_all_that_is_wrong() {
    let scene = Scene::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedules.toml");
    let read = || Filed::read(&file, scene.timetable.producer()).unwrap_err();
    let told = read();
    assert!(matches!(told, FileError::Unreadable { .. }), "{told}");
    write(&file, &[("a", "every 0s"), ("b", "61 * * * *"), ("c", "every 1s")]);
    let told = read().to_string();
    for part in ["schedules.toml: 2 things are wrong: ", "a: when: ", "; b: when: "] {
        assert!(told.contains(part), "{told}");
    }
}

/// What was read counts, and not what has become of the file since, until somebody asks for that.
#[tokio::test]
async fn a_beat_that_leads_later_goes_by_the_file_as_it_was_read() {
    let scene = Scene::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one.toml", "other.toml"].map(|name| folder.path().join(name));
    write(&one, &[("a", "every 10s")]);
    write(&other, &[("b", "every 10s"), ("c", "every 10s")]);
    let leader = scene.start_with(&one);
    until_names(&scene, &["a"]).await;
    let second = scene.start_with(&other);
    eventually(DEADLINE, "the second one has said which file it has", || async {
        let beats = scene.timetable.beats().await.unwrap();
        beats.iter().any(|beat| beat.leads.is_none() && beat.file.is_some())
    })
    .await;
    write(&other, &[("not", "even an expression")]);
    leader.stop().await;
    until_names(&scene, &["b", "c"]).await;
    second.stop().await;
}

/// What the beat remembers of the timetable is older here than what it has just written.
#[tokio::test]
async fn a_file_that_is_changed_back_at_once_counts_as_it_is_now() {
    let scene = Scene::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedules.toml");
    write(&file, &[("a", "every 10s")]);
    let leader = scene.start_with(&file);
    until_names(&scene, &["a"]).await;
    scene.looked_twice().await;
    scene.store.looking.hang_before();
    scene.store.looking.reached().await;
    for when in ["every 20s", "every 10s"] {
        write(&file, &[("a", when)]);
        leader.reloader.reload();
        eventually(DEADLINE, when, || async {
            scene.timetable.show(&named("a")).await.unwrap().entry.definition.when == when
        })
        .await;
    }
    scene.store.looking.release();
    leader.stop().await;
}

#[tokio::test]
async fn beats_say_of_themselves_who_leads_and_which_file_they_have() {
    let scene = Scene::new(World::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("schedules.toml");
    write(&file, &[("a", "every 10s")]);
    let leader = scene.start_with(&file);
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
