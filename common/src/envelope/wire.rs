//! The neutral form of a message: properties, headers and body as any broker carries them.
//!
//! Backends translate between this and their own types and know nothing else of a task. What the
//! fields mean is decided in [`super::native`]; nothing here is validated.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::header;
use crate::id::TaskId;
use crate::name::Namespace;
use crate::sabotage::{Break, breaks};

/// The headers of a message, sorted by name.
pub type Headers = BTreeMap<String, HeaderValue>;

/// A header's value: what an AMQP 0-9-1 field table can hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeaderValue {
    /// No value.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer of any width, read as 64 bits; an unsigned value above `i64::MAX` is kept as
    /// `Text`.
    Int(i64),
    /// A floating-point number.
    #[serde(with = "float_text")]
    Float(f64),
    /// One of single precision: its sender may have rounded what it meant.
    #[serde(with = "float_text")]
    Single(f32),
    /// A decimal number: value × 10^-scale.
    Decimal(u8, u32),
    /// UTF-8 text.
    Text(String),
    /// Bytes that are not UTF-8.
    Bytes(Vec<u8>),
    /// Seconds since 1970 UTC, as AMQP has them.
    Time(u64),
    /// Several values.
    List(Vec<HeaderValue>),
    /// A nested table.
    Table(Headers),
}

impl HeaderValue {
    /// Returns about how many bytes the value takes on the wire.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 2,
            Self::Int(_) | Self::Float(_) | Self::Single(_) | Self::Decimal(..) | Self::Time(_) => {
                9
            }
            Self::Text(text) => 5 + text.len(),
            Self::Bytes(bytes) => 5 + bytes.len(),
            Self::List(items) => 5 + items.iter().map(Self::size).sum::<usize>(),
            Self::Table(table) => 5 + headers_size(table),
        }
    }
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for HeaderValue {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for HeaderValue {
    fn from(number: u32) -> Self {
        Self::Int(i64::from(number))
    }
}

/// Returns about how many bytes `headers` take on the wire.
#[must_use]
pub fn headers_size(headers: &Headers) -> usize {
    headers.iter().map(|(name, value)| 1 + name.len() + value.size()).sum()
}

/// A message as it travels.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wire {
    /// `message_id`: the task's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// `type`: the task's kind.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `content_type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `content_encoding`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// `correlation_id`: the root id of a workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// `reply_to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// `timestamp`: seconds since 1970 UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// `app_id`: the producer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// `priority`: read from other dialects; ours says it with the lane.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// All headers.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
    /// The body.
    #[serde(with = "body_text")]
    pub body: Bytes,
}

/// Most bytes of headers of a message that cannot be decoded.
const MAX_KEPT: usize = 32 * 1024;

impl Wire {
    /// Reads a header as a number; decimal text counts as one.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.headers.get(name)? {
            HeaderValue::Int(value) => u64::try_from(*value).ok(),
            HeaderValue::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Reads a header as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.headers.get(name)? {
            HeaderValue::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Drops what the broker or a stranger put there, `x-death` and `CC` for example: a copy that is
    /// published with them would be routed or counted by them. What is ours stays, whatever its size.
    pub fn drop_foreign(&mut self) {
        self.headers.retain(|name, _| {
            let is_ours = name.starts_with("lv-") || header::KNOWN.contains(&name.as_str());
            is_ours || breaks(Break::CopiedXHeaders)
        });
    }

    /// Gives a message that becomes a dead letter an id, where it has none that can be read: letters
    /// are told apart by it, and two senders may send the same bytes.
    pub fn name_letter(&mut self) {
        let said = self.message_id.as_deref().unwrap_or_default();
        if TaskId::foreign(&Namespace::default(), said).is_err() {
            self.message_id = Some(TaskId::mint().to_string());
        }
    }

    /// As [`Self::keep_ours`] for a message of a newer version: each of its headers, however large, as far as a frame
    /// holds them. Which it can do without is known to those who know its version.
    pub fn keep_for_newer(&mut self) {
        self.drop_foreign();
        self.priority = None;
        if headers_size(&self.headers) > MAX_KEPT {
            self.keep_ours();
        }
    }

    /// Keeps only headers that may be sent: `lv-*` and trace context, within the limits. Where one of
    /// ours is left out that way, the message says so and stays unreadable: without it, it may be another
    /// task than the one that was sent.
    ///
    /// For messages that cannot be decoded; a decoded one is written anew and is clean by itself.
    pub fn keep_ours(&mut self) {
        self.drop_foreign();
        self.priority = None;
        let mut missed = None;
        let mut miss = |name: &str| {
            if name.starts_with("lv-") && missed.is_none() {
                missed = Some(format!("header {name} is too large to be kept with a dead letter"));
            }
        };
        self.headers.retain(|name, value| {
            let fits = value.size() <= header::MAX_EXTRA_BYTES;
            if !fits {
                miss(name);
            }
            fits
        });
        // Together they must fit a frame with room to spare; half of them would mislead.
        if headers_size(&self.headers) > MAX_KEPT {
            self.headers.keys().for_each(|name| miss(name));
            self.headers.retain(|name, _| name == header::UNREADABLE);
        }
        if let Some(why) = missed {
            self.headers.entry(header::UNREADABLE.to_owned()).or_insert_with(|| why.into());
        }
    }
}

/// Writes a float as text: JSON has no infinity, and its readers may round the last digit.
mod float_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form<T> {
        Number(T),
        Text(String),
    }

    pub(super) fn serialize<T: Display, S: Serializer>(
        float: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(float)
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: Deserialize<'de> + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        match Form::deserialize(from)? {
            Form::Number(float) => Ok(float),
            Form::Text(text) => text.parse().map_err(D::Error::custom),
        }
    }
}

/// Writes a body as text where it is UTF-8, else as a list of bytes.
mod body_text {
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Raw(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(body: &Bytes, to: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(body) {
            Ok(text) => to.serialize_str(text),
            Err(_) => to.collect_seq(body.iter()),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Bytes, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::Text(text) => Bytes::from(text),
            Form::Raw(raw) => Bytes::from(raw),
        })
    }
}
