//! What stands in the embedded backend's place in a program that was built without it.

use super::OpenError;
use crate::backend::Backend;
use crate::clock::SharedClock;
use crate::config::Settings;

pub(super) fn open(_: &Settings, _: SharedClock) -> Result<Backend, OpenError> {
    Err(OpenError::NotBuilt {
        backend: "embedded",
        instead: "set broker.url (RabbitMQ) and store.url (Redis)",
        feature: "embedded",
    })
}
