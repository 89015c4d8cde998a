//! The worker's own small HTTP door for orchestrators: `/livez`, `/readyz`, `/metrics`.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use leveret_common::name::QueueName;
use leveret_common::store::WorkerState;
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
        let ready = move || std::future::ready(readiness(&status));
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

/// What `/readyz` answers: yes means that the worker takes tasks of every queue that is not paused.
fn readiness(status: &Status) -> (StatusCode, String) {
    let no = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    match status.state() {
        WorkerState::Draining => return no("draining"),
        WorkerState::Quiet => {
            return no("quiet: somebody asked this worker to take no tasks, ask it to resume");
        }
        WorkerState::Running => {}
    }
    if !status.is_well() {
        return no("store or broker are out of reach");
    }
    let paused = status.paused();
    if paused.is_empty() {
        return (StatusCode::OK, "ready\n".to_owned());
    }
    let names: Vec<&str> = paused.iter().map(QueueName::as_str).collect();
    (StatusCode::OK, format!("ready; paused queues: {}\n", names.join(", ")))
}
