//! The runtime of the client's connections: tokio's, with an [`Inlet`] as the stream.
//!
//! The client is generic over its runtime, and that is the only way to hand it a stream of our own.
//! TLS is made below the inlet, which sees what the client sees.

use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::{Duration, Instant};

use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio, TokioRuntime};
use futures_util::Stream as Items;
use futures_util::io::{AsyncRead, AsyncWrite};
use lapin::AsyncTcpStream;

use super::Inlet;

/// A stream to the server, in the clear or by TLS, through an inlet.
type Stream = Inlet<AsyncTcpStream<<TokioRuntime as Reactor>::TcpStream>>;

/// Tokio's runtime, but for the type of a connection.
#[derive(Debug, Clone)]
pub(in super::super) struct Kit(TokioRuntime);

impl Kit {
    /// Returns a runtime for the client that is `tokio` in all but that.
    pub(in super::super) fn over(tokio: TokioRuntime) -> Runtime<Self> {
        Runtime::new(Self(tokio))
    }
}

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        future: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(work)
    }
}

impl Reactor for Kit {
    type TcpStream = Stream;
    type Sleep = <Tokio as Reactor>::Sleep;

    fn register<H: Read + Write + AsFd + AsRawFd + Send + 'static>(
        &self,
        socket: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        self.0.register(socket)
    }

    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.0.sleep(duration)
    }

    fn interval(&self, duration: Duration) -> impl Items<Item = Instant> + Send + 'static {
        self.0.interval(duration)
    }

    fn tcp_connect_addr(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        let connecting = self.0.tcp_connect_addr(address);
        async move { Ok(Inlet::new(AsyncTcpStream::Plain(connecting.await?), 0)) }
    }
}
