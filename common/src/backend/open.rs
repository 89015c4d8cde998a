//! From settings to a backend: embedded where no server is named, else RabbitMQ and Redis.
//!
//! That both servers or neither are named is guarded by [`crate::config`], which refuses the rest.

use std::sync::Arc;

use super::{Backend, Purpose};
use crate::broker::rabbitmq::{self, RabbitMq};
use crate::broker::{Broker, BrokerError};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::config::settings::RetentionSettings;
use crate::decorator::Observed;
use crate::diagnose::{Diagnose, Finding};
use crate::embedded::{self, Embedded};
use crate::spawn::Spawner;
use crate::store::redis::{self, CeleryResults, Redis};
use crate::store::{
    Fleet, Leases, Ledger, Letters, Records, Retention, Schedules, Signals, StoreError,
};

/// Tells why a backend could not be opened. What each says is whole.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The data folder.
    #[error(transparent)]
    Embedded(#[from] embedded::OpenError),
    /// RabbitMQ.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// Redis.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The largest body that is moved at all: RabbitMQ's own default limit from 4.0. What is accepted
/// is limited by the producer (`limits.payload`); a foreign message above that limit is in our care
/// already, and must still find its way to a retry or to the dead letters.
const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

impl Backend {
    /// Opens what the settings name; `client_name` is what RabbitMQ shows beside our connections.
    ///
    /// To be ended by closing the broker ([`Broker::close`]) and then draining `spawner`.
    ///
    /// # Errors
    /// When the data folder is in use or cannot be written, or a server cannot be reached or
    /// refuses us.
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
        let RetentionSettings { record, result, .. } = settings.retention;
        let retention = Retention { record, result };
        let Some((broker, store)) = servers(settings, client_name, retention) else {
            let config = embedded::Config {
                folder: settings.data.clone(),
                namespace: settings.namespace.clone(),
                payload_limit: LARGEST_MESSAGE,
                retention,
            };
            let embedded = Embedded::open(config, Arc::clone(&clock))?;
            let patients: Vec<Arc<dyn Diagnose>> = vec![embedded.clone()];
            let (broker, store) = (embedded.clone(), embedded);
            return Ok(Self::observed(settings, clock, retention, broker, store, patients));
        };
        // Redis first: it answers in a millisecond, and a failure leaves no connection open.
        let results = celery_results(settings);
        let redis = Redis::connect_with(store, results, spawner).await?;
        let broker = rabbitmq::Config { receives: purpose == Purpose::Any, ..broker };
        let rabbitmq = RabbitMq::connect(broker, Arc::clone(&clock), spawner).await?;
        for warning in redis.warnings() {
            tracing::warn!(warning, "the store is set up with a risk");
        }
        let patients: Vec<Arc<dyn Diagnose>> = vec![rabbitmq.clone(), redis.clone()];
        Ok(Self::observed(settings, clock, retention, rabbitmq, redis, patients))
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
        let RetentionSettings { record, result, .. } = settings.retention;
        let retention = Retention { record, result };
        let Some((broker, store)) = servers(settings, client_name, retention) else {
            return Vec::new();
        };
        let broker = async {
            let rabbitmq = RabbitMq::connect(broker, clock, spawner).await?;
            let findings = rabbitmq.diagnose().await;
            rabbitmq.close().await;
            Ok(findings)
        };
        let store = async { Ok(Redis::connect(store, spawner).await?.diagnose().await) };
        let (broker, store) = tokio::join!(broker, store);
        vec![broker, store]
    }

    /// Puts the seams together, each counted and traced.
    fn observed<B: Broker, S: Ledger + Records + Fleet + Leases + Signals + Letters + Schedules>(
        settings: &Settings,
        clock: SharedClock,
        retention: Retention,
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
            retention,
        }
    }
}

fn celery_results(settings: &Settings) -> CeleryResults {
    match &settings.celery.results_url {
        _ if !settings.celery.results => CeleryResults::Off,
        Some(url) => CeleryResults::At(url.expose().to_owned()),
        None => CeleryResults::Store,
    }
}

/// Returns how the servers are reached that the settings name.
fn servers(
    settings: &Settings,
    client_name: &str,
    retention: Retention,
) -> Option<(rabbitmq::Config, redis::Config)> {
    let (broker_url, store_url) = (settings.broker.url.as_ref()?, settings.store.url.as_ref()?);
    let broker = rabbitmq::Config {
        url: broker_url.expose().to_owned(),
        namespace: settings.namespace.clone(),
        publish_deadline: settings.broker.publish_deadline,
        publish_window: usize::try_from(settings.broker.publish_window).unwrap_or(usize::MAX),
        heartbeat: settings.broker.heartbeat,
        connect_timeout: settings.broker.connect_timeout,
        payload_limit: LARGEST_MESSAGE,
        client_name: client_name.to_owned(),
        receives: true,
    };
    let store = redis::Config {
        url: store_url.expose().to_owned(),
        namespace: settings.namespace.clone(),
        response_timeout: settings.store.response_timeout,
        connect_timeout: settings.store.connect_timeout,
        retention,
    };
    Some((broker, store))
}
