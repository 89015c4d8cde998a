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
/// How long that question may take: two seconds in all are promised, and a slow line is no broker that is away.
const LOOK: Duration = Duration::from_millis(900);
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

#[cfg(test)]
mod tests {
    use leveret_common::broker::Destination;
    use leveret_common::envelope::Wire;

    use super::*;

    /// A broker at the end of a slow line.
    struct Far {
        away: Duration,
    }

    #[async_trait]
    impl Broker for Far {
        async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
            tokio::time::sleep(3 * self.away).await;
            batch.iter().map(|_| Ok(())).collect()
        }

        async fn consume(&self, _: &Place, _: u16) -> Result<Arc<dyn Consumer>, BrokerError> {
            unreachable!("nobody consumes here")
        }

        async fn survey(&self, _: &[Place]) -> Result<Vec<Survey>, BrokerError> {
            Ok(Vec::new())
        }

        async fn check(&self) -> Result<(), BrokerError> {
            tokio::time::sleep(self.away).await;
            Ok(())
        }

        async fn close(&self) {}
    }

    async fn published(away: Duration) -> Result<(), PublishError> {
        let patient = Patient::new(Arc::new(Far { away }));
        let batch = [Publish {
            to: Destination::Lane("mail.normal".parse().unwrap()),
            wire: Wire::default(),
        }];
        patient.publish(&batch).await.remove(0)
    }

    #[tokio::test]
    async fn a_broker_that_is_far_away_is_waited_for() {
        assert!(published(Duration::from_millis(800)).await.is_ok());
    }

    #[tokio::test]
    async fn a_broker_that_does_not_answer_is_not_waited_for() {
        let error = published(Duration::from_secs(60)).await.unwrap_err();
        assert!(matches!(error, PublishError::Unknown { .. }), "{error}");
    }
}
