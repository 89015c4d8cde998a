//! `leveret gateway`: the HTTP door as a process of its own.

use std::time::Duration;

use leveret_common::backend::Purpose;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Given, Ground};
use crate::error::Error;
use crate::notify::Pulse;
use crate::report;
use crate::signals::Signals;

/// How long open requests may go on after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until a signal, then lets requests finish.
///
/// # Cancel safety
/// Dropped, requests are cut.
pub(super) async fn run(given: Given, signals: Signals) -> Result<(), Error> {
    assemble::require_servers(&given.settings, "gateway")?;
    assemble::play(given, "gateway", Purpose::Any, signals, async |ground, stop| {
        answer(ground, stop).await
    })
    .await
}

async fn answer(ground: &Ground, stop: CancellationToken) -> Result<(), Error> {
    let gateway = ground.bind_gateway(None).await?;
    let url = format!("http://{}", gateway.local_addr());
    report::one(ground.format, &["gateway"], &json!({ "gateway": url }))?;
    let pulse = Pulse::at(gateway.local_addr())?;
    let _told = ground.keep_told(pulse, GRACE, &stop);
    gateway.run(stop).await;
    Ok(())
}
