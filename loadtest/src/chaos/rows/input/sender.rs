//! A sender that keeps no rule: any properties, any body, confirmed by the broker.

use leveret_common::testkit::raw::{Properties, RawPublisher};

use crate::chaos::Stage;
use crate::error::Error;

/// The lane that everything goes to.
const LANE: &str = "default.normal";

/// A connection of its own to the broker of a stage.
pub(super) struct Sender {
    publisher: RawPublisher,
    namespace: String,
}

impl Sender {
    /// Connects.
    pub(super) async fn connect(stage: &mut Stage) -> Result<Self, Error> {
        let namespace = stage.fleet.settings().namespace.clone();
        Ok(Self { publisher: RawPublisher::connect(&stage.broker()?.url()).await, namespace })
    }

    /// Publishes to the lane, and waits until the broker has it.
    pub(super) async fn send(&mut self, properties: &Properties, body: &[u8]) -> Result<(), Error> {
        self.send_to("tasks", LANE.as_bytes(), properties, body).await
    }

    /// Publishes through one of the two doors under any routing key, and waits until the broker has it.
    pub(super) async fn send_to(
        &mut self,
        door: &str,
        key: &[u8],
        properties: &Properties,
        body: &[u8],
    ) -> Result<(), Error> {
        let exchange = format!("{}.{door}", self.namespace);
        let sent = self.publisher.publish(&exchange, key, properties, body).await;
        sent.map_err(|why| Error::unexpected("RabbitMQ", format!("does not take a message: {why}")))
    }
}
