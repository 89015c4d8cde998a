//! What requests may hold: the document says the same as those who read them.

use std::collections::BTreeSet;

use leveret_beat::definition;
use leveret_common::duration;
use leveret_common::id::TaskId;
use leveret_common::name::{KindName, Lane, Namespace, QueueName, ScheduleName};
use leveret_producer::Submission;
use serde_json::{Value, json};

use super::contract::{DOCUMENT, check};

fn members(name: &str) -> BTreeSet<&'static str> {
    let properties = &DOCUMENT["components"]["schemas"][name]["properties"];
    properties.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn tasks_and_schedules_have_the_members_that_are_read() {
    assert_eq!(members("NewTask"), Submission::FIELDS.into());
    assert_eq!(members("ScheduleDefinition"), definition::FIELDS.into());
    let named = definition::FIELDS.into_iter().chain(["name"]);
    assert_eq!(members("NewSchedule"), named.collect());
}

#[test]
fn the_rule_of_a_text_is_that_of_its_reader() {
    let long = |n: usize| "a".repeat(n);
    let texts = [
        "",
        "a",
        "A",
        "mail",
        "mail.high",
        "mail.urgent",
        "a.b",
        ".a",
        "a.",
        "a..b",
        "-a",
        "a-b_c",
        "_a",
        "ä",
        "a b",
        "a\n",
        "7",
        "report.nightly",
        "\u{7f}",
        "\u{85}",
        "30s",
        "1h30m",
        "30",
        "s",
        "30m1h",
        "1s1s",
        "5ms",
        "1m5ms",
        "-1s",
        "1.5s",
        "0s",
        "1d2h3m4s5ms6us7ns",
        "1ms1s",
    ];
    let lengths = [63, 64, 128, 129].map(long);
    for text in texts.into_iter().chain(lengths.iter().map(String::as_str)) {
        let is = |name: &str| check(&format!("#/components/schemas/{name}"), &json!(text)).is_ok();
        let lane = text.contains('.') && text.parse::<Lane>().is_ok();
        let sender = TaskId::foreign(&Namespace::default(), text).is_ok();
        let judged = [
            ("QueueName", text.parse::<QueueName>().is_ok()),
            ("Kind", text.parse::<KindName>().is_ok()),
            ("ScheduleName", text.parse::<ScheduleName>().is_ok()),
            ("Lane", lane),
            ("SendersId", sender),
            ("Key", sender),
            ("Duration", duration::parse(text).is_ok()),
        ];
        for (name, is_right) in judged {
            assert_eq!(is(name), is_right, "{name}: {text:?}");
        }
    }
}

#[test]
fn what_is_no_task_is_none_in_the_document_either() {
    let is = |task: Value| check("#/components/schemas/NewTask", &task).is_ok();
    assert!(is(json!({ "kind": "a" })));
    assert!(is(json!({ "kind": "a", "args": [1], "queue": null, "tags": { "tenant": "42" } })));
    for wrong in [
        json!([]),
        json!({}),
        json!({ "kind": null }),
        json!({ "kind": "a", "kidn": 1 }),
        json!({ "kind": "a", "delay": 30 }),
        json!({ "kind": "a", "class": "urgent" }),
        json!({ "kind": "a", "max_attempts": 0 }),
        json!({ "kind": "a", "max_attempts": 1_001 }),
        json!({ "kind": "a", "tags": { "": "x" } }),
        json!({ "kind": "a", "tags": { "n": 1 } }),
        json!({ "kind": "a", "at": "tomorrow" }),
    ] {
        assert!(!is(wrong.clone()), "{wrong}");
    }
}
