//! The wire format: golden files for what is read and written, properties for everything else.
//!
//! A golden file holds a message as it arrives (`in`) and what becomes of it (`out`). Run with
//! `LEVERET_TEST_BLESS=1` to write `out` anew, and read the difference before you keep it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use leveret_common::clock::Millis;
use leveret_common::envelope::{
    DeadReason, Decoded, Envelope, Fixed, HeaderValue, Headers, Moving, Order, Wire, decode,
    header, naturalise, wanted_class,
};
use leveret_common::id::TaskId;
use leveret_common::name::Class;
use leveret_common::name::Namespace;
use leveret_common::testkit::services;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What becomes of a message, as the golden files show it.
fn outcome(wire: &Wire) -> Value {
    match decode(&Namespace::default(), wire) {
        Ok(Decoded::Task(envelope)) => json!({ "task": envelope.to_wire() }),
        Ok(Decoded::Nameless(envelope)) => {
            let mut wire = envelope.to_wire();
            wire.message_id = Some("minted".to_owned());
            json!({ "nameless": wire })
        }
        Ok(Decoded::Newer { version }) => json!({ "newer": version }),
        Err(error) => match &error.foreign {
            None => json!({ "undecodable": { "reason": error.reason, "why": error.why } }),
            Some(foreign) => {
                let mut letter = wire.clone();
                letter.keep_ours();
                foreign.put_on(&mut letter);
                json!({ "undecodable":
                    { "reason": error.reason, "why": error.why, "letter": letter } })
            }
        },
    }
}

fn golden(name: &str) {
    let path: PathBuf =
        [env!("CARGO_MANIFEST_DIR"), "tests/golden/envelope", &format!("{name}.json")]
            .iter()
            .collect();
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut file: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    let arriving: Wire = serde_json::from_value(file["in"].clone()).unwrap();
    let found = outcome(&arriving);
    if services::variable("LEVERET_TEST_BLESS").is_some() {
        file.insert("out".to_owned(), found);
        let text = serde_json::to_string_pretty(&file).unwrap();
        return std::fs::write(&path, text + "\n").unwrap();
    }
    let expected = file.get("out").cloned().unwrap_or_default();
    assert_eq!(
        serde_json::to_string_pretty(&found).unwrap(),
        serde_json::to_string_pretty(&expected).unwrap(),
        "{name}: if the change is meant, bless it with LEVERET_TEST_BLESS=1"
    );
}

macro_rules! golden_files {
    ($($name:ident),+ $(,)?) => {
        $(#[test] fn $name() { golden(stringify!($name)); })+

        #[test]
        fn no_golden_file_is_left_unread() {
            let folder = [env!("CARGO_MANIFEST_DIR"), "tests/golden/envelope"].iter().collect::<PathBuf>();
            let mut files: Vec<_> = std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            let mut tests = vec![$(stringify!($name).to_owned()),+];
            files.sort();
            tests.sort();
            assert_eq!(files, tests);
        }
    };
}

golden_files! {
    type_and_body_are_enough,
    a_full_message_is_written_as_it_was_read,
    unknown_lv_headers_are_kept_and_what_the_broker_wrote_is_dropped,
    an_id_that_is_no_uuid_is_derived_and_kept_as_origin_id,
    a_key_without_an_id_gives_the_id,
    integers_are_read_from_text_doubles_and_timestamps,
    a_newer_version_is_parked,
    a_dead_letter_keeps_its_history,
    a_wrong_kind_is_malformed,
    a_body_that_is_not_json_is_malformed,
    an_attempt_of_zero_is_malformed,
    too_many_attempts_are_malformed,
    tags_that_are_no_table_are_malformed,
    a_foreign_encoding_is_malformed,
    an_unreadable_trace_is_dropped_and_the_task_runs,
    celery_2_positional_args_are_a_list,
    celery_2_keyword_args_with_times_limits_and_priority,
    celery_2_mixed_args_and_headers_of_ours,
    celery_2_an_own_id_and_what_kombu_makes_of_python_types,
    celery_2_a_member_of_a_group_is_a_task,
    celery_2_a_repeated_task_without_a_result,
    celery_2_a_base64_body_is_read,
    celery_2_a_chain_is_refused,
    celery_2_a_chord_is_refused,
    celery_2_links_are_refused,
    celery_2_pickle_is_refused,
    celery_2_compression_is_refused,
    celery_2_a_task_name_that_is_no_kind_is_refused,
    celery_2_a_replayed_letter_is_refused_again,
    celery_1_a_task_with_times,
    celery_1_links_are_refused,
    celery_1_pickle_is_refused,
}

#[test]
fn a_body_that_is_no_utf_8_is_malformed_also_where_only_a_text_in_it_is_none() {
    for body in [b"\"\xff\xfe\"".as_slice(), b"{\"a\": \"\xc3(\"}"] {
        let wire =
            Wire { kind: Some("a".to_owned()), body: Bytes::from_static(body), ..Wire::default() };
        let error = decode(&Namespace::default(), &wire).unwrap_err();
        assert_eq!(error.reason, DeadReason::Malformed);
        assert!(error.why.contains("invalid utf-8"), "{}", error.why);
    }
}

#[test]
fn a_body_nested_a_hundred_thousand_deep_is_malformed_and_not_an_overflow() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let wire = Wire { kind: Some("a".to_owned()), body: Bytes::from(deep), ..Wire::default() };
        let error = decode(&Namespace::default(), &wire).unwrap_err();
        assert_eq!(error.reason, DeadReason::Malformed);
        assert!(error.why.contains("nested"), "{error}");
    }
}

#[test]
fn a_message_of_which_a_part_is_missing_is_malformed_in_every_dialect_and_version() {
    for headers in [
        vec![("lv-v", HeaderValue::Int(2))],
        vec![("task", "demo.echo".into()), ("id", "x".into())],
        vec![],
    ] {
        let body = "[[1], {}, {}]".into();
        let mut wire = Wire { kind: Some("a".to_owned()), body, ..Wire::default() };
        wire.content_type = Some("application/json".to_owned());
        wire.headers = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        wire.headers.insert(header::UNREADABLE.to_owned(), "property type is cut short".into());
        let error = decode(&Namespace::default(), &wire).unwrap_err();
        assert_eq!(error.reason, DeadReason::Malformed);
        assert_eq!(error.why, "property type is cut short");
        // So is what is made of it by whoever copies only headers of ours.
        let ours = naturalise(&Namespace::default(), wire.clone());
        assert_eq!(decode(&Namespace::default(), &ours).unwrap_err().why, error.why);
        // So is its letter, once it is replayed.
        wire.keep_ours();
        assert_eq!(decode(&Namespace::default(), &wire).unwrap_err().why, error.why);
    }
}

#[test]
fn a_letter_that_lost_a_header_of_ours_for_its_size_is_no_task_when_it_is_replayed() {
    let large = |len: usize| HeaderValue::Text("7".repeat(len));
    let many = (0..6).map(|n| (format!("lv-x{n}"), large(header::MAX_EXTRA_BYTES - 100)));
    for (headers, is_missed) in [
        (vec![("lv-not-before".to_owned(), large(header::MAX_EXTRA_BYTES))], true),
        (many.collect(), true),
        (vec![("traceparent".to_owned(), large(header::MAX_EXTRA_BYTES))], false),
    ] {
        let mut wire = Wire { kind: Some("a".to_owned()), body: "1".into(), ..Wire::default() };
        wire.message_id = Some("0192f0c0-0000-7000-8000-000000000001".to_owned());
        wire.headers = headers.into_iter().collect();
        wire.keep_ours();
        let replayed = decode(&Namespace::default(), &wire);
        assert_eq!(replayed.is_err(), is_missed, "{:?}", wire.headers);
        if let Err(error) = replayed {
            assert!(error.why.contains("too large to be kept"), "{error}");
        }
    }
}

#[test]
fn letters_of_two_messages_without_an_id_that_can_be_read_are_two() {
    let named = |id: &str| {
        let mut wire = Wire { message_id: Some(id.to_owned()), ..Wire::default() };
        wire.name_letter();
        wire.message_id.unwrap()
    };
    for bad in ["", "a\0b", &"n".repeat(255)] {
        assert_ne!(named(bad), named(bad));
    }
    assert_eq!(named("order-7"), "order-7");
}

#[test]
fn a_body_nested_as_deep_as_allowed_is_read_and_brackets_in_text_do_not_count() {
    let nested = |depth: usize| {
        let body = format!("{}\"[[{{\\\"[\"{}", "[".repeat(depth), "]".repeat(depth));
        Wire { kind: Some("a".to_owned()), body: Bytes::from(body), ..Wire::default() }
    };
    assert!(decode(&Namespace::default(), &nested(header::MAX_DEPTH)).is_ok());
    assert!(decode(&Namespace::default(), &nested(header::MAX_DEPTH + 1)).is_err());
    // What passes can be read by every handler: serde_json's own limit is not below ours.
    assert!(serde_json::from_slice::<Value>(&nested(header::MAX_DEPTH).body).is_ok());
}

#[test]
fn what_a_handler_says_of_its_failure_is_cut_to_what_can_be_read_again() {
    let mut envelope =
        Envelope::new(TaskId::mint(), "a".parse().unwrap(), Bytes::from_static(b"1"));
    envelope.moving.error = Some("ü".repeat(header::MAX_ERROR));
    // Odd, so that the cut would fall into a character.
    envelope.moving.error_class = Some(format!("x{}", "ü".repeat(header::MAX_TAG)));
    let Ok(Decoded::Task(read)) = decode(&Namespace::default(), &envelope.to_wire()) else {
        panic!("it is not read again")
    };
    let long = |text: Option<String>| text.map(|text| text.len());
    assert_eq!(long(read.moving.error), Some(header::MAX_ERROR));
    assert_eq!(long(read.moving.error_class), Some(header::MAX_TAG - 1));
}

fn header_value() -> impl Strategy<Value = HeaderValue> {
    let leaf = prop_oneof![
        Just(HeaderValue::Null),
        any::<bool>().prop_map(HeaderValue::Bool),
        any::<i64>().prop_map(HeaderValue::Int),
        (0_i64..2_000).prop_map(HeaderValue::Int),
        any::<f64>()
            .prop_filter("NaN equals nothing", |f| !f.is_nan())
            .prop_map(HeaderValue::Float),
        any::<f32>()
            .prop_filter("NaN equals nothing", |f| !f.is_nan())
            .prop_map(HeaderValue::Single),
        (any::<u8>(), any::<u32>()).prop_map(|(scale, n)| HeaderValue::Decimal(scale, n)),
        ".{0,20}".prop_map(HeaderValue::Text),
        "[0-9]{1,22}".prop_map(HeaderValue::Text),
        vec(any::<u8>(), 0..8).prop_map(HeaderValue::Bytes),
        any::<u64>().prop_map(HeaderValue::Time),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(HeaderValue::List),
            btree_map("[a-z]{0,4}", inner, 0..4).prop_map(HeaderValue::Table),
        ]
    })
}

fn header_name() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(header::KNOWN.to_vec()).prop_map(str::to_owned),
        2 => "lv-[a-z]{0,6}",
        1 => proptest::sample::select(vec!["x-death", "x-delivery-count", "CC", "BCC", "X-Any", ""])
            .prop_map(str::to_owned),
        1 => ".{0,8}",
    ]
}

fn any_wire() -> impl Strategy<Value = Wire> {
    let text = || option::of(prop_oneof![".{0,12}", Just("a.b".to_owned())]);
    let body = prop_oneof![
        3 => Just(b"{\"a\": [1]}".to_vec()),
        1 => vec(any::<u8>(), 0..40),
    ];
    let content = proptest::sample::select(vec![
        None,
        Some("application/json"),
        Some("application/json; charset=utf-8"),
        Some("text/plain"),
        Some(""),
    ]);
    let encoding = proptest::sample::select(vec![None, None, Some("utf-8"), Some("gzip")]);
    let kind = prop_oneof![4 => Just(Some("demo.echo".to_owned())), 1 => text()];
    (
        (text(), kind, content, encoding),
        (text(), text(), option::of(any::<u64>()), text()),
        btree_map(header_name(), header_value(), 0..6),
        body,
    )
        .prop_map(|(first, second, headers, body)| Wire {
            message_id: first.0,
            kind: first.1,
            content_type: first.2.map(str::to_owned),
            content_encoding: first.3.map(str::to_owned),
            correlation_id: second.0,
            reply_to: second.1,
            timestamp: second.2,
            app_id: second.3,
            priority: None,
            headers,
            body: Bytes::from(body),
        })
}

/// Messages as a Celery client of either protocol may write them, and a little beside that.
fn celery_wire() -> impl Strategy<Value = Wire> {
    let embed = proptest::sample::select(vec![
        r#"{"callbacks": null, "errbacks": null, "chain": null, "chord": null}"#,
        r#"{"callbacks": [{"task": "a"}], "errbacks": null, "chain": null, "chord": null}"#,
        r#"{"chain": [{"task": "b"}]}"#,
        "{}",
        "null",
    ]);
    let args = proptest::sample::select(vec!["[]", "[1, {\"a\": [2]}]", "{}", "7", "[NaN]"]);
    let kwargs = proptest::sample::select(vec!["{}", "{\"x\": \"ü\"}", "[]", "null"]);
    let content = proptest::sample::select(vec![
        "application/json",
        "application/json",
        "application/x-python-serialize",
        "text/plain",
    ]);
    let header = prop_oneof![
        4 => proptest::sample::select(vec!["id", "eta", "expires", "retries", "timelimit", "root_id",
            "parent_id", "origin", "ignore_result", "compression", "body_encoding", "lv-attempt"])
            .prop_map(str::to_owned),
        1 => header_name(),
    ];
    let text = proptest::sample::select(vec!["a.b", "2031-01-01T00:00:00+00:00", "", "two words"]);
    let value = prop_oneof![text.prop_map(HeaderValue::from), header_value()];
    (any::<bool>(), embed, args, kwargs, content, btree_map(header, value, 0..4), option::of(any::<u8>()))
        .prop_map(|(second, embed, args, kwargs, content, extra, priority)| {
            let mut headers = Headers::new();
            let body = if second {
                headers.insert("task".to_owned(), "demo.echo".into());
                headers.insert("id".to_owned(), "0192f0c0-0000-7000-8000-000000000001".into());
                format!("[{args}, {kwargs}, {embed}]")
            } else {
                let links = embed.trim_matches(['{', '}']).replace("null,", "null ,");
                let more = if links.contains(':') { format!(", {links}") } else { String::new() };
                format!(
                    r#"{{"task": "demo.echo", "id": "x", "args": {args}, "kwargs": {kwargs}{more}}}"#
                )
            };
            headers.extend(extra);
            headers.remove("lv-v");
            headers.remove("lv-foreign");
            let content_type = Some(content.to_owned());
            Wire { content_type, headers, priority, body: Bytes::from(body), ..Wire::default() }
        })
}

fn time() -> impl Strategy<Value = Option<Millis>> {
    option::of((0..=i64::MAX as u64).prop_map(Millis))
}

fn span() -> impl Strategy<Value = Option<Duration>> {
    option::of((0..=i64::MAX as u64).prop_map(Duration::from_millis))
}

fn line(most: usize) -> impl Strategy<Value = Option<String>> {
    option::of(proptest::string::string_regex(&format!("[ -~ü]{{1,{most}}}")).unwrap())
}

prop_compose! {
    fn fixed()(
        texts in (line(60), line(60), line(60), line(60), line(60)),
        times in (time(), time(), span(), span()),
        max_attempts in option::of(1..=header::MAX_MAX_ATTEMPTS),
        revision in option::of(any::<u32>()),
        reply_to in line(60),
        ids in (option::of(any::<u128>()), option::of(any::<u128>())),
        seconds in option::of(0..u64::MAX / 1_000),
        tags in btree_map("[a-z]{1,8}", ".{0,20}", 0..header::MAX_TAGS),
        trace in btree_map(proptest::sample::select(vec!["traceparent", "tracestate", "baggage"]), "[a-z0-9=-]{1,60}", 0..3),
    ) -> Fixed {
        Fixed {
            key: texts.0, origin_id: texts.1, schedule: texts.2, root: texts.3, producer: texts.4,
            expires_at: times.0, occurrence: times.1, timeout: times.2, result_ttl: times.3,
            revision, max_attempts, parent: ids.0.map(uuid), replay_of: ids.1.map(uuid), reply_to,
            enqueued_at: seconds.map(|s| Millis(s * 1_000)),
            tags,
            trace: trace.into_iter().map(|(name, text)| (name.to_owned(), text)).collect(),
        }
    }
}

prop_compose! {
    fn moving()(
        times in (time(), time(), time(), time()),
        texts in (line(60), line(200), line(60)),
        (snoozes, parks) in any::<(u32, u32)>(),
        reason in option::of(proptest::sample::select(DeadReason::ALL.to_vec())),
    ) -> Moving {
        Moving {
            not_before: times.0, parked_since: times.1, first_failed_at: times.2,
            dead_at: times.3, origin: texts.0, error: texts.1, error_class: texts.2, snoozes, parks, reason,
        }
    }
}

prop_compose! {
    fn envelope()(
        id in any::<u128>(),
        kind in "[a-zA-Z0-9_-]{1,10}(\\.[a-z]{1,10}){0,3}",
        replay in any::<u32>(),
        attempt in 1..=u32::MAX,
        fixed in fixed(),
        moving in moving(),
        extra in btree_map("lv-z[a-z]{0,6}", header_value(), 0..5),
    ) -> Envelope {
        Envelope {
            id: uuid(id),
            kind: kind.parse().unwrap(),
            args: Bytes::from_static(b"{ \"kept\" : [1,  2] }"),
            order: Order { replay, attempt },
            fixed, moving, extra,
        }
    }
}

fn uuid(number: u128) -> TaskId {
    let hex = format!("{number:032x}");
    hex.parse().unwrap()
}

fn is_ours(headers: &Headers) -> bool {
    headers.keys().all(|name| header::KNOWN.contains(&name.as_str()) || name.starts_with("lv-"))
}

#[test]
fn only_a_celery_client_says_its_class_with_a_priority() {
    let class = |task: Option<&str>, priority| {
        let mut wire =
            Wire { priority, body: Bytes::from_static(b"[[], {}, {}]"), ..Wire::default() };
        match task {
            Some(task) => drop(wire.headers.insert("task".to_owned(), task.into())),
            None => wire.kind = Some("demo.echo".to_owned()),
        }
        wanted_class(&wire)
    };
    let of_celery = [None, Some(0), Some(3), Some(4), Some(7), Some(8), Some(9), Some(255)];
    assert_eq!(
        of_celery.map(|priority| class(Some("a"), priority)),
        [
            None,
            None,
            Some(Class::Low),
            Some(Class::Normal),
            Some(Class::High),
            Some(Class::High),
            Some(Class::Critical),
            Some(Class::Critical)
        ]
    );
    assert_eq!(class(None, Some(9)), None);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_arrives_is_decoded_or_refused_with_a_reason_and_never_a_panic(wire in any_wire()) {
        match decode(&Namespace::default(), &wire) {
            Ok(Decoded::Task(envelope) | Decoded::Nameless(envelope)) => {
                let written = envelope.to_wire();
                prop_assert!(is_ours(&written.headers), "{:?}", written.headers.keys());
                prop_assert_eq!(&written.body, &wire.body);
                for (name, value) in &wire.headers {
                    if name.starts_with("lv-") && !header::KNOWN.contains(&name.as_str()) {
                        prop_assert_eq!(written.headers.get(name), Some(value));
                    }
                }
                // Read and written once, a message does not change any more.
                let again = decode(&Namespace::default(), &written).unwrap();
                let Decoded::Task(again) = again else { panic!("it had an id: {again:?}") };
                prop_assert_eq!(again.to_wire(), written);
            }
            Ok(Decoded::Newer { version }) => prop_assert!(version > 1),
            Err(error) => {
                prop_assert_eq!(error.reason, DeadReason::Malformed);
                prop_assert!(!error.why.is_empty());
            }
        }
    }

    #[test]
    fn an_envelope_is_read_back_as_it_was_written(envelope in envelope()) {
        let wire = envelope.to_wire();
        prop_assert!(is_ours(&wire.headers));
        let read = decode(&Namespace::default(), &wire);
        prop_assert_eq!(read, Ok(Decoded::Task(Box::new(envelope))));
    }

    #[test]
    fn a_wire_survives_its_json_form(wire in any_wire()) {
        let json = serde_json::to_string(&wire).unwrap();
        prop_assert_eq!(serde_json::from_str::<Wire>(&json).unwrap(), wire);
    }

    #[test]
    fn whatever_a_celery_client_sends_is_a_task_or_a_letter_that_is_read_the_same_again(wire in celery_wire()) {
        let namespace = Namespace::default();
        let mut natural = naturalise(&namespace, wire.clone());
        // What the broker wrote stays, until somebody copies it.
        prop_assert_eq!(natural.headers.get("x-death"), wire.headers.get("x-death"));
        natural.drop_foreign();
        match decode(&namespace, &wire) {
            Ok(Decoded::Task(envelope)) => {
                let written = envelope.to_wire();
                prop_assert!(is_ours(&written.headers), "{:?}", written.headers.keys());
                prop_assert!(serde_json::from_slice::<Value>(&written.body).is_ok());
                prop_assert_eq!(decode(&namespace, &written), Ok(Decoded::Task(envelope)));
                prop_assert_eq!(natural, written);
            }
            Ok(other) => prop_assert!(false, "{:?}", other),
            Err(error) => {
                prop_assert_eq!(error.reason, DeadReason::Malformed);
                let Some(foreign) = &error.foreign else { return Ok(()) };
                // As a letter, and as what the broker moved: read by us, half of it would run.
                for mut letter in [wire.clone(), natural] {
                    letter.keep_ours();
                    foreign.put_on(&mut letter);
                    prop_assert_eq!(decode(&namespace, &letter), Err(error.clone()));
                }
            }
        }
    }
}

#[test]
fn a_message_of_a_newer_version_keeps_headers_larger_than_ours_may_be() {
    let tags = HeaderValue::Text("x".repeat(16 * 1024));
    let mut wire = Wire::default();
    wire.headers.insert("lv-tags".to_owned(), tags.clone());
    wire.headers.insert("x-death".to_owned(), HeaderValue::Text("y".to_owned()));
    wire.keep_for_newer();
    assert_eq!(wire.headers.into_iter().collect::<Vec<_>>(), [("lv-tags".to_owned(), tags)]);
}
