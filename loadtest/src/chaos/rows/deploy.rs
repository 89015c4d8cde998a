//! A deploy: whoever runs is replaced, one after the other, by whoever goes by the settings of now.

use super::super::stage::Stage;
use crate::error::Error;
use crate::fleet::role::Role;

/// Has as many new workers, with these failpoints, in the place of the old ones, which are drained. Each new one is
/// ready before its old one goes; the embedded backend has one process, which goes first.
pub(super) async fn workers(stage: &mut Stage, failpoints: &str) -> Result<(), Error> {
    if stage.fleet.is_embedded() {
        stage.fleet.drain_workers().await?;
        return stage.fleet.start_worker(failpoints).await.map(drop);
    }
    let old: Vec<u32> = stage.workers().iter().map(Role::pid).collect();
    for pid in old {
        stage.fleet.start_worker(failpoints).await?;
        stage.fleet.drain_worker(pid).await?;
    }
    Ok(())
}

/// The same for the gateway, where it is a process of its own: it is away for a moment.
pub(super) async fn gateway(stage: &mut Stage, failpoints: &str) -> Result<(), Error> {
    if let Some(old) = stage.fleet.gateway().take() {
        stage.fleet.drained(old).await?;
    }
    stage.fleet.start_gateway(failpoints).await
}
