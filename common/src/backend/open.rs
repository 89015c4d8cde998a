//! From settings to a backend: embedded where no server is named, else RabbitMQ and Redis.
//!
//! That both servers or neither are named is guarded by [`crate::config`], which refuses the rest.
//! Which of the two a program has is decided by features; asked for the other one, it says so.

#[cfg_attr(not(feature = "embedded"), path = "open/without_embedded.rs")]
mod embedded;
#[cfg_attr(not(all(feature = "rabbitmq", feature = "redis")), path = "open/without_servers.rs")]
mod servers;

use std::sync::Arc;

use super::{Backend, Purpose};
use crate::broker::{Broker, BrokerError};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::config::settings::RetentionSettings;
use crate::decorator::Observed;
use crate::diagnose::{Diagnose, Finding};
use crate::spawn::Spawner;
use crate::store::{
    Fleet, Leases, Ledger, Letters, Records, Retention, Schedules, Signals, StoreError,
};

/// Tells why a backend could not be opened. What each says is whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data folder.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Embedded(#[from] crate::embedded::OpenError),
    /// RabbitMQ.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program was built without it.
    #[error(
        "failed to open the {backend} backend: this program was built without it; {instead}, or \
         build it with the feature `{feature}`"
    )]
    NotBuilt {
        /// Which one.
        backend: &'static str,
        /// How to have the other one.
        instead: &'static str,
        /// The feature that brings it.
        feature: &'static str,
    },
}

/// The largest body that is moved at all: RabbitMQ's own default limit from 4.0. What is accepted
/// is limited by the producer (`limits.payload`); a foreign message above that limit is in our care
/// already, and must still find its way to a retry or to the dead letters.
#[allow(dead_code, reason = "a program may be built without any backend of ours")]
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

impl Backend {
    /// Opens what the settings name; `client_name` is what RabbitMQ shows beside our connections.
    ///
    /// To be ended by closing the broker ([`Broker::close`]) and then draining `spawner`.
    ///
    /// # Errors
    /// When the data folder is in use or cannot be written, a server cannot be reached or refuses
    /// us, or the program was built without what the settings name.
    ///
    /// # Cancel safety
    /// Dropped, nothing stays behind once `spawner` is drained.
    pub async fn open(
        settings: &Settings,
        client_name: &str,
        clock: SharedClock,
        spawner: &Spawner,
    ) -> Result<Self, OpenError> {
        Self::open_to(Purpose::Any, settings, client_name, clock, spawner).await
    }

    /// Opens what the settings name, as [`Self::open`] does, for one purpose.
    ///
    /// # Errors
    /// As for [`Self::open`].
    ///
    /// # Cancel safety
    /// As for [`Self::open`].
    pub async fn open_to(
        purpose: Purpose,
        settings: &Settings,
        client_name: &str,
        clock: SharedClock,
        spawner: &Spawner,
    ) -> Result<Self, OpenError> {
        let shared = Arc::clone(&clock);
        match servers::open(purpose, settings, client_name, shared, spawner).await {
            Some(opened) => opened,
            None => embedded::open(settings, clock),
        }
    }

    /// Has each server that the settings name look at itself, for whoever wants to know more than
    /// which one [`Self::open`] failed on first. Nothing stays open once `spawner` is drained.
    ///
    /// # Cancel safety
    /// As [`Self::open`].
    pub async fn examine(
        settings: &Settings,
        client_name: &str,
        clock: SharedClock,
        spawner: &Spawner,
    ) -> Vec<Result<Vec<Finding>, OpenError>> {
        servers::examine(settings, client_name, clock, spawner).await
    }

    /// Puts the seams together, each counted and traced.
    #[allow(dead_code, reason = "a program may be built without any backend of ours")]
    fn observed<B: Broker, S: Ledger + Records + Fleet + Leases + Signals + Letters + Schedules>(
        settings: &Settings,
        clock: SharedClock,
        broker: Arc<B>,
        store: Arc<S>,
        patients: Vec<Arc<dyn Diagnose>>,
    ) -> Self {
        Self {
            namespace: settings.namespace.clone(),
            broker: Arc::new(Observed::new(broker)),
            ledger: Arc::new(Observed::new(Arc::clone(&store))),
            records: Arc::new(Observed::new(Arc::clone(&store))),
            fleet: Arc::new(Observed::new(Arc::clone(&store))),
            leases: Arc::new(Observed::new(Arc::clone(&store))),
            signals: Arc::new(Observed::new(Arc::clone(&store))),
            letters: Arc::new(Observed::new(Arc::clone(&store))),
            schedules: Arc::new(Observed::new(store)),
            patients,
            clock,
            retention: retention(settings),
        }
    }
}

fn retention(settings: &Settings) -> Retention {
    let RetentionSettings { record, result, .. } = settings.retention;
    Retention { record, result }
}
