//! Task ids: minted here, given by a sender, or derived from a key; owners and fences too.
//!
//! The derivations are part of the wire format: two senders with the same key must arrive at the
//! same id, whatever language they are written in. The namespaces below never change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Millis;
use crate::name::{KindName, Namespace, ScheduleName};
use crate::sabotage::{Break, breaks};

/// Longest foreign id and longest key, in bytes.
pub const MAX_FOREIGN: usize = 128;

/// The UUID namespace of every derived id: `uuidv5(DNS, "leveret.task")`.
const ROOT: Uuid = Uuid::from_bytes([
    0xa6, 0x00, 0x8a, 0x52, 0x61, 0xc2, 0x59, 0x4b, 0xb4, 0x28, 0xaa, 0x61, 0x18, 0x65, 0x6e, 0x28,
]);

/// Identifies one task, in every copy, attempt and replay.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskId(Uuid);

/// Tells why a text cannot be an id or a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// The text is empty.
    #[error("the {0} is empty; leave it out or give it a value")]
    Empty(&'static str),
    /// The text is longer than [`MAX_FOREIGN`].
    #[error("the {0} has {1} bytes; at most {MAX_FOREIGN} are allowed")]
    TooLong(&'static str, usize),
    /// The text holds a control character.
    #[error("the {0} holds a control character; use printable text")]
    Control(&'static str),
}

fn check(what: &'static str, text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty(what));
    }
    if text.len() > MAX_FOREIGN {
        return Err(InvalidId::TooLong(what, text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::Control(what));
    }
    Ok(())
}

impl TaskId {
    /// Mints a new id (UUID v7: sortable by time of minting).
    #[must_use]
    pub fn mint() -> Self {
        Self(Uuid::now_v7())
    }

    /// Reads an id given by a sender: a UUID as it is, other text by derivation.
    ///
    /// The second value is the sender's own text, where it was not a UUID; it travels as
    /// `lv-origin-id`.
    ///
    /// # Errors
    /// When the text is empty, longer than [`MAX_FOREIGN`] bytes, or holds control characters.
    pub fn foreign(namespace: &Namespace, text: &str) -> Result<(Self, Option<String>), InvalidId> {
        check("id", text)?;
        if let Ok(uuid) = Uuid::parse_str(text) {
            return Ok((Self(uuid), None));
        }
        let name = format!("{namespace}\0id\0{text}");
        Ok((Self(Uuid::new_v5(&ROOT, name.as_bytes())), Some(text.to_owned())))
    }

    /// Derives the id of a task that was given a key: the same kind and key, the same task.
    ///
    /// # Errors
    /// When the key is empty, longer than [`MAX_FOREIGN`] bytes, or holds control characters.
    pub fn from_key(namespace: &Namespace, kind: &KindName, key: &str) -> Result<Self, InvalidId> {
        check("key", key)?;
        let name = format!("{namespace}\0key\0{kind}\0{key}");
        Ok(Self(Uuid::new_v5(&ROOT, name.as_bytes())))
    }

    /// Derives the id of a task that a handler enqueues as part of its success (rule F1): the same
    /// follow-up of the same replay has the same id, however often the parent is tried.
    ///
    /// `ordinal` counts the follow-ups of one reply that are alike in kind and args.
    #[must_use]
    pub fn follow_up(self, replay: u32, kind: &KindName, args: &[u8], ordinal: u32) -> Self {
        if breaks(Break::FollowUpIdRandom) {
            return Self::mint();
        }
        let mut name = format!("{self}\0follow\0{replay}\0{kind}\0{ordinal}\0").into_bytes();
        name.extend_from_slice(args);
        Self(Uuid::new_v5(&ROOT, &name))
    }

    /// Derives the id of one occurrence of a schedule: whoever finds it due, the same task.
    ///
    /// `nonce` tells an occurrence that somebody asked for (*run now*, *backfill*) from the one that
    /// the clock asks for, and from those asked for under another nonce.
    #[must_use]
    pub fn of_occurrence(
        namespace: &Namespace,
        schedule: &ScheduleName,
        due: Millis,
        nonce: Option<&str>,
    ) -> Self {
        if breaks(Break::OccurrenceIdRandom) {
            return Self::mint();
        }
        let due = due.0;
        let nonce = nonce.unwrap_or_default();
        let name = format!("{namespace}\0schedule\0{schedule}\0{due}\0{nonce}");
        Self(Uuid::new_v5(&ROOT, name.as_bytes()))
    }

    /// Derives the id of the edited copy that replaces a dead task: the same edit, the same task.
    #[must_use]
    pub fn edited(self, replay: u32, args: &[u8]) -> Self {
        let mut name = format!("{self}\0edit\0{replay}\0").into_bytes();
        name.extend_from_slice(args);
        Self(Uuid::new_v5(&ROOT, &name))
    }

    /// Derives an id for a message that has none which can be read.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut name = b"bytes\0".to_vec();
        name.extend_from_slice(bytes);
        Self(Uuid::new_v5(&ROOT, &name))
    }

    /// Returns the UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for TaskId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl FromStr for TaskId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Identifies one worker incarnation: a new one at each start of the process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(Uuid);

impl Owner {
    /// Mints a new incarnation.
    #[must_use]
    pub fn mint() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for Owner {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        Uuid::parse_str(text).map(Self)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

/// Grows with each claim of one task; a finish under an older fence is refused.
///
/// At least the ledger's time in µs, so that it also grows across a wipe (rule C6).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Fence(pub u64);

/// Marks one request to the ledger, so that its repetition is recognised (rule C7).
///
/// Unique within one owner; drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub u64);

impl Token {
    /// Draws a new token.
    #[must_use]
    pub fn draw() -> Self {
        // The first eight bytes of a v4 UUID carry 60 random bits: unique enough within one owner.
        Self(Uuid::new_v4().as_u64_pair().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_derived_ids_is_what_its_comment_says() {
        assert_eq!(ROOT, Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"leveret.task"));
    }

    #[test]
    fn a_uuid_is_kept_and_other_text_is_derived_the_same_way_each_time() {
        let ns = Namespace::default();
        let uuid = "0192f0c0-0000-7000-8000-000000000001";
        assert_eq!(TaskId::foreign(&ns, uuid).unwrap(), (uuid.parse().unwrap(), None));
        let (first, origin) = TaskId::foreign(&ns, "order-7").unwrap();
        assert_eq!(origin.as_deref(), Some("order-7"));
        assert_eq!(first, TaskId::foreign(&ns, "order-7").unwrap().0);
        assert_ne!(first, TaskId::foreign(&"other".parse().unwrap(), "order-7").unwrap().0);
        assert!(TaskId::foreign(&ns, "").is_err());
        assert!(TaskId::foreign(&ns, &"x".repeat(129)).is_err());
        assert!(TaskId::foreign(&ns, "a\nb").is_err());
    }

    #[test]
    fn a_key_belongs_to_its_kind() {
        let ns = Namespace::default();
        let a = TaskId::from_key(&ns, &"a".parse().unwrap(), "k").unwrap();
        assert_eq!(a, TaskId::from_key(&ns, &"a".parse().unwrap(), "k").unwrap());
        assert_ne!(a, TaskId::from_key(&ns, &"b".parse().unwrap(), "k").unwrap());
        assert_ne!(a, TaskId::foreign(&ns, "k").unwrap().0);
    }
}
