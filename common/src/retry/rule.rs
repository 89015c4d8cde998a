//! What a policy does differently for one error class.
//!
//! Only the value and its text form (`"dead"`, `"retry"` or a table); which rule applies to a
//! failure is [`RetryPolicy`](super::RetryPolicy)'s to say.

use std::fmt;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::table::Table;
use super::{Backoff, Jitter};

/// What happens to a failure of one error class.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// It is dead at once: trying again would fail again.
    Dead,
    /// It is retried by the policy: an exception to a rule for every class.
    Retry,
    /// It is retried, but not quite by the policy.
    Override(Override),
}

/// The parts of a policy that a rule replaces; what is absent stays the policy's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Override {
    /// Replaces the curve of delays.
    pub backoff: Option<Backoff>,
    /// Replaces the jitter.
    pub jitter: Option<Jitter>,
    /// Replaces the number of attempts.
    pub max_attempts: Option<u32>,
    /// Replaces the age limit.
    pub max_age: Option<Duration>,
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Dead => serializer.serialize_str("dead"),
            Self::Retry => serializer.serialize_str("retry"),
            Self::Override(special) => Table::from(special.clone()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RuleVisitor)
    }
}

/// Reads by hand what `untagged` would read too, because `untagged` answers a mistyped field
/// with "did not match any variant" instead of the field's name.
struct RuleVisitor;

impl<'de> Visitor<'de> for RuleVisitor {
    type Value = Rule;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("\"dead\", \"retry\" or a table such as { max_attempts = 3 }")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rule, E> {
        match text {
            "dead" => Ok(Rule::Dead),
            "retry" => Ok(Rule::Retry),
            other => Err(E::unknown_variant(other, &["dead", "retry"])),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
        let table = Table::deserialize(MapAccessDeserializer::new(map))?;
        Override::try_from(table).map(Rule::Override).map_err(A::Error::custom)
    }
}
