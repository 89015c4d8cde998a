//! Sources: files, programs and people, none of which overwrites what is another's.

use std::time::Duration;

use leveret_beat::definition::Wanted;
use leveret_beat::timetable::{Applied, Left, Reason, TimetableError};
use leveret_common::clock::Millis;
use leveret_common::schedule::Source;
use leveret_common::store::{Change, ScheduleEntry};

use crate::world::{NOON, World, everywhere, file, named, program, says};

everywhere! {
    a_file_is_reconciled_and_touches_nothing_else,
    two_versions_of_a_program_are_deployed_side_by_side,
    what_somebody_changes_meanwhile_is_told_and_left,
    an_export_is_imported_again,
}

const MINUTE: Duration = Duration::from_secs(60);

fn wanted(schedules: &[(&str, &str)]) -> Wanted {
    schedules.iter().map(|(name, when)| (named(name), says(when))).collect()
}

async fn reconcile(world: &World, source: Source, schedules: &[(&str, &str)]) -> Applied {
    world.timetable.reconcile(source, wanted(schedules)).await.unwrap().1
}

async fn a_file_is_reconciled_and_touches_nothing_else(world: World) {
    // Where others may have emptied the store nobody knows how long the timetable was away, and it
    // looks back a little. A file is not emptied by itself.
    let changes = world.backend.schedules.changes(None).await.unwrap();
    let may_be_lost = changes.incarnation.is_none();
    let since = Millis(if may_be_lost { NOON.0 - 60_000 } else { NOON.0 });
    let first = [("a", "@hourly"), ("b", "@daily"), ("c", "@weekly")];
    let applied = reconcile(&world, file("t.toml"), &first).await;
    assert_eq!(applied.created.len(), 3);
    assert_eq!(world.entry("a").await.since, since);
    world.timetable.create(&named("mine"), says("@hourly"), "anna").await.unwrap();
    reconcile(&world, program("billing"), &[("bill", "@monthly")]).await;
    world.timetable.pause(&named("b"), "anna", None).await.unwrap();
    world.clock.advance(MINUTE);

    let second = [
        ("b", "0 3 * * *"),
        ("c", "@weekly"),
        ("d", "@yearly"),
        ("mine", "@daily"),
        ("bill", "@daily"),
    ];
    let plan = world.timetable.plan(file("t.toml"), wanted(&second)).await.unwrap();
    assert_eq!(
        plan.describe(),
        [
            "- a",
            "~ b",
            "    when: \"@daily\" -> \"0 3 * * *\"",
            "= bill: left alone, it comes from the program billing",
            "+ d: \"@yearly\", demo.echo",
            "= mine: left alone, it comes from anna, at run time",
            "1 to create, 1 to change, 1 to delete, 1 as they are, 2 left alone",
        ]
    );
    let applied = world.timetable.apply(&plan).await.unwrap();
    let expected = Applied {
        created: vec![(named("d"), 1)],
        changed: vec![(named("b"), 3)],
        deleted: vec![named("a")],
        kept: 1,
        left: vec![
            Left { name: named("bill"), why: Reason::Held(program("billing")) },
            Left { name: named("mine"), why: Reason::Held(Source::Api { by: "anna".to_owned() }) },
        ],
    };
    assert_eq!(applied, expected);
    assert_eq!(world.names().await, ["b", "bill", "c", "d", "mine"]);
    assert_eq!(world.entry("mine").await.definition, says("@hourly"));
    let changed = world.entry("b").await;
    assert!(changed.paused.is_some(), "a change does not resume it");
    assert_eq!(changed.since, world.now());
    // It was there before: nothing is looked back for.
    assert_eq!(world.entry("d").await.since, world.now());
    assert_eq!(world.entry("c").await.since, since);
    let again = world.timetable.plan(file("t.toml"), wanted(&second)).await.unwrap();
    assert!(again.is_empty(), "{again:?}");
    // A leader with another file takes over.
    let moved = world.timetable.plan(file("new.toml"), wanted(&[("c", "@weekly")])).await.unwrap();
    let said = "    source: \"the file t.toml\" -> \"the file new.toml\"";
    assert!(moved.describe().contains(&said.to_owned()), "{:?}", moved.describe());
    world.timetable.apply(&moved).await.unwrap();
    let taken = world.entry("c").await;
    assert_eq!((taken.source, taken.since), (file("new.toml"), since));
}

async fn two_versions_of_a_program_are_deployed_side_by_side(world: World) {
    let old = [("a", "@hourly"), ("b", "@daily")];
    let new = [("a", "0 4 * * *"), ("c", "@weekly")];
    reconcile(&world, program("billing"), &old).await;
    reconcile(&world, program("reports"), &[("r", "@daily")]).await;
    // Several workers of either version start at once, in whatever order.
    let starts = [old, new, old, new, new, old].map(|schedules| {
        let (timetable, wanted) = (world.timetable.clone(), wanted(&schedules));
        async move { timetable.reconcile(program("billing"), wanted).await.unwrap() }
    });
    futures_util::future::join_all(starts).await;
    assert!(world.names().await.contains(&"r".to_owned()), "it is another program's");
    // The last one to start is right.
    let applied = reconcile(&world, program("billing"), &new).await;
    assert_eq!(applied.left, []);
    assert_eq!(world.names().await, ["a", "c", "r"]);
    assert_eq!(world.entry("a").await.definition, says("0 4 * * *"));
    let revision = world.entry("a").await.revision;
    // Those that start after it change nothing.
    let starts = [new; 4].map(|schedules| {
        let (timetable, wanted) = (world.timetable.clone(), wanted(&schedules));
        async move { timetable.reconcile(program("billing"), wanted).await.unwrap().1 }
    });
    for applied in futures_util::future::join_all(starts).await {
        assert_eq!(applied, Applied { kept: 2, ..Applied::default() });
    }
    assert_eq!(world.entry("a").await.revision, revision);
}

async fn what_somebody_changes_meanwhile_is_told_and_left(world: World) {
    reconcile(&world, file("t.toml"), &[("a", "@hourly"), ("b", "@hourly")]).await;
    let plan = world
        .timetable
        .plan(file("t.toml"), wanted(&[("a", "@daily"), ("b", "@daily"), ("c", "@daily")]))
        .await
        .unwrap();
    world.timetable.pause(&named("a"), "anna", None).await.unwrap();
    world.timetable.create(&named("c"), says("@yearly"), "anna").await.unwrap();
    let applied = world.timetable.apply(&plan).await.unwrap();
    let lost: Vec<_> = applied.lost().map(ToString::to_string).collect();
    assert_eq!(lost, ["a", "c"]);
    assert_eq!(applied.changed, [(named("b"), 2)]);
    assert_eq!(world.entry("a").await.definition, says("@hourly"));
    // Reconciling plans anew by itself.
    let there = world.entry("b").await;
    let entry = Some(ScheduleEntry { definition: says("@monthly"), ..there });
    world.store.meddle(Change { name: named("b"), expected: Some(2), entry });
    let applied =
        reconcile(&world, file("t.toml"), &[("a", "@daily"), ("b", "@weekly"), ("c", "@daily")])
            .await;
    let left = Left { name: named("c"), why: Reason::Held(Source::Api { by: "anna".to_owned() }) };
    assert_eq!(applied.left, [left]);
    assert_eq!(world.entry("a").await.definition, says("@daily"));
    assert_eq!(world.entry("b").await.definition, says("@weekly"));
}

async fn an_export_is_imported_again(world: World) {
    reconcile(&world, file("t.toml"), &[("of-file", "@hourly")]).await;
    world.timetable.create(&named("a"), says("@hourly"), "anna").await.unwrap();
    world.timetable.create(&named("b"), says("@daily"), "anna").await.unwrap();
    world.timetable.pause(&named("b"), "anna", None).await.unwrap();
    let lines = world.timetable.export(None, 1_000).await.unwrap();
    let lines: Vec<_> = lines.into_iter().map(|(_, line)| line).collect();
    assert_eq!(
        lines,
        [
            r#"{"name":"a","source":{"from":"api","by":"anna"},"paused":false,"definition":{"when":"@hourly","kind":"demo.echo"}}"#,
            r#"{"name":"b","source":{"from":"api","by":"anna"},"paused":true,"definition":{"when":"@daily","kind":"demo.echo"}}"#,
            r#"{"name":"of-file","source":{"from":"file","path":"t.toml"},"paused":false,"definition":{"when":"@hourly","kind":"demo.echo"}}"#,
        ]
    );
    let text = lines.join("\n");
    let import = |replace, by: &'static str| {
        let (timetable, text) = (world.timetable.clone(), text.clone());
        async move {
            let plan = timetable.plan_import(Wanted::from_lines(&text), replace, by).await.unwrap();
            (plan.describe(), timetable.apply(&plan).await.unwrap())
        }
    };
    // What is there and the same is kept, wherever it comes from.
    let (_, applied) = import(false, "bob").await;
    assert_eq!((applied.kept, applied.left.len()), (3, 0));
    world.timetable.delete(&named("b"), None).await.unwrap();
    world.timetable.replace(&named("a"), says("@yearly"), None).await.unwrap();
    world.clock.advance(MINUTE);
    let (said, applied) = import(false, "bob").await;
    assert_eq!(
        said,
        [
            "= a: left alone, it is there already and says something else; have it replaced to change it",
            "+ b: \"@daily\", demo.echo, paused",
            "1 to create, 0 to change, 0 to delete, 1 as they are, 1 left alone",
        ]
    );
    assert_eq!(applied.created, [(named("b"), 3)], "it counts on from the one that was deleted");
    let made = world.entry("b").await;
    assert_eq!(made.source, Source::Api { by: "bob".to_owned() });
    assert_eq!(
        (made.paused.map(|paused| paused.by), made.since),
        (Some("bob".to_owned()), world.now())
    );
    assert_eq!(world.entry("a").await.definition, says("@yearly"));
    let (_, applied) = import(true, "bob").await;
    assert_eq!(applied.changed, [(named("a"), 3)]);
    let changed = world.entry("a").await;
    assert_eq!(changed.definition, says("@hourly"));
    assert_eq!(changed.source, Source::Api { by: "anna".to_owned() }, "it stays its maker's");
    let (_, applied) = import(true, "bob").await;
    assert_eq!((applied.kept, applied.changed.len()), (3, 0));
}

#[tokio::test]
async fn a_file_with_one_wrong_schedule_changes_nothing_and_everything_wrong_is_told() {
    let world = World::new();
    reconcile(&world, file("t.toml"), &[("a", "@hourly")]).await;
    let text = r#"
        [schedules.b]
        when = "61 * * * *"
        kind = "demo.echo"
        [schedules.c]
        when = "@daily"
        kidn = "demo.echo"
        max_attempts = 0
        [schedules.d]
        when = "@daily"
        kind = "demo.echo"
        [schedules.e]
        when = "@daily"
        kind = "demo.echo"
        max_attempts = 0
    "#;
    let plan = world.timetable.plan(file("t.toml"), Wanted::from_toml(text)).await.unwrap();
    let said = plan.describe();
    let has = |text: &str| assert!(said.iter().any(|line| line.starts_with(text)), "{said:#?}");
    has("! b: when: ");
    has("! c: kidn: there is no field \"kidn\"; did you mean \"kind\"?");
    has("! c: kind: it is missing");
    has("! c: max_attempts: it is 0");
    has("! e: max_attempts: it is 0; it must be within 1 and 1000");
    assert!(said.last().unwrap().ends_with("5 things are wrong, so nothing is done"), "{said:#?}");
    let error = world.timetable.apply(&plan).await.unwrap_err();
    assert!(matches!(&error, TimetableError::Flawed(flaws) if flaws.len() == 5), "{error}");
    assert!(error.to_string().starts_with("nothing was changed, because 5 things are wrong: "));
    assert_eq!(world.names().await, ["a"]);
}

#[tokio::test]
async fn a_large_file_is_read_and_written_in_pieces() {
    let world = World::new();
    let many = |when: &'static str| -> Wanted {
        (0..2_500).map(|place| (named(&format!("s{place}")), says(when))).collect()
    };
    let (_, applied) = world.timetable.reconcile(file("t.toml"), many("@hourly")).await.unwrap();
    assert_eq!(applied.created.len(), 2_500);
    let (plan, applied) = world.timetable.reconcile(file("t.toml"), many("@daily")).await.unwrap();
    assert_eq!((plan.steps.len(), applied.changed.len()), (2_500, 2_500));
    let (_, applied) = world.timetable.reconcile(file("t.toml"), Wanted::default()).await.unwrap();
    assert_eq!(applied.deleted.len(), 2_500);
    assert_eq!(world.names().await, [""; 0]);
}
