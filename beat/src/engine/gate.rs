//! The gate before the broker: nothing goes through that this beat may not put in.
//!
//! The last look at the right to lead, right before a publish: between the decision and here the
//! process may have been stopped for a while, or the store slow to find repetitions.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use leveret_common::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError, Survey};
use leveret_common::failpoint;

use super::leader::Leadership;

/// A broker that takes messages only while this beat leads.
pub(super) struct Gate {
    inner: Arc<dyn Broker>,
    leadership: Leadership,
}

impl Gate {
    pub(super) fn new(inner: Arc<dyn Broker>, leadership: Leadership) -> Self {
        Self { inner, leadership }
    }
}

#[async_trait]
impl Broker for Gate {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        if self.leadership.epoch().is_none() {
            let why = || "this beat does not lead any more".to_owned();
            return batch.iter().map(|_| Err(PublishError::Unavailable(why()))).collect();
        }
        failpoint::pass("beat.due");
        let mut publishing = self.inner.publish(batch);
        // Asked for once, the messages are on their way.
        let first = poll_fn(|context| Poll::Ready(publishing.as_mut().poll(context))).await;
        failpoint::pass("beat.sent");
        match first {
            Poll::Ready(answers) => answers,
            Poll::Pending => publishing.await,
        }
    }

    async fn consume(
        &self,
        place: &Place,
        prefetch: u16,
    ) -> Result<Arc<dyn Consumer>, BrokerError> {
        self.inner.consume(place, prefetch).await
    }

    async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, BrokerError> {
        self.inner.survey(places).await
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.inner.check().await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
