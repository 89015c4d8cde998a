//! The intake of one lane: decodes what arrives and decides what need not wait for a slot.
//!
//! Early tasks are parked before any claim, unknown kinds and versions are parked through a
//! deploy, messages without an id get one, and what cannot be read becomes a dead letter.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leveret_common::broker::{Consumer, Delivery, Destination, Place, Publish, Settle};
use leveret_common::clock::Millis;
use leveret_common::envelope::{
    DeadReason, Decoded, Envelope, Undecodable, Wire, decode, header, wanted_class,
};
use leveret_common::failpoint;
use leveret_common::ledger::Failure;
use leveret_common::name::Lane;
use leveret_common::sabotage::{Break, breaks};
use leveret_common::spawn::Spawner;
use leveret_common::store::{News, Notice};
use leveret_common::telemetry::names::{self, field, label};
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Arrived;
use crate::config::DEPLOY_WINDOW;
use crate::settle::publishes::{self, Cause, Earliness};
use crate::shared::Shared;

/// How long to wait before another try to open a consumer.
const REOPEN_AFTER: Duration = Duration::from_secs(1);

/// Takes in the deliveries of `lane` until a drain begins, as far as the worker's controls want
/// them. Sorting runs in `sorters`, so that one slow publish does not hold up the lane.
///
/// # Cancel safety
/// Dropped, unsettled deliveries return to the lane with their consumer.
pub async fn run(shared: Arc<Shared>, lane: Lane, sorters: Spawner) {
    let mut wishes = shared.controls.watch();
    let mut session: Option<Session> = None;
    loop {
        let wanted = wishes.borrow_and_update().prefetch(&lane);
        let change = async {
            if session.as_ref().map(|session| session.prefetch) != wanted {
                return Some(open(&shared, &lane, wanted).await);
            }
            match &session {
                Some(session) => session.take_in(&shared, &lane, &sorters).await,
                None => std::future::pending().await,
            }
            None
        };
        let opened = tokio::select! {
            () = shared.stop.cancelled() => break,
            changed = wishes.changed() => if changed.is_ok() { continue } else { break },
            opened = change => opened,
        };
        let Some(next) = opened else { break };
        shared.lanes.consuming(&lane, next.as_ref().map(|next| &next.consumer));
        // The new one is open already: the lane is not without a consumer in between.
        if let Some(last) = std::mem::replace(&mut session, next) {
            let keeps = session.as_ref().is_some_and(|next| next.prefetch >= last.prefetch);
            last.close(&shared, &lane, keeps).await;
        }
    }
    if let Some(session) = session {
        session.consumer.stop().await;
    }
}

/// Takes in one delivery, and waits until it is in the buffer or on its way elsewhere.
///
/// # Cancel safety
/// Dropped, the delivery returns to its lane with its consumer.
#[cfg(feature = "testing")]
pub(crate) async fn take_in_one(
    shared: &Arc<Shared>,
    lane: &Lane,
    consumer: &Arc<dyn Consumer>,
    delivery: &Delivery,
) {
    let (consumer, closed) = (Arc::clone(consumer), CancellationToken::new());
    let (session, sorters) = (Session { consumer, prefetch: 1, closed }, Spawner::new());
    take_in(shared, lane, &session, delivery, &sorters);
    sorters.drained().await;
}

/// A consumer, until another number of deliveries is wanted.
struct Session {
    consumer: Arc<dyn Consumer>,
    prefetch: u16,
    /// Cancelled when what is not in the buffer yet is to be returned.
    closed: CancellationToken,
}

impl Session {
    /// Takes in what comes until nothing comes any more.
    async fn take_in(&self, shared: &Arc<Shared>, lane: &Lane, sorters: &Spawner) {
        loop {
            let batch = self.consumer.next(usize::from(self.prefetch)).await;
            if batch.is_empty() {
                return;
            }
            for delivery in batch {
                take_in(shared, lane, self, &delivery, sorters);
            }
        }
    }

    /// Takes nothing more; what runs can still be settled. Unless the worker `keeps` what has not
    /// started, that goes back: there may be more of it than is wanted now.
    async fn close(self, shared: &Shared, lane: &Lane, keeps: bool) {
        self.consumer.stop().await;
        if !keeps {
            self.closed.cancel();
            shared.hand_back(shared.buffer.drain_lane(lane)).await;
        }
    }
}

/// Opens a consumer with the prefetch that is wanted, if one is.
async fn open(shared: &Shared, lane: &Lane, prefetch: Option<u16>) -> Option<Session> {
    let prefetch = prefetch?;
    loop {
        match shared.backend.broker.consume(&Place::Lane(lane.clone()), prefetch).await {
            Ok(consumer) => {
                info!({ field::LANE } = %lane, { field::COUNT } = prefetch, "consuming");
                return Some(Session { consumer, prefetch, closed: CancellationToken::new() });
            }
            Err(error) => {
                warn!({ field::LANE } = %lane, { field::ERROR } = %error, "consumer does not open");
            }
        }
        tokio::time::sleep(REOPEN_AFTER).await;
    }
}

/// What is to happen with a delivery.
enum Sorted {
    /// It waits for a slot, after this moment.
    Run(Box<Envelope>, Duration),
    /// A copy goes elsewhere, for this cause, then it is acked.
    Move(Box<Publish>, &'static str),
    /// It is no task: its dead letter goes out, its sender is told, then it is acked.
    Refuse(Box<Publish>, Option<Notice>),
}

fn take_in(
    shared: &Arc<Shared>,
    lane: &Lane,
    session: &Session,
    delivery: &Delivery,
    sorters: &Spawner,
) {
    let (receipt, consumer) = (delivery.receipt, &session.consumer);
    let arrived = |envelope: Envelope| Arrived {
        envelope: Arc::new(envelope),
        lane: lane.clone(),
        receipt,
        consumer: Arc::clone(consumer),
        at: Instant::now(),
    };
    let moved = |copy: Publish, cause, notice: Option<Notice>| {
        counter!(names::PARKS, label::CAUSE => cause).increment(1);
        let (of, consumer) = (Arc::clone(shared), Arc::clone(consumer));
        shared.spawn(sorters, async move {
            let letters = of.letters_in(std::slice::from_ref(&copy));
            if breaks(Break::ParkWithoutPublish) || of.publish(&of.gone, vec![copy]).await {
                failpoint::pass("park.confirmed");
                of.list_letters(letters).await;
                of.notify(notice).await;
                let _gone = consumer.settle(&[(receipt, Settle::Ack)]).await;
            }
        });
    };
    match sort(shared, lane, delivery) {
        Sorted::Run(envelope, Duration::ZERO) => shared.buffer.push(arrived(*envelope)),
        Sorted::Run(envelope, wait) => {
            let (of, arrived) = (Arc::clone(shared), arrived(*envelope));
            let closed = session.closed.clone();
            shared.spawn(sorters, async move {
                tokio::select! {
                    biased;
                    () = closed.cancelled() => of.settle(&arrived, Settle::Return).await,
                    () = of.stop.cancelled() => of.settle(&arrived, Settle::Return).await,
                    () = tokio::time::sleep(wait) => of.buffer.push(arrived),
                }
            });
        }
        Sorted::Move(copy, cause) => moved(*copy, cause, None),
        Sorted::Refuse(letter, notice) => moved(*letter, "malformed", notice),
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
            let letter = publishes::unreadable(delivery, lane, &problem, now);
            return Sorted::Refuse(Box::new(letter), refusal(problem, now));
        }
    };
    if let Some(wanted) = other_lane(shared, lane, &delivery.wire) {
        let copy = match publishes::earliness(&envelope, now) {
            Earliness::Early(until) => publishes::early(&envelope, &wanted, until),
            Earliness::Shortly(_) | Earliness::Due => {
                Publish { to: Destination::Lane(wanted), wire: envelope.to_wire() }
            }
        };
        return moved(copy, "class");
    }
    if let Some(due) = envelope.moving.not_before.or(envelope.fixed.enqueued_at) {
        shared.lanes.reached(lane, due);
    }
    let wait = match publishes::earliness(&envelope, now) {
        Earliness::Early(until) => {
            return moved(publishes::early(&envelope, lane, until), "early");
        }
        Earliness::Shortly(wait) => wait,
        Earliness::Due => Duration::ZERO,
    };
    let waited = envelope.moving.parked_since.map_or(Duration::ZERO, |since| now.since(since));
    if shared.registry.find(&envelope.kind).is_none() && waited < deploy_window() {
        if envelope.moving.parks == 0 {
            warn!({ field::KIND } = %envelope.kind, { field::LANE } = %lane,
                "no handler here knows this kind, parking its tasks");
        }
        let longest = shared.config.longest_park();
        let copy = publishes::parked(&envelope, lane, now, Cause::Unknown, longest);
        return moved(copy, "unknown-kind");
    }
    Sorted::Run(envelope, wait)
}

/// Returns how long a kind or a version that nobody knows is parked.
fn deploy_window() -> Duration {
    failpoint::number("intake.deploy_window").map_or(DEPLOY_WINDOW, Duration::from_millis)
}

/// Returns the lane of the class that a message asks for by other means than its lane, where it is
/// another one that this worker serves: nobody may serve the others.
fn other_lane(shared: &Shared, lane: &Lane, wire: &Wire) -> Option<Lane> {
    let wanted = Lane::new(lane.queue.clone(), wanted_class(wire)?);
    (wanted != *lane && shared.lanes.names().any(|served| *served == wanted)).then_some(wanted)
}

/// Returns what the sender of a refused message is told, where it waits.
fn refusal(problem: Undecodable, now: Millis) -> Option<Notice> {
    let to = problem.foreign?.reply_to?;
    let failure = Failure { class: "decode".to_owned(), message: problem.why, at: now };
    Some(Notice { to, at: now, news: News::Dead(failure), ttl: None })
}

/// A message in a newer version: its headers are ours only in part, so only the three that every
/// version shares are touched. After the deploy window it is dead.
fn newer(delivery: &Delivery, lane: &Lane, version: u32, now: Millis) -> Publish {
    let since = delivery.wire.number(header::PARKED_SINCE).map_or(now, Millis);
    if now.since(since) >= deploy_window() {
        let why = format!("envelope version {version} is newer than any worker here reads");
        let reason = DeadReason::UnsupportedVersion;
        let problem = Undecodable { reason, why, foreign: None };
        return publishes::unreadable(delivery, lane, &problem, now);
    }
    let parks = delivery.wire.number(header::PARKS).unwrap_or(0);
    let parks = u32::try_from(parks).unwrap_or(u32::MAX);
    let until = now.after(publishes::deploy_wait(parks));
    let mut wire = delivery.wire.clone();
    wire.keep_for_newer();
    wire.headers.insert(header::PARKS.to_owned(), parks.saturating_add(1).into());
    wire.headers.insert(header::PARKED_SINCE.to_owned(), since.0.into());
    wire.headers.insert(header::NOT_BEFORE.to_owned(), until.0.into());
    Publish { to: Destination::Delay { lane: lane.clone(), until }, wire }
}
