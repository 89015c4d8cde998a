//! Schedules from a file and by command, on every backend: `dev` alone, or a beat beside gateway and
//! worker.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{Stage, done, fires, home, names, newest, show};
use crate::ground::Ground;
use crate::role::eventually;

const FILE: &str = "[schedules.\"tick.fast\"]\nwhen = \"every 1s\"\nkind = \"note.take\"\nargs = { n = 1 }\n\
     [schedules.\"report.nightly\"]\nwhen = \"30 2 * * *\"\nzone = \"Europe/Berlin\"\n\
     kind = \"note.take\"\nargs = 7\n";

async fn a_file_fires_and_a_hangup_changes_it(ground: Ground) {
    let home = home(&ground, FILE);
    let mut stage = Stage::set(&home, &ground);
    let started = &stage.keeper().started;
    assert_eq!(
        (&started["timetable"], &started["schedules"]),
        (&json!("schedules.toml"), &json!(2))
    );
    stage.keeper().says("+ tick.fast");
    fires(&stage.door, "tick.fast", "", 2);
    let task = done(&stage.door, "tick.fast")[0]["task"].as_str().unwrap().to_owned();
    let task = stage.door.ask(&["task", "show", &task, "-o", "json"]).succeeds().json();
    assert_eq!(task["result"], json!({ "n": 1 }), "{task}");
    let table = stage.door.ask(&["schedule", "list"]).succeeds().stdout.clone();
    assert!(table.starts_with("SCHEDULE") && table.contains("at 02:30 each day"), "{table}");
    let shown = stage.door.ask(&["schedule", "show", "tick.fast"]).succeeds().stdout.clone();
    assert!(shown.contains("file schedules.toml") && shown.contains("Last occurrences"), "{shown}");

    // What people type is refused: the file says what its schedules say.
    let update = ["schedule", "update", "tick.fast", "--when", "@daily"];
    stage
        .door
        .ask(&update)
        .fails(7, &["change schedule tick.fast", "schedules.toml", "edit the file"]);

    let changed = FILE.replace("every 1s", "every 2s").replace("report.nightly", "report.weekly");
    home.write("schedules.toml", &changed);
    let plan = stage.door.ask(&["schedule", "plan", "schedules.toml"]);
    assert!(plan.succeeds().stdout.contains("every 1s becomes every 2s"), "{}", plan.stdout);
    stage.keeper().send(Signal::SIGHUP);
    for line in ["~ tick.fast", "- report.nightly", "+ report.weekly"] {
        stage.keeper().says(line);
    }
    eventually(super::DEADLINE, || names(&stage.door) == ["report.weekly", "tick.fast"]);
    assert_eq!(show(&stage.door, "tick.fast")["definition"]["when"], "every 2s");
    let at = newest(&stage.door, "tick.fast");
    fires(&stage.door, "tick.fast", &at, 1);

    // A file that is wrong changes nothing, and everything goes on.
    home.write("schedules.toml", &changed.replace("30 2", "30 25"));
    stage.keeper().send(Signal::SIGHUP);
    stage.keeper().says("0-23");
    stage.keeper().says("the timetable stays as it is");
    assert_eq!(names(&stage.door), ["report.weekly", "tick.fast"]);
    let at = newest(&stage.door, "tick.fast");
    fires(&stage.door, "tick.fast", &at, 1);
}

async fn a_schedule_is_made_changed_paused_asked_for_and_deleted_by_command(ground: Ground) {
    let home = home(&ground, "");
    let stage = Stage::set(&home, &ground);
    let ask = |words: &[&str]| stage.door.ask(&[&["schedule"], words, &["-o", "json"]].concat());

    let create = [
        "create",
        "report.hourly",
        "--when",
        "0 * * * *",
        "--zone",
        "Europe/Berlin",
        "--kind",
        "note.take",
        "--args",
        "{\"n\": 1}",
        "--tag",
        "tenant=42",
        "--misfire",
        "all",
        "--misfire-max",
        "7",
        "--exclude",
        "2027-12-24..2027-12-31,12-25",
    ];
    assert_eq!(ask(&create).succeeds().json()["revision"], 1);
    assert_eq!(ask(&create).succeeds().json()["repeated"], true);
    let other = ["create", "report.hourly", "--when", "@daily", "--kind", "note.take"];
    ask(&other).fails(7, &["create schedule report.hourly", "there is one already"]);
    let over = ["create", "over", "--when", "at 2017-01-01T09:00", "--kind", "note.take"];
    let told = ask(&over).succeeds().stderr.contains("warning: Nothing is due any more");
    assert!(told, "a schedule that is over was made without a word");
    ask(&["delete", "over"]).succeeds();
    let wrong = ["create", "wrong", "--when", "0 24 * * *", "--kind", "No Kind"];
    ask(&wrong).fails(7, &["when:", "hour", "0-23", "kind:"]);

    let changed = ask(&["update", "report.hourly", "--when", "every 1h", "--clear", "exclude"]);
    let changed = changed.succeeds().json();
    let said = &changed["definition"];
    assert_eq!((&changed["revision"], &said["when"]), (&json!(2), &json!("every 1h")));
    assert_eq!((&said["exclude"], &said["tags"]), (&Value::Null, &json!({ "tenant": "42" })));
    assert_eq!(said["misfire"]["max"], 7, "{said}");
    ask(&["update", "report.hourly", "--clear", "zon"]).fails(2, &["did you mean \"zone\"?"]);
    ask(&["update", "report.hourly"]).fails(2, &["nothing"]);

    let next = ask(&["next", "report.hourly", "--from", "2027-03-28", "-n", "2"]).succeeds().json();
    assert_eq!(next["next"][0]["due"], "2027-03-27T23:00:00.000Z", "{next}");

    let paused = ask(&["pause", "report.hourly", "--why", "holidays"]).succeeds().json();
    assert_eq!((&paused["paused"]["why"], &paused["next"]), (&json!("holidays"), &Value::Null));
    let listed = stage.door.ask(&["schedule", "list", "--paused"]);
    assert!(listed.succeeds().stdout.contains("holidays"), "{}", listed.stdout);
    // A schedule that nobody knows does not stop the others.
    let both = ask(&["resume", "report.hurly", "report.hourly"]);
    both.fails(5, &["did you mean \"report.hourly\"?", "1 of 2"]);
    assert_eq!(show(&stage.door, "report.hourly")["paused"], Value::Null);

    let run = ask(&["run", "report.hourly", "--key", "once"]).succeeds().json();
    let again = ask(&["run", "report.hourly", "--key", "once"]).succeeds().json();
    assert_eq!((&run["id"], &again["repeated"]), (&again["id"], &json!(true)), "{again}");
    let id = run["id"].as_str().unwrap();
    let task = stage.door.ask(&["task", "wait", id, "--timeout", "60s", "-o", "json"]);
    assert_eq!(task.succeeds().json()["result"], json!({ "n": 1 }));

    let range = [
        "backfill",
        "report.hourly",
        "--from",
        "2026-01-01T00:00:00Z",
        "--to",
        "2026-01-02T01:00:00+01:00",
    ];
    let foreseen = ask(&[&range[..], &["--dry-run"]].concat()).succeeds().json();
    assert_eq!(
        (&foreseen["count"], &foreseen["first"]),
        (&json!(25), &json!("2026-01-01T00:00:00.000Z"))
    );
    ask(&range).fails(2, &["put in 25 tasks of schedule report.hourly", "--yes"]);
    let keyed = [&range[..], &["--yes", "--key", "again"]].concat();
    assert_eq!(ask(&keyed).succeeds().json()["tasks"], 25);
    assert_eq!(ask(&keyed).succeeds().json()["repeated"], 25);
    eventually(super::DEADLINE, || {
        let shown = show(&stage.door, "report.hourly");
        let occurrences = shown["occurrences"].as_array().unwrap();
        let is_done = |one: &Value| one["cause"] == "backfill" && one["state"] == "done";
        occurrences.iter().any(is_done) && occurrences.iter().any(|one| one["cause"] == "run-now")
    });

    assert_eq!(ask(&["delete", "report.hourly"]).succeeds().json()["deleted"], true);
    ask(&["show", "report.hourly"]).fails(5, &["there is no schedule report.hourly"]);
    assert!(names(&stage.door).is_empty());
}

async fn schedules_survive_export_delete_and_import(ground: Ground) {
    let home = home(&ground, "");
    let stage = Stage::set(&home, &ground);
    let ask = |words: &[&str]| stage.door.ask(&[&["schedule"], words, &["-o", "json"]].concat());
    home.write(
        "one.json",
        "{\"when\": \"@daily\", \"kind\": \"note.take\", \"args\": {\"n\": 1.500}}",
    );
    home.write("two.toml", "when = \"every 90s\"\nkind = \"note.take\"\n[tags]\nby = \"hand\"\n");
    ask(&["create", "one", "--file", "one.json"]).succeeds();
    ask(&["create", "two", "--file", "two.toml"]).succeeds();
    ask(&["pause", "two"]).succeeds();
    assert_eq!(ask(&["export", "--file", "all.ndjson"]).succeeds().json()["exported"], 2);
    let exported = std::fs::read_to_string(home.path().join("all.ndjson")).unwrap();
    assert!(exported.contains("{\"n\":1.500}"), "{exported}");
    ask(&["export", "--file", "all.ndjson"]).fails(2, &["is there already"]);

    // What is there and says the same is kept.
    let import = ["import", "--file", "all.ndjson"];
    assert_eq!(ask(&import).succeeds().json()["kept"], 2);
    ask(&["delete", "one", "two"]).succeeds();
    let planned = ask(&[&import[..], &["--dry-run"]].concat()).succeeds().json();
    assert_eq!((&planned["create"], names(&stage.door).len()), (&json!(2), 0));
    assert_eq!(ask(&import).succeeds().json()["created"], json!(["one", "two"]));
    assert!(show(&stage.door, "two")["paused"].is_object());
    let again = stage.door.ask(&["schedule", "export"]).succeeds().stdout.clone();
    assert_eq!(again, exported);

    // What says something else is left, unless it may be replaced.
    let other = exported.replace("@daily", "@weekly");
    home.write("other.ndjson", &other);
    let import = ["import", "--file", "other.ndjson"];
    stage
        .door
        .ask(&["schedule", "import", "--file", "other.ndjson"])
        .fails(7, &["one is left as it is", "--replace"]);
    ask(&[&import[..], &["--replace"]].concat()).succeeds();
    assert_eq!(show(&stage.door, "one")["definition"]["when"], "@weekly");
    home.write("other.ndjson", &other.replace("@weekly", "@wekly").replace("90s", "90"));
    ask(&import).fails(7, &["2 problems", "one: when", "two: when"]);
}

on_every_ground!(
    a_file_fires_and_a_hangup_changes_it,
    a_schedule_is_made_changed_paused_asked_for_and_deleted_by_command,
    schedules_survive_export_delete_and_import,
);
