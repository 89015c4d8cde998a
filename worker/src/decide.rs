//! From how an attempt ended to what becomes of the task: pure.
//!
//! The kind's policy decides on failures; what a handler asked for explicitly wins.

use std::time::Duration;

use leveret_common::clock::Millis;
use leveret_common::envelope::{DeadReason, Envelope, cut, header};
use leveret_common::ledger::{Decision, Failure, FollowUp, Outcome};
use leveret_common::retry::{self, RetryPolicy, Verdict};

use crate::handler::TaskError;
use crate::handler::shaped::SCHEMA;

/// A success whose follow-ups are ready to be published.
#[derive(Debug, Clone, PartialEq)]
pub struct Success {
    /// What the handler answered: JSON text.
    pub result: Option<String>,
    /// The messages of the follow-ups.
    pub follow_ups: Vec<FollowUp>,
}

/// Decides what becomes of a task after an attempt; `draw` (0 ≤ draw < 1) is the jitter's luck.
#[must_use]
pub fn decide(
    answer: Result<Success, TaskError>,
    envelope: &Envelope,
    policy: &RetryPolicy,
    now: Millis,
    draw: f64,
) -> Decision {
    // As long as a dead letter's header holds: ledger and records keep each of them.
    let failure = |class: &str, message: &str| Failure {
        class: cut(class, header::MAX_TAG).to_owned(),
        message: cut(message, header::MAX_ERROR).to_owned(),
        at: now,
    };
    let failed = |class: String, message: String, asked: Option<Duration>| {
        after_failure(failure(&class, &message), asked, envelope, policy, draw)
    };
    let outcome = match answer {
        Ok(success) => {
            let outcome = Outcome::Done { result: success.result };
            return Decision { outcome, follow_ups: success.follow_ups };
        }
        Err(TaskError::Failed { class, message }) => failed(class, message, None),
        Err(TaskError::RetryIn { after, class, message }) => failed(class, message, Some(after)),
        Err(TaskError::Dead { class, message }) => {
            let reason = match class.as_str() {
                SCHEMA => DeadReason::Schema,
                _ => DeadReason::Handler,
            };
            Outcome::Dead { reason, failure: failure(&class, &message) }
        }
        Err(TaskError::Snooze { after }) => Outcome::Snooze { not_before: now.after(after) },
    };
    Decision { outcome, follow_ups: Vec::new() }
}

fn after_failure(
    failure: Failure,
    asked: Option<Duration>,
    envelope: &Envelope,
    policy: &RetryPolicy,
    draw: f64,
) -> Outcome {
    let first = envelope.moving.first_failed_at.unwrap_or(failure.at);
    let question = retry::Failure {
        class: &failure.class,
        attempt: envelope.counted_attempts(),
        age: failure.at.since(first),
        asked,
        max_attempts: envelope.fixed.max_attempts,
    };
    match policy.after_failure(&question, draw) {
        Verdict::Retry { delay } => Outcome::Retry { not_before: failure.at.after(delay), failure },
        Verdict::Dead { reason } => Outcome::Dead { reason, failure },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use leveret_common::id::TaskId;

    use super::*;

    #[test]
    fn every_failure_is_as_short_as_a_dead_letters_headers() {
        let (class, message) = ("ü".repeat(header::MAX_TAG), "€".repeat(header::MAX_ERROR));
        let after = Duration::from_secs(1);
        let answers = [
            TaskError::failed(class.clone(), message.clone()),
            TaskError::RetryIn { after, class: class.clone(), message: message.clone() },
            TaskError::Dead { class, message },
        ];
        let kind = "demo.fail".parse().unwrap();
        let envelope = Envelope::new(TaskId::mint(), kind, Bytes::from_static(b"1"));
        for answer in answers {
            let policy = RetryPolicy::default();
            let decision = decide(Err(answer), &envelope, &policy, Millis(1_000), 0.5);
            let (Outcome::Retry { failure, .. } | Outcome::Dead { failure, .. }) = decision.outcome
            else {
                panic!("no failure: {decision:?}");
            };
            assert_eq!(failure.class, "ü".repeat(header::MAX_TAG / 2));
            assert_eq!(failure.message, "€".repeat(header::MAX_ERROR / 3));
        }
    }
}
