//! Looks at the backend without a gateway: servers that are named, or the embedded folder where
//! nobody uses it.
//!
//! Guards that nothing is made that was not there (a folder in which nothing ran is a finding), and
//! that one server which cannot be opened does not hide the other.

use std::sync::Arc;

use leveret_common::backend::{Backend, OpenError};
use leveret_common::clock::SystemClock;
use leveret_common::config::Settings;
use leveret_common::diagnose::{Finding, Health};
use leveret_common::embedded::{self, Embedded};
use leveret_common::spawn::Spawner;
use leveret_gateway::operations::Operations;
use leveret_producer::Producer;

use crate::assemble;
use crate::error::Error;

/// Opens the backend, has it look at itself, and closes it.
///
/// # Cancel safety
/// Dropped, connections close when the process ends.
pub(super) async fn look(settings: Settings) -> Result<Vec<Finding>, Error> {
    let is_embedded = settings.broker.url.is_none();
    if is_embedded && !Embedded::is_in(&settings.data) {
        return Ok(vec![nothing_there(&settings)]);
    }
    let spawner = Spawner::new();
    let opened = Backend::open(&settings, "leveret doctor", Arc::new(SystemClock), &spawner).await;
    let findings = match opened {
        Ok(backend) => {
            let options = assemble::options(&settings, "leveret-doctor");
            let producer = Producer::new(backend.clone(), options);
            let diagnosis = Operations::new(&producer, assemble::known(&settings)).doctor().await;
            backend.broker.close().await;
            diagnosis.findings
        }
        Err(error) if is_embedded => vec![closed(&settings, &error)],
        Err(_) => {
            let clock = Arc::new(SystemClock);
            let each = Backend::examine(&settings, "leveret doctor", clock, &spawner).await;
            let told = |part: Result<_, _>| part.unwrap_or_else(|e| vec![closed(&settings, &e)]);
            each.into_iter().flat_map(told).collect()
        }
    };
    spawner.drained().await;
    Ok(findings)
}

fn nothing_there(settings: &Settings) -> Finding {
    let found = format!("nothing ran in the data folder {} yet", settings.data.display());
    Finding::new("store", "folder", Health::Risky, found)
        .mend("start `leveret dev` here, or name the folder with --data")
}

/// The finding of a backend that cannot be opened; its own words are whole.
fn closed(settings: &Settings, error: &OpenError) -> Finding {
    let found = error.to_string();
    match error {
        OpenError::Embedded(embedded::OpenError::Locked { .. }) => {
            let listen = settings.gateway.listen;
            Finding::new("store", "folder", Health::Good, found).mend(format!(
                "its owner lives, so ask its gateway: name it with --gateway-url (here it would \
                 listen on {listen})"
            ))
        }
        OpenError::Embedded(_) => Finding::new("store", "folder", Health::Bad, found),
        OpenError::Broker(_) => Finding::new("broker", "reachable", Health::Bad, found),
        OpenError::Store(_) => Finding::new("store", "reachable", Health::Bad, found),
        _ => Finding::new("backend", "open", Health::Bad, found),
    }
}
