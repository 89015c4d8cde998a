//! The retry policy: what happens to a task after a failed attempt, as a pure value.
//!
//! Responsible for one question, answered by [`RetryPolicy::after_failure`]: try again, and when,
//! or give up, and why. Not for parking the task ([`broker`](crate::broker)) nor for a handler
//! that itself asked for death or a snooze, which no policy can overrule. There is no clock, no
//! randomness and no IO here: the caller brings age and draw, so a decision can be repeated.
//! Guards the promise that a task which keeps failing ends: every path that retries is bounded
//! by a number of attempts.

mod backoff;
mod rule;
mod table;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::envelope::DeadReason;

pub use backoff::{Backoff, Jitter};
pub use rule::{Override, Rule};
pub use table::PolicyError;

/// The most attempts a policy may allow.
pub const MAX_ATTEMPTS: u32 = 1_000;
/// Attempts where a policy names none. With the default backoff and jitter they span one to two minutes:
/// long enough for a restart next door, short enough that a person sees the dead letter.
pub const DEFAULT_ATTEMPTS: u32 = 8;
/// The class in [`RetryPolicy::rules`] that stands for every class without a rule of its own.
pub const ANY_CLASS: &str = "*";

/// Decides what happens to a task after a failed attempt.
///
/// As text it is one flat table in which everything has a default, in TOML as in JSON:
///
/// ```
/// use leveret_common::retry::RetryPolicy;
///
/// let text = r#"{
///     "backoff": "exponential", "base": "1s", "max": "10m", "max_attempts": 8,
///     "rules": { "bad-address": "dead", "rate-limited": { "backoff": "fixed", "delay": "1m" } }
/// }"#;
/// let policy: RetryPolicy = serde_json::from_str(text)?;
/// assert_eq!(policy.max_attempts, 8);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "table::Table", into = "table::Table")]
pub struct RetryPolicy {
    /// The curve of delays.
    pub backoff: Backoff,
    /// How much of a delay is left to chance.
    pub jitter: Jitter,
    /// Attempts in all, the first one included: 1 to [`MAX_ATTEMPTS`]. One means no retry.
    pub max_attempts: u32,
    /// No attempt begins later than this after the first failure; absent means no such limit.
    pub max_age: Option<Duration>,
    /// What differs for an error class; [`ANY_CLASS`] stands for the classes not named.
    pub rules: BTreeMap<String, Rule>,
}

/// One failed attempt, as the policy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure<'a> {
    /// The error class, such as `timeout`.
    pub class: &'a str,
    /// The number of the attempt that failed, from 1.
    pub attempt: u32,
    /// The time since the task first failed (`lv-first-failed-at`); zero for the first failure.
    pub age: Duration,
    /// The wait that the handler or the server asked for: `retry_in`, `Retry-After`.
    pub asked: Option<Duration>,
    /// The task's own `lv-max-attempts`, which wins over policy and rule.
    pub max_attempts: Option<u32>,
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another attempt, not earlier than this from now.
    Retry {
        /// The wait.
        delay: Duration,
    },
    /// No further attempt.
    Dead {
        /// Why not.
        reason: DeadReason,
    },
}

impl RetryPolicy {
    /// Decides what happens after `failure`, with `jitter_draw` from `[0, 1)`.
    ///
    /// In this order: a rule may say dead; the attempts may be used up; the wait is what was
    /// asked for, neither shortened nor spread, or else the backoff with its jitter; a retry that
    /// would begin after `max_age` is not made. Answers for every value and never panics.
    #[must_use]
    pub fn after_failure(&self, failure: &Failure<'_>, jitter_draw: f64) -> Verdict {
        let rule = self.rules.get(failure.class).or_else(|| self.rules.get(ANY_CLASS));
        let special = match rule {
            Some(Rule::Dead) => {
                return Verdict::Dead { reason: DeadReason::Rule };
            }
            Some(Rule::Override(special)) => Some(special),
            Some(Rule::Retry) | None => None,
        };
        let max_attempts = failure
            .max_attempts
            .or(special.and_then(|special| special.max_attempts))
            .unwrap_or(self.max_attempts);
        if failure.attempt >= max_attempts {
            return Verdict::Dead { reason: DeadReason::AttemptsExhausted };
        }
        let delay = failure.asked.unwrap_or_else(|| {
            let backoff = special.and_then(|special| special.backoff.as_ref());
            let jitter = special.and_then(|special| special.jitter);
            let delay = backoff.unwrap_or(&self.backoff).delay(failure.attempt);
            jitter.unwrap_or(self.jitter).apply(delay, jitter_draw)
        });
        let max_age = special.and_then(|special| special.max_age).or(self.max_age);
        if max_age.is_some_and(|max_age| failure.age.saturating_add(delay) > max_age) {
            return Verdict::Dead { reason: DeadReason::MaxAge };
        }
        Verdict::Retry { delay }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            backoff: Backoff::default(),
            jitter: Jitter::default(),
            max_attempts: DEFAULT_ATTEMPTS,
            max_age: None,
            rules: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests;
