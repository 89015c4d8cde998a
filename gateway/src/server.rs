//! The gateway as a process part: bind, then run until the shutdown.
//!
//! Guards that a gateway that other machines can reach has tokens: it does not start without.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use leveret_common::spawn::Spawner;
use leveret_producer::Producer;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::connection::{self, Limits};
use crate::error::GatewayError;
use crate::guard::Guard;
use crate::operations::Operations;
use crate::route::{self, Door};

/// Renders the process's metrics in Prometheus' text format.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Tells whether the worker in the same process takes tasks.
pub type IsWorkerReady = Arc<dyn Fn() -> bool + Send + Sync>;

/// The HTTP door, not yet open.
pub struct Gateway {
    producer: Producer,
    config: Config,
    metrics: Option<RenderMetrics>,
    worker: Option<IsWorkerReady>,
}

impl Gateway {
    /// Creates a gateway that enqueues through `producer`.
    #[must_use]
    pub const fn new(producer: Producer, config: Config) -> Self {
        Self { producer, config, metrics: None, worker: None }
    }

    /// Has `/metrics` answer with what `render` returns.
    #[must_use]
    pub fn with_metrics(mut self, render: RenderMetrics) -> Self {
        self.metrics = Some(render);
        self
    }

    /// Has `/readyz` speak for the worker in the same process too.
    #[must_use]
    pub fn with_worker(mut self, is_ready: IsWorkerReady) -> Self {
        self.worker = Some(is_ready);
        self
    }

    /// Takes the port. Connections wait until [`Bound::run`].
    ///
    /// # Errors
    /// When the port is in use or refused, and when other machines could reach it and there are
    /// no tokens.
    ///
    /// # Cancel safety
    /// Dropped, the port is free again.
    pub async fn bind(self) -> Result<Bound, GatewayError> {
        let listen = self.config.listen;
        if self.config.tokens.is_none() && !listen.ip().is_loopback() {
            return Err(GatewayError::Exposed(listen));
        }
        let taken = async {
            let listener = TcpListener::bind(listen).await?;
            let address = listener.local_addr()?;
            io::Result::Ok((listener, address))
        };
        match taken.await {
            Ok((listener, address)) => Ok(Bound { gateway: self, listener, address }),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                Err(GatewayError::PortInUse(listen))
            }
            Err(source) => Err(GatewayError::Listen { listen, source }),
        }
    }
}

/// A gateway that has its port.
pub struct Bound {
    gateway: Gateway,
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Returns where it listens; the port is a real one even where port 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown`, then takes nothing new, lets requests finish within the grace and
    /// returns.
    ///
    /// # Cancel safety
    /// Dropped, connections are served until the runtime ends: cancel `shutdown` instead.
    pub async fn run(self, shutdown: CancellationToken) {
        let Self { gateway, listener, address } = self;
        let Gateway { producer, config, metrics, worker } = gateway;
        let spawner = Spawner::new();
        let config = Arc::new(config);
        let door = Door {
            operations: Operations::new(&producer, config.known.clone()),
            config: Arc::clone(&config),
            spawner: spawner.clone(),
            metrics,
            worker,
        };
        let guard = Guard { listen: address, tokens: config.tokens.clone() };
        let limits = Limits {
            connections: config.max_connections,
            header_timeout: config.header_timeout,
            write_timeout: config.write_timeout,
            grace: config.grace,
        };
        let router = route::router(door, guard);
        tracing::info!(endpoint = %address, "gateway listens");
        connection::serve(listener, router, limits, &spawner, shutdown).await;
        tracing::info!("gateway stopped");
    }
}
