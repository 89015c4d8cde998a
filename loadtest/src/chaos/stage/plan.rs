//! What is on a stage when its play begins.

use std::path::PathBuf;

use super::super::row::Play;
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
    /// Whether the broker is a cluster of three nodes.
    pub is_cluster: bool,
    /// More lines of `rabbitmq.conf`.
    pub rabbitmq_conf: String,
    /// More arguments of `redis-server`.
    pub redis_arguments: Vec<String>,
    /// The MiB of the small disks that broker and store are on, where they are on some.
    pub small_disks: Option<u32>,
    /// The folder that the logs of the fleet go to, where it is not the fleet's own.
    pub logs: Option<PathBuf>,
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
            is_cluster: false,
            rabbitmq_conf: String::new(),
            redis_arguments: Vec::new(),
            small_disks: None,
            logs: None,
        }
    }
}

/// Gives a fleet a namespace that no other play on the same broker has.
pub(super) fn apart(play: &Play, mut settings: Settings) -> Settings {
    if play.lent.is_some() {
        settings.namespace = format!("{}-{:08x}", settings.namespace, fastrand::u32(..));
    }
    settings
}
