//! `/v1/schedules` and `/v1/beats`: the timetable over HTTP, on every backend. No beat runs here.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::id::{Owner, TaskId};
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::{
    Advance, Advanced, BeatInfo, Cause, Change, Changed, Fate, Occurrence, Position, ScheduleEntry,
    Skip, TimetableFile,
};
use serde_json::{Value, json};

use crate::explain::heartbeat;
use crate::world::{World, everywhere, json, lines, problem};

everywhere! {
    a_schedule_is_created_shown_changed_and_deleted,
    a_create_can_be_repeated_and_overwrites_nothing,
    a_change_names_the_revision_that_it_was_made_from,
    what_a_file_or_a_program_says_is_not_changed_here,
    any_schedule_is_paused_and_resumed,
    a_schedule_that_a_clock_ahead_has_put_in_tells_until_when_it_waits,
    a_task_is_put_in_now_once_under_its_key,
    a_range_is_backfilled_once_under_its_key,
    occurrences_are_shown_with_their_tasks_and_their_lateness,
    schedules_are_listed_by_what_is_known_of_them_page_by_page,
    an_export_is_imported_again,
    a_plan_tells_what_a_file_would_change_and_changes_nothing,
    beats_are_listed_and_the_doctor_judges_them,
}

const NIGHTLY: &str = "/v1/schedules/report.nightly";

fn nightly() -> Value {
    json!({ "name": "report.nightly", "when": "30 2 * * *", "zone": "Europe/Berlin",
            "kind": "report.build", "args": { "of": ["yesterday", 1.50] }, "queue": "reports",
            "tags": { "team": "sales" }, "misfire": "all", "jitter": "90s",
            "start": "2024-01-01T00:00:00Z" })
}

async fn create(world: &World, schedule: &Value) -> Value {
    let request = world.post_to("/v1/schedules").header("leveret-by", "deploy@box").json(schedule);
    json(request.send().await.unwrap(), 201).await
}

/// Puts an entry into the store as another source than the API would.
async fn keep(world: &World, name: &str, source: Source) -> ScheduleEntry {
    let now = world.backend.clock.now();
    let entry = ScheduleEntry {
        name: name.parse().unwrap(),
        definition: Definition::new("0 2 * * *", "report.build".parse().unwrap()),
        source,
        revision: 0,
        since: now,
        paused: None,
        created_at: now,
        changed_at: now,
    };
    let change = Change { name: entry.name.clone(), expected: None, entry: Some(entry.clone()) };
    let changed = world.backend.schedules.change(&[change]).await.unwrap();
    assert_eq!(changed, [Changed::Written(1)]);
    entry
}

fn of_file() -> Source {
    Source::File { path: "schedules.toml".to_owned() }
}

fn of_code() -> Source {
    Source::Code { program: "reports".to_owned() }
}

async fn a_schedule_is_created_shown_changed_and_deleted(world: World) {
    let made = create(&world, &nightly()).await;
    assert_eq!(made["name"], "report.nightly");
    assert_eq!(made["source"], json!({ "from": "api", "by": "deploy@box" }));
    assert_eq!(
        (&made["revision"], &made["paused"], &made["last"]),
        (&1.into(), &Value::Null, &Value::Null)
    );
    assert_eq!(made.get("repeated"), None);
    // It says what was written, in the form in which it was.
    let mut says = nightly();
    says.as_object_mut().unwrap().remove("name");
    assert_eq!(made["definition"], says);
    assert!(made["words"].as_str().unwrap().contains("Europe/Berlin"), "{made:#}");
    let next = &made["next"];
    assert!(next["due"].as_str().unwrap().ends_with(":30:00.000Z"), "{next}");
    assert!(next["local"].as_str().unwrap().contains("T02:30:00.000+0"), "{next}");
    assert!(next["planned"].as_str() >= next["due"].as_str(), "{next}");
    assert_eq!(world.ask(NIGHTLY).await, made);
    // What is shown can be written again.
    says["when"] = json!("45 3 * * *");
    let changed = json(world.put_to(NIGHTLY).json(&says).send().await.unwrap(), 200).await;
    assert_eq!((&changed["revision"], &changed["definition"]), (&2.into(), &says));
    assert_eq!(
        (&changed["source"], &changed["created_at"]),
        (&made["source"], &made["created_at"])
    );
    assert_eq!(world.ask(NIGHTLY).await, changed);
    let deleted = json(world.delete_at(NIGHTLY).send().await.unwrap(), 200).await;
    assert_eq!(deleted, json!({ "name": "report.nightly", "deleted": true }));
    for request in [world.get(NIGHTLY), world.delete_at(NIGHTLY), world.put_to(NIGHTLY).json(&says)]
    {
        problem(request.send().await.unwrap(), 404, "unknown-schedule").await;
    }
}

async fn a_create_can_be_repeated_and_overwrites_nothing(world: World) {
    let request = world.post_to("/v1/schedules").json(&nightly());
    let first = request.try_clone().unwrap().send().await.unwrap();
    assert_eq!(first.headers()["location"], NIGHTLY);
    let made = json(first, 201).await;
    let again = json(request.send().await.unwrap(), 200).await;
    assert_eq!((&again["repeated"], &again["revision"]), (&json!(true), &made["revision"]));
    // Of many at once, one makes it.
    let often = json!({ "name": "often", "when": "@hourly", "kind": "a" });
    let asked = (0..20).map(|_| world.post_to("/v1/schedules").json(&often).send());
    let answers = futures_util::future::join_all(asked).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.as_ref().unwrap().status()).collect();
    let fresh = statuses.iter().filter(|status| status.as_u16() == 201).count();
    let repeated = statuses.iter().filter(|status| status.as_u16() == 200).count();
    assert_eq!((fresh, repeated), (1, 19), "{statuses:?}");
    let mut other = nightly();
    other["when"] = json!("@hourly");
    let refused = world.post_to("/v1/schedules").json(&other).send().await.unwrap();
    let told = problem(refused, 409, "schedule-exists").await;
    assert_eq!(told["source"], json!({ "from": "api", "by": "unknown" }));
    assert_eq!(world.ask(NIGHTLY).await["definition"], made["definition"]);
}

async fn a_change_names_the_revision_that_it_was_made_from(world: World) {
    create(&world, &nightly()).await;
    let says = json!({ "when": "@hourly", "kind": "report.build" });
    let at = |revision: u32| format!("{NIGHTLY}?revision={revision}");
    let changed = json(world.put_to(&at(1)).json(&says).send().await.unwrap(), 200).await;
    assert_eq!(changed["revision"], 2);
    // The same again, because its answer was lost, changes nothing.
    let again = json(world.put_to(&at(1)).json(&says).send().await.unwrap(), 200).await;
    assert_eq!(again, changed);
    let says = json!({ "when": "@daily", "kind": "report.build" });
    for late in [world.put_to(&at(1)).json(&says), world.delete_at(&at(1))] {
        let told = problem(late.send().await.unwrap(), 409, "schedule-changed").await;
        assert_eq!(told["revision"], 2, "{told}");
    }
    assert_eq!(world.ask(NIGHTLY).await, changed);
    json(world.delete_at(&at(2)).send().await.unwrap(), 200).await;
}

async fn what_a_file_or_a_program_says_is_not_changed_here(world: World) {
    for (name, source, is) in [
        ("of.file", of_file(), json!({ "from": "file", "path": "schedules.toml" })),
        ("of.code", of_code(), json!({ "from": "code", "program": "reports" })),
    ] {
        let path = format!("/v1/schedules/{name}");
        keep(&world, name, source).await;
        let says = json!({ "when": "@hourly", "kind": "report.build" });
        for request in [world.put_to(&path).json(&says), world.delete_at(&path)] {
            let told = problem(request.send().await.unwrap(), 409, "held-by-another-source").await;
            assert_eq!(told["source"], is, "{told}");
        }
        let mut same = json!({ "name": name, "when": "0 2 * * *", "kind": "report.build" });
        for when in ["0 2 * * *", "@hourly"] {
            same["when"] = json!(when);
            let refused = world.post_to("/v1/schedules").json(&same).send().await.unwrap();
            problem(refused, 409, "schedule-exists").await;
        }
        let shown = world.ask(&path).await;
        assert_eq!((&shown["source"], &shown["revision"]), (&is, &json!(1)));
    }
}

async fn any_schedule_is_paused_and_resumed(world: World) {
    create(&world, &nightly()).await;
    keep(&world, "of.file", of_file()).await;
    for name in ["report.nightly", "of.file"] {
        let path = |verb: &str| format!("/v1/schedules/{name}/{verb}");
        let pause = world.post_to(&path("pause")).header("leveret-by", "deploy@box");
        let pause = pause.json(&json!({ "why": "the warehouse moves" }));
        let paused = json(pause.send().await.unwrap(), 200).await;
        assert_eq!(
            (&paused["paused"]["by"], &paused["next"]),
            (&json!("deploy@box"), &Value::Null)
        );
        assert_eq!(paused["paused"]["why"], "the warehouse moves");
        // The first stays.
        let again = world.order(&path("pause"), json!({ "why": "other" }), 200).await;
        assert_eq!(again, paused);
        let resumed = world.order(&path("resume"), json!({}), 200).await;
        assert_eq!((&resumed["paused"], &resumed["was_paused"]), (&Value::Null, &json!(true)));
        assert!(resumed["next"]["due"].is_string(), "{resumed}");
        let resumed = world.order(&path("resume"), json!({}), 200).await;
        assert_eq!(resumed["was_paused"], false);
    }
}

async fn a_schedule_that_a_clock_ahead_has_put_in_tells_until_when_it_waits(world: World) {
    let entry = keep(&world, "of.file", of_file()).await;
    let shown = world.ask("/v1/schedules/of.file").await;
    assert!(shown["next"]["due"].is_string() && shown.get("warnings").is_none(), "{shown}");
    let months = Duration::from_secs(90 * 86_400);
    let through = world.backend.clock.now().after(months);
    let to = Position { seq: 1, epoch: 7, through, queued: None, previous: None };
    let advance = Advance { name: entry.name, expected: Some(0), to, occurrences: Vec::new() };
    let advanced = world.backend.schedules.advance(&[advance]).await.unwrap();
    assert_eq!(advanced, [Advanced::Moved]);

    let shown = world.ask("/v1/schedules/of.file").await;
    let due = shown["next"]["due"].as_str().unwrap();
    let due = chrono::DateTime::parse_from_rfc3339(due).unwrap().timestamp_millis();
    assert!(u64::try_from(due).unwrap() > through.0, "{shown}");
    assert!(shown["warnings"][0].as_str().unwrap().contains("clock was ahead"), "{shown}");
    let told = world.ask("/v1/doctor").await;
    let findings = told["findings"].as_array().unwrap();
    assert!(findings.iter().any(|finding| finding["check"] == "ahead"), "{told}");
}

async fn a_task_is_put_in_now_once_under_its_key(world: World) {
    create(&world, &nightly()).await;
    world.order(&format!("{NIGHTLY}/pause"), json!({}), 200).await;
    let run = || world.post_to(&format!("{NIGHTLY}/run")).header("leveret-by", "deploy@box");
    let first = run().header("idempotency-key", "incident-7").send().await.unwrap();
    let location = first.headers()["location"].to_str().unwrap().to_owned();
    let put = json(first, 202).await;
    assert_eq!(location, format!("/v1/tasks/{}", put["id"].as_str().unwrap()));
    let again =
        json(run().header("idempotency-key", "incident-7").send().await.unwrap(), 200).await;
    assert_eq!((&again["id"], &again["repeated"]), (&put["id"], &json!(true)));
    // Without a key, each is another.
    let other = json(run().send().await.unwrap(), 202).await;
    assert_ne!(other["id"], put["id"]);
    world.rest_at("reports.normal", 2).await;
    let task = world.ask(&location).await;
    assert_eq!((&task["kind"], &task["tags"]["team"]), (&json!("report.build"), &json!("sales")));
    // It knows whose it is.
    let revision = world.ask(NIGHTLY).await["revision"].take();
    let whose = json!({ "schedule": "report.nightly", "due": put["due"], "revision": revision });
    assert_eq!(task["occurrence"], whose);
    let explained = world.ask(&format!("{location}/explain")).await;
    let because = explained["because"].as_array().unwrap();
    let said = format!(
        "It was put in for schedule report.nightly, as what was due at {}.",
        put["due"].as_str().unwrap()
    );
    assert!(because.contains(&json!(said)), "{explained:#}");
    let seen = world.ask(&format!("{NIGHTLY}/occurrences")).await;
    let newest = &seen["occurrences"][0];
    assert_eq!((&newest["cause"], &newest["by"]), (&json!("run-now"), &json!("deploy@box")));
    assert_eq!((&newest["task"], &newest["state"]), (&other["id"], &json!("queued")));
    assert_eq!(newest.get("lateness_ms"), None, "nobody was late");
    assert_eq!(seen["occurrences"].as_array().unwrap().len(), 2, "{seen:#}");
    assert_eq!(world.ask(NIGHTLY).await["last"]["task"], other["id"]);
}

async fn a_range_is_backfilled_once_under_its_key(world: World) {
    let monthly =
        json!({ "name": "monthly", "when": "@monthly", "kind": "bill", "queue": "bills" });
    create(&world, &monthly).await;
    let path = "/v1/schedules/monthly/backfill";
    // Both ends count.
    let range = json!({ "from": "2024-01-01T00:00:00Z", "to": "2024-06-01T02:00:00+02:00" });
    let mut dry = range.clone();
    dry["dry_run"] = json!(true);
    let told = world.order(path, dry, 200).await;
    let extent = json!({ "count": 6, "complete": true, "first": "2024-01-01T00:00:00.000Z",
                         "last": "2024-06-01T00:00:00.000Z" });
    assert_eq!(told, extent);
    assert_eq!(world.depth("bills.normal").await, 0);
    let ask = || world.post_to(path).header("idempotency-key", "june").json(&range);
    let done = json(ask().send().await.unwrap(), 202).await;
    assert_eq!((&done["key"], &done["rest"]), (&json!("june"), &Value::Null));
    let tasks = done["tasks"].as_array().unwrap();
    assert_eq!(tasks.len(), 6, "{done:#}");
    assert_eq!(tasks[5]["due"], "2024-06-01T00:00:00.000Z");
    let again = json(ask().send().await.unwrap(), 202).await;
    let repeated = again["tasks"].as_array().unwrap();
    assert!(repeated.iter().all(|task| task["repeated"] == true), "{again:#}");
    assert_eq!(repeated[5]["id"], tasks[5]["id"]);
    world.rest_at("bills.normal", 6).await;
    for (wrong, field) in [
        (json!({}), "from"),
        (json!({ "from": "yesterday" }), "from"),
        (json!({ "from": "2024-06-01T00:00:00Z", "to": "2024-01-01T00:00:00Z" }), "to"),
        (json!({ "from": "2024-06-01T00:00:00Z", "to": "2124-01-01T00:00:00Z" }), "to"),
    ] {
        // What the dry run promises, the run does.
        for dry_run in [false, true] {
            let mut wrong = wrong.clone();
            wrong["dry_run"] = json!(dry_run);
            let refused = world.post_to(path).json(&wrong).send().await.unwrap();
            let told = problem(refused, 400, "invalid-request").await;
            assert_eq!(told["errors"][0]["field"], field, "{told}");
        }
    }
    let backwards = json!({ "from": "2024-06-01T00:00:00Z", "to": "2024-01-01T00:00:00Z" });
    let refused = world.post_to(path).json(&backwards).send().await.unwrap();
    let told = problem(refused, 400, "invalid-request").await;
    let why = "it lies before from (2024-06-01T00:00:00Z); nothing lies between";
    assert_eq!(told["errors"][0]["why"], why, "{told}");
    // One instant is a range.
    let one =
        json!({ "from": "2024-06-01T00:00:00Z", "to": "2024-06-01T00:00:00Z", "dry_run": true });
    assert_eq!(world.order(path, one, 200).await["count"], 1);
}

async fn occurrences_are_shown_with_their_tasks_and_their_lateness(world: World) {
    let entry = keep(&world, "of.file", of_file()).await;
    let task = world.accepted(json!({ "kind": "report.build" })).await;
    let due = Millis(1_704_074_400_000);
    let at = |after: u64| Millis(due.0 + after);
    let fired = Occurrence {
        due,
        cause: Cause::CatchUp,
        fate: Fate::Fired { task },
        at: at(1_250),
        planned: at(1_000),
        revision: 1,
        by: None,
    };
    let left_out = Occurrence {
        due: at(600_000),
        cause: Cause::Clock,
        fate: Fate::Skipped { why: Skip::Missed, count: 3 },
        at: at(700_000),
        planned: at(600_000),
        ..fired.clone()
    };
    let forgotten = Occurrence {
        due: at(900_000),
        cause: Cause::Clock,
        fate: Fate::Fired { task: TaskId::mint() },
        at: at(899_990),
        planned: at(900_000),
        ..fired.clone()
    };
    let to =
        Position { seq: 1, epoch: 7, through: forgotten.due, queued: None, previous: Some(task) };
    let occurrences = vec![fired, left_out, forgotten];
    let advance = Advance { name: entry.name, expected: Some(0), to, occurrences };
    let advanced = world.backend.schedules.advance(&[advance]).await.unwrap();
    assert_eq!(advanced, [Advanced::Moved]);
    let seen = world.ask("/v1/schedules/of.file/occurrences").await;
    assert_eq!(seen["name"], "of.file");
    let [newest, left_out, oldest] = seen["occurrences"].as_array().unwrap().as_slice() else {
        panic!("{seen:#}");
    };
    let expected = json!({
        "due": "2024-01-01T02:00:00.000Z", "planned": "2024-01-01T02:00:01.000Z",
        "cause": "catch-up", "fate": "fired", "task": task, "state": "queued",
        "at": "2024-01-01T02:00:01.250Z", "lateness_ms": 250, "revision": 1,
    });
    assert_eq!(*oldest, expected);
    assert_eq!((&left_out["fate"], &left_out["why"]), (&json!("skipped"), &json!("missed")));
    assert_eq!((&left_out["count"], left_out.get("task")), (&json!(3), None));
    // One that was sent a little early is not late, and nobody knows its task any more.
    assert_eq!((&newest["lateness_ms"], newest.get("state")), (&json!(0), None));
    let last = world.ask("/v1/schedules/of.file").await["last"].take();
    assert_eq!(last["due"], newest["due"]);
}

async fn schedules_are_listed_by_what_is_known_of_them_page_by_page(world: World) {
    assert_eq!(world.ask("/v1/schedules").await, json!({ "schedules": [], "next": null }));
    for name in ["a", "report", "report.daily", "report.weekly", "reports"] {
        let kind = if name == "reports" { "mail.send" } else { "report.build" };
        create(&world, &json!({ "name": name, "when": "@daily", "kind": kind })).await;
    }
    keep(&world, "b.of.file", of_file()).await;
    keep(&world, "c.of.code", of_code()).await;
    world.order("/v1/schedules/report.daily/pause", json!({}), 200).await;
    let listed = async |query: &str| {
        let told = world.ask(&format!("/v1/schedules?{query}")).await;
        let names = told["schedules"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|s| s["name"].as_str().unwrap().to_owned()).collect();
        (names.join(" "), told["next"].as_str().map(str::to_owned))
    };
    for (query, names) in [
        ("", "a b.of.file c.of.code report report.daily report.weekly reports"),
        ("source=file", "b.of.file"),
        ("source=code", "c.of.code"),
        ("source=api", "a report report.daily report.weekly reports"),
        ("paused=true", "report.daily"),
        ("paused=false&source=api", "a report report.weekly reports"),
        ("kind=mail.*", "reports"),
        ("kind=mail.send,report.build&source=api", "a report report.daily report.weekly reports"),
        ("name=report", "report report.daily report.weekly reports"),
        ("name=report.", "report.daily report.weekly"),
        ("name=report.daily", "report.daily"),
        ("name=z", ""),
    ] {
        assert_eq!(listed(query).await, (names.to_owned(), None), "{query}");
    }
    for (filter, expected) in [
        ("", "a b.of.file c.of.code report report.daily report.weekly reports"),
        ("&name=report", "report report.daily report.weekly reports"),
        ("&paused=false&source=api", "a report report.weekly reports"),
    ] {
        for limit in 1..=8 {
            let (mut all, mut cursor) = (Vec::new(), String::new());
            loop {
                let (names, next) = listed(&format!("limit={limit}{filter}{cursor}")).await;
                assert!(names.split(' ').count() <= limit, "{names}");
                all.push(names);
                let Some(next) = next else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(all.join(" ").trim_end(), expected, "{limit}{filter}");
        }
    }
    // A whole schedule, with what comes next.
    let one = world.ask("/v1/schedules?name=a&limit=1").await["schedules"][0].take();
    assert_eq!(one, world.ask("/v1/schedules/a").await);
}

async fn import(world: &World, query: &str, lines: &str) -> reqwest::Response {
    let request = world.post_to(&format!("/v1/schedules/import{query}"));
    let request = request.header("content-type", "application/x-ndjson");
    let request = request.header("leveret-by", "bob@box");
    request.body(lines.to_owned()).send().await.unwrap()
}

async fn an_export_is_imported_again(world: World) {
    create(&world, &nightly()).await;
    create(&world, &json!({ "name": "a", "when": "@daily", "kind": "a" })).await;
    keep(&world, "of.file", of_file()).await;
    world.order("/v1/schedules/a/pause", json!({}), 200).await;
    let response = world.get("/v1/schedules/export").send().await.unwrap();
    let exported = lines(response).await;
    let line = json!({ "name": "a", "source": { "from": "api", "by": "deploy@box" }, "paused": true,
                       "definition": { "when": "@daily", "kind": "a" } });
    assert_eq!(exported[0], line);
    assert_eq!(exported[3], json!({ "finished": true, "exported": 3 }));
    let text: String = exported.iter().map(|line| format!("{line}\n")).collect();
    // Everything is there already.
    let told = json(import(&world, "", &text).await, 200).await;
    assert_eq!(told, json!({ "created": [], "changed": [], "kept": 3, "left": [] }));
    let before = world.ask(NIGHTLY).await;
    for name in ["a", "report.nightly"] {
        let path = format!("/v1/schedules/{name}");
        json(world.delete_at(&path).send().await.unwrap(), 200).await;
    }
    let plan = json(import(&world, "?dry_run=true", &text).await, 200).await;
    assert_eq!((&plan["create"], &plan["left"]), (&json!(2), &json!(0)), "{plan:#}");
    problem(world.get(NIGHTLY).send().await.unwrap(), 404, "unknown-schedule").await;
    let told = json(import(&world, "", &text).await, 200).await;
    assert_eq!(told["created"], json!(["a", "report.nightly"]));
    let after = world.ask(NIGHTLY).await;
    assert_eq!(after["definition"], before["definition"]);
    assert_eq!(after["source"], json!({ "from": "api", "by": "bob@box" }));
    assert!(world.ask("/v1/schedules/a").await["paused"].is_object(), "it is paused as it was");
    // One that says something else is replaced only where that is asked for.
    let other = r#"{"name": "a", "when": "@hourly", "kind": "a"}"#;
    let told = json(import(&world, "", other).await, 200).await;
    assert_eq!(told["left"][0]["why"], "present", "{told}");
    let told = json(import(&world, "?replace=true", other).await, 200).await;
    assert_eq!(told["changed"], json!(["a"]));
    // One that is wrong stops all.
    let bad = format!(
        "{}\n\n{}\nno line",
        r#"{"name": "z", "when": "@daily", "kind": "z"}"#,
        r#"{"name": "y", "when": "61 * * * *", "kind": "y"}"#
    );
    let told = problem(import(&world, "", &bad).await, 400, "invalid-schedule").await;
    let places: Vec<_> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (&error["place"], &error["field"]))
        .collect();
    assert!(places.contains(&(&json!("line 4"), &json!("schedule"))), "{told:#}");
    assert!(places.contains(&(&json!("y"), &json!("when"))), "{told:#}");
    let columns = columns_of(&told["errors"], "y");
    assert_eq!(columns, [1], "{told:#}");
    problem(world.get("/v1/schedules/z").send().await.unwrap(), 404, "unknown-schedule").await;
}

/// Where the mistakes in what `place` says of when it is due stand.
fn columns_of(flaws: &Value, place: &str) -> Vec<u64> {
    let of_place = flaws.as_array().unwrap().iter().filter(|flaw| flaw["place"] == place);
    of_place.map(|flaw| flaw["column"].as_u64().expect("a column")).collect()
}

async fn a_plan_tells_what_a_file_would_change_and_changes_nothing(world: World) {
    create(&world, &json!({ "name": "of.api", "when": "@daily", "kind": "a" })).await;
    for name in ["changed", "gone", "kept"] {
        keep(&world, name, of_file()).await;
    }
    let written =
        |name: &str, when: &str| json!({ "name": name, "when": when, "kind": "report.build" });
    let wanted = [
        written("changed", "30 2 * * *"),
        written("kept", "0 2 * * *"),
        written("new", "@hourly"),
        written("of.api", "@hourly"),
    ];
    let path = "/v1/schedules/plan?path=schedules.toml";
    let plan = world.order(path, json!(wanted), 200).await;
    assert_eq!(plan["source"], json!({ "from": "file", "path": "schedules.toml" }));
    for (what, count) in [("create", 1), ("change", 1), ("delete", 1), ("keep", 1), ("left", 1)] {
        assert_eq!(plan[what], count, "{what}: {plan:#}");
    }
    let difference = json!({ "field": "when", "old": "0 2 * * *", "new": "30 2 * * *" });
    let steps = json!([
        { "name": "changed", "step": "change", "differences": [difference] },
        { "name": "gone", "step": "delete" },
        { "name": "new", "step": "create",
          "definition": { "when": "@hourly", "kind": "report.build" } },
        { "name": "of.api", "step": "held", "source": { "from": "api", "by": "deploy@box" } },
    ]);
    assert_eq!((&plan["steps"], &plan["flaws"]), (&steps, &json!([])));
    // The same as lines.
    let text: String = wanted.iter().map(|line| format!("{line}\n")).collect();
    let request = world.post_to(path).header("content-type", "application/x-ndjson").body(text);
    assert_eq!(json(request.send().await.unwrap(), 200).await, plan);
    let names = world.ask("/v1/schedules").await["schedules"].as_array().unwrap().len();
    assert_eq!(names, 4);
    let odd = written("odd", "61 24 * * *");
    let flawed = json!([written("new", "@daily"), { "name": "new" }, odd]);
    let plan = world.order(path, flawed, 200).await;
    let flaws: Vec<_> =
        plan["flaws"].as_array().unwrap().iter().map(|flaw| &flaw["place"]).collect();
    assert!(flaws.contains(&&json!("[1]")) && flaws.contains(&&json!("odd")), "{plan:#}");
    assert_eq!(columns_of(&plan["flaws"], "odd"), [1, 4], "{plan:#}");
    // An import is held against the same, and says so before it is asked for.
    let plan = json(import(&world, "?dry_run=true", &odd.to_string()).await, 200).await;
    assert_eq!(columns_of(&plan["flaws"], "odd"), [1, 4], "{plan:#}");
}

fn beat(world: &World, pid: u32, leads: Option<u64>, print: u128) -> BeatInfo {
    let now = world.backend.clock.now();
    let fingerprint = uuid(print);
    BeatInfo {
        owner: Owner::mint(),
        host: "box".to_owned(),
        pid,
        version: "0.1.0".to_owned(),
        started_at: now,
        at: now,
        leads,
        schedules: 1,
        file: Some(TimetableFile { path: "schedules.toml".to_owned(), fingerprint }),
    }
}

fn uuid(number: u128) -> uuid::Uuid {
    uuid::Uuid::from_u128(number)
}

async fn beats_are_listed_and_the_doctor_judges_them(world: World) {
    assert_eq!(world.ask("/v1/beats").await, json!({ "beats": [] }));
    let finding = async |part: &str, check: &str| {
        let told = world.ask("/v1/doctor").await;
        let mut findings = told["findings"].as_array().unwrap().iter();
        findings.find(|found| found["part"] == part && found["check"] == check).cloned()
    };
    assert_eq!(finding("beats", "leading").await, None, "nobody misses a beat");
    create(&world, &nightly()).await;
    let found = finding("beats", "leading").await.unwrap();
    assert_eq!(found["health"], "bad", "{found}");
    assert!(found["found"].as_str().unwrap().starts_with("no beat lives"), "{found}");
    let ttl = Duration::from_secs(60);
    let (standing_by, leading) = (beat(&world, 7, None, 1), beat(&world, 8, Some(3), 2));
    for beat in [&standing_by, &leading] {
        world.backend.schedules.announce(beat, ttl).await.unwrap();
    }
    let told = world.ask("/v1/beats").await;
    let [first, second] = told["beats"].as_array().unwrap().as_slice() else { panic!("{told:#}") };
    assert_eq!(
        (&first["pid"], &first["leads"], &first["epoch"]),
        (&json!(8), &json!(true), &json!(3))
    );
    assert_eq!((&second["owner"], &second["leads"]), (&json!(standing_by.owner), &json!(false)));
    assert_eq!(first["file"]["path"], "schedules.toml");
    let found = finding("beats", "leading").await.unwrap();
    assert_eq!(found["found"], "2 beats live, and box:8 leads");
    let found = finding("beats", "files").await.unwrap();
    assert!(found["found"].as_str().unwrap().contains("box:7 has schedules.toml"), "{found}");
    // Whoever serves the lane has to know the kind.
    assert_eq!(finding("schedules", "served").await, None, "that nobody lives is said elsewhere");
    for (kinds, is_served) in [(["other"], false), (["report.build"], true)] {
        let worker = heartbeat(&world, "reports.normal", &kinds);
        world.backend.fleet.beat(&worker, ttl).await.unwrap();
        assert_eq!(finding("schedules", "served").await.is_none(), is_served, "{kinds:?}");
    }
    create(&world, &json!({ "name": "late", "when": "at 2024-01-01T00:00", "kind": "a" })).await;
    let found = finding("schedules", "due").await.unwrap();
    assert!(found["found"].as_str().unwrap().ends_with(": late"), "{found}");
}

#[tokio::test]
async fn what_comes_next_is_told_in_the_zone_of_the_schedule_with_changes_of_its_clocks() {
    let world = World::new().await;
    let mut schedule = nightly();
    schedule["jitter"] = Value::Null;
    create(&world, &schedule).await;
    let path = format!("{NIGHTLY}/next");
    let told = world.ask(&format!("{path}?n=2&from=2027-03-27T01:30:00Z")).await;
    let next = json!([
        { "due": "2027-03-27T01:30:00.000Z", "local": "2027-03-27T02:30:00.000+01:00",
          "planned": "2027-03-27T01:30:00.000Z" },
        { "due": "2027-03-28T01:00:00.000Z", "local": "2027-03-28T03:00:00.000+02:00",
          "planned": "2027-03-28T01:00:00.000Z",
          "clock_change": { "at": "2027-03-28T01:00:00.000Z", "by": "1h" } },
    ]);
    assert_eq!(told, json!({ "name": "report.nightly", "zone": "Europe/Berlin", "next": next }));
    // A pause does not hide it.
    world.order(&format!("{NIGHTLY}/pause"), json!({}), 200).await;
    assert_eq!(world.ask(&path).await["next"].as_array().unwrap().len(), 5);
    for wrong in ["n=0", "n=1001", "n=x", "from=tomorrow", "form=x"] {
        let refused = world.get(&format!("{path}?{wrong}")).send().await.unwrap();
        problem(refused, 400, "invalid-request").await;
    }
}

#[tokio::test]
async fn everything_that_is_wrong_with_a_schedule_is_told_at_once() {
    let world = World::new().await;
    let wrong = json!({ "name": "A b", "when": "61 * 32 * *", "kidn": "a", "timeout": 30 });
    let refused = world.post_to("/v1/schedules").json(&wrong).send().await.unwrap();
    let told = problem(refused, 400, "invalid-schedule").await;
    let fields: Vec<_> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    for field in ["name", "kidn", "kind", "timeout"] {
        assert!(fields.contains(&field), "{field}: {told:#}");
    }
    // What can be read is held against the rules, each mistake in its place.
    let wrong = json!({ "name": "a", "when": "61 * 32 * *", "zone": "Europe/Berln", "kind": "a" });
    let refused = world.post_to("/v1/schedules").json(&wrong).send().await.unwrap();
    let told = problem(refused, 400, "invalid-schedule").await;
    let columns: Vec<_> = told["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["field"].as_str().unwrap(), error["column"].as_u64()))
        .collect();
    assert_eq!(columns, [("when", Some(1)), ("when", Some(6)), ("zone", None)], "{told:#}");
    // A change is held against the same.
    create(&world, &nightly()).await;
    let refused = world.put_to(NIGHTLY).json(&json!({ "when": "x", "kind": "a" })).send().await;
    problem(refused.unwrap(), 400, "invalid-schedule").await;
    let refused = world.post_to("/v1/schedules").body("when: x").send().await.unwrap();
    problem(refused, 415, "unsupported-media-type").await;
}

#[tokio::test]
async fn a_schedule_that_has_nothing_due_any_more_says_so() {
    let world = World::new().await;
    let once = json!({ "name": "once", "when": "at 2024-01-01T09:00", "kind": "a" });
    let made = create(&world, &once).await;
    let warning = "Nothing is due any more: the last instant that it names was \
                   2024-01-01T09:00:00.000Z.";
    assert_eq!((&made["next"], &made["warnings"]), (&Value::Null, &json!([warning])));
    let path = "/v1/schedules/once";
    // A pause is another reason to have nothing next.
    world.order(&format!("{path}/pause"), json!({}), 200).await;
    assert_eq!(world.ask(path).await["warnings"], json!([warning]));
    let put =
        async |says: Value| json(world.put_to(path).json(&says).send().await.unwrap(), 200).await;
    let changed = put(json!({ "when": "@daily", "kind": "a" })).await;
    assert_eq!((&changed["next"], changed.get("warnings")), (&Value::Null, None));
    let over = put(json!({ "when": "@daily", "kind": "a", "end": "2024-02-01T00:00:00Z" })).await;
    assert!(
        over["warnings"][0].as_str().unwrap().contains("was 2024-02-01T00:00:00.000Z"),
        "{over}"
    );
}

#[tokio::test]
async fn a_plan_is_made_for_the_leading_beats_file() {
    let world = World::new().await;
    let planned = async || world.order("/v1/schedules/plan", json!([]), 200).await["source"].take();
    let of = |path: &str| json!({ "from": "file", "path": path });
    let named = |pid: u32, leads: Option<u64>, path: &str| {
        let mut beat = beat(&world, pid, leads, 1);
        beat.file.as_mut().unwrap().path = path.to_owned();
        beat
    };
    let ttl = Duration::from_secs(60);
    world.backend.schedules.announce(&named(7, None, "standing-by.toml"), ttl).await.unwrap();
    assert_eq!(planned().await, of("schedules.toml"), "one that stands by decides nothing");
    world.backend.schedules.announce(&named(8, Some(3), "leading.toml"), ttl).await.unwrap();
    assert_eq!(planned().await, of("leading.toml"));
}

#[tokio::test]
async fn a_schedule_that_is_not_there_is_answered_with_the_nearest() {
    let world = World::new().await;
    create(&world, &nightly()).await;
    let path = "/v1/schedules/report.nigthly";
    let plain = ["", "/next", "/occurrences"].map(|part| world.get(&format!("{path}{part}")));
    let verbs = ["pause", "resume", "run"].map(|verb| world.post_to(&format!("{path}/{verb}")));
    let range = json!({ "from": "2024-01-01T00:00:00Z" });
    let backfill = world.post_to(&format!("{path}/backfill")).json(&range);
    for request in plain.into_iter().chain(verbs).chain([backfill]) {
        let told = problem(request.send().await.unwrap(), 404, "unknown-schedule").await;
        assert!(told["detail"].as_str().unwrap().contains("report.nightly"), "{told}");
    }
    let refused = world.get("/v1/schedules/No!").send().await.unwrap();
    problem(refused, 400, "invalid-request").await;
}

#[tokio::test]
async fn no_schedule_is_called_as_the_words_of_the_paths() {
    let world = World::new().await;
    for name in ["plan", "import", "export"] {
        let says = json!({ "name": name, "when": "@daily", "kind": "a" });
        let refused = world.post_to("/v1/schedules").json(&says).send().await.unwrap();
        let told = problem(refused, 400, "invalid-schedule").await;
        assert_eq!(told["errors"][0]["field"], "name", "{told}");
    }
    let refused = world.post_to("/v1/schedules/other").send().await.unwrap();
    problem(refused, 405, "wrong-method").await;
}

#[tokio::test]
async fn a_backfill_of_many_goes_on_where_it_ended() {
    let world = World::new().await;
    create(&world, &json!({ "name": "often", "when": "every 1s", "kind": "a" })).await;
    let path = "/v1/schedules/often/backfill";
    let to = "2024-01-01T00:20:00Z";
    let first = world.order(path, json!({ "from": "2024-01-01T00:00:00Z", "to": to }), 202).await;
    assert_eq!(first["tasks"].as_array().unwrap().len(), 1_000);
    assert_eq!(first["tasks"][999]["due"], "2024-01-01T00:16:39.000Z");
    let key = first["key"].as_str().unwrap();
    let rest = json!({ "from": first["rest"], "to": to });
    let request = world.post_to(path).header("idempotency-key", key).json(&rest);
    let second = json(request.send().await.unwrap(), 202).await;
    assert_eq!(second["tasks"].as_array().unwrap().len(), 201, "both ends count");
    assert_eq!(second["tasks"][0]["due"], "2024-01-01T00:16:40.000Z");
    assert_eq!(second["rest"], Value::Null);
    world.rest_at("default.normal", 1_201).await;
}
