//! Two breaks of the order of settling that take more than a condition.
//!
//! Which rule a process breaks, and that none is broken without the feature, is
//! [`leveret_common::sabotage`]'s matter.

#[cfg(feature = "sabotage")]
pub(crate) use self::broken::{ack_early, publishes_after_ack};
#[cfg(not(feature = "sabotage"))]
pub(crate) use self::kept::{ack_early, publishes_after_ack};

#[cfg(feature = "sabotage")]
mod broken {
    use std::sync::Arc;
    use std::time::Duration;

    use leveret_common::broker::{Publish, Settle};
    use leveret_common::ledger::{Decision, Outcome};
    use leveret_common::sabotage::{Break, breaks};

    use crate::fetch::Arrived;
    use crate::settle::journey::Step;
    use crate::shared::Shared;

    /// How often it is looked whether the delivery is acked.
    const LOOK: Duration = Duration::from_millis(10);

    /// Acks a delivery whose outcome is still to be recorded.
    pub(crate) async fn ack_early(shared: &Shared, arrived: &Arrived, step: &Step) {
        let records = matches!(step, Step::Decide { .. } | Step::Mark { .. });
        if records && breaks(Break::AckBeforeRecord) {
            shared.settle(arrived, Settle::Ack).await;
        }
    }

    /// Tells whether what an outcome says is published once the delivery is acked, and sees to it.
    pub(crate) fn publishes_after_ack(
        shared: &Shared,
        arrived: &Arrived,
        decision: &Decision,
        batch: &[Publish],
    ) -> bool {
        let is_retry = matches!(decision.outcome, Outcome::Retry { .. });
        if !is_retry || !breaks(Break::RetryPublishedAfterAck) {
            return false;
        }
        let (broker, arrived) = (Arc::clone(&shared.backend.broker), arrived.clone());
        let batch = batch.to_vec();
        shared.handlers.spawn(async move {
            while arrived.consumer.holds(arrived.receipt) {
                tokio::time::sleep(LOOK).await;
            }
            broker.publish(&batch).await
        });
        true
    }
}

#[cfg(not(feature = "sabotage"))]
mod kept {
    use leveret_common::broker::Publish;
    use leveret_common::ledger::Decision;

    use crate::fetch::Arrived;
    use crate::settle::journey::Step;
    use crate::shared::Shared;

    /// Acks nothing early.
    #[inline(always)]
    pub(crate) async fn ack_early(_: &Shared, _: &Arrived, _: &Step) {}

    /// Tells that an outcome is published before its delivery is acked.
    #[inline(always)]
    pub(crate) const fn publishes_after_ack(
        _: &Shared,
        _: &Arrived,
        _: &Decision,
        _: &[Publish],
    ) -> bool {
        false
    }
}
