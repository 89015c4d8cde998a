//! `leveret gateway`: the HTTP door as a process of its own.

use leveret_common::backend::Purpose;
use leveret_common::config::Settings;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::assemble::{self, Ground};
use crate::error::Error;
use crate::report::{self, Format};
use crate::signals::Signals;

/// Serves until a signal, then lets requests finish.
///
/// # Cancel safety
/// Dropped, requests are cut.
pub(super) async fn run(settings: Settings, signals: Signals, format: Format) -> Result<(), Error> {
    assemble::require_servers(&settings, "gateway")?;
    assemble::play(settings, "gateway", Purpose::Any, signals, async |ground, stop| {
        answer(ground, stop, format).await
    })
    .await
}

async fn answer(ground: &Ground, stop: CancellationToken, format: Format) -> Result<(), Error> {
    let gateway = ground.bind_gateway(None).await?;
    let url = format!("http://{}", gateway.local_addr());
    report::one(format, &["gateway"], &json!({ "gateway": url }))?;
    gateway.run(stop).await;
    Ok(())
}
