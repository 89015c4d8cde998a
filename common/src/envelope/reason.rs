//! Why a task is dead: a closed list, the same on the wire, in metrics and on screen.
//!
//! Responsible for the names. What an operator does about each is in `docs/dead-reasons.md`, and a
//! test keeps page and list equal. Cancelled and expired are not here: those tasks ended because
//! somebody said so, and no dead letter is written for them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a task will not be tried again by itself; travels as `lv-reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub enum DeadReason {
    /// The last allowed attempt failed.
    AttemptsExhausted,
    /// The next attempt would have begun after the policy's `max_age`.
    MaxAge,
    /// The handler said that trying again is useless.
    Handler,
    /// The policy has a rule against retrying this error class.
    Rule,
    /// No worker knew the kind for the whole deploy window.
    NoHandler,
    /// Headers or body cannot be read.
    Malformed,
    /// Written in an envelope version newer than any worker read for the whole deploy window.
    UnsupportedVersion,
    /// The args are over the payload limit.
    TooLarge,
    /// It took its worker down as often as the crash limit allows.
    Poison,
    /// It was sent through the exchange for other languages, `leveret.enqueue`, to a lane that nobody
    /// declared.
    Unroutable,
    /// The args do not have the shape that the handler takes.
    Schema,
    /// The broker handed it out as often as its last net allows, and it had been started.
    DeliveryLimit,
}

/// A text that names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a dead reason; the reasons are {list}", list = all_names())]
pub struct UnknownReason(String);

impl DeadReason {
    /// Every reason, in the order of the documentation.
    pub const ALL: [Self; 12] = [
        Self::AttemptsExhausted,
        Self::MaxAge,
        Self::Handler,
        Self::Rule,
        Self::NoHandler,
        Self::Malformed,
        Self::UnsupportedVersion,
        Self::TooLarge,
        Self::Poison,
        Self::Unroutable,
        Self::Schema,
        Self::DeliveryLimit,
    ];

    /// Returns the name, as in `lv-reason`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AttemptsExhausted => "attempts-exhausted",
            Self::MaxAge => "max-age",
            Self::Handler => "handler",
            Self::Rule => "rule",
            Self::NoHandler => "no-handler",
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported-version",
            Self::TooLarge => "too-large",
            Self::Poison => "poison",
            Self::Unroutable => "unroutable",
            Self::Schema => "schema",
            Self::DeliveryLimit => "delivery-limit",
        }
    }
}

impl fmt::Display for DeadReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for DeadReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| UnknownReason(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for DeadReason {
    type Error = UnknownReason;

    fn try_from(text: String) -> Result<Self, UnknownReason> {
        text.parse()
    }
}

impl From<DeadReason> for &'static str {
    fn from(reason: DeadReason) -> Self {
        reason.as_str()
    }
}

fn all_names() -> String {
    DeadReason::ALL.map(DeadReason::as_str).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/dead-reasons.md");

    #[test]
    fn the_page_lists_exactly_the_reasons_there_are() {
        let documented: Vec<_> =
            PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
        assert_eq!(documented, DeadReason::ALL.map(DeadReason::as_str));
    }

    #[test]
    fn every_reason_on_the_page_says_when_and_what_to_do() {
        for row in PAGE.lines().filter(|line| line.starts_with("| `")) {
            let filled = row.split('|').filter(|cell| cell.trim().len() > 3).count();
            assert_eq!(filled, 3, "{row}");
        }
    }

    #[test]
    fn a_name_is_read_back_as_its_reason() {
        for reason in DeadReason::ALL {
            assert_eq!(reason.to_string().parse(), Ok(reason));
            let json = serde_json::to_string(&reason).unwrap();
            assert_eq!(json, format!("\"{reason}\""));
            assert_eq!(serde_json::from_str::<DeadReason>(&json).unwrap(), reason);
        }
    }

    #[test]
    fn the_list_is_closed() {
        for text in ["", "Handler", "cancelled", "expired", "timeout"] {
            assert_eq!(text.parse::<DeadReason>(), Err(UnknownReason(text.to_owned())));
        }
        let message = serde_json::from_str::<DeadReason>("\"gone\"").unwrap_err().to_string();
        assert!(message.contains("`gone` is not a dead reason; the reasons are"), "{message}");
    }
}
