//! The small HTTP door of a role that has no other, for orchestrators: `/livez`, `/readyz`,
//! `/metrics`. What ready means is the role's own matter.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use leveret_common::telemetry::Metrics;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::error::Error;

/// Says that a role is ready, or what keeps it from being so; without a line's end.
pub(crate) type Readiness = Arc<dyn Fn() -> Result<String, String> + Send + Sync>;

/// A bound probe door.
pub(crate) struct Probe {
    listener: TcpListener,
    address: SocketAddr,
    routes: Router,
}

/// Tells why the door cannot open.
#[derive(Debug, thiserror::Error)]
#[error(
    "failed to listen on {address} for probes: {source}; set {key} to a free address, or to \"off\""
)]
pub(crate) struct ProbeError {
    /// Where.
    address: SocketAddr,
    /// The configuration key that names it.
    key: &'static str,
    /// What the system says.
    pub(crate) source: std::io::Error,
}

impl Probe {
    /// Opens the door at `address`, the value of `key`; nothing where that is off.
    ///
    /// # Cancel safety
    /// Dropped, nothing stays open.
    pub(crate) async fn bind(
        address: Option<SocketAddr>,
        key: &'static str,
        readiness: Readiness,
        metrics: Option<Metrics>,
    ) -> Result<Option<Self>, ProbeError> {
        let Some(address) = address else { return Ok(None) };
        let failed = |source| ProbeError { address, key, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Some(Self { listener, address, routes: routes(readiness, metrics) }))
    }

    /// Returns where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Answers until `shutdown` is cancelled.
    ///
    /// # Cancel safety
    /// Dropped, open requests are cut.
    pub(crate) async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        axum::serve(self.listener, self.routes)
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .await
            .map_err(|source| Error::System { operation: "answer probes", source })
    }
}

fn routes(readiness: Readiness, metrics: Option<Metrics>) -> Router {
    let ready = move || {
        let (status, said) = match readiness() {
            Ok(said) => (StatusCode::OK, said),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
        };
        std::future::ready((status, format!("{said}\n")))
    };
    let routes = Router::new()
        .route("/livez", get(|| std::future::ready("alive\n")))
        .route("/readyz", get(ready));
    let Some(metrics) = metrics else { return routes };
    let metrics = move || {
        let text = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        std::future::ready((text, metrics.render()))
    };
    routes.route("/metrics", get(metrics))
}
