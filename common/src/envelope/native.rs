//! Leveret's own dialect: `type`, `message_id`, `lv-*` headers, and a body that is the args.
//!
//! The reference for other languages is `docs/protocol.md`; the golden files under
//! `common/tests/golden/` hold the format.

use serde::de::IgnoredAny;

use super::header as h;
use super::{
    Decoded, Envelope, Fixed, HeaderValue, Headers, Moving, Order, Undecodable, VERSION, Wire, read,
};
use crate::clock::Millis;
use crate::failpoint;
use crate::id::{MAX_FOREIGN, TaskId};
use crate::name::{KindName, Namespace};

/// Reads a message in our own dialect.
pub(super) fn decode(namespace: &Namespace, wire: &Wire) -> Result<Decoded, Undecodable> {
    let headers = &wire.headers;
    let version = read::bounded(headers, h::VERSION, 1, u32::MAX)?.unwrap_or(VERSION);
    if version > newest() {
        return Ok(Decoded::Newer { version });
    }
    let kind = kind(wire)?;
    check_body(wire)?;
    let mut fixed = fixed(wire)?;
    let (id, minted) = identify(namespace, wire, &kind, &mut fixed)?;
    let envelope = Box::new(Envelope {
        id,
        kind,
        args: wire.body.clone(),
        order: order(headers)?,
        fixed,
        moving: moving(headers)?,
        extra: read::extra(headers)?,
    });
    Ok(if minted { Decoded::Nameless(envelope) } else { Decoded::Task(envelope) })
}

/// Returns the newest version that is read, which is the one that is written.
fn newest() -> u32 {
    let given = failpoint::number("envelope.version");
    given.and_then(|version| version.try_into().ok()).unwrap_or(VERSION)
}

pub(super) fn order(headers: &Headers) -> Result<Order, Undecodable> {
    Ok(Order {
        replay: read::bounded(headers, h::REPLAY, 0, u32::MAX)?.unwrap_or(0),
        attempt: read::bounded(headers, h::ATTEMPT, 1, u32::MAX)?.unwrap_or(1),
    })
}

fn kind(wire: &Wire) -> Result<KindName, Undecodable> {
    let text = wire.kind.as_deref().unwrap_or_default();
    text.parse().map_err(|error| Undecodable::malformed(format!("property type: {error}")))
}

fn check_body(wire: &Wire) -> Result<(), Undecodable> {
    let content_type = wire.content_type.as_deref().unwrap_or("application/json");
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if !media.is_empty() && !media.eq_ignore_ascii_case("application/json") {
        return Err(Undecodable::malformed(format!(
            "content_type is {content_type:?}; send application/json"
        )));
    }
    let encoding = wire.content_encoding.as_deref().unwrap_or_default();
    if !matches!(encoding, "" | "utf-8" | "UTF-8" | "identity") {
        return Err(Undecodable::malformed(format!(
            "content_encoding is {encoding:?}; send the body as plain UTF-8"
        )));
    }
    if let Err(why) = check_json(&wire.body) {
        return Err(Undecodable::malformed(format!("the body is not JSON: {why}")));
    }
    check_depth(&wire.body)
}

/// Checks that bytes are a JSON document.
///
/// # Errors
/// What is wrong with them, and where.
pub fn check_json(bytes: &[u8]) -> Result<(), String> {
    serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| error.to_string())?;
    // What is in texts was passed over there.
    std::str::from_utf8(bytes).map(drop).map_err(|error| error.to_string())
}

/// Checks that a valid JSON text is nested no deeper than every handler can read.
pub(super) fn check_depth(json: &[u8]) -> Result<(), Undecodable> {
    match depth(json) {
        depth if depth > h::MAX_DEPTH => Err(Undecodable::malformed(format!(
            "the body is nested {depth} deep; at most {} is allowed",
            h::MAX_DEPTH
        ))),
        _ => Ok(()),
    }
}

/// Returns how deep the arrays and objects of a valid JSON text are nested.
///
/// The check above does not recurse, but readers after us do.
fn depth(json: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Finds the task's id: its own, or one from its key, or a new one. The flag says it is new.
fn identify(
    namespace: &Namespace,
    wire: &Wire,
    kind: &KindName,
    fixed: &mut Fixed,
) -> Result<(TaskId, bool), Undecodable> {
    let wrong = |error| Undecodable::malformed(format!("message_id or lv-key: {error}"));
    if let Some(text) = wire.message_id.as_deref().filter(|text| !text.is_empty()) {
        let (id, origin) = TaskId::foreign(namespace, text).map_err(wrong)?;
        fixed.origin_id = fixed.origin_id.take().or(origin);
        return Ok((id, false));
    }
    match fixed.key.as_deref() {
        Some(key) => Ok((TaskId::from_key(namespace, kind, key).map_err(wrong)?, false)),
        None => Ok((TaskId::mint(), true)),
    }
}

pub(super) fn fixed(wire: &Wire) -> Result<Fixed, Undecodable> {
    let headers = &wire.headers;
    let mut trace = std::collections::BTreeMap::new();
    for name in [h::TRACEPARENT, h::TRACESTATE, h::BAGGAGE] {
        // A trace header that cannot be read is not worth a dead letter.
        if let Ok(Some(text)) = read::text(headers, name, h::MAX_TRACE) {
            trace.insert(name.to_owned(), text);
        }
    }
    Ok(Fixed {
        key: read::text(headers, h::KEY, MAX_FOREIGN)?,
        origin_id: read::text(headers, h::ORIGIN_ID, MAX_FOREIGN)?,
        max_attempts: read::bounded(headers, h::MAX_ATTEMPTS, 1, h::MAX_MAX_ATTEMPTS)?,
        expires_at: read::instant(headers, h::EXPIRES_AT)?,
        timeout: read::span(headers, h::TIMEOUT_MS)?,
        parent: read::parsed(headers, h::PARENT)?,
        reply_to: read::text(headers, h::REPLY_TO, h::MAX_TAG)?,
        replay_of: read::parsed(headers, h::REPLAY_OF)?,
        schedule: read::text(headers, h::SCHEDULE, h::MAX_TAG)?,
        occurrence: read::instant(headers, h::OCCURRENCE)?,
        revision: read::bounded(headers, h::REVISION, 0, u32::MAX)?,
        tags: read::tags(headers)?,
        result_ttl: read::span(headers, h::RESULT_TTL)?,
        trace,
        root: wire.correlation_id.clone(),
        enqueued_at: wire.timestamp.map(|seconds| Millis(seconds.min(u64::MAX / 1_000) * 1_000)),
        producer: wire.app_id.clone(),
    })
}

pub(super) fn moving(headers: &Headers) -> Result<Moving, Undecodable> {
    Ok(Moving {
        not_before: read::instant(headers, h::NOT_BEFORE)?,
        snoozes: read::bounded(headers, h::SNOOZES, 0, u32::MAX)?.unwrap_or(0),
        parks: read::bounded(headers, h::PARKS, 0, u32::MAX)?.unwrap_or(0),
        parked_since: read::instant(headers, h::PARKED_SINCE)?,
        origin: read::text(headers, h::ORIGIN, h::MAX_TAG)?,
        error: read::text(headers, h::ERROR, usize::MAX)?,
        error_class: read::text(headers, h::ERROR_CLASS, h::MAX_TAG)?,
        reason: read::parsed(headers, h::REASON)?,
        first_failed_at: read::instant(headers, h::FIRST_FAILED_AT)?,
        dead_at: read::instant(headers, h::DEAD_AT)?,
    })
}

/// Writes an envelope: the listed headers that have a value, and the unknown ones unchanged.
pub(super) fn write(envelope: &Envelope) -> Wire {
    let (fixed, moving) = (&envelope.fixed, &envelope.moving);
    let mut headers = envelope.extra.clone();
    let mut put = |name: &str, value: Option<HeaderValue>| {
        if let Some(value) = value {
            headers.insert(name.to_owned(), value);
        }
    };
    let text = |value: &Option<String>| value.as_deref().map(HeaderValue::from);
    let time = |value: Option<Millis>| value.map(|at| HeaderValue::from(at.0));
    let span = |value: Option<std::time::Duration>| {
        value.map(|span| HeaderValue::from(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    };
    put(h::VERSION, Some(newest().into()));
    put(h::KEY, text(&fixed.key));
    put(h::ORIGIN_ID, text(&fixed.origin_id));
    put(h::MAX_ATTEMPTS, fixed.max_attempts.map(HeaderValue::from));
    put(h::EXPIRES_AT, time(fixed.expires_at));
    put(h::TIMEOUT_MS, span(fixed.timeout));
    put(h::PARENT, fixed.parent.map(|id| id.to_string().into()));
    put(h::REPLAY_OF, fixed.replay_of.map(|id| id.to_string().into()));
    put(h::REPLY_TO, text(&fixed.reply_to));
    put(h::SCHEDULE, text(&fixed.schedule));
    put(h::OCCURRENCE, time(fixed.occurrence));
    put(h::REVISION, fixed.revision.map(HeaderValue::from));
    let tags: Headers = fixed.tags.iter().map(|(k, v)| (k.clone(), v.as_str().into())).collect();
    put(h::TAGS, (!tags.is_empty()).then_some(HeaderValue::Table(tags)));
    put(h::RESULT_TTL, span(fixed.result_ttl));
    for (name, value) in &fixed.trace {
        put(name, Some(value.as_str().into()));
    }
    let order = envelope.order;
    put(h::REPLAY, (order.replay > 0).then(|| order.replay.into()));
    put(h::ATTEMPT, Some(order.attempt.into()));
    put(h::NOT_BEFORE, time(moving.not_before));
    put(h::SNOOZES, (moving.snoozes > 0).then(|| moving.snoozes.into()));
    put(h::PARKS, (moving.parks > 0).then(|| moving.parks.into()));
    put(h::PARKED_SINCE, time(moving.parked_since));
    put(h::ORIGIN, text(&moving.origin));
    put(h::ERROR, moving.error.as_deref().map(|error| cut(error, h::MAX_ERROR).into()));
    put(h::ERROR_CLASS, moving.error_class.as_deref().map(|class| cut(class, h::MAX_TAG).into()));
    put(h::REASON, moving.reason.map(|reason| reason.to_string().into()));
    put(h::FIRST_FAILED_AT, time(moving.first_failed_at));
    put(h::DEAD_AT, time(moving.dead_at));
    Wire {
        message_id: Some(envelope.id.to_string()),
        kind: Some(envelope.kind.to_string()),
        content_type: Some("application/json".to_owned()),
        content_encoding: None,
        correlation_id: fixed.root.clone(),
        reply_to: None,
        timestamp: fixed.enqueued_at.map(|at| at.0 / 1_000),
        app_id: fixed.producer.clone(),
        priority: None,
        headers,
        body: envelope.args.clone(),
    }
}

/// Cuts `text` to at most `most` bytes at a character's boundary.
pub fn cut(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
