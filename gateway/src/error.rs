//! Why a gateway does not start. What goes wrong with a request is a [`crate::problem`].

use std::io;
use std::net::SocketAddr;

/// Tells why the gateway cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// Another process has the port.
    #[error(
        "failed to listen: port {port} is in use on {ip}; stop the process that has it \
         (`ss -ltnp 'sport = :{port}'` names it) or choose another address with --listen",
        port = .0.port(), ip = .0.ip()
    )]
    PortInUse(SocketAddr),
    /// Anybody who reaches the address could enqueue.
    #[error(
        "failed to listen on {0}: other machines could reach it and no tokens are set; set \
         gateway.token_file to a file with one token per line, or listen on 127.0.0.1"
    )]
    Exposed(SocketAddr),
    /// The operating system refused.
    #[error("failed to listen on {listen}: {source}; choose another address with --listen")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
