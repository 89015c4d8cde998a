//! What stands in the servers' place in a program that was built without them.

use super::OpenError;
use crate::backend::{Backend, Purpose};
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::diagnose::Finding;
use crate::spawn::Spawner;

#[allow(clippy::unused_async, reason = "in the place of what waits for servers")]
pub(super) async fn open(
    _: Purpose,
    settings: &Settings,
    _: &str,
    _: SharedClock,
    _: &Spawner,
) -> Option<Result<Backend, OpenError>> {
    settings.broker.url.as_ref().map(|_| Err(not_built()))
}

#[allow(clippy::unused_async, reason = "in the place of what waits for servers")]
pub(super) async fn examine(
    settings: &Settings,
    _: &str,
    _: SharedClock,
    _: &Spawner,
) -> Vec<Result<Vec<Finding>, OpenError>> {
    settings.broker.url.iter().map(|_| Err(not_built())).collect()
}

const fn not_built() -> OpenError {
    OpenError::NotBuilt {
        backend: "RabbitMQ and Redis",
        instead: "leave broker.url and store.url out for the embedded one",
        feature: "servers",
    }
}
