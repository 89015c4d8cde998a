//! What is on a stage when its play begins.

use crate::fleet::Settings;

/// Who reaches broker and store through proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Proxied {
    /// Nobody.
    #[default]
    Nobody,
    /// The workers.
    Workers,
    /// Workers, gateway and beats.
    Everybody,
}

/// Which program a fleet is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cast {
    /// The shipped binary.
    #[default]
    Shipped,
    /// The same with handlers that misbehave.
    Trouble,
}

/// What is on the stage when the play begins.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many workers are started; the embedded backend has one process however many.
    pub workers: usize,
    /// How many beats.
    pub beats: usize,
    /// Who goes through proxies.
    pub proxied: Proxied,
    /// Where the workers abort.
    pub failpoints: String,
    /// Which program they are.
    pub cast: Cast,
    /// What all of them agree on.
    pub settings: Settings,
    /// More lines of `rabbitmq.conf`.
    pub rabbitmq_conf: String,
    /// More arguments of `redis-server`.
    pub redis_arguments: Vec<String>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            workers: 2,
            beats: 0,
            proxied: Proxied::Nobody,
            failpoints: String::new(),
            cast: Cast::Shipped,
            settings: Settings::default(),
            rabbitmq_conf: String::new(),
            redis_arguments: Vec::new(),
        }
    }
}
