//! The relay: takes committed rows, hands them to the broker, ends each once the broker has
//! confirmed it.
//!
//! What a row is and where it lies is a `source`'s matter; there is one for each database. Guards
//! that nothing is lost and nothing doubled: a row is ended only after the confirm, and whoever
//! takes it again hands on the same id. A row that can never be accepted is set aside with the
//! reason, a row in trouble waits by itself and holds up no other, and while the broker is away
//! nothing is written at all.
//!
//! Rows are not found by *everything after the last one*: numbers are given out before transactions
//! are committed, so that would pass over those that are committed late.

mod address;
mod error;
mod line;
mod patience;
mod postgres;
mod publishing;
mod row;
mod run;
mod source;
mod sqlite;
mod status;
#[cfg(test)]
mod tests;
mod tls;

use std::time::Duration;

pub use self::address::Address;
pub use self::error::RelayError;
pub use self::run::{GRACE, Relay};
pub use self::source::{Refused, Survey};
pub use self::status::Status;

/// What a relay is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// How many rows are taken at once (`relay.batch`); 500.
    pub batch: u32,
    /// How often it looks by itself (`relay.poll`); a second.
    pub poll: Duration,
    /// How long rows are kept that were handed on (`outbox.kept`); zero, which deletes them
    /// at once.
    pub kept: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self { batch: 500, poll: Duration::from_secs(1), kept: Duration::ZERO }
    }
}
