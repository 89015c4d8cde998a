//! Validated names: namespace, queue, class, lane, kind and schedule.
//!
//! A name that exists has passed its rule, so no backend checks again. Ids of tasks are not names;
//! they live in [`crate::id`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest namespace or queue name, in bytes. RabbitMQ allows 255 for a whole queue name.
pub const MAX_LABEL: usize = 63;
/// Longest kind name, in bytes.
pub const MAX_KIND: usize = 128;
/// Longest schedule name, in bytes.
pub const MAX_SCHEDULE: usize = 128;

/// Tells why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {text:?} is not valid: {why}")]
pub struct InvalidName {
    /// What was being named, such as `queue`.
    pub what: &'static str,
    /// The refused text, cut to 80 characters.
    pub text: String,
    /// The rule that it breaks and how to mend it.
    pub why: String,
}

impl InvalidName {
    fn new(what: &'static str, text: &str, why: impl Into<String>) -> Self {
        Self { what, text: text.chars().take(80).collect(), why: why.into() }
    }
}

fn check_label(what: &'static str, text: &str) -> Result<(), InvalidName> {
    let refuse = |why: &str| Err(InvalidName::new(what, text, why));
    let Some(first) = text.bytes().next() else {
        return refuse("it is empty; use a-z, 0-9, '-' and '_', such as \"mail\"");
    };
    if text.len() > MAX_LABEL {
        return refuse(&format!(
            "it has {} characters; at most {MAX_LABEL} are allowed",
            text.len()
        ));
    }
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return refuse("it must begin with a-z or 0-9");
    }
    let wrong =
        |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'));
    match text.chars().find(wrong) {
        Some(c) => refuse(&format!("{c:?} is not allowed; use a-z, 0-9, '-' and '_'")),
        None => Ok(()),
    }
}

fn check_kind(text: &str) -> Result<(), InvalidName> {
    let refuse = |why: &str| Err(InvalidName::new("kind", text, why));
    if text.is_empty() {
        return refuse("it is empty; use dotted words, such as \"email.welcome\"");
    }
    if text.len() > MAX_KIND {
        return refuse(&format!("it has {} bytes; at most {MAX_KIND} are allowed", text.len()));
    }
    let wrong = |c: &char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    if let Some(c) = text.chars().find(wrong) {
        return refuse(&format!("{c:?} is not allowed; use letters, digits, '.', '-' and '_'"));
    }
    if text.split('.').any(str::is_empty) {
        return refuse(
            "it has an empty part; put words between the dots, such as \"email.welcome\"",
        );
    }
    Ok(())
}

fn check_schedule(text: &str) -> Result<(), InvalidName> {
    let refuse = |why: String| Err(InvalidName::new("schedule", text, why));
    let Some(first) = text.bytes().next() else {
        return refuse("it is empty; use words, such as \"report.nightly\"".to_owned());
    };
    if text.len() > MAX_SCHEDULE {
        return refuse(format!("it has {} bytes; at most {MAX_SCHEDULE} are allowed", text.len()));
    }
    if !(first.is_ascii_lowercase() || first.is_ascii_digit()) {
        return refuse("it must begin with a-z or 0-9".to_owned());
    }
    let wrong =
        |c: &char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_'));
    match text.chars().find(wrong) {
        Some(c) => refuse(format!("{c:?} is not allowed; use a-z, 0-9, '.', '-' and '_'")),
        None => Ok(()),
    }
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Returns the name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                ($check)(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

text_name! {
    /// Names a set of queues and their ledger; two namespaces share nothing.
    /// `[a-z0-9][a-z0-9_-]{0,62}`.
    Namespace, |text| check_label("namespace", text)
}
text_name! {
    /// Names a line of tasks, such as `mail`. `[a-z0-9][a-z0-9_-]{0,62}`.
    QueueName, |text| check_label("queue", text)
}
text_name! {
    /// Names a sort of task, such as `email.welcome`: dotted words of letters, digits, `-`
    /// and `_`, at most 128 bytes.
    KindName, check_kind
}
text_name! {
    /// Names a timetable entry, such as `report.nightly`. `[a-z0-9][a-z0-9._-]{0,127}`.
    ScheduleName, check_schedule
}

impl Default for Namespace {
    fn default() -> Self {
        Self("leveret".into())
    }
}

impl Default for QueueName {
    fn default() -> Self {
        Self("default".into())
    }
}

/// Says how urgent a task is; each queue has one lane for each class.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// Before all others.
    Critical,
    /// Before the ordinary.
    High,
    /// The ordinary class.
    #[default]
    Normal,
    /// After all others; it starves only where a worker is told to be strict (`worker.picker`).
    Low,
}

impl Class {
    /// All classes, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Normal, Self::Low];

    /// Returns the class's name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Normal => "normal",
            Self::Low => "low",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Class {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::ALL.into_iter().find(|class| class.as_str() == text).ok_or_else(|| {
            InvalidName::new("class", text, "use one of critical, high, normal, low")
        })
    }
}

/// One queue × one class: the unit that a broker keeps and a worker consumes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lane {
    /// The queue.
    pub queue: QueueName,
    /// The class.
    pub class: Class,
}

impl Lane {
    /// Creates a lane of `queue`.
    #[must_use]
    pub const fn new(queue: QueueName, class: Class) -> Self {
        Self { queue, class }
    }
}

impl fmt::Display for Lane {
    /// Writes the routing key: `mail.high`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.queue, self.class)
    }
}

impl FromStr for Lane {
    type Err = InvalidName;

    /// Reads `mail.high`; plain `mail` is `mail.normal`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text.split_once('.') {
            Some((queue, class)) => Ok(Self::new(queue.parse()?, class.parse()?)),
            None => Ok(Self::new(text.parse()?, Class::Normal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_queue_name_says_which_character_and_what_is_allowed() {
        let error = "Mail".parse::<QueueName>().unwrap_err().to_string();
        assert_eq!(error, "queue \"Mail\" is not valid: it must begin with a-z or 0-9");
        let error = "mail.high".parse::<QueueName>().unwrap_err().to_string();
        assert!(error.contains("'.' is not allowed"), "{error}");
        assert!("a".repeat(64).parse::<QueueName>().is_err());
        assert!("a".repeat(63).parse::<QueueName>().is_ok());
        assert!("".parse::<QueueName>().is_err());
    }

    #[test]
    fn kinds_are_dotted_words() {
        for good in ["demo.echo", "a", "Order.Paid_2", "x-y.z"] {
            assert_eq!(good.parse::<KindName>().unwrap().as_str(), good);
        }
        for bad in ["", ".a", "a..b", "a.", "a b", "ä"] {
            assert!(bad.parse::<KindName>().is_err(), "{bad}");
        }
        assert!("k".repeat(129).parse::<KindName>().is_err());
    }

    #[test]
    fn a_schedule_is_named_in_small_letters_digits_and_dots() {
        for good in ["report.nightly", "a", "7-days", "x_1.y"] {
            assert_eq!(good.parse::<ScheduleName>().unwrap().as_str(), good);
        }
        for bad in ["", ".a", "-a", "A", "a b", "a/b", "ä", "a\0"] {
            assert!(bad.parse::<ScheduleName>().is_err(), "{bad}");
        }
        assert!("s".repeat(128).parse::<ScheduleName>().is_ok());
        assert!("s".repeat(129).parse::<ScheduleName>().is_err());
    }

    #[test]
    fn a_lane_is_written_as_its_routing_key_and_a_bare_queue_means_normal() {
        let lane: Lane = "mail.high".parse().unwrap();
        assert_eq!(lane, Lane::new("mail".parse().unwrap(), Class::High));
        assert_eq!(lane.to_string(), "mail.high");
        assert_eq!("mail".parse::<Lane>().unwrap().to_string(), "mail.normal");
        assert!("mail.urgent".parse::<Lane>().is_err());
    }
}
