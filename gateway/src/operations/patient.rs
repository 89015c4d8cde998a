//! The broker with the patience of an HTTP client: while it blocks or is away, an enqueue is
//! answered in under two seconds and not after the publish deadline.
//!
//! A publish that takes long is looked into: if the broker says that it is well, it is waited for,
//! else it is answered as of unknown fate. From then on each publish asks first and is not sent
//! while the answer is bad, so that nothing piles up behind an alarm. Ids stay the producer's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError, Survey};
use tokio::time::timeout;

use super::look::Look;

/// How long a publish is waited for before the broker is asked how it is.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long that question may take.
const LOOK: Duration = Duration::from_millis(500);
/// How long its answer stands.
const LOOK_AGE: Duration = Duration::from_millis(250);

/// Publishes with limited patience.
pub(super) struct Patient {
    inner: Arc<dyn Broker>,
    look: Look,
    /// Whether the last publishes give reason to ask before the next.
    in_doubt: AtomicBool,
}

impl Patient {
    pub(super) fn new(inner: Arc<dyn Broker>) -> Self {
        Self { inner, look: Look::default(), in_doubt: AtomicBool::new(false) }
    }

    async fn look(&self) -> Result<(), String> {
        self.look.at(LOOK_AGE, LOOK, self.inner.check()).await
    }
}

#[async_trait]
impl Broker for Patient {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        if self.in_doubt.load(Ordering::Relaxed) {
            if let Err(why) = self.look().await {
                let refuse = |_| Err(PublishError::Unavailable(why.clone()));
                return batch.iter().map(refuse).collect();
            }
            self.in_doubt.store(false, Ordering::Relaxed);
        }
        let mut publishing = self.inner.publish(batch);
        loop {
            if let Ok(answers) = timeout(PATIENCE, publishing.as_mut()).await {
                let is_down = |answer: &Result<(), PublishError>| {
                    answer.as_ref().is_err_and(PublishError::retryable)
                };
                if answers.iter().any(is_down) {
                    self.in_doubt.store(true, Ordering::Relaxed);
                }
                return answers;
            }
            if let Err(why) = self.look().await {
                self.in_doubt.store(true, Ordering::Relaxed);
                let unknown = |_| Err(PublishError::Unknown { within: PATIENCE, why: why.clone() });
                return batch.iter().map(unknown).collect();
            }
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
