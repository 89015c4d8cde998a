//! Queues that a broker knows again after a crash.
//!
//! A broker that is killed within half a second of a lane's declaration forgets it, with what it confirmed for it: that
//! is where the promises end (`docs/guarantees.md`), and no finding. So a row that kills brokers waits until they are
//! written down.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::stage::Stage;
use super::wait::SOON;
use crate::error::Error;

/// Waits until the broker would know its queues again after a crash.
pub(super) async fn are_written(stage: &mut Stage) -> Result<(), Error> {
    let began = Instant::now();
    while !stage.broker()?.has_written_its_queues().await? {
        if began.elapsed() > SOON {
            return Err(Error::unexpected("RabbitMQ", "does not write down its queues"));
        }
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}
