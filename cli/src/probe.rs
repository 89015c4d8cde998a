//! The small HTTP door of a role that has no other, for orchestrators: `/livez`, `/readyz`,
//! `/metrics`. What ready means is the role's own matter. Guards that nobody who knocks holds up the role's
//! end, or all others who knock.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::routing::get;
use leveret_common::spawn::Spawner;
use leveret_common::telemetry::Metrics;
use leveret_gateway::Limits;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the door grants. Few ask, and each answer is there at once.
pub(crate) const LIMITS: Limits = Limits {
    connections: 64,
    header_timeout: Duration::from_secs(5),
    write_timeout: Duration::from_secs(5),
    grace: Duration::from_secs(1),
};

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
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        leveret_gateway::serve(self.listener, self.routes, LIMITS, &Spawner::new(), shutdown).await;
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use tokio::time::timeout;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(30);

    async fn door() -> Probe {
        let ready: Readiness = Arc::new(|| Ok("ready".to_owned()));
        let here = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        Probe::bind(here, "worker.listen", ready, None).await.unwrap().unwrap()
    }

    fn says(address: SocketAddr, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn half_a_request_does_not_hold_up_the_end_of_a_role() {
        let (door, stop, spawner) = (door().await, CancellationToken::new(), Spawner::new());
        let address = door.address();
        let running = spawner.spawn(door.run(stop.clone()));
        let half = says(address, "GET /livez HTTP/1.1\r\nHost: ");
        let whole = says(address, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(answer(whole).starts_with("HTTP/1.1 200"));
        stop.cancel();
        timeout(DEADLINE, running).await.expect("it ends").unwrap();
        drop(half);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn connections_that_say_nothing_do_not_keep_others_out_for_ever() {
        let (door, stop, spawner) = (door().await, CancellationToken::new(), Spawner::new());
        let address = door.address();
        let running = spawner.spawn(door.run(stop.clone()));
        let silent: Vec<TcpStream> = (0..LIMITS.connections).map(|_| says(address, "")).collect();
        let asks = says(address, "GET /readyz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(answer(asks).starts_with("HTTP/1.1 200"), "once the silent ones are given up");
        drop(silent);
        stop.cancel();
        timeout(DEADLINE, running).await.expect("it ends").unwrap();
    }
}
