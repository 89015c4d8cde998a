//! Dead letters, from the first look to the last: list, group, show, replay, edit, discard, export
//! and import.

use serde_json::json;

use crate::ground::Ground;
use crate::home::Home;
use crate::letters::{broken, ended, enqueue, insist, listed, mend};
use crate::role::Role;

/// Three letters of `mail.send`, called m-1 to m-3, and two of `file.scan`, called f-1 and f-2.
fn five_letters(home: &Home) -> Role<'_> {
    let dev = Role::dev(home);
    for id in ["m-1", "m-2", "m-3"] {
        enqueue(&dev, "mail.send", id);
    }
    for id in ["f-1", "f-2"] {
        enqueue(&dev, "file.scan", id);
    }
    listed(&dev, "", 5);
    dev
}

#[test]
fn dead_letters_are_listed_grouped_and_shown_with_why() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);

    let mail = listed(&dev, "kind:mail.*", 3);
    assert!(mail.iter().all(|letter| letter["queue"] == "mail"), "{mail:?}");
    assert!(mail[0]["error"].as_str().unwrap().contains("the template is missing"), "{mail:?}");
    let first = dev.ask(&["dead", "list", "--limit", "2"]);
    let table = &first.succeeds().stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("ID ") && table.contains("no such disk"), "{table}");
    assert!(first.stderr.contains("there are more"), "{}", first.stderr);
    assert!(
        dev.ask(&["dead", "list", "--filter", "age>1h"]).succeeds().stdout.lines().count() == 1
    );

    let groups = dev.ask(&["dead", "list", "--group", "kind", "-o", "json"]).succeeds().json();
    assert_eq!(groups["total"], 5);
    let counts: Vec<_> = groups["groups"].as_array().unwrap().iter().collect();
    assert_eq!((&counts[0]["value"], &counts[0]["count"]), (&json!("mail.send"), &json!(3)));
    assert_eq!((&counts[1]["value"], &counts[1]["count"]), (&json!("file.scan"), &json!(2)));
    let table = dev.ask(&["dead", "list", "--group", "queue", "--filter", "queue:files"]);
    assert!(table.succeeds().stdout.starts_with("QUEUE"), "{}", table.stdout);
    assert!(table.stdout.contains("files") && !table.stdout.contains("mail"), "{}", table.stdout);

    let shown = dev.ask(&["dead", "show", "m-1", "-o", "json"]).succeeds().json();
    assert_eq!((&shown["kind"], &shown["origin_id"]), (&json!("mail.send"), &json!("m-1")));
    assert!(shown["args"].to_string().contains("m-1@example.com"), "{shown}");
    let table = dev.ask(&["dead", "show", "m-1", "--full"]);
    assert!(table.succeeds().stdout.contains("the template is missing"), "{}", table.stdout);
    assert!(table.stdout.contains("m-1@example.com"), "{}", table.stdout);
    listed(&dev, "", 5);
}

#[test]
fn what_is_asked_wrongly_of_dead_letters_is_told_and_changes_nothing() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    dev.ask(&["dead", "show", "nope"]).fails(5, &["task nope", "no dead letter"]);
    dev.ask(&["dead", "list", "--filter", "colour:red"])
        .fails(2, &["column 1", "there is no field `colour`"]);
    for verb in ["replay", "discard"] {
        let bulk = dev.ask(&["dead", verb, "--filter", "kind:mail.*"]);
        bulk.fails(2, &[verb, "kind:mail.*", "--yes", "--dry-run"]);
        dev.ask(&["dead", verb, "--all"]).fails(2, &["all dead letters of all queues", "--yes"]);
        let named = dev.ask(&["dead", verb, "nope"]);
        named.fails(5, &["nope", "no dead letter"]);
        let dry = dev.ask(&["dead", verb, "--filter", "kind:mail.*", "--dry-run", "-o", "json"]);
        assert_eq!(dry.succeeds().json()["matching"], 3);
    }
    dev.ask(&["dead", "replay", "m-1", "--args", "{x"]).fails(2, &["--args", "not one JSON"]);
    listed(&dev, "", 5);
}

#[test]
fn named_letters_are_replayed_and_the_others_are_told_apart() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    mend(&home);
    let left = dev.ask(&["dead", "replay", "m-1", "nope", "m-2", "-o", "json"]);
    left.fails(5, &["replay task nope", "no dead letter", "failed for 1 of 3"]);
    let replays: Vec<_> =
        left.json().as_array().unwrap().iter().map(|answer| answer["replay"].clone()).collect();
    assert_eq!(replays, [1, 1]);
    assert_eq!((ended(&dev, "m-1"), ended(&dev, "m-2")), ("done".into(), "done".into()));
    assert_eq!(ended(&dev, "m-3"), "dead");
    let task = dev.ask(&["task", "show", "m-1", "-o", "json"]).json();
    let act = &task["acts"][0];
    assert_eq!((&act["action"], &act["replay"]), (&json!("replayed"), &json!(1)), "{task}");
    assert!(act["by"].as_str().unwrap().contains('@'), "{act}");
    let table = dev.ask(&["task", "show", "m-1"]);
    assert!(table.succeeds().stdout.contains("ACTION"), "{}", table.stdout);
    listed(&dev, "", 3);
}

#[test]
fn edited_args_are_a_new_task_that_names_the_dead_one() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    mend(&home);
    let args = r#"{"to":"right@example.com"}"#;
    let left = dev.ask(&["dead", "replay", "m-1", "--args", args, "-o", "json"]);
    let answer = left.succeeds().json();
    let new = answer["id"].as_str().unwrap();
    let old = dev.ask(&["task", "show", "m-1", "-o", "json"]).json();
    assert_eq!((&answer["replaces"], &old["state"]), (&old["id"], &json!("replaced")), "{old}");
    assert_ne!(answer["id"], old["id"]);
    assert_eq!(ended(&dev, new), "done");
    let task = dev.ask(&["task", "show", new, "-o", "json"]).json();
    assert_eq!(task["result"], json!({"to": "right@example.com"}));
    dev.ask(&["dead", "replay", "m-2", "m-3", "--args", args]).fails(2, &["one task"]);
    listed(&dev, "", 4);
}

#[test]
fn discarded_letters_are_gone_with_a_record_of_who() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    dev.ask(&["dead", "discard", "f-1"]).succeeds();
    let task = dev.ask(&["task", "show", "f-1", "-o", "json"]).json();
    assert_eq!(
        (&task["state"], &task["acts"][0]["action"]),
        (&json!("discarded"), &json!("discarded"))
    );
    let left = dev.ask(&[
        "dead",
        "discard",
        "--filter",
        "queue:mail",
        "--limit",
        "2",
        "--yes",
        "-o",
        "json",
    ]);
    assert_eq!(left.succeeds().json()["discarded"], 2);
    listed(&dev, "queue:mail", 1);
    let left = dev.ask(&["dead", "discard", "--all", "--yes"]);
    assert!(left.succeeds().stdout.contains("discarded"), "{}", left.stdout);
    listed(&dev, "", 0);
    let explained = dev.ask(&["task", "explain", "m-1"]);
    assert!(explained.succeeds().stdout.contains("discarded"), "{}", explained.stdout);
}

#[test]
fn a_replay_may_go_to_another_queue() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    mend(&home);
    let left = dev.ask(&[
        "dead",
        "replay",
        "--filter",
        "kind:mail.send",
        "--queue",
        "files",
        "--class",
        "low",
        "--yes",
        "-o",
        "jsonl",
    ]);
    let last = left.succeeds().lines().pop().unwrap();
    assert_eq!((&last["finished"], &last["totals"]["replayed"]), (&json!(true), &json!(3)));
    assert_eq!(ended(&dev, "m-1"), "done");
    let task = dev.ask(&["task", "show", "m-1", "-o", "json"]).json();
    let worker_lane = task["history"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(worker_lane["replay"], 1, "{task}");
    listed(&dev, "", 2);
}

#[test]
fn a_reindex_writes_the_list_anew_and_keeps_every_letter() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    let left = insist(&dev, &["dead", "reindex", "-o", "json"]);
    let totals = left.json();
    assert_eq!((&totals["taken"], &totals["kept"]), (&json!(5), &json!(5)), "{totals}");
    let left = insist(&dev, &["dead", "reindex", "--queue", "files", "-o", "json"]);
    assert_eq!(left.json()["taken"], 2);
    listed(&dev, "", 5);
}

/// Export, discard, import, mend, replay: nothing is lost on the way, and nothing runs twice.
async fn letters_survive_export_discard_import_and_replay(ground: Ground) {
    let home = broken(&ground);
    let dev = five_letters(&home);
    let file = ["--file", "letters.ndjson"];
    let export =
        [&["dead", "export", "--filter", "kind:mail.send", "-o", "json"][..], &file].concat();
    assert_eq!(insist(&dev, &export).json()["exported"], 3);
    dev.ask(&export).fails(2, &["letters.ndjson is there already"]);
    let text = std::fs::read_to_string(home.path().join("letters.ndjson")).unwrap();
    assert_eq!(text.lines().count(), 4, "{text}");
    assert!(!home.has("letters.ndjson.partial"));
    listed(&dev, "", 5);

    insist(&dev, &["dead", "discard", "--filter", "kind:mail.send", "--yes"]);
    listed(&dev, "", 2);
    let import = [&["dead", "import", "-o", "json"][..], &file].concat();
    let left = dev.ask(&import);
    assert_eq!(left.succeeds().json(), json!({ "accepted": 3, "repeated": 0, "refused": 0 }));
    assert!(!left.stderr.contains("missing"), "{}", left.stderr);
    listed(&dev, "kind:mail.send", 3);

    mend(&home);
    let left =
        insist(&dev, &["dead", "replay", "--filter", "kind:mail.send", "--yes", "-o", "json"]);
    assert_eq!(left.json()["replayed"], 3);
    for id in ["m-1", "m-2", "m-3"] {
        assert_eq!(ended(&dev, id), "done");
    }
    let sent = std::fs::read_to_string(home.path().join("sent")).unwrap();
    assert_eq!(sent.lines().count(), 3, "{sent}");
    listed(&dev, "", 2);

    let cut: String = text.lines().take(2).map(|line| format!("{line}\n")).collect();
    let left = dev.feed(&(cut + "{\"queue\":\"mail\"}\n"), &["dead", "import"]);
    left.fails(7, &["line 3: ", "wire", "missing", "1 of 3 dead letters were not accepted"]);
}

on_every_ground!(letters_survive_export_discard_import_and_replay);

#[test]
fn an_export_to_a_pipe_is_the_letters_and_nothing_else() {
    let home = broken(&Ground::Embedded);
    let dev = five_letters(&home);
    let left = insist(&dev, &["dead", "export"]);
    let lines = left.lines();
    assert_eq!(lines.len(), 6);
    assert!(lines[..5].iter().all(|line| line["wire"]["type"].is_string()), "{lines:?}");
    assert_eq!(lines[5]["exported"], 5);
}
