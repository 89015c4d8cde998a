//! The embedded backend, on the data folder of the settings.

use std::sync::Arc;

use super::{LARGEST_MESSAGE, OpenError, retention};
use crate::backend::Backend;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::diagnose::Diagnose;
use crate::embedded::{Config, Embedded};

pub(super) fn open(settings: &Settings, clock: SharedClock) -> Result<Backend, OpenError> {
    let config = Config {
        folder: settings.data.clone(),
        namespace: settings.namespace.clone(),
        payload_limit: LARGEST_MESSAGE,
        retention: retention(settings),
    };
    let embedded = Embedded::open(config, Arc::clone(&clock))?;
    let patients: Vec<Arc<dyn Diagnose>> = vec![embedded.clone()];
    let (broker, store) = (embedded.clone(), embedded);
    Ok(Backend::observed(settings, clock, broker, store, patients))
}
