//! What people do with one schedule: create, change, delete, pause, resume, look.

use std::ops::Range;
use std::time::Duration;

use leveret_beat::timetable::TimetableError;
use leveret_beat::timing::Timing;
use leveret_common::clock::Millis;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::{Change, Paused, ScheduleEntry};

use crate::world::{NOON, World, everywhere, file, named, program, says};

everywhere! {
    a_schedule_is_made_and_shown,
    of_many_who_create_one_name_one_wins,
    a_change_of_the_times_forgets_what_was_due_before,
    a_revision_that_is_not_there_any_more_is_not_changed,
    a_paused_schedule_goes_on_from_when_it_is_resumed,
    what_is_put_off_beyond_a_pause_or_a_change_still_counts,
    what_a_file_or_a_program_says_is_not_changed_at_run_time,
    a_deleted_schedule_is_gone,
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

async fn a_schedule_is_made_and_shown(world: World) {
    let name = named("report.nightly");
    let made = world.timetable.create(&name, says("0 2 * * *"), "anna").await.unwrap();
    let expected = ScheduleEntry {
        name: name.clone(),
        definition: says("0 2 * * *"),
        source: Source::Api { by: "anna".to_owned() },
        revision: 1,
        since: NOON,
        paused: None,
        created_at: NOON,
        changed_at: NOON,
    };
    assert_eq!(made, expected);
    assert_eq!(world.entry("report.nightly").await, expected);
    assert_eq!(world.names().await, ["report.nightly"]);
    let next = world.timetable.next(&name, None, 2).await.unwrap();
    let dues: Vec<_> = next.iter().map(|upcoming| upcoming.due.since(NOON).as_secs()).collect();
    assert_eq!(dues, [14 * 3_600, 38 * 3_600]);
    assert!(world.timetable.occurrences(&name).await.unwrap().is_empty());
}

async fn of_many_who_create_one_name_one_wins(world: World) {
    let name = named("a");
    let create = |who: usize| {
        let (timetable, name) = (world.timetable.clone(), name.clone());
        let definition = says(&format!("{who} 2 * * *"));
        async move { timetable.create(&name, definition, &who.to_string()).await }
    };
    let made = futures_util::future::join_all((0..20).map(create)).await;
    let winners: Vec<_> = made.iter().filter_map(|made| made.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1, "{made:?}");
    assert_eq!(world.entry("a").await, *winners[0]);
    let lost = made.iter().filter_map(|made| made.as_ref().err());
    assert!(lost.clone().all(|lost| matches!(lost, TimetableError::Exists { .. })), "{made:?}");
    let said = lost.map(ToString::to_string).next().unwrap();
    assert!(said.starts_with("failed to create schedule a: there is one already"), "{said}");
}

async fn a_change_of_the_times_forgets_what_was_due_before(world: World) {
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    world.clock.advance(MINUTE);
    let mut other = says("@hourly");
    other.description = Some("new".to_owned());
    let changed = world.timetable.replace(&name, other.clone(), None).await.unwrap();
    assert_eq!((changed.revision, changed.since), (2, NOON));
    assert_eq!(changed.changed_at, world.now());
    other.zone = Some("Asia/Kathmandu".to_owned());
    let changed = world.timetable.replace(&name, other, Some(2)).await.unwrap();
    assert_eq!((changed.revision, changed.since), (3, world.now()));
    assert_eq!(changed.created_at, NOON);
    assert_eq!(world.entry("a").await, changed);
}

async fn a_revision_that_is_not_there_any_more_is_not_changed(world: World) {
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    world.timetable.replace(&name, says("@daily"), Some(1)).await.unwrap();
    let lost = world.timetable.replace(&name, says("@weekly"), Some(1)).await.unwrap_err();
    assert_eq!(
        lost.to_string(),
        "failed to change schedule a: somebody changed it meanwhile, it is at revision 2; look at \
         it, and ask again"
    );
    assert!(!lost.retryable());
    let lost = world.timetable.delete(&name, Some(1)).await.unwrap_err();
    assert!(matches!(lost, TimetableError::Changed { revision: Some(2), .. }), "{lost}");
    assert_eq!(world.entry("a").await.definition, says("@daily"));
    // Somebody who named no revision is not hindered by a change in between.
    let there = world.entry("a").await;
    let entry = Some(ScheduleEntry { definition: says("@yearly"), ..there });
    world.store.meddle(Change { name: name.clone(), expected: Some(2), entry });
    let changed = world.timetable.replace(&name, says("@monthly"), None).await.unwrap();
    assert_eq!((changed.revision, changed.definition.when.as_str()), (4, "@monthly"));
}

async fn a_paused_schedule_goes_on_from_when_it_is_resumed(world: World) {
    let name = named("a");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    let paused = world.timetable.pause(&name, "bob", Some("too many")).await.unwrap();
    let expected = Paused { at: NOON, by: "bob".to_owned(), why: Some("too many".to_owned()) };
    assert_eq!(paused.paused, Some(expected.clone()));
    world.clock.advance(MINUTE);
    // The first pause stands.
    let again = world.timetable.pause(&name, "carol", None).await.unwrap();
    assert_eq!((again.paused, again.revision), (Some(expected), 2));
    let changed = world.timetable.replace(&name, says("@daily"), None).await.unwrap();
    assert!(changed.paused.is_some(), "a change does not resume it");
    world.clock.advance(MINUTE);
    let resumed = world.timetable.resume(&name).await.unwrap();
    assert_eq!((resumed.paused.clone(), resumed.since), (None, world.now()));
    world.clock.advance(MINUTE);
    assert_eq!(world.timetable.resume(&name).await.unwrap(), resumed);
    assert_eq!(world.entry("a").await, resumed);
}

async fn what_is_put_off_beyond_a_pause_or_a_change_still_counts(world: World) {
    let weekly = Definition { jitter: Some(7 * DAY), ..says("0 0 * * 1") };
    let monday = Millis(NOON.0 + 60 * 3_600_000);
    // How long an occurrence is put off goes by the name.
    let put_off = |until: Range<Duration>| {
        let is_so = |name: &ScheduleName| {
            let planned = Timing::new(name, &weekly).unwrap().planned(monday);
            until.contains(&planned.since(monday))
        };
        (0..1_000).map(|number| named(&format!("s{number}"))).find(is_so).unwrap()
    };
    let (early, late) = (put_off(MINUTE..DAY / 4), put_off(DAY..7 * DAY));
    for name in [&early, &late] {
        world.timetable.create(name, weekly.clone(), "anna").await.unwrap();
    }
    // Monday at noon.
    world.clock.advance(3 * DAY);
    let before = Millis(monday.0 - 1);
    for (name, since) in [(&early, None), (&late, Some(before))] {
        let since = || since.unwrap_or_else(|| world.now());
        world.timetable.pause(name, "anna", None).await.unwrap();
        world.clock.advance(MINUTE);
        let resumed = world.timetable.resume(name).await.unwrap();
        assert_eq!(resumed.since, since(), "{name} is resumed");
        world.clock.advance(MINUTE);
        let mut says = Definition { exclude: vec!["12-25".to_owned()], ..weekly.clone() };
        let changed = world.timetable.replace(name, says.clone(), None).await.unwrap();
        assert_eq!(changed.since, since(), "{name} leaves a day out");
        world.clock.advance(MINUTE);
        says.end = Some(Millis(NOON.0 + 1_000 * 86_400_000));
        let changed = world.timetable.replace(name, says.clone(), None).await.unwrap();
        assert_eq!(changed.since, since(), "{name} has an end");
        // That day is left out itself.
        says.exclude.push("2027-01-04".to_owned());
        let changed = world.timetable.replace(name, says.clone(), None).await.unwrap();
        assert_eq!(changed.since, world.now(), "{name} leaves the very day out");
    }
    // Other times are another timetable.
    let daily = Definition { when: "0 0 * * *".to_owned(), ..weekly.clone() };
    let changed = world.timetable.replace(&late, daily, None).await.unwrap();
    assert_eq!(changed.since, world.now());
}

async fn what_a_file_or_a_program_says_is_not_changed_at_run_time(world: World) {
    for (name, source, how) in [
        ("of-file", file("t.toml"), "it comes from the file t.toml; edit the file"),
        (
            "of-code",
            program("billing"),
            "it comes from the program billing; change it in the program",
        ),
    ] {
        let wanted = [(named(name), says("@hourly"))].into_iter().collect();
        world.timetable.reconcile(source, wanted).await.unwrap();
        let name = named(name);
        let held = world.timetable.replace(&name, says("@daily"), None).await.unwrap_err();
        let said = format!("failed to change schedule {name}: {how}");
        assert!(held.to_string().starts_with(&said), "{held}");
        let held = world.timetable.delete(&name, None).await.unwrap_err();
        let said = format!("failed to delete schedule {name}: {how}");
        assert!(held.to_string().starts_with(&said), "{held}");
        assert!(matches!(held, TimetableError::Held { .. }));
        let exists = world.timetable.create(&name, says("@daily"), "anna").await.unwrap_err();
        assert!(matches!(exists, TimetableError::Exists { .. }), "{exists}");
        // That it rests is everybody's matter.
        assert!(world.timetable.pause(&name, "anna", None).await.unwrap().paused.is_some());
        assert!(world.timetable.resume(&name).await.unwrap().paused.is_none());
        world.timetable.run_now(&name, None, "anna").await.unwrap();
        assert_eq!(world.timetable.show(&name).await.unwrap().entry.definition, says("@hourly"));
    }
}

async fn a_deleted_schedule_is_gone(world: World) {
    let name = named("report.nightly");
    world.timetable.create(&name, says("@hourly"), "anna").await.unwrap();
    world.timetable.delete(&name, Some(1)).await.unwrap();
    assert_eq!(world.names().await, [""; 0]);
    let gone = world.timetable.show(&name).await.unwrap_err();
    assert_eq!(
        gone.to_string(),
        "there is no schedule report.nightly; list them to see what there is"
    );
    world.timetable.create(&named("report.nightl"), says("@hourly"), "anna").await.unwrap();
    for unknown in [
        world.timetable.show(&name).await.unwrap_err(),
        world.timetable.delete(&name, None).await.unwrap_err(),
        world.timetable.replace(&name, says("@daily"), None).await.unwrap_err(),
        world.timetable.pause(&name, "anna", None).await.unwrap_err(),
        world.timetable.resume(&name).await.unwrap_err(),
        world.timetable.next(&name, None, 1).await.unwrap_err(),
        world.timetable.occurrences(&name).await.unwrap_err(),
        world.timetable.run_now(&name, None, "anna").await.unwrap_err(),
    ] {
        assert_eq!(
            unknown.to_string(),
            "there is no schedule report.nightly; did you mean \"report.nightl\"?"
        );
    }
}

#[tokio::test]
async fn a_schedule_that_means_nothing_is_refused_with_everything_that_is_wrong() {
    let world = World::new();
    let mut wrong = says("61 2 * * *");
    wrong.zone = Some("Europe/Berln".to_owned());
    wrong.max_attempts = Some(0);
    wrong.misfire.max = 0;
    wrong.misfire.after = Duration::ZERO;
    wrong.misfire.window = Duration::ZERO;
    wrong.description = Some("x".repeat(1_025));
    wrong.args = serde_json::value::to_raw_value(&"x".repeat(1_000)).unwrap();
    let error = world.timetable.create(&named("a"), wrong.clone(), "anna").await.unwrap_err();
    let TimetableError::Invalid(problems) = error else { panic!("{error}") };
    let mut fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "description",
            "max_attempts",
            "misfire.after",
            "misfire.max",
            "misfire.window",
            "when",
            "zone"
        ],
        "{problems:?}"
    );
    wrong.max_attempts = None;
    let error = world.timetable.create(&named("a"), wrong, "anna").await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("args: they have 1002 bytes; the limit is 1000"), "{said}");
    assert_eq!(world.names().await, [""; 0]);
}

#[tokio::test]
async fn a_schedule_that_is_over_has_no_next_occurrence() {
    let world = World::new();
    let mut over = says("@hourly");
    over.end = Some(Millis(NOON.0 + 2 * 3_600_000));
    world.timetable.create(&named("a"), over, "anna").await.unwrap();
    let next = |from| {
        let timetable = world.timetable.clone();
        async move { timetable.next(&named("a"), from, 10).await.unwrap().len() }
    };
    assert_eq!(next(None).await, 2);
    assert_eq!(next(Some(Millis(NOON.0 + 2 * 3_600_000))).await, 0);
}
