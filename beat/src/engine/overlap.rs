//! Overlaps: whether the task of the previous occurrence is over, and cancelling it.
//!
//! Over is what the ledger or the records say is over, and what nobody knows any more. What is done
//! about it is decided in [`super::steps`].

use leveret_common::id::TaskId;
use leveret_common::ledger::Cancelling;
use leveret_common::store::TaskView;
use leveret_common::telemetry::names::field;
use leveret_producer::Producer;
use tracing::info;

use super::leader::Leadership;
use super::patience::{Trouble, within};

/// Who cancels, as it is recorded.
const BY: &str = "leveret-beat";

/// A question about the previous occurrence of a schedule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) row: u32,
    pub(super) life: u64,
    pub(super) previous: TaskId,
    /// Whether it is to be cancelled where it is not over.
    pub(super) cancels: bool,
}

/// Answers for each question whether the task is over.
pub(super) async fn ask(
    producer: &Producer,
    leadership: &Leadership,
    epoch: u64,
    questions: &[Question],
) -> Result<Vec<bool>, Trouble> {
    let backend = producer.backend();
    let ids: Vec<_> = questions.iter().map(|question| question.previous).collect();
    // One after the other: read beside it, the record could be older than the entry.
    let entries = within(backend.ledger.entries(&ids)).await?;
    let records = within(backend.records.find(&ids)).await?;
    let now = backend.clock.now();
    let (mut answers, mut cancels) = (Vec::with_capacity(ids.len()), Vec::new());
    for ((question, entry), record) in questions.iter().zip(entries).zip(records) {
        let id = question.previous;
        let cancel = producer.cancel_of(id, entry.as_ref(), &record);
        let view = TaskView::compose(id, entry.as_ref(), record, now);
        let is_over = view.is_none_or(|view| view.state.is_final());
        if !is_over && question.cancels {
            cancels.push(cancel);
        }
        answers.push(is_over);
    }
    if !cancels.is_empty() && leadership.epoch() == Some(epoch) {
        let cancelled = producer.cancel_all(&cancels, BY).await?;
        for (cancel, answer) in cancels.iter().zip(cancelled) {
            if matches!(answer, Cancelling::Cancelled | Cancelling::Asked(_)) {
                info!({ field::TASK } = %cancel.id, "the task of the previous occurrence is cancelled");
            }
        }
    }
    Ok(answers)
}
