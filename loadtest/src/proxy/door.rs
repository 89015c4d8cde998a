//! Accepts connections, or has them refused.
//!
//! A refusal is a real one: nobody listens. The port stays ours meanwhile, held by a socket that is
//! bound and never listens, so that healing finds it free.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use leveret_common::spawn::Spawner;
use tokio::net::{TcpListener, TcpSocket};

use super::Link;
use super::connection::Connection;
use crate::error::{Error, while_doing};

/// Connections that wait to be accepted, at most.
const BACKLOG: u32 = 1024;
/// How long to wait before what the kernel refused is tried again.
const AGAIN: Duration = Duration::from_millis(10);

/// Where a proxy listens.
pub(super) struct Door {
    address: SocketAddr,
    listener: TcpListener,
    _holds_the_port: TcpSocket,
}

impl Door {
    /// Opens it on a free port.
    pub(super) fn open() -> Result<Self, Error> {
        let opened = || {
            let holder = bound((Ipv4Addr::LOCALHOST, 0).into())?;
            let address = holder.local_addr()?;
            Ok(Self { address, listener: listen(address)?, _holds_the_port: holder })
        };
        opened().map_err(while_doing("open the door of a proxy"))
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves all who come until `spawner` is shut down.
    pub(super) async fn run(self, link: Arc<Link>, spawner: Spawner) {
        let shutdown = spawner.shutdown_signal();
        let mut listener = Some(self.listener);
        let mut conditions = link.conditions.subscribe();
        let mut number = 0;
        loop {
            let refuses = conditions.borrow_and_update().refuses;
            match (&listener, refuses) {
                (Some(_), true) => {
                    listener = None;
                    link.note(|seen| seen.refusals += 1);
                }
                (None, false) => listener = listen(self.address).ok(),
                _ => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = conditions.changed() => {}
                client = accept(listener.as_ref(), refuses) => {
                    let Some(client) = client else { continue };
                    // Nagle's wait would be a fault that nobody asked for.
                    let _ = client.set_nodelay(true);
                    link.note(|seen| seen.connections += 1);
                    let connection = Connection::new(link.clone(), client, number);
                    number += 1;
                    spawner.spawn(connection.run(shutdown.clone()));
                }
            }
        }
    }
}

/// Waits for a connection; nothing where the kernel has trouble, which is to be tried again.
async fn accept(listener: Option<&TcpListener>, refuses: bool) -> Option<tokio::net::TcpStream> {
    if let Some(listener) = listener
        && let Ok((client, _)) = listener.accept().await
    {
        return Some(client);
    }
    if refuses {
        return std::future::pending().await;
    }
    tokio::time::sleep(AGAIN).await;
    None
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    bound(address)?.listen(BACKLOG)
}
