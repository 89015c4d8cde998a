//! A broker that fails, or says nothing, when it is told to.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use leveret_common::broker::{Broker, BrokerError, Consumer, Place, Publish, PublishError, Survey};

/// What is wrong with it.
#[derive(Debug, Clone, Copy)]
enum Failure {
    /// Every message is answered so.
    Answers(fn() -> PublishError),
    /// Messages are not answered; looks at it fail at once.
    Silent,
    /// Messages are not answered; looks at it say that all is well.
    Slow,
    /// Nothing is answered, looks at it included.
    Away,
}

/// Stands before a real broker.
pub(crate) struct FailingBroker {
    inner: Arc<dyn Broker>,
    failure: Mutex<Option<Failure>>,
    published: AtomicU32,
    looked_at: AtomicU32,
}

impl FailingBroker {
    pub(super) fn new(inner: Arc<dyn Broker>) -> Self {
        let (published, looked_at) = (AtomicU32::new(0), AtomicU32::new(0));
        Self { inner, failure: Mutex::default(), published, looked_at }
    }

    /// Has every message answered with this error from now on.
    pub(crate) fn fail_with(&self, error: fn() -> PublishError) {
        self.set(Some(Failure::Answers(error)));
    }

    /// Answers no message from now on, and says that it is not well when it is asked.
    pub(crate) fn fall_silent(&self) {
        self.set(Some(Failure::Silent));
    }

    /// Answers no message from now on, and says that it is well when it is asked.
    pub(crate) fn be_slow(&self) {
        self.set(Some(Failure::Slow));
    }

    /// Answers nothing at all from now on.
    pub(crate) fn be_away(&self) {
        self.set(Some(Failure::Away));
    }

    /// Works again.
    pub(crate) fn recover(&self) {
        self.set(None);
    }

    /// Counts the batches that were handed to it.
    pub(crate) fn published(&self) -> u32 {
        self.published.load(Ordering::SeqCst)
    }

    /// Counts the looks at it.
    pub(crate) fn looked_at(&self) -> u32 {
        self.looked_at.load(Ordering::SeqCst)
    }

    fn set(&self, failure: Option<Failure>) {
        *self.failure.lock().unwrap() = failure;
    }

    fn failure(&self) -> Option<Failure> {
        *self.failure.lock().unwrap()
    }
}

#[async_trait]
impl Broker for FailingBroker {
    async fn publish(&self, batch: &[Publish]) -> Vec<Result<(), PublishError>> {
        self.published.fetch_add(1, Ordering::SeqCst);
        match self.failure() {
            None => self.inner.publish(batch).await,
            Some(Failure::Answers(error)) => batch.iter().map(|_| Err(error())).collect(),
            Some(Failure::Silent | Failure::Away) => std::future::pending().await,
            Some(Failure::Slow) => {
                while self.failure().is_some() {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
                self.inner.publish(batch).await
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
        match self.failure() {
            Some(Failure::Away) => std::future::pending().await,
            _ => self.inner.survey(places).await,
        }
    }

    async fn check(&self) -> Result<(), BrokerError> {
        self.looked_at.fetch_add(1, Ordering::SeqCst);
        let why = match self.failure() {
            None | Some(Failure::Slow) => return self.inner.check().await,
            Some(Failure::Answers(error)) => error().to_string(),
            Some(Failure::Silent) => "it blocks publishers: low on memory".to_owned(),
            Some(Failure::Away) => std::future::pending().await,
        };
        Err(BrokerError::Operation { operation: "publish", why, source: None })
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}
