//! The messages that an outcome, a park and an undecodable delivery ask for: pure.

use std::time::Duration;

use leveret_common::broker::{Delivery, Destination, Publish};
use leveret_common::clock::Millis;
use leveret_common::envelope::{Envelope, Order, Undecodable, header};
use leveret_common::ledger::{Decision, Failure, Outcome};
use leveret_common::name::Lane;

use crate::config::SHORT_WAIT;

/// Returns what must be confirmed before the outcome is marked.
///
/// `order` is the order that was decided, which after a resume need not be the envelope's own.
#[must_use]
pub fn of(decision: &Decision, envelope: &Envelope, lane: &Lane, order: Order) -> Vec<Publish> {
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
            // The message's order has to move on, but a snooze uses up no attempt. A later message
            // that resumes this one's end is what was published then, and has it counted.
            let uncounted = u32::from(envelope.order == order);
            next.moving.snoozes = next.moving.snoozes.saturating_add(uncounted);
            publishes.push(later(&next, lane, *not_before));
        }
        Outcome::Dead { reason, failure } => {
            let mut letter = envelope.clone();
            letter.order = order;
            blame(&mut letter, failure);
            letter.moving.reason = Some(*reason);
            letter.moving.dead_at = Some(failure.at);
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

/// Why a task is put off unstarted. Each cause has a row of parks of its own, with growing waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// Somebody holds it, or the store holds what cannot be read.
    Busy,
    /// Nobody here has a handler for its kind.
    Unknown,
}

/// Returns the copy of a task that is parked, for `longest` at most; its own due time is never
/// shortened.
///
/// `lv-parked-since` is when the row of parks for an unknown kind began, and is there only during
/// such a row: a deploy's time must not be used up by another wait.
#[must_use]
pub fn parked(
    envelope: &Envelope,
    lane: &Lane,
    now: Millis,
    cause: Cause,
    longest: Duration,
) -> Publish {
    let row = if envelope.moving.parked_since.is_some() { Cause::Unknown } else { Cause::Busy };
    let parks = if row == cause { envelope.moving.parks } else { 0 };
    let wait = match cause {
        Cause::Busy => busy_wait(parks),
        Cause::Unknown => deploy_wait(parks),
    };
    let until = now.after(wait.min(longest)).max(envelope.moving.not_before.unwrap_or_default());
    let mut copy = envelope.parked(now, until);
    copy.moving.parks = parks.saturating_add(1);
    if cause == Cause::Busy {
        copy.moving.parked_since = None;
    }
    later(&copy, lane, until)
}

/// Returns the copy that stands for a detached task, or for a suspect whose turn did not come: not
/// counted as a park, because nobody else has the task.
#[must_use]
pub fn until(envelope: &Envelope, lane: &Lane, at: Millis) -> Publish {
    let mut copy = envelope.clone();
    copy.moving.not_before = Some(at);
    copy.moving.parks = 0;
    copy.moving.parked_since = None;
    later(&copy, lane, at)
}

/// Returns the copy of a task that is given back: for whoever is free, at once.
#[must_use]
pub fn given_back(envelope: &Envelope, lane: &Lane) -> Publish {
    Publish { to: Destination::Lane(lane.clone()), wire: envelope.to_wire() }
}

/// Returns the copy of a task that arrived too early: parked again, and not counted as a park.
#[must_use]
pub fn early(envelope: &Envelope, lane: &Lane, until: Millis) -> Publish {
    later(envelope, lane, until)
}

/// Returns the dead letter of a message that is no task; its body and our headers are kept, and what
/// could be read of another dialect's.
#[must_use]
pub fn unreadable(delivery: &Delivery, lane: &Lane, problem: &Undecodable, now: Millis) -> Publish {
    let mut wire = delivery.wire.clone();
    wire.keep_ours();
    if let Some(foreign) = &problem.foreign {
        foreign.put_on(&mut wire);
    }
    wire.name_letter();
    let mut put = |name: &str, text: &str| {
        wire.headers.insert(name.to_owned(), text.into());
    };
    put(header::REASON, problem.reason.as_str());
    put(header::ERROR, &problem.why);
    put(header::ERROR_CLASS, "decode");
    put(header::ORIGIN, &lane.to_string());
    wire.headers.insert(header::DEAD_AT.to_owned(), now.0.into());
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use leveret_common::clock::Millis;
    use leveret_common::envelope::{Decoded, decode};

    use leveret_common::id::TaskId;

    use super::*;

    fn task() -> Envelope {
        let kind = "demo.echo".parse().unwrap();
        Envelope::new(TaskId::mint(), kind, Bytes::from_static(b"1"))
    }

    /// Parks as the wire would have it, and returns what comes back with its wait.
    fn park(envelope: &Envelope, now: Millis, cause: Cause) -> (Envelope, Duration) {
        let lane = "mail.high".parse().unwrap();
        let parked = parked(envelope, &lane, now, cause, Duration::from_secs(1_000));
        let Destination::Delay { until, .. } = parked.to else { panic!("not parked") };
        let Ok(Decoded::Task(copy)) = decode(&"acme".parse().unwrap(), &parked.wire) else {
            panic!("the copy is no task")
        };
        (*copy, until.since(now))
    }

    #[test]
    fn a_snooze_is_counted_once_and_leaves_the_tasks_own_limit_alone() {
        let decision =
            Decision { outcome: Outcome::Snooze { not_before: Millis(7) }, follow_ups: Vec::new() };
        let next = |envelope: &Envelope, order| {
            let wire = of(&decision, envelope, &"mail.high".parse().unwrap(), order).remove(0).wire;
            let Ok(Decoded::Task(next)) = decode(&"acme".parse().unwrap(), &wire) else {
                panic!("it is no task")
            };
            *next
        };
        let mut first = task();
        first.fixed.max_attempts = Some(1_000);
        let second = next(&first, first.order);
        assert_eq!((second.order.attempt, second.moving.snoozes), (2, 1));
        assert_eq!(second.fixed.max_attempts, Some(1_000));
        assert_eq!(second.counted_attempts(), 1);
        // The second message resumes what the first one's worker left undone.
        assert_eq!(next(&second, first.order), second);
        assert_eq!(next(&second, second.order).moving.snoozes, 2);
    }

    #[test]
    fn only_parks_for_an_unknown_kind_use_up_a_deploys_time() {
        let mut now = Millis(1_000_000);
        let mut copy = task();
        for wait in [1, 2, 4, 4] {
            let waited;
            (copy, waited) = park(&copy, now, Cause::Busy);
            assert_eq!(waited, Duration::from_secs(wait));
            assert_eq!(copy.moving.parked_since, None);
            now = now.after(waited);
        }
        let began = now;
        for wait in [5, 10, 20, 40, 60, 60] {
            let waited;
            (copy, waited) = park(&copy, now, Cause::Unknown);
            assert_eq!(waited, Duration::from_secs(wait));
            assert_eq!(copy.moving.parked_since, Some(began));
            now = now.after(waited);
        }
        // A worker knew it: whoever does not is not the end of it for another deploy's time.
        (copy, _) = park(&copy, now, Cause::Busy);
        assert_eq!((copy.moving.parks, copy.moving.parked_since), (1, None));
        (copy, _) = park(&copy, now, Cause::Unknown);
        assert_eq!((copy.moving.parks, copy.moving.parked_since), (1, Some(now)));
    }
}
