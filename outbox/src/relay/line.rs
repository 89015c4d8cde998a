//! The one connection to a PostgreSQL server: made by TLS or without, driven beside whoever uses it, with
//! an ear for notifications and for its own end. Guards that a server which accepts and then says nothing
//! is not waited for for ever, neither at the beginning nor at the end.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::spawn::Spawner;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, NoTls, Socket};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::RelayError;
use super::tls;
use crate::postgres::told;

/// What to do where a certificate is not believed.
const ADVICE: &str = "; have this system believe the server's certificate (SSL_CERT_FILE names a \
                      file of authorities), or write sslmode=disable where the network is trusted";
/// How long one attempt to connect may take, the handshake included, where the URL does not say so.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How long the goodbye may take to be written.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection that is driven.
pub(super) struct Line {
    pub(super) client: Client,
    /// Notified at each commit that put something in.
    pub(super) woken: Arc<Notify>,
    /// Cancelled when the connection is gone.
    pub(super) gone: CancellationToken,
    /// Says that nobody uses it any more.
    _left: DropGuard,
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
        // The client's own limit is for the way to each address in turn, and not for what is said there.
        let each = server.get_connect_timeout().copied().unwrap_or(CONNECT);
        let servers = server.get_hosts().len().max(server.get_hostaddrs().len()).max(1);
        let patience = each.saturating_mul(u32::try_from(servers + 1).unwrap_or(u32::MAX));
        let mut server = server.clone();
        server.connect_timeout(each);
        let failed =
            |why, source| RelayError::Connect { endpoint: endpoint.to_owned(), why, source };
        let (client, mut connection) = match timeout(patience, server.connect(connector)).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => {
                let why = format!("{}{}", told(&error), advice(&error));
                return Err(failed(why, Some(error.into())));
            }
            Err(_) => {
                let why =
                    format!("no answer within {patience:?}; is it PostgreSQL, and not stuck?");
                return Err(failed(why, None));
            }
        };
        let (woken, gone, left) =
            (Arc::new(Notify::new()), CancellationToken::new(), CancellationToken::new());
        let (wake, end, leaving) = (Arc::clone(&woken), gone.clone().drop_guard(), left.clone());
        spawner.spawn(async move {
            // Ends with the client, or with the connection.
            let driven = async {
                while let Some(Ok(message)) =
                    poll_fn(|context| connection.poll_message(context)).await
                {
                    if matches!(message, AsyncMessage::Notification(_)) {
                        wake.notify_one();
                    }
                }
            };
            tokio::select! {
                () = driven => {}
                () = async { leaving.cancelled().await; sleep(GOODBYE).await } => {}
            }
            drop(end);
        });
        Ok(Self { client, woken, gone, _left: left.drop_guard() })
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
