//! The form of a key's value: how it is read, where it goes, how it is shown and explained.
//!
//! Responsible for the step between `value`'s readers and the fields of `Settings`.
//! Form and field are one item, so a key cannot read one type and write another.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::choice::{Choice, LogFormat, LogLevel, Picker};
use super::secret::{Secret, SecretUrl, check_url};
use super::settings::Settings;
use super::value::{self, Raw};
use crate::duration;
use crate::name::{Class, Namespace, QueueName};
use crate::size::ByteSize;

/// Finds the field of a key.
pub type Slot<T> = fn(&mut Settings) -> &mut T;

/// Most queues one worker serves: each is up to four consumers, each with its own channel.
pub const MAX_QUEUES: usize = 100;
/// Largest share of a class.
pub const MAX_WEIGHT: u32 = 1_000;

/// What the value of a key looks like, with the field it is for.
#[derive(Debug, Clone, Copy)]
pub enum Form {
    /// A namespace.
    Namespace(Slot<Namespace>),
    /// A folder.
    Folder(Slot<PathBuf>),
    /// A file, or none.
    File(Slot<Option<PathBuf>>),
    /// A URL that may hold a password, or none.
    Url {
        /// The schemes that are allowed.
        schemes: &'static [&'static str],
        /// What one looks like.
        example: &'static str,
        /// Its field.
        slot: Slot<Option<SecretUrl>>,
    },
    /// A URL of a database that may hold a password, or none.
    Database(Slot<Option<SecretUrl>>),
    /// An HTTP URL without a password.
    HttpUrl(Slot<String>),
    /// A token, or none.
    Secret(Slot<Option<Secret>>),
    /// An address to listen on.
    Address(Slot<SocketAddr>),
    /// An address to listen on, or `off`.
    AddressOrOff(Slot<Option<SocketAddr>>),
    /// A duration with a unit.
    Duration {
        /// The shortest that is allowed.
        min: Duration,
        /// The longest that is allowed.
        max: Duration,
        /// Its field.
        slot: Slot<Duration>,
    },
    /// A number of bytes with a unit.
    Size {
        /// The smallest that is allowed.
        min: ByteSize,
        /// The largest that is allowed.
        max: ByteSize,
        /// Its field.
        slot: Slot<ByteSize>,
    },
    /// A whole number.
    Integer {
        /// The smallest that is allowed.
        min: u32,
        /// The largest that is allowed.
        max: u32,
        /// Its field.
        slot: Slot<u32>,
    },
    /// True or false.
    Boolean(Slot<bool>),
    /// Names of queues.
    Queues(Slot<Vec<QueueName>>),
    /// Classes.
    Classes(Slot<Vec<Class>>),
    /// Shares of classes.
    Weights(Slot<Vec<u32>>),
    /// How a worker picks.
    Picker(Slot<Picker>),
    /// A log level.
    Level(Slot<LogLevel>),
    /// A log format.
    Format(Slot<LogFormat>),
}

impl Form {
    pub(super) const fn duration(min: Duration, max: Duration, slot: Slot<Duration>) -> Self {
        Self::Duration { min, max, slot }
    }

    pub(super) const fn size(min: ByteSize, max: ByteSize, slot: Slot<ByteSize>) -> Self {
        Self::Size { min, max, slot }
    }

    pub(super) const fn integer(min: u32, max: u32, slot: Slot<u32>) -> Self {
        Self::Integer { min, max, slot }
    }

    /// Tells whether a value may not be quoted.
    #[must_use]
    pub const fn is_secret(&self) -> bool {
        matches!(self, Self::Url { .. } | Self::Database(_) | Self::Secret(_))
    }

    /// Reads a value into its field, or says what is wrong with it.
    pub(super) fn set(&self, settings: &mut Settings, raw: &Raw) -> Result<(), String> {
        match self {
            Self::Namespace(slot) => *slot(settings) = value::name(raw)?,
            Self::Folder(slot) => *slot(settings) = value::path(raw)?,
            Self::File(slot) => *slot(settings) = Some(value::path(raw)?),
            Self::Url { schemes, slot, .. } => {
                *slot(settings) = Some(SecretUrl::new(value::text(raw)?, schemes)?);
            }
            Self::Database(slot) => {
                *slot(settings) = Some(SecretUrl::database(value::text(raw)?)?);
            }
            Self::HttpUrl(slot) => *slot(settings) = http_url(raw)?,
            Self::Secret(slot) => *slot(settings) = Some(Secret::new(value::text(raw)?)?),
            Self::Address(slot) => *slot(settings) = value::address(raw)?,
            Self::AddressOrOff(slot) => *slot(settings) = address_or_off(raw)?,
            Self::Duration { min, max, slot } => {
                *slot(settings) = value::duration(raw, *min, *max)?;
            }
            Self::Size { min, max, slot } => *slot(settings) = value::size(raw, *min, *max)?,
            Self::Integer { min, max, slot } => *slot(settings) = value::integer(raw, *min, *max)?,
            Self::Boolean(slot) => *slot(settings) = value::boolean(raw)?,
            Self::Queues(slot) => *slot(settings) = value::set(raw, MAX_QUEUES, value::name)?,
            Self::Classes(slot) => {
                *slot(settings) = value::set(raw, Class::ALL.len(), value::name)?;
            }
            Self::Weights(slot) => {
                let weight = |raw: &Raw| value::integer(raw, 1, MAX_WEIGHT);
                *slot(settings) = value::list(raw, Class::ALL.len(), weight)?;
            }
            Self::Picker(slot) => *slot(settings) = value::choice(raw)?,
            Self::Level(slot) => *slot(settings) = value::choice(raw)?,
            Self::Format(slot) => *slot(settings) = value::choice(raw)?,
        }
        Ok(())
    }

    /// Writes the value of its field as the environment would, redacted; `None` if absent.
    ///
    /// It changes nothing: there is one way to a field, and that one is mutable.
    pub(super) fn show(&self, settings: &mut Settings) -> Option<String> {
        match self {
            Self::Namespace(slot) => Some(slot(settings).to_string()),
            Self::Folder(slot) => Some(slot(settings).display().to_string()),
            Self::File(slot) => slot(settings).as_ref().map(|path| path.display().to_string()),
            Self::Url { slot, .. } | Self::Database(slot) => {
                slot(settings).as_ref().map(ToString::to_string)
            }
            Self::HttpUrl(slot) => Some(slot(settings).clone()),
            Self::Secret(slot) => slot(settings).as_ref().map(ToString::to_string),
            Self::Address(slot) => Some(slot(settings).to_string()),
            Self::AddressOrOff(slot) => {
                Some(slot(settings).map_or_else(|| "off".to_owned(), |address| address.to_string()))
            }
            Self::Duration { slot, .. } => Some(duration::format(*slot(settings))),
            Self::Size { slot, .. } => Some(slot(settings).to_string()),
            Self::Integer { slot, .. } => Some(slot(settings).to_string()),
            Self::Boolean(slot) => Some(slot(settings).to_string()),
            Self::Queues(slot) => Some(join(slot(settings))),
            Self::Classes(slot) => Some(join(slot(settings))),
            Self::Weights(slot) => Some(join(slot(settings))),
            Self::Picker(slot) => Some(slot(settings).word().to_owned()),
            Self::Level(slot) => Some(slot(settings).word().to_owned()),
            Self::Format(slot) => Some(slot(settings).word().to_owned()),
        }
    }

    /// Says what a value looks like, in a few words that fit after "write" and into a table.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Namespace(_) => "a name of a-z, 0-9, - and _".to_owned(),
            Self::Folder(_) => "a folder".to_owned(),
            Self::File(_) => "a file".to_owned(),
            Self::Url { example, .. } => format!("a URL such as {example}"),
            Self::Database(_) => {
                "a URL such as postgresql://user:password@host:5432/database, or sqlite:///folder/app.db"
                    .to_owned()
            }
            Self::HttpUrl(_) => "a URL, http://… or https://…, without user and path".to_owned(),
            Self::Secret(_) => "a token of visible ASCII characters".to_owned(),
            Self::Address(_) => "an IP address and a port".to_owned(),
            Self::AddressOrOff(_) => "an IP address and a port, or `off`".to_owned(),
            Self::Duration { min, max, .. } => {
                format!("a duration from {} to {}", duration::format(*min), duration::format(*max))
            }
            Self::Size { min, max, .. } => format!("a size from {min} to {max}"),
            Self::Integer { min, max, .. } => format!("a whole number from {min} to {max}"),
            Self::Boolean(_) => "true or false".to_owned(),
            Self::Queues(_) => format!("a list of 1 to {MAX_QUEUES} queues"),
            Self::Classes(_) => format!("a list of {}", words::<Class>(", ")),
            Self::Weights(_) => format!("a list of whole numbers from 1 to {MAX_WEIGHT}"),
            Self::Picker(_) => words::<Picker>(" or "),
            Self::Level(_) => words::<LogLevel>(", "),
            Self::Format(_) => words::<LogFormat>(", "),
        }
    }
}

fn http_url(raw: &Raw) -> Result<String, String> {
    let text = value::text(raw)?;
    let authority = check_url(text, &["http", "https"])?;
    if authority.contains('@') {
        return Err("it holds a user or password, which belong into gateway.token".to_owned());
    }
    let bare = text.strip_suffix('/').unwrap_or(text);
    if !bare.ends_with(authority) {
        return Err("it holds a path; the gateway serves from the root".to_owned());
    }
    Ok(bare.to_owned())
}

fn address_or_off(raw: &Raw) -> Result<Option<SocketAddr>, String> {
    match value::text(raw)? {
        "off" => Ok(None),
        _ => value::address(raw).map(Some),
    }
}

fn words<T: Choice>(separator: &str) -> String {
    T::ALL.iter().map(|member| member.word()).collect::<Vec<_>>().join(separator)
}

fn join<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
