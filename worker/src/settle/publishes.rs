//! The messages that an outcome, a park and an undecodable delivery ask for: pure.

use std::time::Duration;

use leveret_common::broker::{Delivery, Destination, Publish};
use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Envelope, Order, header};
use leveret_common::id::TaskId;
use leveret_common::ledger::{Decision, Failure, Outcome};
use leveret_common::name::Lane;

use crate::config::SHORT_WAIT;

/// Returns what must be confirmed before the outcome is marked.
///
/// `order` is the order that was decided, which after a resume need not be the envelope's own;
/// `max_attempts` is how many attempts the task may have.
#[must_use]
pub fn of(
    decision: &Decision,
    envelope: &Envelope,
    lane: &Lane,
    order: Order,
    max_attempts: u32,
) -> Vec<Publish> {
    let mut publishes: Vec<Publish> = decision
        .follow_ups
        .iter()
        .map(|next| Publish { to: next.to.clone(), wire: next.wire.clone() })
        .collect();
    match &decision.outcome {
        Outcome::Done { .. } => {}
        Outcome::Retry { not_before, failure } => {
            let mut next = next_attempt(envelope, order, *not_before);
            blame(&mut next, failure);
            publishes.push(later(&next, lane, *not_before));
        }
        Outcome::Snooze { not_before } => {
            let mut next = next_attempt(envelope, order, *not_before);
            // A snooze uses up no attempt: the message's order moves on, so the limit does too.
            let most = max_attempts.saturating_add(1).min(header::MAX_MAX_ATTEMPTS);
            next.fixed.max_attempts = Some(most);
            publishes.push(later(&next, lane, *not_before));
        }
        Outcome::Dead { reason, failure } => {
            let mut letter = envelope.clone();
            letter.order = order;
            blame(&mut letter, failure);
            letter.moving.reason = Some(*reason);
            letter.moving.origin = Some(lane.to_string());
            letter.moving.not_before = None;
            letter.moving.parks = 0;
            letter.moving.parked_since = None;
            let to = Destination::Dead(lane.queue.clone());
            publishes.push(Publish { to, wire: letter.to_wire() });
        }
    }
    publishes
}

/// Returns the copy of a task that is parked for `wait`; its own due time is never shortened.
#[must_use]
pub fn parked(envelope: &Envelope, lane: &Lane, now: Millis, wait: Duration) -> Publish {
    let until = now.after(wait).max(envelope.moving.not_before.unwrap_or_default());
    later(&envelope.parked(now, until), lane, until)
}

/// Returns the copy of a task that arrived too early: parked again, and not counted as a park.
#[must_use]
pub fn early(envelope: &Envelope, lane: &Lane, until: Millis) -> Publish {
    later(envelope, lane, until)
}

/// Returns the dead letter of a message that is no task; its body and our headers are kept.
#[must_use]
pub fn unreadable(delivery: &Delivery, lane: &Lane, reason: DeadReason, why: &str) -> Publish {
    let mut wire = delivery.wire.clone();
    wire.keep_ours();
    if wire.message_id.as_deref().unwrap_or_default().is_empty() {
        wire.message_id = Some(TaskId::mint().to_string());
    }
    let mut put = |name: &str, text: &str| {
        wire.headers.insert(name.to_owned(), text.into());
    };
    put(header::REASON, reason.as_str());
    put(header::ERROR, why);
    put(header::ERROR_CLASS, "decode");
    put(header::ORIGIN, &lane.to_string());
    Publish { to: Destination::Dead(lane.queue.clone()), wire }
}

/// How long a copy waits because somebody else holds its task: 1, 2, then 4 s, and after eight
/// parks doubling to 30 s. Short at first, so that a dead owner's task is taken over soon.
#[must_use]
pub fn busy_wait(parks: u32) -> Duration {
    let seconds = match parks {
        0 => 1,
        1 => 2,
        2..=8 => 4,
        9 => 8,
        10 => 16,
        _ => 30,
    };
    Duration::from_secs(seconds)
}

/// How long a task of an unknown kind or version waits for a newer worker: 5 s doubling to 60 s.
#[must_use]
pub fn deploy_wait(parks: u32) -> Duration {
    Duration::from_secs(5_u64.saturating_mul(1 << parks.min(4)).min(60))
}

fn next_attempt(envelope: &Envelope, order: Order, not_before: Millis) -> Envelope {
    let mut next = envelope.clone();
    next.order = order.next_attempt();
    next.moving.not_before = Some(not_before);
    next.moving.parks = 0;
    next.moving.parked_since = None;
    next
}

fn blame(envelope: &mut Envelope, failure: &Failure) {
    let moving = &mut envelope.moving;
    moving.error = Some(failure.message.clone());
    moving.error_class = Some(failure.class.clone());
    moving.first_failed_at = Some(moving.first_failed_at.unwrap_or(failure.at));
}

fn later(envelope: &Envelope, lane: &Lane, until: Millis) -> Publish {
    let to = Destination::Delay { lane: lane.clone(), until };
    Publish { to, wire: envelope.to_wire() }
}

/// Tells whether a task is early, and whether the wait is short enough for the worker itself.
#[must_use]
pub fn earliness(envelope: &Envelope, now: Millis) -> Earliness {
    match envelope.moving.not_before {
        Some(at) if at > now => {
            let wait = at.since(now);
            if wait <= SHORT_WAIT { Earliness::Shortly(wait) } else { Earliness::Early(at) }
        }
        Some(_) | None => Earliness::Due,
    }
}

/// Whether a task may start by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earliness {
    /// It may.
    Due,
    /// In a moment: wait here.
    Shortly(Duration),
    /// Not before this instant: park it.
    Early(Millis),
}
