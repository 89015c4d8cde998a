//! The broker's operations, observed.

use std::sync::Arc;

use async_trait::async_trait;
use metrics::{Counter, counter, histogram};

use super::{Observed, ended, timed};
use crate::broker::{
    Broker, BrokerError, Consumer, Delivery, Place, Publish, PublishError, Receipt, Settle,
    SettleError, Survey,
};
use crate::telemetry::names::{PUBLISH_CONFIRM_SECONDS, TASKS_RECEIVED, label};

#[async_trait]
impl<B: Broker + ?Sized> Broker for Observed<B> {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        let (answers, took) = timed("publish", batch.len(), self.inner.publish(batch)).await;
        let confirmed = answers.iter().filter(|answer| answer.is_ok()).count();
        // One value for each message: the batch went out at once and was awaited as a whole.
        histogram!(PUBLISH_CONFIRM_SECONDS).record_many(took.as_secs_f64(), confirmed);
        let first = answers.iter().find_map(|answer| answer.as_ref().err());
        ended("publish", batch.len(), first.map_or("ok", PublishError::outcome), took);
        answers
    }

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        let (opened, took) = timed("consume", 1, self.inner.consume(place, prefetch)).await;
        ended("consume", 1, outcome(&opened), took);
        let inner = opened?;
        let Place::Lane(lane) = place else { return Ok(inner) };
        let received = counter!(
            TASKS_RECEIVED,
            label::QUEUE => lane.queue.to_string(),
            label::CLASS => lane.class.as_str(),
        );
        Ok(Arc::new(ObservedConsumer { inner, received }))
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        let (answer, took) = timed("survey", places.len(), self.inner.survey(places)).await;
        ended("survey", places.len(), outcome(&answer), took);
        answer
    }

    async fn check(&self) -> Result<(), BrokerError> {
        let (answer, took) = timed("check", 1, self.inner.check()).await;
        ended("check", 1, outcome(&answer), took);
        answer
    }

    async fn close(&self) {
        let ((), took) = timed("close", 1, self.inner.close()).await;
        ended("close", 1, "ok", took);
    }
}

const fn outcome<T, E>(answer: &Result<T, E>) -> &'static str {
    if answer.is_ok() { "ok" } else { "error" }
}

/// A consumer that counts what it hands out.
struct ObservedConsumer {
    inner: Arc<dyn Consumer>,
    received: Counter,
}

#[async_trait]
impl Consumer for ObservedConsumer {
    async fn next(&self, most: usize) -> Vec<Delivery> {
        // No time and no span: this is a wait for work, as long as the lane is empty.
        let batch = self.inner.next(most).await;
        self.received.increment(batch.len() as u64);
        batch
    }

    async fn settle(&self, batch: &[(Receipt, Settle)]) -> Vec<Result<(), SettleError>> {
        let (answers, took) = timed("settle", batch.len(), self.inner.settle(batch)).await;
        let gone = answers.iter().any(Result::is_err);
        ended("settle", batch.len(), if gone { "gone" } else { "ok" }, took);
        answers
    }

    fn holds(&self, receipt: Receipt) -> bool {
        self.inner.holds(receipt)
    }

    fn is_consuming(&self) -> bool {
        self.inner.is_consuming()
    }

    async fn stop(&self) {
        let ((), took) = timed("stop", 1, self.inner.stop()).await;
        ended("stop", 1, "ok", took);
    }
}
