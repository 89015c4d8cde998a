//! What may happen in a soak. Each fault asserts that it did what it says.

use super::Soak;
use crate::error::Error;
use crate::ground::On;

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    WorkerKilled,
    WorkerAborted,
    WorkerDrained,
    WorkerStopped,
    GatewayKilled,
    GatewayAborted,
    BeatKilled,
    BeatAborted,
    BeatStopped,
    ConnectionsCut,
    LinksSlow,
    StoreSilent,
    StoreWiped,
    StoreKilled,
    BrokerKilled,
}

impl Fault {
    const SERVERS: [Self; 15] = [
        Self::WorkerKilled,
        Self::WorkerAborted,
        Self::WorkerDrained,
        Self::WorkerStopped,
        Self::GatewayKilled,
        Self::GatewayAborted,
        Self::BeatKilled,
        Self::BeatAborted,
        Self::BeatStopped,
        Self::ConnectionsCut,
        Self::LinksSlow,
        Self::StoreSilent,
        Self::StoreWiped,
        Self::StoreKilled,
        Self::BrokerKilled,
    ];
    /// Those of one process, which is worker, gateway and beat.
    const EMBEDDED: [Self; 3] = [Self::WorkerKilled, Self::WorkerAborted, Self::WorkerDrained];

    /// Returns those that a backend can have.
    pub(super) const fn of(on: On) -> &'static [Self] {
        match on {
            On::Embedded => &Self::EMBEDDED,
            On::RabbitMq3 | On::RabbitMq4 => &Self::SERVERS,
        }
    }
}

/// Has a fault happen, and heals it.
pub(super) async fn inflict(soak: &mut Soak, fault: Fault) -> Result<(), Error> {
    match fault {
        Fault::WorkerKilled => soak.kill_worker().await,
        Fault::WorkerAborted => soak.abort_worker().await,
        Fault::WorkerDrained => soak.drain_worker().await,
        Fault::WorkerStopped => soak.stop_worker().await,
        Fault::GatewayKilled => soak.kill_gateway().await,
        Fault::GatewayAborted => soak.abort_gateway().await,
        Fault::BeatKilled => soak.kill_leader().await,
        Fault::BeatAborted => soak.abort_leader().await,
        Fault::BeatStopped => soak.stop_leader().await,
        Fault::ConnectionsCut => soak.cut_connections().await,
        Fault::LinksSlow => soak.slow_links().await,
        Fault::StoreSilent => soak.silence_store().await,
        Fault::StoreWiped => soak.wipe_store().await,
        Fault::StoreKilled => soak.kill_store().await,
        Fault::BrokerKilled => soak.kill_broker().await,
    }
}
