//! From rows to what became of them: one batch to the producer, an answer for each.
//!
//! Decides whose fault a failure is: the row's for good, the row's for now, or the broker's, which
//! is no row's fault and is written nowhere.

use leveret_common::broker::PublishError;
use leveret_common::sabotage::{Break, breaks};
use leveret_producer::{Accepted, EnqueueError, Producer};

use super::patience;
use super::source::{Fate, Mark, Row};

/// What became of a batch.
pub(super) struct HandedOn {
    /// The rows whose fate is known.
    pub(super) marks: Vec<Mark>,
    /// How many of them had been accepted before.
    pub(super) repeated: usize,
    /// Why the others could not be tried: the broker is away.
    pub(super) away: Option<String>,
}

/// Hands rows to the broker and waits for its confirms.
pub(super) async fn hand_on(producer: &Producer, rows: Vec<Row>) -> HandedOn {
    let mut handed = HandedOn { marks: Vec::with_capacity(rows.len()), repeated: 0, away: None };
    let mut sound = Vec::with_capacity(rows.len());
    let mut requests = Vec::with_capacity(rows.len());
    for row in rows {
        match row.request() {
            Ok(request) => {
                sound.push(row);
                requests.push(request);
            }
            Err(problems) => {
                let fate = Fate::Refused(EnqueueError::Invalid(problems).to_string());
                handed.marks.push(Mark { row, fate });
            }
        }
    }
    let answers = producer.enqueue_all(requests).await;
    for (row, answer) in sound.into_iter().zip(answers) {
        match fate(answer, row.tries, &mut handed) {
            Ok(fate) => handed.marks.push(Mark { row, fate }),
            Err(why) => handed.away = Some(why),
        }
    }
    handed
}

/// Returns a row's fate, or why the broker is away.
fn fate(
    answer: Result<Accepted, EnqueueError>,
    tries: u32,
    handed: &mut HandedOn,
) -> Result<Fate, String> {
    let error = match answer {
        Ok(accepted) => {
            handed.repeated += usize::from(accepted.repeated);
            return Ok(Fate::Sent);
        }
        Err(_) if breaks(Break::RowMarkedUnconfirmed) => return Ok(Fate::Sent),
        Err(error) => error,
    };
    let wait = patience::of_row(tries.saturating_add(1));
    match &error {
        // Nothing was sent, whatever the row says.
        EnqueueError::Publish {
            source: PublishError::Unavailable(_) | PublishError::Blocked(_),
            ..
        } => Err(error.to_string()),
        // One lane may be in trouble while the others are not. What is wrong with the broker's
        // queues is no fault of the row either: once somebody mends them it goes.
        EnqueueError::Publish { .. } => Ok(Fate::Waits { problem: error.to_string(), wait }),
        _ if error.retryable() => Ok(Fate::Waits { problem: error.to_string(), wait }),
        _ => Ok(Fate::Refused(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use leveret_common::id::TaskId;
    use leveret_producer::Problems;

    use super::*;

    fn fate_of(error: EnqueueError) -> Result<Fate, String> {
        fate(Err(error), 1, &mut HandedOn { marks: Vec::new(), repeated: 0, away: None })
    }

    #[test]
    fn a_row_waits_for_its_lane_and_for_nobody_when_the_broker_is_away() {
        let publish = |source| EnqueueError::Publish { id: TaskId::mint(), source };
        for source in [
            PublishError::Rejected("full".into()),
            PublishError::Unroutable("mail.high".into()),
            PublishError::Topology { name: "q".into(), why: "differs".into() },
            PublishError::Unknown { within: Duration::ZERO, why: "late".into() },
        ] {
            let fate = fate_of(publish(source)).unwrap();
            assert!(matches!(fate, Fate::Waits { wait, .. } if wait == Duration::from_secs(2)));
        }
        let gone = PublishError::Unavailable("connection refused".into());
        assert!(fate_of(publish(gone)).unwrap_err().contains("connection refused"));
        assert!(fate_of(publish(PublishError::Blocked("memory".into()))).is_err());
    }

    #[test]
    fn what_can_never_be_accepted_is_refused() {
        for error in [
            EnqueueError::Invalid(Problems(Vec::new())),
            EnqueueError::TooLarge { size: 2, limit: 1 },
            EnqueueError::KeyConflict { id: TaskId::mint(), by: "key" },
        ] {
            assert!(matches!(fate_of(error), Ok(Fate::Refused(_))));
        }
    }
}
