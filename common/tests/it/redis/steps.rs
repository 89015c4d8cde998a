//! Replies that are out of step with their requests: the connection is left.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use leveret_common::id::{Owner, TaskId};
use leveret_common::spawn::Spawner;
use leveret_common::store::Ledger;
use leveret_common::testkit::eventually;

use super::{both, claim, connect_within};

/// Passes connections on, and can swallow something that the server says.
#[derive(Clone, Default)]
struct Relay {
    swallows: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
}

impl Relay {
    /// Stands before a server; returns where.
    fn before(&self, server: String) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let relay = self.clone();
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                relay.connections.fetch_add(1, Ordering::SeqCst);
                let server = TcpStream::connect(&server).unwrap();
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let (asks, answers) = (Self::default(), relay.clone());
                std::thread::spawn(move || asks.pass(from, to));
                std::thread::spawn(move || answers.pass(server, client));
            }
        });
        address
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut bytes = [0; 64 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes) {
            let is_swallowed = self.swallows.swap(false, Ordering::SeqCst);
            if !is_swallowed && to.write_all(&bytes[..read]).is_err() {
                break;
            }
        }
        // The other side may be gone already.
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    }
}

/// While others go on asking, each gets the reply to the request before its own, and nobody waits for long.
#[tokio::test]
async fn a_connection_whose_replies_are_out_of_step_is_left() {
    for url in both() {
        let relay = Relay::default();
        let address = relay.before(url.trim_start_matches("redis://").to_owned());
        let around = format!("redis://{address}");
        let redis = connect_within(&around, Duration::from_millis(200)).await.unwrap().redis;
        let traffic = Spawner::new();
        for _ in 0..4 {
            let (redis, end) = (redis.clone(), traffic.shutdown_signal());
            traffic.spawn(async move {
                while !end.is_cancelled() {
                    // What is answered wrongly is what this is about.
                    let _ = redis.claim(&[claim(TaskId::mint(), Owner::mint())]).await;
                    // While there is no connection, an answer needs no wait, and others want their turn.
                    tokio::task::yield_now().await;
                }
            });
        }
        let before = relay.connections.load(Ordering::SeqCst);
        relay.swallows.store(true, Ordering::SeqCst);
        let soon = Duration::from_secs(20);
        eventually(soon, "a reply is swallowed", async || !relay.swallows.load(Ordering::SeqCst))
            .await;
        eventually(soon, "there is another connection", async || {
            relay.connections.load(Ordering::SeqCst) > before
        })
        .await;
        traffic.drained().await;
        let claimed = redis.claim(&[claim(TaskId::mint(), Owner::mint())]).await;
        assert!(claimed.is_ok(), "{claimed:?}");
    }
}
