//! The one connection to a PostgreSQL server: made by TLS or without, driven beside whoever uses it, with
//! an ear for notifications and for its own end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use leveret_common::spawn::Spawner;
use tokio::sync::Notify;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};
use tokio_util::sync::CancellationToken;

use super::error::RelayError;
use super::tls;
use crate::postgres::told;

/// What to do where a certificate is not believed.
const ADVICE: &str = "; have this system believe the server's certificate (SSL_CERT_FILE names a \
                      file of authorities), or write sslmode=disable where the network is trusted";

/// A connection that is driven.
pub(super) struct Line {
    pub(super) client: Client,
    /// Notified at each commit that put something in.
    pub(super) woken: Arc<Notify>,
    /// Cancelled when the connection is gone.
    pub(super) gone: CancellationToken,
}

impl Line {
    /// Connects, by TLS unless that is switched off.
    pub(super) async fn open(
        server: &tokio_postgres::Config,
        endpoint: &str,
        spawner: &Spawner,
    ) -> Result<Self, RelayError> {
        if server.get_ssl_mode() == SslMode::Disable {
            return Self::connect(NoTls, server, endpoint, spawner).await;
        }
        let connector = tls::connector().map_err(|error| RelayError::Connect {
            endpoint: endpoint.to_owned(),
            why: format!("this system has no certificates to believe: {error}{ADVICE}"),
            source: Some(error.into()),
        })?;
        Self::connect(connector, server, endpoint, spawner).await
    }

    async fn connect<T>(
        connector: T,
        server: &tokio_postgres::Config,
        endpoint: &str,
        spawner: &Spawner,
    ) -> Result<Self, RelayError>
    where
        T: MakeTlsConnect<Socket, Stream: Send + 'static, TlsConnect: Send>,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        let (client, mut connection) =
            server.connect(connector).await.map_err(|error| RelayError::Connect {
                endpoint: endpoint.to_owned(),
                why: format!("{}{}", told(&error), advice(&error)),
                source: Some(error.into()),
            })?;
        let (woken, gone) = (Arc::new(Notify::new()), CancellationToken::new());
        let (wake, end) = (Arc::clone(&woken), gone.clone().drop_guard());
        spawner.spawn(async move {
            // Ends with the client, or with the connection.
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await
            {
                if matches!(message, AsyncMessage::Notification(_)) {
                    wake.notify_one();
                }
            }
            drop(end);
        });
        Ok(Self { client, woken, gone })
    }
}

/// Says how to mend what is no fault of the address.
fn advice(error: &tokio_postgres::Error) -> &'static str {
    use std::error::Error as _;

    let of_io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let of_tls =
        of_io.and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>());
    if !of_tls {
        return "";
    }
    ADVICE
}
