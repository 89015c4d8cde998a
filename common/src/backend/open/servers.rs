//! RabbitMQ and Redis, as the settings name them.

use std::sync::Arc;
use std::time::Duration;

use super::{LARGEST_MESSAGE, OpenError, retention};
use crate::backend::{Backend, Purpose};
use crate::broker::Broker;
use crate::broker::rabbitmq::{self, RabbitMq};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::diagnose::{Diagnose, Finding};
use crate::failpoint;
use crate::spawn::Spawner;
use crate::store::redis::{self, CeleryResults, Redis};

type Configs = (rabbitmq::Config, redis::Config);

/// Connects to the servers; nothing where the settings name none.
pub(super) async fn open(
    purpose: Purpose,
    settings: &Settings,
    client_name: &str,
    clock: SharedClock,
    spawner: &Spawner,
) -> Option<Result<Backend, OpenError>> {
    let (broker, store) = configs(settings, client_name)?;
    let broker = rabbitmq::Config { receives: purpose == Purpose::Any, ..broker };
    Some(connect(settings, (broker, store), clock, spawner).await)
}

async fn connect(
    settings: &Settings,
    (broker, store): Configs,
    clock: SharedClock,
    spawner: &Spawner,
) -> Result<Backend, OpenError> {
    // Redis first: it answers in a millisecond, and a failure leaves no connection open.
    let results = celery_results(settings);
    let redis = Redis::connect_with(store, results, spawner).await?;
    let rabbitmq = RabbitMq::connect(broker, Arc::clone(&clock), spawner).await?;
    let patients: Vec<Arc<dyn Diagnose>> = vec![rabbitmq.clone(), redis.clone()];
    Ok(Backend::observed(settings, clock, rabbitmq, redis, patients))
}

pub(super) async fn examine(
    settings: &Settings,
    client_name: &str,
    clock: SharedClock,
    spawner: &Spawner,
) -> Vec<Result<Vec<Finding>, OpenError>> {
    let Some((broker, store)) = configs(settings, client_name) else {
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

fn celery_results(settings: &Settings) -> CeleryResults {
    match &settings.celery.results_url {
        _ if !settings.celery.results => CeleryResults::Off,
        Some(url) => CeleryResults::At(url.expose().to_owned()),
        None => CeleryResults::Store,
    }
}

/// Returns how the servers are reached that the settings name.
fn configs(settings: &Settings, client_name: &str) -> Option<Configs> {
    let (broker_url, store_url) = (settings.broker.url.as_ref()?, settings.store.url.as_ref()?);
    let broker = rabbitmq::Config {
        url: broker_url.expose().to_owned(),
        namespace: settings.namespace.clone(),
        publish_deadline: settings.broker.publish_deadline,
        new_queue: failpoint::number("broker.new_queue")
            .map_or(rabbitmq::NEW_QUEUE, Duration::from_millis),
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
        retention: retention(settings),
    };
    Some((broker, store))
}
