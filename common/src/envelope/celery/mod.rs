//! The dialect of Celery clients: message protocol 2, and 1.
//!
//! Protocol 2 has the task in its headers and `[args, kwargs, embed]` as body, protocol 1 all of it
//! in the body. What works and what does not is told in `docs/celery.md`. Guards that a message
//! which asks for more than one task (links, chains, chords) is refused aloud and not performed in
//! part, and that nothing is read with a serializer that can run code.

mod body;
mod claims;
mod time;

use bytes::Bytes;

use self::claims::Claims;
use super::{
    CELERY_REPLY, Decoded, Dialect, Envelope, Foreign, HeaderValue, Headers, Undecodable, Wire,
    header, native, read,
};
use crate::id::TaskId;
use crate::name::{Class, KindName, Namespace};

/// The header of protocol 2 that names the task.
const TASK: &str = "task";
/// Tells the tables of dialects in `lv-foreign` apart.
const DIALECT: &str = "dialect";
/// This one.
const NAME: &str = "celery";
/// The headers that are read, and kept with a dead letter.
const HEADERS: [&str; 12] = [
    TASK,
    "id",
    "root_id",
    "parent_id",
    "retries",
    "eta",
    "expires",
    "timelimit",
    "origin",
    "ignore_result",
    "compression",
    "body_encoding",
];
/// Largest header that is kept with a dead letter, in bytes; those that are read are smaller.
const MAX_KEPT: usize = 512;

pub(super) struct Celery;

impl Dialect for Celery {
    fn recognises(&self, wire: &Wire) -> bool {
        if let Some(HeaderValue::Table(kept)) = wire.headers.get(header::FOREIGN) {
            return kept.get(DIALECT) == Some(&NAME.into());
        }
        wire.kind.as_deref().unwrap_or_default().is_empty()
            && (wire.text(TASK).is_some() || body::is_of_kombu(wire) || body::is_protocol_1(wire))
    }

    fn decode(&self, namespace: &Namespace, wire: &Wire) -> Result<Decoded, Undecodable> {
        let headers = match wire.headers.get(header::FOREIGN) {
            Some(HeaderValue::Table(kept)) => kept,
            _ => &wire.headers,
        };
        if headers.contains_key(TASK) {
            let claims = Claims::of_headers(headers)
                .map_err(|error| unread(namespace, &Claims::names(headers), headers, error.why))?;
            let (foreign, kind) = identify(namespace, &claims, headers)?;
            let refuse = |why| refused(&foreign, why);
            let body = body::plain(wire, headers).map_err(refuse)?;
            let args = body::protocol_2(&body).map_err(refuse)?;
            return finish(namespace, wire, &claims, (&foreign, kind), args);
        }
        // All that protocol 1 says is in the body; kombu has the id beside it.
        let unread = |why: String| {
            let id = wire.correlation_id.clone().unwrap_or_default();
            unread(namespace, &Claims { id, ..Claims::default() }, headers, why)
        };
        let body = body::plain(wire, headers).map_err(unread)?;
        let message = body::protocol_1(&body).map_err(unread)?;
        let (foreign, kind) = identify(namespace, &message.claims, headers)?;
        match message.refused {
            Some(why) => Err(refused(&foreign, why)),
            None => finish(namespace, wire, &message.claims, (&foreign, kind), message.args),
        }
    }

    fn class(&self, wire: &Wire) -> Option<Class> {
        // kombu sends 0 where nobody chose a priority; on RabbitMQ the greater number is the more
        // urgent one.
        match wire.priority? {
            0 => None,
            1..=3 => Some(Class::Low),
            4..=6 => Some(Class::Normal),
            7..=8 => Some(Class::High),
            9.. => Some(Class::Critical),
        }
    }
}

/// Refuses a message of which no more is known than these claims, under its own id where it has one.
fn unread(namespace: &Namespace, claims: &Claims, headers: &Headers, why: String) -> Undecodable {
    match identify(namespace, claims, headers) {
        Ok((foreign, _)) => refused(&foreign, why),
        Err(Undecodable { foreign: Some(foreign), .. }) => refused(&foreign, why),
        Err(Undecodable { foreign: None, .. }) => Undecodable::malformed(why),
    }
}

/// Tells who is asked for, as far as a dead letter has to know, and the kind.
fn identify(
    namespace: &Namespace,
    claims: &Claims,
    headers: &Headers,
) -> Result<(Foreign, KindName), Undecodable> {
    let wrong =
        |part: &str, why: String| format!("the Celery message's {part} cannot be used: {why}");
    let (id, origin_id) = TaskId::foreign(namespace, &claims.id)
        .map_err(|error| Undecodable::malformed(wrong("id", error.to_string())))?;
    let reply_to = (!claims.ignore_result).then(|| format!("{CELERY_REPLY}{}", claims.id));
    let mut kept: Headers = HEADERS
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), headers.get(name)?.clone())))
        .filter(|(_, value)| value.size() <= MAX_KEPT)
        .collect();
    kept.insert(DIALECT.to_owned(), NAME.into());
    let mut foreign = Foreign { id, origin_id, kind: None, reply_to, headers: kept };
    match claims.task.parse::<KindName>() {
        Ok(kind) => {
            foreign.kind = Some(kind.clone());
            Ok((foreign, kind))
        }
        Err(error) => {
            let why = format!("{error}; give the task a name of these in the Celery app");
            Err(refused(&foreign, wrong("task name", why)))
        }
    }
}

fn refused(foreign: &Foreign, why: String) -> Undecodable {
    Undecodable { foreign: Some(Box::new(foreign.clone())), ..Undecodable::malformed(why) }
}

/// Makes the task. What the sender said in `lv-*` headers counts, where Celery has no word for it.
fn finish(
    namespace: &Namespace,
    wire: &Wire,
    claims: &Claims,
    (foreign, kind): (&Foreign, KindName),
    args: Bytes,
) -> Result<Decoded, Undecodable> {
    let refuse = |error: Undecodable| refused(foreign, error.why);
    // These two say who is asked for, which is known by now.
    let mut wire = wire.clone();
    wire.headers.retain(|name, _| name != header::ORIGIN_ID && name != header::REPLY_TO);
    native::check_depth(&args).map_err(refuse)?;
    let times = claims.times().map_err(|why| refused(foreign, why))?;
    let mut order = native::order(&wire.headers).map_err(refuse)?;
    let mut fixed = native::fixed(&wire).map_err(refuse)?;
    let mut moving = native::moving(&wire.headers).map_err(refuse)?;
    fixed.origin_id.clone_from(&foreign.origin_id);
    fixed.reply_to.clone_from(&foreign.reply_to);
    fixed.root = claims.root.clone().filter(|root| *root != claims.id);
    fixed.producer = claims.origin.clone().or(fixed.producer);
    let parent = claims.parent.as_deref();
    fixed.parent = parent.and_then(|parent| Some(TaskId::foreign(namespace, parent).ok()?.0));
    fixed.timeout = times.timeout.or(fixed.timeout);
    // A fresh start by an operator is due at once, and counts its attempts anew (rule R1).
    if order.replay == 0 {
        order.attempt = claims.retries.saturating_add(1).max(order.attempt);
        fixed.expires_at = times.expires.or(fixed.expires_at);
        moving.not_before = times.eta.or(moving.not_before);
    }
    Ok(Decoded::Task(Box::new(Envelope {
        id: foreign.id,
        kind,
        args,
        order,
        fixed,
        moving,
        extra: read::extra(&wire.headers).map_err(refuse)?,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its sender waits for a word under that id.
    #[test]
    fn a_message_that_cannot_be_read_is_refused_under_its_own_id() {
        let long = "a".repeat(129);
        let sent = [("task", long.as_str(), "kind"), ("eta", "tomorrow at tea", "eta")];
        for (header, value, part) in sent {
            let mut wire = Wire { body: Bytes::from_static(b"[[], {}, {}]"), ..Wire::default() };
            for (name, text) in [("task", "shop.add"), ("id", "order 7"), (header, value)] {
                wire.headers.insert(name.to_owned(), text.into());
            }
            let namespace = Namespace::default();
            let error = Celery.decode(&namespace, &wire).unwrap_err();
            assert!(error.why.contains(part), "{}", error.why);
            let foreign = error.foreign.unwrap();
            assert_eq!(foreign.origin_id.as_deref(), Some("order 7"), "{header}");
            assert_eq!(foreign.reply_to.as_deref(), Some("celery:order 7"), "{header}");
        }
        let mut wire = Wire { body: Bytes::from_static(b"[[], {}, {}]"), ..Wire::default() };
        for (name, value) in [("task", "shop.add".into()), ("id", "order 7".into())] {
            wire.headers.insert(name.to_owned(), value);
        }
        wire.headers.insert("retries".to_owned(), HeaderValue::Int(-1));
        let error = Celery.decode(&Namespace::default(), &wire).unwrap_err();
        assert!(error.foreign.is_some() && error.why.contains("retries"), "{}", error.why);
    }
}
