//! Whatever a script answers, and whoever answers in its place: an answer is what it has to be, or an
//! error, and never a claim, an outcome or a permission that was not given.

use deadpool_redis::redis::VerbatimFormat;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::envelope::Order;
use crate::id::Token;
use crate::ledger::Toll;

const OURS: &str = "0192f0c0000070008000000000000001";
const OTHERS: &str = "0192f0c0000070008000000000000002";

fn ask() -> Claim {
    Claim {
        id: TaskId::mint(),
        order: Order { replay: 0, attempt: 1 },
        owner: OURS.parse().unwrap(),
        token: Token(7),
        expires_at: None,
        max_crashes: 3,
        ttl: Duration::from_secs(60),
    }
}

/// Entries as a script writes them, and texts that look like some.
fn entry() -> impl Strategy<Value = String> {
    let owner = || select(vec![OURS, OTHERS, "", "x"]);
    let held = (owner(), any::<u64>(), any::<u32>(), select(vec!["0", "1", "2", "-1", ""]))
        .prop_map(|(owner, fence, attempt, cancel)| {
            format!("{owner} {fence} 7 1 0 {attempt} 1 0 0 {cancel}")
        });
    let decision = select(vec![
        r#"{"outcome":{"done":{}}}"#,
        r#"{"outcome":{"snooze":{"not_before":9}}}"#,
        r#"{"outcome":{"dead":{"reason":"poison","failure":{"class":"c","message":"m","at":1}}}}"#,
        "{}",
        "{\"outcome\":",
    ]);
    prop_oneof![
        4 => held.clone().prop_map(|held| format!("R {held}")),
        3 => (held, decision).prop_map(|(held, decision)| format!("F {held} {decision}")),
        2 => select(vec!["D 0", "X 0 poison", "X 0 nothing", "C 0", "E 7", "W 0 1 5 0 0 0", "D", "D x"])
            .prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

fn text() -> impl Strategy<Value = String> {
    let words = vec![
        "claimed",
        "resume",
        "settled",
        "busy",
        "stale",
        "again",
        "accepted",
        "cancelled",
        "refused",
        "kept",
        "written",
        "asked",
        "over",
        "too late",
        OURS,
        OTHERS,
        "7",
        "-7",
        "",
    ];
    prop_oneof![4 => select(words).prop_map(str::to_owned), 3 => entry(), 1 => ".{0,8}"]
}

/// Anything that the protocol can carry.
fn any_reply() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        8 => text().prop_map(|text| Value::BulkString(text.into_bytes())),
        2 => text().prop_map(Value::SimpleString),
        1 => text().prop_map(|text| Value::VerbatimString { format: VerbatimFormat::Text, text }),
        1 => vec(any::<u8>(), 0..6).prop_map(Value::BulkString),
        1 => any::<i64>().prop_map(Value::Int),
        1 => any::<f64>().prop_map(Value::Double),
        1 => any::<bool>().prop_map(Value::Boolean),
        1 => Just(Value::Nil),
        1 => Just(Value::Okay),
    ];
    let nested = leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            8 => vec(inner.clone(), 0..5).prop_map(Value::Array),
            1 => vec(inner.clone(), 0..4).prop_map(Value::Set),
            1 => vec((inner.clone(), inner.clone()), 0..3).prop_map(Value::Map),
            1 => (inner.clone(), vec((inner.clone(), inner), 0..2)).prop_map(|(data, attributes)| {
                Value::Attribute { data: Box::new(data), attributes }
            }),
        ]
    });
    // The shapes that mean something, with what is nearly right in them.
    let pair = |word: &'static str| {
        entry().prop_map(move |entry| {
            Value::Array([word.to_owned(), entry].map(|t| Value::BulkString(t.into_bytes())).into())
        })
    };
    prop_oneof![
        3 => nested,
        3 => pair("claimed"),
        2 => pair("resume"),
        2 => pair("settled"),
        1 => pair("over"),
    ]
}

/// What stands in a list, as people read it; nothing where the answer is none.
fn listed(reply: &Value) -> Option<Vec<String>> {
    let Value::Array(items) = reply else { return None };
    items.iter().map(said).collect()
}

/// What is said by one text, however the protocol carries it.
fn said(reply: &Value) -> Option<String> {
    match reply {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        Value::Double(number) => Some(number.to_string()),
        Value::Boolean(is) => Some(is.to_string()),
        Value::Okay => Some("OK".to_owned()),
        Value::Attribute { data, .. } => said(data),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_claim_is_ours_only_where_the_answer_says_so(reply in any_reply(), takes_over in any::<bool>()) {
        let ask = ask();
        let expected = Hold { owner: OTHERS.parse().unwrap(), fence: Fence(1) };
        let answer = if takes_over {
            Takeover { claim: ask.clone(), expected, orphan: false }.read(reply.clone())
        } else {
            ask.read(reply.clone())
        };
        let Ok(answer) = answer else { return Ok(()) };
        let said = listed(&reply).expect("only a list is an answer");
        let entry = said.get(1).and_then(|entry| packed::read(entry).ok());
        match (answer, said[0].as_str(), entry) {
            (Answer::Claimed { fence, toll }, "claimed", Some(Entry::Running(held))) => {
                prop_assert_eq!((held.hold, held.toll), (Hold { owner: ask.owner, fence }, toll));
            }
            (Answer::Resume { fence, order, .. }, "resume", Some(Entry::Finishing(held, _))) => {
                prop_assert_eq!((held.hold, held.order), (Hold { owner: ask.owner, fence }, order));
            }
            (Answer::Settled(ending), "settled", Some(Entry::Settled(settled))) => {
                prop_assert_eq!(ending, settled.ending);
            }
            (Answer::Busy { .. }, "busy", _) => prop_assert_eq!(said.len(), 4),
            (Answer::Stale, "stale", None) | (Answer::Again, "again", None) => {
                prop_assert_eq!(said.len(), 1);
            }
            (answer, ..) => prop_assert!(false, "{answer:?} of {reply:?}"),
        }
    }

    #[test]
    fn an_outcome_is_recorded_only_where_the_answer_says_so(reply in any_reply()) {
        let Claim { id, owner, order, ttl, .. } = ask();
        let hold = Hold { owner, fence: Fence(1) };
        let mark = Mark { id, hold, order, marking: Marking::Done, ttl };
        if let Ok(ruling) = mark.read(reply.clone()) {
            let word = match ruling {
                Ruling::Accepted => "accepted",
                Ruling::Cancelled => "cancelled",
                Ruling::Refused => "refused",
            };
            prop_assert_eq!(said(&reply), Some(word.to_owned()), "{:?}", reply);
        }
        let toll = Toll { starts: 1, crashes: 0, charged: Fence(0) };
        let held = Held { id, hold, token: Token(7), order, toll, ttl };
        if held.read(reply.clone()).is_ok() {
            prop_assert!(matches!(said(&reply).as_deref(), Some("kept" | "written")), "{reply:?}");
        }
    }

    #[test]
    fn a_task_is_cancelled_only_where_the_answer_says_so(reply in any_reply()) {
        let Claim { id, ttl, .. } = ask();
        let Ok(answer) = (Cancel { id, replay: 0, ttl }).read(reply.clone()) else { return Ok(()) };
        let said = listed(&reply).expect("only a list is an answer");
        let (word, fields) = match answer {
            Cancelling::Cancelled => ("cancelled", 1),
            Cancelling::Asked(_) => ("asked", 3),
            Cancelling::TooLate => ("too late", 1),
            Cancelling::Over(_) => ("over", 2),
        };
        prop_assert_eq!((said[0].as_str(), said.len()), (word, fields), "{:?}", reply);
    }
}
