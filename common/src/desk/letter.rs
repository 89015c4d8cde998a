//! What a dead letter is: read from a message, and turned back into a task. Pure.
//!
//! A *stray* is a message among the dead letters that the broker moved there by itself, past its delivery
//! limit: nobody decided that it is dead.

use crate::broker::{Destination, Publish};
use crate::clock::Millis;
use crate::envelope::{DeadReason, HeaderValue, Headers, Order, Wire, header};
use crate::id::TaskId;
use crate::name::{Class, Lane, Namespace, QueueName};
use crate::store::{Letter, MAX_ARGS_SHOWN};

/// Where the broker notes which queue it took a message from, newest first.
const BROKER_DEATHS: &str = "x-death";

/// Headers that a fresh start does not carry (rule R1).
const LEFT_BEHIND: [&str; 11] = [
    header::NOT_BEFORE,
    header::EXPIRES_AT,
    header::SNOOZES,
    header::PARKS,
    header::PARKED_SINCE,
    header::ORIGIN,
    header::ERROR,
    header::ERROR_CLASS,
    header::REASON,
    header::FIRST_FAILED_AT,
    header::DEAD_AT,
];

/// Describes a message found among the dead letters of `queue`. Whatever its bytes are, there is a
/// description: nothing here is trusted to be well formed.
///
/// `unless_said` is taken for the time of death where nothing in the letter tells it.
#[must_use]
pub fn describe(
    namespace: &Namespace,
    queue: &QueueName,
    wire: &Wire,
    unless_said: Millis,
    now: Millis,
) -> Letter {
    let text = |name: &str| wire.text(name).unwrap_or_default().to_owned();
    let count = |name: &str, least: u32| {
        let number = wire.number(name).and_then(|number| u32::try_from(number).ok());
        number.unwrap_or(least).max(least)
    };
    let tags = match wire.headers.get(header::TAGS) {
        Some(HeaderValue::Table(table)) => table
            .iter()
            .filter_map(|(name, value)| match value {
                HeaderValue::Text(text) => Some((name.clone(), text.clone())),
                _ => None,
            })
            .collect(),
        _ => std::collections::BTreeMap::new(),
    };
    let (id, foreign) = identify(namespace, wire);
    let shown = &wire.body[..wire.body.len().min(MAX_ARGS_SHOWN)];
    Letter {
        id,
        queue: queue.clone(),
        kind: wire.kind.clone().unwrap_or_default(),
        origin: text(header::ORIGIN),
        order: Order { replay: count(header::REPLAY, 0), attempt: count(header::ATTEMPT, 1) },
        reason: reason(wire),
        class: text(header::ERROR_CLASS),
        error: text(header::ERROR),
        died_at: died_at(wire, unless_said),
        first_failed_at: wire.number(header::FIRST_FAILED_AT).map(Millis),
        key: wire.text(header::KEY).map(str::to_owned),
        origin_id: wire.text(header::ORIGIN_ID).map(str::to_owned).or(foreign),
        tags,
        args: String::from_utf8_lossy(shown).into_owned(),
        args_size: wire.body.len(),
        described_at: now,
    }
}

/// Every letter of ours has an id of its own; one that the broker moved here by itself may have
/// none that can be read, and is known by its bytes then.
fn identify(namespace: &Namespace, wire: &Wire) -> (TaskId, Option<String>) {
    let said = wire.message_id.as_deref().unwrap_or_default();
    if let Ok(known) = TaskId::foreign(namespace, said) {
        return known;
    }
    let kind = wire.kind.as_deref().and_then(|kind| kind.parse().ok());
    if let (Some(kind), Some(key)) = (kind, wire.text(header::KEY))
        && let Ok(id) = TaskId::from_key(namespace, &kind, key)
    {
        return (id, None);
    }
    (TaskId::of_bytes(&wire.body), None)
}

/// Returns why the letter is dead, where that can be read.
#[must_use]
pub fn reason(wire: &Wire) -> Option<DeadReason> {
    wire.text(header::REASON)?.parse().ok()
}

/// Returns when the task died. A letter of an older version does not say: then whatever happened
/// to it last, as far as is known, but not after `latest`.
fn died_at(wire: &Wire, latest: Millis) -> Millis {
    if let Some(said) = wire.number(header::DEAD_AT) {
        return Millis(said);
    }
    let known = moved_at(wire)
        .or_else(|| wire.number(header::FIRST_FAILED_AT))
        .or_else(|| Some(wire.timestamp?.saturating_mul(1_000)));
    known.map_or(latest, |at| Millis(at).min(latest))
}

/// Tells whether the broker moved the message here by itself: every letter of ours says why it is
/// dead. An error alone is no reason: each attempt after the first carries that of the one before.
#[must_use]
pub fn is_stray(wire: &Wire) -> bool {
    !wire.headers.contains_key(header::REASON)
}

/// Tells whether an attempt at the task has failed before.
#[must_use]
pub fn was_tried(wire: &Wire) -> bool {
    wire.headers.contains_key(header::ERROR)
}

/// Reads the broker's own note of when it moved the message here.
fn moved_at(wire: &Wire) -> Option<u64> {
    match newest_death(wire)?.get("time")? {
        HeaderValue::Time(seconds) => Some(seconds.saturating_mul(1_000)),
        _ => None,
    }
}

/// Returns the lane that a letter came from; the class `normal` of its queue where it does not say.
#[must_use]
pub fn origin(wire: &Wire, namespace: &Namespace, queue: &QueueName) -> Lane {
    let said = wire.text(header::ORIGIN).and_then(|origin| origin.parse().ok());
    said.or_else(|| left_from(wire, namespace))
        .unwrap_or_else(|| Lane::new(queue.clone(), Class::Normal))
}

/// Reads the broker's own note of where the message was taken from.
fn left_from(wire: &Wire, namespace: &Namespace) -> Option<Lane> {
    let HeaderValue::Text(queue) = newest_death(wire)?.get("queue")? else { return None };
    queue.strip_prefix(&format!("{namespace}.lane."))?.parse().ok()
}

/// Reads when the message's own time to live was over, where that is why it came here.
fn expired_at(wire: &Wire) -> Option<u64> {
    match newest_death(wire)?.get("reason")? {
        HeaderValue::Text(reason) if reason == "expired" => moved_at(wire),
        _ => None,
    }
}

/// Returns the broker's note of how the message came here.
fn newest_death(wire: &Wire) -> Option<&Headers> {
    let HeaderValue::List(deaths) = wire.headers.get(BROKER_DEATHS)? else { return None };
    match deaths.first()? {
        HeaderValue::Table(newest) => Some(newest),
        _ => None,
    }
}

/// Returns the fresh start of a letter in `lane`: the same task, attempt 1 of `replay`, without a
/// word of what went before (rule R1).
///
/// Works on headers and not on an envelope, so that a letter which could not be read can be
/// replayed once somebody has mended the reader.
#[must_use]
pub fn replay(wire: &Wire, lane: Lane, replay: u32) -> Publish {
    let mut wire = wire.clone();
    wire.drop_foreign();
    for name in LEFT_BEHIND {
        wire.headers.remove(name);
    }
    wire.headers.insert(header::REPLAY.to_owned(), replay.into());
    wire.headers.insert(header::ATTEMPT.to_owned(), 1_u32.into());
    Publish { to: Destination::Lane(lane), wire }
}

/// Returns the letter itself, to be put at the tail of its queue. One that does not say when it died
/// says so from now on, or it would be as young as the last walk for ever.
#[must_use]
pub fn keep(wire: &Wire, queue: &QueueName, now: Millis) -> Publish {
    let died_at = died_at(wire, now);
    let mut wire = wire.clone();
    // The broker's own note of a stray is not copied: what it says is said in ours.
    wire.drop_foreign();
    if wire.number(header::DEAD_AT).is_none() {
        wire.headers.insert(header::DEAD_AT.to_owned(), died_at.0.into());
    }
    Publish { to: Destination::Dead(queue.clone()), wire }
}

/// Returns a stray, to be put at the tail of its queue until more is known of its task. It says
/// where it came from, because the broker's note of that is not copied.
#[must_use]
pub fn hold(wire: &Wire, queue: &QueueName, namespace: &Namespace) -> Publish {
    let came_from = left_from(wire, namespace);
    let mut wire = wire.clone();
    wire.drop_foreign();
    if let Some(lane) = came_from {
        wire.headers.entry(header::ORIGIN.to_owned()).or_insert_with(|| lane.to_string().into());
    }
    Publish { to: Destination::Dead(queue.clone()), wire }
}

/// Returns a stray as it was before the broker moved it here: back to its lane. One whose sender gave
/// it a time to live (lanes have none) goes back as expired, so that its end is recorded.
#[must_use]
pub fn send_back(wire: &Wire, lane: Lane) -> Publish {
    let expired_at = expired_at(wire);
    let mut wire = wire.clone();
    wire.drop_foreign();
    wire.headers.remove(header::ORIGIN);
    if let Some(at) = expired_at
        && wire.number(header::EXPIRES_AT).is_none_or(|said| said > at)
    {
        wire.headers.insert(header::EXPIRES_AT.to_owned(), at.into());
    }
    Publish { to: Destination::Lane(lane), wire }
}

/// Returns a stray that had been started as a letter with a reason.
#[must_use]
pub fn explain(wire: &Wire, queue: &QueueName, lane: &Lane, now: Millis) -> Publish {
    let mut publish = keep(wire, queue, now);
    let mut put = |name: &str, value: HeaderValue| {
        publish.wire.headers.insert(name.to_owned(), value);
    };
    let why = "the broker handed it out as often as it may, and no worker ended it";
    put(header::REASON, DeadReason::DeliveryLimit.as_str().into());
    put(header::ERROR, why.into());
    put(header::ERROR_CLASS, DeadReason::DeliveryLimit.as_str().into());
    put(header::ORIGIN, lane.to_string().into());
    put(header::DEAD_AT, moved_at(wire).unwrap_or(now.0).min(now.0).into());
    publish
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn namespace() -> Namespace {
        "acme".parse().unwrap()
    }

    fn queue() -> QueueName {
        "mail".parse().unwrap()
    }

    fn letter() -> Wire {
        let mut wire = Wire {
            message_id: Some("0192f0c1-2345-7abc-8def-0123456789ab".to_owned()),
            kind: Some("email.welcome".to_owned()),
            body: Bytes::from_static(b"{\"n\":1}"),
            ..Wire::default()
        };
        for (name, value) in [
            (header::REASON, HeaderValue::from("handler")),
            (header::ERROR, "refused".into()),
            (header::ERROR_CLASS, "smtp".into()),
            (header::ORIGIN, "mail.high".into()),
            (header::REPLAY, 2_u32.into()),
            (header::ATTEMPT, "7".into()),
            (header::DEAD_AT, 5_000_u64.into()),
            (header::EXPIRES_AT, 9_u64.into()),
            (header::KEY, "k".into()),
            ("lv-mystery", "kept".into()),
            (BROKER_DEATHS, "never copied".into()),
        ] {
            wire.headers.insert(name.to_owned(), value);
        }
        wire
    }

    #[test]
    fn a_letter_says_what_died_where_when_and_why() {
        let described = describe(&namespace(), &queue(), &letter(), Millis(1), Millis(2));
        assert_eq!(described.id.to_string(), "0192f0c1-2345-7abc-8def-0123456789ab");
        assert_eq!(described.order, Order { replay: 2, attempt: 7 });
        assert_eq!(described.reason, Some(DeadReason::Handler));
        assert_eq!(described.died_at, Millis(5_000));
        assert_eq!((described.args.as_str(), described.args_size), ("{\"n\":1}", 7));
        assert_eq!(origin(&letter(), &namespace(), &queue()).to_string(), "mail.high");
        assert!(!is_stray(&letter()));
    }

    #[test]
    fn a_replay_is_the_same_task_with_a_clean_slate() {
        let Publish { to, wire } = replay(&letter(), "mail.low".parse().unwrap(), 3);
        assert_eq!(to, Destination::Lane("mail.low".parse().unwrap()));
        assert_eq!(wire.message_id, letter().message_id);
        assert_eq!(wire.body, letter().body);
        let names: Vec<_> = wire.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["lv-attempt", "lv-key", "lv-mystery", "lv-replay"]);
        assert_eq!(wire.number(header::REPLAY), Some(3));
        assert_eq!(wire.number(header::ATTEMPT), Some(1));
    }

    #[test]
    fn a_kept_letter_is_the_same_but_for_what_must_not_be_copied() {
        let Publish { wire, .. } = keep(&letter(), &queue(), Millis(9_000));
        let mut expected = letter();
        expected.headers.remove(BROKER_DEATHS);
        assert_eq!(wire, expected);
    }

    #[test]
    fn a_stray_knows_its_lane_from_the_broker() {
        let mut wire = Wire::default();
        assert!(is_stray(&wire));
        assert_eq!(origin(&wire, &namespace(), &queue()).to_string(), "mail.normal");
        let death = [("queue".to_owned(), HeaderValue::from("acme.lane.mail.low"))].into();
        let deaths = HeaderValue::List(vec![HeaderValue::Table(death)]);
        wire.headers.insert(BROKER_DEATHS.to_owned(), deaths);
        let lane = origin(&wire, &namespace(), &queue());
        assert_eq!(lane.to_string(), "mail.low");
        assert!(send_back(&wire, lane.clone()).wire.headers.is_empty());
        let explained = explain(&wire, &queue(), &lane, Millis(7)).wire;
        assert_eq!(reason(&explained), Some(DeadReason::DeliveryLimit));
        assert_eq!(explained.number(header::DEAD_AT), Some(7));
    }

    #[test]
    fn a_stray_whose_time_to_live_is_over_goes_back_as_expired() {
        let mut death = Headers::from([
            ("queue".to_owned(), HeaderValue::from("acme.lane.mail.low")),
            ("reason".to_owned(), "expired".into()),
            ("time".to_owned(), HeaderValue::Time(1_790_000_000)),
        ]);
        let back = |death: &Headers, said: Option<u64>| {
            let mut wire = Wire::default();
            let deaths = HeaderValue::List(vec![HeaderValue::Table(death.clone())]);
            wire.headers.insert(BROKER_DEATHS.to_owned(), deaths);
            if let Some(said) = said {
                wire.headers.insert(header::EXPIRES_AT.to_owned(), said.into());
            }
            send_back(&wire, "mail.low".parse().unwrap()).wire.number(header::EXPIRES_AT)
        };
        assert_eq!(back(&death, None), Some(1_790_000_000_000));
        assert_eq!(back(&death, Some(9)), Some(9), "the sender's own word is earlier");
        assert_eq!(back(&death, Some(1_800_000_000_000)), Some(1_790_000_000_000));
        death.insert("reason".to_owned(), "delivery_limit".into());
        assert_eq!(back(&death, None), None);
    }

    #[test]
    fn a_stray_is_whatever_does_not_say_why_it_is_dead() {
        let mut wire = letter();
        wire.headers.remove(header::REASON);
        assert!(
            is_stray(&wire) && was_tried(&wire),
            "a retry carries the error of the last attempt"
        );
        wire.headers.insert(header::REASON.to_owned(), "of a newer version".into());
        assert!(!is_stray(&wire));
    }

    #[test]
    fn a_stray_that_is_held_keeps_its_lane_and_goes_back_without_a_trace() {
        let mut wire = Wire::default();
        let death = [("queue".to_owned(), HeaderValue::from("acme.lane.mail.low"))].into();
        let deaths = HeaderValue::List(vec![HeaderValue::Table(death)]);
        wire.headers.insert(BROKER_DEATHS.to_owned(), deaths);
        let held = hold(&wire, &queue(), &namespace()).wire;
        assert!(is_stray(&held) && !held.headers.contains_key(BROKER_DEATHS));
        let lane = origin(&held, &namespace(), &queue());
        assert_eq!(lane.to_string(), "mail.low");
        assert_eq!(send_back(&held, lane).wire, Wire::default());
    }

    #[test]
    fn a_letter_that_does_not_say_when_it_died_is_as_old_as_what_is_known_of_it() {
        let now = Millis(1_790_000_000_000);
        let mut wire = letter();
        wire.headers.remove(header::DEAD_AT);
        wire.headers.remove(BROKER_DEATHS);
        let kept = |wire: &Wire| keep(wire, &queue(), now).wire.number(header::DEAD_AT).unwrap();
        assert_eq!(kept(&wire), now.0);
        wire.timestamp = Some(1_700_000_001);
        assert_eq!(kept(&wire), 1_700_000_001_000);
        wire.headers.insert(header::FIRST_FAILED_AT.to_owned(), 1_700_000_002_000_u64.into());
        assert_eq!(kept(&wire), 1_700_000_002_000);
        let death = [("time".to_owned(), HeaderValue::Time(1_700_000_003))].into();
        let deaths = HeaderValue::List(vec![HeaderValue::Table(death)]);
        wire.headers.insert(BROKER_DEATHS.to_owned(), deaths);
        assert_eq!(kept(&wire), 1_700_000_003_000);
        assert_eq!(describe(&namespace(), &queue(), &wire, now, now).died_at.0, kept(&wire));
        // Said once, it stays; and nothing has died in the future.
        let again = keep(&keep(&wire, &queue(), now).wire, &queue(), Millis(now.0 * 2));
        assert_eq!(again.wire.number(header::DEAD_AT), Some(1_700_000_003_000));
        wire.headers.remove(BROKER_DEATHS);
        wire.headers.insert(header::FIRST_FAILED_AT.to_owned(), (now.0 + 9).into());
        assert_eq!(kept(&wire), now.0);
    }

    #[test]
    fn whatever_is_ours_stays_whatever_its_size() {
        let name = |n: usize| format!("{n:0>width$}", width = header::MAX_TAG_NAME);
        let tags = (0..header::MAX_TAGS).map(|n| (name(n), HeaderValue::from(name(n)))).collect();
        let mut wire = letter();
        wire.headers.insert(header::TAGS.to_owned(), HeaderValue::Table(tags));
        for n in 0..8 {
            wire.headers.insert(format!("lv-mystery-{n}"), "x".repeat(4_000).into());
        }
        wire.headers.insert("CC".to_owned(), HeaderValue::List(vec!["elsewhere".into()]));
        let mut expected = wire.headers.clone();
        expected.remove(BROKER_DEATHS);
        expected.remove("CC");
        assert_eq!(keep(&wire, &queue(), Millis(9_000)).wire.headers, expected);
        expected.remove(header::ORIGIN);
        let lane: Lane = "mail.low".parse().unwrap();
        assert_eq!(send_back(&wire, lane.clone()).wire.headers, expected);
        let replayed = replay(&wire, lane, 1).wire;
        assert_eq!(replayed.headers.get(header::TAGS), wire.headers.get(header::TAGS));
        assert_eq!(replayed.text("lv-mystery-7").map(str::len), Some(4_000));
    }

    #[test]
    fn any_bytes_have_a_description() {
        let wire = Wire { body: Bytes::from(vec![0xff; 10_000]), ..Wire::default() };
        let described = describe(&namespace(), &queue(), &wire, Millis(1), Millis(2));
        assert_eq!(described.args_size, 10_000);
        assert_eq!(described.died_at, Millis(1));
        let again = describe(&namespace(), &queue(), &wire, Millis(1), Millis(2));
        assert_eq!(described.id, again.id, "the same letter has the same id");
    }
}
