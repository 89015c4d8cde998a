//! Connections: accepted up to a number, with limits on the time of a request's head and on a client
//! that does not read, and ended in order. For the gateway's own door, and for the small ones of other roles.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use leveret_common::spawn::Spawner;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::write_limit::WriteLimit;

/// Most bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;
/// How long to wait after the system refused a connection, such as for want of descriptors.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// How much longer than the connections the work behind them may take: a publish whose client was
/// cut off still ends in order.
const AFTER_GRACE: Duration = Duration::from_secs(1);

/// What a door grants those who come in.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// How long the head of a request may take to arrive, and a connection may be idle.
    pub header_timeout: Duration,
    /// How long a client may read nothing of an answer.
    pub write_timeout: Duration,
    /// How long requests may go on after the shutdown began.
    pub grace: Duration,
}

/// Serves what comes to `listener` until `shutdown`, then takes nothing new and lets requests, and what they
/// started in `spawner`, finish within the grace. `spawner` is shut down by it.
///
/// # Cancel safety
/// Dropped, connections are served until the runtime ends: cancel `shutdown` instead.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    spawner: &Spawner,
    shutdown: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(limits.connections));
    let accepting = async {
        // The semaphore is never closed, so a place comes sooner or later.
        while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
            let stream = accept(&listener).await;
            let served = serve_one(stream, router.clone(), limits, spawner.shutdown_signal());
            spawner.spawn(async move {
                served.await;
                drop(permit);
            });
        }
    };
    tokio::select! {
        () = accepting => {}
        () = shutdown.cancelled() => {}
    }
    drop(listener);
    if timeout(limits.grace + AFTER_GRACE, spawner.drained()).await.is_err() {
        tracing::warn!("a door closes with work unfinished");
    }
}

/// Waits for a connection; errors of single connections are passed over.
async fn accept(listener: &TcpListener) -> TcpStream {
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

/// Serves one connection to its end; after the shutdown began, for at most the grace.
async fn serve_one(stream: TcpStream, router: Router, limits: Limits, shutdown: CancellationToken) {
    // Small answers must not wait for the client's delayed acknowledgements.
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(WriteLimit::new(stream, limits.write_timeout)), service);
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match timeout(limits.grace, connection.as_mut()).await {
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
}
