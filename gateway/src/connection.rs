//! Connections: accepted up to a number, with limits on the time of a request's head and on a client
//! that does not read, and ended in order.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::write_limit::WriteLimit;

/// Most bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;
/// How long to wait after the system refused a connection, such as for want of descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Waits for a connection; errors of single connections are passed over.
///
/// # Cancel safety
/// Dropped, no connection is lost.
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection");
                sleep(REFUSED_PAUSE).await;
            }
        }
    }
}

/// What all connections share.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(crate) router: Router,
    pub(crate) header_timeout: Duration,
    pub(crate) write_timeout: Duration,
    pub(crate) grace: Duration,
    pub(crate) shutdown: CancellationToken,
}

/// Serves one connection to its end; after the shutdown began, for at most the grace.
pub(crate) async fn serve(stream: TcpStream, terms: Terms, permit: OwnedSemaphorePermit) {
    // Small answers must not wait for the client's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(terms.router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.header_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(WriteLimit::new(stream, terms.write_timeout)), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = terms.shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(terms.grace, connection.as_mut()).await {
                Ok(served) => served,
                Err(_) => {
                    tracing::warn!("a request was cut off: it went on longer than the grace");
                    Ok(())
                }
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended early");
    }
    drop(permit);
}
