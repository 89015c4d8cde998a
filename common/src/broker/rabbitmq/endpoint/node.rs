//! One server: a connection to it is opened, and its refusal explained to a person.
//!
//! Guards that no password is ever printed.

use std::os::fd::AsFd;

use lapin::tcp::{AsyncTcpStream, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};

use crate::broker::rabbitmq::connection::Socket;
use crate::broker::rabbitmq::inlet::{Inlet, Kit};

/// Opens a connection under a name; its socket is kept at hand. The caller sets the deadline.
pub(super) async fn open(uri: AMQPUri, name: String, socket: Socket) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let reactor = lapin::runtime::default_runtime()?;
    let runtime = Kit::over(reactor.clone());
    let largest_frame = uri.query.frame_max.unwrap_or_default();
    let connect = async move |uri: AMQPUri, _| {
        let address = (uri.authority.host.clone(), uri.authority.port);
        let addresses = reactor.to_socket_addrs(address);
        let stream = AsyncTcpStream::connect(&reactor, addresses).await?;
        if let AsyncTcpStream::Plain(plain) = &stream {
            socket.keep(plain.get_ref().as_fd().try_clone_to_owned()?.into());
        }
        let stream = match uri.scheme {
            AMQPScheme::AMQP => stream,
            AMQPScheme::AMQPS => {
                let tls = OwnedTLSConfig::default();
                stream.into_tls(&uri.authority.host, tls.as_ref()).await?
            }
        };
        Ok(AsyncTcpStream::Plain(Inlet::new(stream, largest_frame)))
    };
    Connection::connector(uri, runtime, connect, properties).await
}

/// Says why a server refused, and how to mend it.
pub(super) fn explain(AMQPUri { authority, vhost, .. }: &AMQPUri, error: &lapin::Error) -> String {
    let user = &authority.userinfo.username;
    match error.kind() {
        ErrorKind::ProtocolError(said) if said.get_id() == 403 => format!(
            "user or password is wrong ({}); mend broker.url, or create the user with `rabbitmqctl \
             add_user {user} …`. The user guest may enter from the server's own machine only",
            said.get_message()
        ),
        ErrorKind::ProtocolError(said) if said.get_message().as_str().contains("not found") => {
            format!(
                "there is no vhost {vhost:?} ({}); create it with `rabbitmqctl add_vhost {vhost}`, \
                 or mend the path of broker.url",
                said.get_message()
            )
        }
        ErrorKind::ProtocolError(said) if said.get_id() == 530 => format!(
            "the user may not enter the vhost ({}); allow it with `rabbitmqctl set_permissions -p \
             {vhost} {user} \".*\" \".*\" \".*\"`",
            said.get_message()
        ),
        ErrorKind::ProtocolError(said) => said.get_message().to_string(),
        ErrorKind::IOError(io) if io.kind() == std::io::ErrorKind::ConnectionRefused => {
            "nothing listens there (connection refused); is RabbitMQ running, is the port right?"
                .to_owned()
        }
        ErrorKind::IOError(io) => format!("{io}; are host, port and TLS of broker.url right?"),
        _ => format!("{error}; is this a RabbitMQ server that speaks AMQP 0-9-1?"),
    }
}
