//! Servers of a test's own: RabbitMQ and Redis of both generations, which may be killed, stopped,
//! paused, emptied and started again.
//!
//! Nobody else uses them, and they end with the value. Read [`broker`] and [`store`] first; [`cluster`] is several
//! brokers that are one, [`wire`] a bare connection to any Redis. `scripts/services.sh` knows where each generation is on this machine.
//! It knows nothing of Leveret, so that the tests of each crate can use it. Guards that no process is
//! signalled that was not started here: a process id alone is never believed, the command line has to
//! name the port too.

mod acts;
pub mod broker;
pub mod cluster;
pub mod disk;
mod door;
mod error;
mod names;
mod sentinel;
mod server;
mod skip;
pub mod store;
pub mod wire;

pub use self::broker::{Alarm, Broker, QueueState};
pub use self::cluster::{Cluster, Seats};
pub use self::disk::Disk;
pub use self::error::Error;
pub use self::sentinel::Sentinel;
pub use self::server::free_port;
pub use self::skip::or_skip;
pub use self::store::Store;
pub use self::wire::{Connection, Reply};

/// The servers of one Debian release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generation {
    /// RabbitMQ 3.10 with Redis 7.0.
    Old,
    /// RabbitMQ 4.0 with Redis 8.0.
    New,
}

impl Generation {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Old, Self::New];

    /// Returns the first number of RabbitMQ's version, by which the scripts know it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Old => 3,
            Self::New => 4,
        }
    }
}
