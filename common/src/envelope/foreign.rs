//! What has to be known of messages in other dialects beside the envelope they become.
//!
//! Responsible for messages that are copied or refused before they are an envelope: their own
//! headers are never copied, so what these say has to be put into ours first.

use super::{Decoded, HeaderValue, Headers, Undecodable, Wire, dialect_of, header};
use crate::id::TaskId;
use crate::name::{Class, KindName, Namespace};

/// What `lv-reply-to` begins with where a Celery client waits; the task's id as that client wrote it
/// follows.
pub const CELERY_REPLY: &str = "celery:";

/// What could be read of a message in another dialect that cannot become a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Foreign {
    /// The task's id.
    pub id: TaskId,
    /// The sender's own id, where it was not a UUID.
    pub origin_id: Option<String>,
    /// The kind, where it is one.
    pub kind: Option<KindName>,
    /// Where the sender waits for the outcome.
    pub reply_to: Option<String>,
    /// What its dialect reads in its headers; travels as `lv-foreign`.
    pub headers: Headers,
}

impl Foreign {
    /// Puts it on the message in our words: so its dead letter is found by id and kind, and a replay
    /// of it is read by the same dialect again.
    pub fn put_on(&self, wire: &mut Wire) {
        wire.message_id = Some(self.id.to_string());
        wire.kind = self.kind.as_ref().map(ToString::to_string);
        let mut put = |name: &str, text: &Option<String>| {
            if let Some(text) = text {
                wire.headers.insert(name.to_owned(), text.as_str().into());
            }
        };
        put(header::ORIGIN_ID, &self.origin_id);
        put(header::REPLY_TO, &self.reply_to);
        let table = HeaderValue::Table(self.headers.clone());
        wire.headers.insert(header::FOREIGN.to_owned(), table);
    }
}

/// Returns a message of another dialect in our own, for whoever copies only headers of ours; one of
/// our own stays as it is. What the broker wrote on it stays readable.
#[must_use]
pub fn naturalise(namespace: &Namespace, mut wire: Wire) -> Wire {
    // Part of it is missing, and our words for what is left would not say so.
    if wire.headers.contains_key(header::UNREADABLE) {
        return wire;
    }
    let Some(dialect) = dialect_of(&wire) else { return wire };
    match dialect.decode(namespace, &wire) {
        Ok(Decoded::Task(envelope) | Decoded::Nameless(envelope)) => {
            let mut ours = envelope.to_wire();
            let of_the_broker = wire.headers.into_iter().filter(|(name, _)| name.starts_with("x-"));
            ours.headers.extend(of_the_broker);
            ours
        }
        Err(Undecodable { foreign: Some(foreign), .. }) => {
            foreign.put_on(&mut wire);
            wire
        }
        Ok(Decoded::Newer { .. }) | Err(_) => wire,
    }
}

/// Returns the class that a message asks for by other means than the lane it was sent to.
#[must_use]
pub fn wanted_class(wire: &Wire) -> Option<Class> {
    dialect_of(wire)?.class(wire)
}
