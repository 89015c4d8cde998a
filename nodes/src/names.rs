//! Names at Erlang's name service that lead to a port of somebody's choice.
//!
//! Each node of a cluster has a name service of its own, where the others are registered by us and not
//! by themselves: under a port from which whoever listens there passes on what they say. So the way
//! between two nodes can be cut, in each direction, without any right on the machine.

use std::io::{Error as Failure, Read, Write};
use std::net::{Ipv4Addr, TcpStream};

use crate::error::{Error, while_doing};
use crate::server::PATIENCE;

/// Asks for a registration.
const ALIVE2_REQ: u8 = 120;
/// Answers it, with a short number of the registration, and with a long one.
const ALIVE2_RESP: [u8; 2] = [121, 118];
/// A node that others may see.
const NORMAL_NODE: u8 = 77;
/// Versions of the protocol between nodes: the highest, and the lowest.
const VERSIONS: [u16; 2] = [6, 5];

/// A name at a name service, for as long as it is kept.
pub(crate) struct Registration {
    _connection: TcpStream,
}

/// Registers a node, such as `broker@localhost`, at the name service on the port `at`.
pub(crate) fn register(at: u16, node: &str, port: u16) -> Result<Registration, Error> {
    let name = node.split('@').next().unwrap_or(node);
    let connection = ask(at, name, port).map_err(while_doing(format!("register {name}")))?;
    Ok(Registration { _connection: connection })
}

fn ask(at: u16, name: &str, port: u16) -> Result<TcpStream, Failure> {
    let length = |bytes: usize| u16::try_from(bytes).map_err(Failure::other);
    let mut request = vec![ALIVE2_REQ];
    request.extend(port.to_be_bytes());
    // The protocol 0 is TCP over IPv4.
    request.extend([NORMAL_NODE, 0]);
    request.extend(VERSIONS.iter().flat_map(|version| version.to_be_bytes()));
    request.extend(length(name.len())?.to_be_bytes());
    request.extend(name.as_bytes());
    request.extend([0, 0]);

    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, at))?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(&length(request.len())?.to_be_bytes())?;
    connection.write_all(&request)?;
    let mut answer = [0; 2];
    connection.read_exact(&mut answer)?;
    match answer {
        [sort, 0] if ALIVE2_RESP.contains(&sort) => Ok(connection),
        _ => Err(Failure::other(format!("the name service answers {answer:?}"))),
    }
}
