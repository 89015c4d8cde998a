//! A row of the fault matrix: what it is called, where it applies, and how one play of it is made.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use indicatif::ProgressBar;

use crate::error::Error;
use crate::ground::On;
use crate::node::Broker;
use crate::oracle::Finding;

/// Both generations of servers.
pub const SERVERS: &[On] = &[On::RabbitMq3, On::RabbitMq4];

/// A row of the fault matrix.
pub struct Row {
    /// Its name, such as `F10`.
    pub name: &'static str,
    /// The fault, in a line.
    pub what: &'static str,
    /// Where it applies.
    pub on: &'static [On],
    /// Makes one play of it: inject, heal, drain, check.
    pub run: fn(Play) -> BoxFuture<'static, Result<Finding, Error>>,
}

/// One play of a row.
#[derive(Debug, Clone)]
pub struct Play {
    /// The row.
    pub name: &'static str,
    /// On which backend.
    pub on: On,
    /// What chance goes by in it.
    pub seed: u64,
    /// Its folder, empty at first; kept where the play is red.
    pub folder: PathBuf,
    /// For how many minutes a soak lasts.
    pub minutes: u64,
    /// Whether faults last as long as the matrix says, and not only as long as they need to be felt.
    pub is_full: bool,
    /// A broker that several plays share, where this one does not start its own.
    pub lent: Option<Lent>,
    pub(crate) bar: ProgressBar,
}

/// A broker that several plays share: each has its names for itself, and none can harm it.
#[derive(Clone)]
pub struct Lent(pub Arc<Broker>);

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lent").field(&self.0.port()).finish()
    }
}

impl Play {
    /// Makes a play in an empty folder, which tells nobody what it does.
    #[must_use]
    pub fn new(name: &'static str, on: On, seed: u64, folder: PathBuf) -> Self {
        let (minutes, is_full, lent, bar) = (1, false, None, ProgressBar::hidden());
        Self { name, on, seed, folder, minutes, is_full, lent, bar }
    }

    /// Tells people who watch what is done now.
    pub fn say(&self, what: impl Into<String>) {
        self.bar.set_message(what.into());
    }

    /// Returns a generator of chance that goes by the seed; `part` tells several of one play apart.
    #[must_use]
    pub fn chance(&self, part: u64) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed ^ part.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}
