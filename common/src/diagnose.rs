//! What a backend finds when it is asked how it is: the material of `leveret doctor`.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// As it should be.
    Good,
    /// It works and carries a risk.
    Risky,
    /// It does not work, or a promise does not hold.
    Bad,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of what, such as `broker`, `store`, `clock`, `kinds`.
    pub part: String,
    /// What was looked at, such as `reachable`, `topology`, `persistence`.
    pub check: String,
    /// How it is.
    pub health: Health,
    /// What was found, with names and numbers.
    pub found: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
    /// How long the answer took, where a server was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// How many bytes there is room for, where that was looked at: others reckon with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<u64>,
}

impl Finding {
    /// Creates a finding without advice.
    #[must_use]
    pub fn new(part: &str, check: &str, health: Health, found: impl Into<String>) -> Self {
        let (part, check) = (part.to_owned(), check.to_owned());
        Self { part, check, health, found: found.into(), mend: None, took_ms: None, room: None }
    }

    /// Adds what to do about it.
    #[must_use]
    pub fn mend(mut self, advice: impl Into<String>) -> Self {
        self.mend = Some(advice.into());
        self
    }

    /// Adds how many bytes there is room for.
    #[must_use]
    pub const fn room(mut self, bytes: u64) -> Self {
        self.room = Some(bytes);
        self
    }

    /// Adds how long the answer took.
    #[must_use]
    pub fn took(mut self, took: Duration) -> Self {
        self.took_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self
    }
}

/// Looks at itself.
#[async_trait]
pub trait Diagnose: Send + Sync + 'static {
    /// Looks at everything that can be looked at; what cannot be reached is a finding too.
    /// Answers within about five seconds. Changes nothing that a user would see.
    ///
    /// # Cancel safety
    /// Reads only.
    async fn diagnose(&self) -> Vec<Finding>;
}
