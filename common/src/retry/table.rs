//! The text form of a retry policy: one flat table, checked as it is read.
//!
//! The only place that knows the field names a person writes. Guards that a policy which was
//! read is within its limits, that no field is silently ignored, and that an error names the
//! field and what to write instead.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Backoff, DEFAULT_ATTEMPTS, Jitter, MAX_ATTEMPTS, Override, RetryPolicy, Rule};
use crate::duration::DurationText;

const MAX_DELAYS: usize = 100;
const MAX_RULES: usize = 64;
const MAX_CLASS_LENGTH: usize = 128;

/// Why a retry policy cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A number of attempts out of range.
    #[error("`max_attempts` is {0}; it must be between 1 (no retry) and {MAX_ATTEMPTS}")]
    Attempts(u32),
    /// A factor out of range.
    #[error("`factor` is {0}; it must be between 1 and 100")]
    Factor(f64),
    /// A first delay that is longer than the longest one.
    #[error("`base` ({}) is longer than `max` ({})", DurationText(*base), DurationText(*max))]
    BaseAboveMax {
        /// The first delay.
        base: Duration,
        /// The longest delay.
        max: Duration,
    },
    /// A field that the chosen backoff does not have.
    #[error("`{field}` does not belong to a backoff of `{backoff}`, which takes `{}`", takes.join("`, `"))]
    Misplaced {
        /// The field that was written.
        field: &'static str,
        /// The name of the backoff.
        backoff: &'static str,
        /// The fields it takes.
        takes: &'static [&'static str],
    },
    /// A field that the chosen backoff needs.
    #[error("a backoff of `{backoff}` needs `{field}`")]
    Missing {
        /// The field to write.
        field: &'static str,
        /// The name of the backoff.
        backoff: &'static str,
    },
    /// A list of delays that is empty or too long.
    #[error("`delays` has {0} entries; it must have between 1 and {MAX_DELAYS}")]
    Delays(usize),
    /// Too many rules.
    #[error("`rules` has {0} entries; it may have up to {MAX_RULES}")]
    Rules(usize),
    /// A class name of impossible length.
    #[error(
        "an error class in `rules` has {0} bytes; it must have between 1 and {MAX_CLASS_LENGTH}"
    )]
    Class(usize),
    /// Rules inside a rule.
    #[error("a rule cannot hold `rules` of its own")]
    Nested,
}

/// The table as it is written. It also is the table of a rule, which may not hold `rules`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Table {
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Curve>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<DurationText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delays: Option<Vec<DurationText>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<Jitter>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<DurationText>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    rules: BTreeMap<String, Rule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Curve {
    Exponential,
    Linear,
    Fixed,
    List,
}

impl Curve {
    fn name(self) -> &'static str {
        match self {
            Self::Exponential => "exponential",
            Self::Linear => "linear",
            Self::Fixed => "fixed",
            Self::List => "list",
        }
    }

    fn takes(self) -> &'static [&'static str] {
        match self {
            Self::Exponential => &["base", "factor", "max"],
            Self::Linear => &["base", "step", "max"],
            Self::Fixed => &["delay"],
            Self::List => &["delays"],
        }
    }
}

impl Table {
    /// Reads the curve; `None` when the table says nothing about it. Curve fields without
    /// `backoff` belong to the default, the exponential one.
    fn curve(&self) -> Result<Option<Backoff>, PolicyError> {
        let written = self.curve_fields();
        if self.backoff.is_none() && written.is_empty() {
            return Ok(None);
        }
        let curve = self.backoff.unwrap_or(Curve::Exponential);
        let (backoff, takes) = (curve.name(), curve.takes());
        if let Some(field) = written.into_iter().find(|field| !takes.contains(field)) {
            return Err(PolicyError::Misplaced { field, backoff, takes });
        }
        let base = self.base.map_or(Backoff::DEFAULT_BASE, DurationText::get);
        // The default maximum gives way to a longer base; a written one does not.
        let max = self.max.map_or(Backoff::DEFAULT_MAX.max(base), DurationText::get);
        if base > max {
            return Err(PolicyError::BaseAboveMax { base, max });
        }
        Ok(Some(match curve {
            Curve::Exponential => {
                let factor = self.factor.unwrap_or(Backoff::DEFAULT_FACTOR);
                if !(1.0..=100.0).contains(&factor) {
                    return Err(PolicyError::Factor(factor));
                }
                Backoff::Exponential { base, factor, max }
            }
            Curve::Linear => {
                let step = self.step.map_or(base, DurationText::get);
                Backoff::Linear { base, step, max }
            }
            Curve::Fixed => {
                let delay = self.delay.ok_or(PolicyError::Missing { field: "delay", backoff })?;
                Backoff::Fixed { delay: delay.get() }
            }
            Curve::List => {
                let written = self
                    .delays
                    .as_ref()
                    .ok_or(PolicyError::Missing { field: "delays", backoff })?;
                let delays: Vec<_> = written.iter().copied().map(DurationText::get).collect();
                if delays.is_empty() || delays.len() > MAX_DELAYS {
                    return Err(PolicyError::Delays(delays.len()));
                }
                Backoff::List { delays }
            }
        }))
    }

    fn curve_fields(&self) -> Vec<&'static str> {
        [
            ("base", self.base.is_some()),
            ("factor", self.factor.is_some()),
            ("step", self.step.is_some()),
            ("max", self.max.is_some()),
            ("delay", self.delay.is_some()),
            ("delays", self.delays.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, written)| written.then_some(field))
        .collect()
    }

    fn attempts(&self) -> Result<Option<u32>, PolicyError> {
        match self.max_attempts {
            Some(attempts) if attempts == 0 || attempts > MAX_ATTEMPTS => {
                Err(PolicyError::Attempts(attempts))
            }
            within => Ok(within),
        }
    }

    fn set_curve(&mut self, backoff: Backoff) {
        match backoff {
            Backoff::Exponential { base, factor, max } => {
                self.backoff = Some(Curve::Exponential);
                self.base = Some(base.into());
                self.factor = Some(factor);
                self.max = Some(max.into());
            }
            Backoff::Linear { base, step, max } => {
                self.backoff = Some(Curve::Linear);
                self.base = Some(base.into());
                self.step = Some(step.into());
                self.max = Some(max.into());
            }
            Backoff::Fixed { delay } => {
                self.backoff = Some(Curve::Fixed);
                self.delay = Some(delay.into());
            }
            Backoff::List { delays } => {
                self.backoff = Some(Curve::List);
                self.delays = Some(delays.into_iter().map(DurationText::from).collect());
            }
        }
    }
}

impl TryFrom<Table> for RetryPolicy {
    type Error = PolicyError;

    fn try_from(table: Table) -> Result<Self, PolicyError> {
        if table.rules.len() > MAX_RULES {
            return Err(PolicyError::Rules(table.rules.len()));
        }
        let mut lengths = table.rules.keys().map(String::len);
        if let Some(length) = lengths.find(|n| !(1..=MAX_CLASS_LENGTH).contains(n)) {
            return Err(PolicyError::Class(length));
        }
        Ok(Self {
            backoff: table.curve()?.unwrap_or_default(),
            jitter: table.jitter.unwrap_or_default(),
            max_attempts: table.attempts()?.unwrap_or(DEFAULT_ATTEMPTS),
            max_age: table.max_age.map(DurationText::get),
            rules: table.rules,
        })
    }
}

impl From<RetryPolicy> for Table {
    fn from(policy: RetryPolicy) -> Self {
        let mut table = Self {
            jitter: Some(policy.jitter),
            max_attempts: Some(policy.max_attempts),
            max_age: policy.max_age.map(DurationText::from),
            rules: policy.rules,
            ..Self::default()
        };
        table.set_curve(policy.backoff);
        table
    }
}

impl TryFrom<Table> for Override {
    type Error = PolicyError;

    fn try_from(table: Table) -> Result<Self, PolicyError> {
        if !table.rules.is_empty() {
            return Err(PolicyError::Nested);
        }
        Ok(Self {
            backoff: table.curve()?,
            jitter: table.jitter,
            max_attempts: table.attempts()?,
            max_age: table.max_age.map(DurationText::get),
        })
    }
}

impl From<Override> for Table {
    fn from(special: Override) -> Self {
        let mut table = Self {
            jitter: special.jitter,
            max_attempts: special.max_attempts,
            max_age: special.max_age.map(DurationText::from),
            ..Self::default()
        };
        if let Some(backoff) = special.backoff {
            table.set_curve(backoff);
        }
        table
    }
}
