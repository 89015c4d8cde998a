//! The worker's sign of life: one write renews every claim it holds (rules L1, L3, L5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::store::{Heartbeat, Renewal, StoreError, WorkerInfo};
use leveret_common::telemetry::names::{self, field, label};
use metrics::{counter, gauge};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::shared::Shared;

/// Renews the heartbeat until `end` is cancelled.
///
/// # Cancel safety
/// Dropped, the heartbeat ends by itself after its TTL.
pub async fn run(shared: Arc<Shared>, info: WorkerInfo, end: CancellationToken) {
    let mut ticks = interval(shared.config.heartbeat);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = end.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match renew(&shared, &info).await {
            Ok(()) => {}
            Err(error) => {
                counter!(names::HEARTBEATS, label::OUTCOME => "failed").increment(1);
                warn!({ field::ERROR } = %error, "heartbeat is not renewed");
                shared.contact.failed();
                shared.status.lost_store();
            }
        }
        observe(&shared);
    }
}

/// Writes the heartbeat once; after a reset, writes the held claims again.
///
/// # Errors
/// When the store does not take it.
///
/// # Cancel safety
/// Dropped, it may or may not have been written.
pub async fn renew(shared: &Shared, info: &WorkerInfo) -> Result<(), StoreError> {
    let Shared { backend, config, holdings, contact, .. } = shared;
    let state = if shared.status.is_draining() { "draining" } else { "running" };
    let heartbeat = Heartbeat {
        owner: shared.owner,
        held: holdings.list(),
        info: WorkerInfo { state: state.to_owned(), ..info.clone() },
    };
    let begun = Instant::now();
    let renewal = backend.fleet.beat(&heartbeat, config.heartbeat_ttl).await?;
    let kept = renewal == Renewal::Kept;
    let broken = contact.renewed(begun, kept, config.heartbeat_ttl);
    counter!(names::HEARTBEATS, label::OUTCOME => if kept { "kept" } else { "absent" })
        .increment(1);
    // After any break, not only where the heartbeat was absent: the renewal that would have seen
    // it may have lost its reply. What is there is left as it is.
    let held = if broken { holdings.to_reassert() } else { Vec::new() };
    if !held.is_empty() {
        info!({ field::COUNT } = held.len(), "contact was broken, writing held claims again");
        if let Err(error) = backend.ledger.reassert(&held).await {
            contact.failed();
            return Err(error);
        }
    }
    shared.status.heard_from_store(contact, config.heartbeat_ttl);
    Ok(())
}

fn observe(shared: &Shared) {
    gauge!(names::SLOTS).set(as_number(shared.config.slots));
    gauge!(names::SLOTS_IN_USE).set(as_number(shared.slots.taken()));
}

#[allow(clippy::cast_precision_loss, reason = "a worker has far fewer than 2^52 slots")]
const fn as_number(count: usize) -> f64 {
    count as f64
}

/// Says of this process what its heartbeats carry.
#[must_use]
pub fn introduce(shared: &Shared) -> WorkerInfo {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    WorkerInfo {
        host: host.unwrap_or_else(|| "unknown".to_owned()),
        pid: std::process::id(),
        started_at: shared.backend.clock.now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        slots: u32::try_from(shared.config.slots).unwrap_or(u32::MAX),
        queues: shared.config.queues.iter().map(ToString::to_string).collect(),
        kinds: shared.registry.names().map(ToString::to_string).collect(),
        state: String::new(),
    }
}

/// How long a drained worker tries to take its heartbeat away.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(1);
