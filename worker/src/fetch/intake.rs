//! The intake of one lane: decodes what arrives and decides what need not wait for a slot.
//!
//! Early tasks are parked before any claim, unknown kinds and versions are parked through a
//! deploy, messages without an id get one, and what cannot be read becomes a dead letter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::broker::{Consumer, Delivery, Destination, Publish, Settle};
use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Decoded, Envelope, HeaderValue, Wire, decode, header};
use leveret_common::name::Lane;
use leveret_common::spawn::Spawner;
use leveret_common::telemetry::names::{self, field, label};
use metrics::counter;
use tracing::{info, warn};

use super::Arrived;
use crate::config::DEPLOY_WINDOW;
use crate::settle::publishes::{self, Earliness};
use crate::shared::Shared;

/// How long to wait before another try to open a consumer.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Takes in the deliveries of `lane` until a drain begins; `index` is the lane's place in the
/// status. Sorting runs in `sorters`, so that one slow publish does not hold up the lane.
///
/// # Cancel safety
/// Dropped, unsettled deliveries return to the lane with their consumer.
pub async fn run(shared: Arc<Shared>, lane: Lane, index: usize, prefetch: u16, sorters: Spawner) {
    let Some(consumer) = open(&shared, &lane, prefetch).await else { return };
    shared.status.consuming(index, Some(Arc::clone(&consumer)));
    loop {
        let batch = tokio::select! {
            () = shared.stop.cancelled() => break,
            batch = consumer.next(usize::from(prefetch)) => batch,
        };
        if batch.is_empty() {
            break;
        }
        for delivery in batch {
            take_in(&shared, &lane, &consumer, &delivery, &sorters);
        }
    }
    consumer.stop().await;
}

async fn open(shared: &Shared, lane: &Lane, prefetch: u16) -> Option<Arc<dyn Consumer>> {
    loop {
        match shared.backend.broker.consume(lane, prefetch).await {
            Ok(consumer) => {
                info!({ field::LANE } = %lane, "consuming");
                return Some(consumer);
            }
            Err(error) => {
                warn!({ field::LANE } = %lane, { field::ERROR } = %error, "consumer does not open");
            }
        }
        tokio::select! {
            () = shared.stop.cancelled() => return None,
            () = tokio::time::sleep(REOPEN_AFTER) => {}
        }
    }
}

/// What is to happen with a delivery.
enum Sorted {
    /// It waits for a slot, after this moment.
    Run(Box<Envelope>, Duration),
    /// A copy goes elsewhere, for this cause, then it is acked.
    Move(Box<Publish>, &'static str),
}

fn take_in(
    shared: &Arc<Shared>,
    lane: &Lane,
    consumer: &Arc<dyn Consumer>,
    delivery: &Delivery,
    sorters: &Spawner,
) {
    let receipt = delivery.receipt;
    let arrived = |envelope: Envelope| Arrived {
        envelope: Arc::new(envelope),
        lane: lane.clone(),
        receipt,
        consumer: Arc::clone(consumer),
        at: Instant::now(),
    };
    match sort(shared, lane, delivery) {
        Sorted::Run(envelope, Duration::ZERO) => shared.buffer.push(arrived(*envelope)),
        Sorted::Run(envelope, wait) => {
            let (shared, arrived) = (Arc::clone(shared), arrived(*envelope));
            sorters.spawn(async move {
                tokio::select! {
                    biased;
                    () = shared.stop.cancelled() => shared.settle(&arrived, Settle::Return).await,
                    () = tokio::time::sleep(wait) => shared.buffer.push(arrived),
                }
            });
        }
        Sorted::Move(copy, cause) => {
            counter!(names::PARKS, label::CAUSE => cause).increment(1);
            let (shared, consumer) = (Arc::clone(shared), Arc::clone(consumer));
            sorters.spawn(async move {
                if shared.publish(&shared.over, vec![*copy]).await {
                    leveret_common::failpoint::pass("park.confirmed");
                    let _gone = consumer.settle(&[(receipt, Settle::Ack)]).await;
                }
            });
        }
    }
}

fn sort(shared: &Shared, lane: &Lane, delivery: &Delivery) -> Sorted {
    let now = shared.backend.clock.now();
    let moved = |copy, cause| Sorted::Move(Box::new(copy), cause);
    let envelope = match decode(&shared.backend.namespace, &delivery.wire) {
        Ok(Decoded::Task(envelope)) => envelope,
        Ok(Decoded::Nameless(envelope)) => {
            let to = Destination::Lane(lane.clone());
            return moved(Publish { to, wire: envelope.to_wire() }, "nameless");
        }
        Ok(Decoded::Newer { version }) => {
            return moved(newer(delivery, lane, version, now), "version");
        }
        Err(problem) => {
            warn!({ field::LANE } = %lane, { field::ERROR } = %problem, "message is no task");
            let letter = publishes::unreadable(delivery, lane, problem.reason, &problem.why);
            return moved(letter, "malformed");
        }
    };
    let wait = match publishes::earliness(&envelope, now) {
        Earliness::Early(until) => {
            return moved(publishes::early(&envelope, lane, until), "early");
        }
        Earliness::Shortly(wait) => wait,
        Earliness::Due => Duration::ZERO,
    };
    let waited = envelope.moving.parked_since.map_or(Duration::ZERO, |since| now.since(since));
    if shared.registry.find(&envelope.kind).is_none() && waited < DEPLOY_WINDOW {
        if envelope.moving.parks == 0 {
            warn!({ field::KIND } = %envelope.kind, { field::LANE } = %lane,
                "no handler here knows this kind, parking its tasks");
        }
        let wait = publishes::deploy_wait(envelope.moving.parks).min(shared.config.longest_park());
        return moved(publishes::parked(&envelope, lane, now, wait), "unknown-kind");
    }
    Sorted::Run(envelope, wait)
}

/// A message in a newer version: its headers are ours only in part, so only the three that every
/// version shares are touched. After the deploy window it is dead.
fn newer(delivery: &Delivery, lane: &Lane, version: u32, now: Millis) -> Publish {
    let number = |wire: &Wire, name: &str| match wire.headers.get(name) {
        Some(HeaderValue::Int(value)) => u64::try_from(*value).ok(),
        _ => None,
    };
    let since = number(&delivery.wire, header::PARKED_SINCE).map_or(now, Millis);
    if now.since(since) >= DEPLOY_WINDOW {
        let why = format!("envelope version {version} is newer than any worker here reads");
        return publishes::unreadable(delivery, lane, DeadReason::UnsupportedVersion, &why);
    }
    let parks = number(&delivery.wire, header::PARKS).unwrap_or(0);
    let parks = u32::try_from(parks).unwrap_or(u32::MAX);
    let until = now.after(publishes::deploy_wait(parks));
    let mut wire = delivery.wire.clone();
    wire.keep_ours();
    wire.headers.insert(header::PARKS.to_owned(), parks.saturating_add(1).into());
    wire.headers.insert(header::PARKED_SINCE.to_owned(), since.0.into());
    wire.headers.insert(header::NOT_BEFORE.to_owned(), until.0.into());
    Publish { to: Destination::Delay { lane: lane.clone(), until }, wire }
}
