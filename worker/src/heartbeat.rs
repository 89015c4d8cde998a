//! The worker's sign of life: one write renews every claim it holds (rules L1, L3, L5).

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::store::{Heartbeat, Renewal, StoreError, WorkerInfo, WorkerState};
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
    let heartbeat =
        Heartbeat { owner: shared.owner, held: holdings.list(), info: describe(shared, info) };
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
    gauge!(names::SLOTS).set(as_number(shared.slots.all()));
    gauge!(names::SLOTS_IN_USE).set(as_number(shared.slots.taken()));
}

#[allow(clippy::cast_precision_loss, reason = "a worker has far fewer than 2^52 slots")]
const fn as_number(count: usize) -> f64 {
    count as f64
}

/// Says of this process what does not change.
#[must_use]
pub fn introduce(shared: &Shared) -> WorkerInfo {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let now = shared.backend.clock.now();
    WorkerInfo {
        host: host.unwrap_or_else(|| "unknown".to_owned()),
        pid: std::process::id(),
        started_at: now,
        at: now,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        slots: 0,
        in_use: 0,
        lanes: Vec::new(),
        kinds: shared.registry.names().map(ToString::to_string).collect(),
        state: WorkerState::Running,
        attempts: 0,
        memory: 0,
    }
}

/// Adds what does.
fn describe(shared: &Shared, info: &WorkerInfo) -> WorkerInfo {
    let number = |count| u32::try_from(count).unwrap_or(u32::MAX);
    WorkerInfo {
        at: shared.backend.clock.now(),
        slots: number(shared.slots.all()),
        in_use: number(shared.slots.taken()),
        lanes: shared.lanes.describe(&shared.buffer, Instant::now()),
        state: shared.status.state(),
        attempts: shared.lanes.attempts(),
        memory: resident_memory(),
        ..info.clone()
    }
}

/// Returns the bytes that the process holds in memory; 0 where the system does not say.
fn resident_memory() -> u64 {
    // A file of the kernel's own: reading it waits for no disk.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    kib.map_or(0, |kib| kib.saturating_mul(1_024))
}

/// How long a drained worker tries to take its heartbeat away: a second. Left there, it ends by itself.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_a_process_is_known_where_the_system_says() {
        let says = std::path::Path::new("/proc/self/status").exists();
        assert_eq!(resident_memory() > 1_000_000, says, "{}", resident_memory());
    }
}
