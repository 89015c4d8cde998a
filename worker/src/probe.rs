//! The worker's own small HTTP door for orchestrators: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::status::Status;

/// A bound probe door.
pub struct Probe {
    listener: TcpListener,
    routes: Router,
}

/// Tells why the door cannot open.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to listen on {address} for probes: {source}; \
     set worker.listen to a free address, or to \"off\""
)]
pub struct ProbeError {
    /// Where.
    pub address: SocketAddr,
    /// What the system says.
    pub source: std::io::Error,
}

impl Probe {
    /// Opens the door; `render` writes the metrics in the Prometheus text format.
    ///
    /// # Errors
    /// When the address is in use or not ours.
    ///
    /// # Cancel safety
    /// Dropped, nothing stays open.
    pub async fn bind(
        address: SocketAddr,
        status: Arc<Status>,
        render: impl Fn() -> String + Clone + Send + Sync + 'static,
    ) -> Result<Self, ProbeError> {
        let listener =
            TcpListener::bind(address).await.map_err(|source| ProbeError { address, source })?;
        let ready = move || {
            let answer = match (status.is_draining(), status.is_ready()) {
                (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "draining\n"),
                (false, true) => (StatusCode::OK, "ready\n"),
                (false, false) => {
                    (StatusCode::SERVICE_UNAVAILABLE, "store or broker are out of reach\n")
                }
            };
            std::future::ready(answer)
        };
        let metrics = move || {
            let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
            std::future::ready((text, render()))
        };
        let routes = Router::new()
            .route("/livez", get(|| std::future::ready("alive\n")))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics));
        Ok(Self { listener, routes })
    }

    /// Returns where the door is.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Answers until `shutdown` is cancelled.
    ///
    /// # Errors
    /// When the listener fails for good.
    ///
    /// # Cancel safety
    /// Dropped, open requests are cut.
    pub async fn run(self, shutdown: CancellationToken) -> std::io::Result<()> {
        axum::serve(self.listener, self.routes)
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
    }
}
