//! A server that is heard of and makes no sense any more: the connection is given up.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use leveret_common::broker::{Broker, Publish};
use leveret_common::testkit::eventually;
use leveret_common::testkit::services::{VirtualHost, fresh_namespace};

use super::{Config, SOON, acked, config, connect, place, to, wire};

/// The beginning of a frame that is longer than any: what follows is taken for its body.
const ENDLESS: [u8; 7] = [1, 0, 0, 0x7F, 0, 0, 0];

/// Passes connections on, and can say something on its own to all clients.
struct Relay {
    address: String,
    clients: Arc<Mutex<Vec<TcpStream>>>,
}

impl Relay {
    fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let clients = Arc::new(Mutex::new(Vec::new()));
        let all = clients.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&server).unwrap();
                all.lock().unwrap().push(client.try_clone().unwrap());
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                std::thread::spawn(move || pass(from, to));
                std::thread::spawn(move || pass(server, client));
            }
        });
        Self { address, clients }
    }

    /// Returns how many connections there were.
    fn connections(&self) -> usize {
        self.clients.lock().unwrap().len()
    }

    fn confuse(&self) {
        for client in self.clients.lock().unwrap().iter_mut() {
            client.write_all(&ENDLESS).unwrap();
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = [0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..read]).is_err() {
            break;
        }
    }
    // The other side may be gone already.
    let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

/// The client waits for the rest of the frame, and takes each heartbeat inside it for a sign of life.
pub(super) async fn a_frame_that_never_ends_does_not_keep_its_connection(host: VirtualHost) {
    let (before, at) = host.url.split_once('@').unwrap();
    let (server, path) = at.split_once('/').unwrap_or((at, ""));
    let relay = Relay::to(server.to_owned());
    let namespace = fresh_namespace();
    let url = format!("{before}@{}/{path}", relay.address);
    let heartbeat = Duration::from_secs(1);
    let config = Config { heartbeat, ..config(&url, &namespace) };
    let broker = connect(config).await.unwrap();
    let consumer = broker.consume(&place("mail"), 1).await.unwrap();
    let publish =
        async || broker.publish(&[Publish { to: to("mail"), wire: wire("1") }]).await.remove(0);
    publish().await.unwrap();
    acked(&consumer).await;

    let before = relay.connections();
    relay.confuse();
    eventually(SOON, "both connections are made anew", async || relay.connections() >= before + 2)
        .await;
    eventually(SOON, "tasks are taken again", async || publish().await.is_ok()).await;
    acked(&consumer).await;
    broker.close().await;
}
