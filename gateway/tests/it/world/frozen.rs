//! A stretch of wire before a server that can be frozen: connections stay and nothing comes back.

use std::sync::Arc;

use leveret_common::spawn::Spawner;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Freezes what passes.
pub(crate) struct Freezer {
    frozen: Arc<watch::Sender<bool>>,
    spawner: Spawner,
}

impl Freezer {
    pub(crate) fn new() -> Self {
        Self { frozen: Arc::new(watch::Sender::new(false)), spawner: Spawner::new() }
    }

    /// From now on nothing comes back.
    pub(crate) fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// From now on everything comes back, what was held up too.
    pub(crate) fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// Returns `url` with an address that leads there through us.
    pub(super) async fn before(&self, url: &str) -> String {
        let there = url.rsplit(['@', '/']).next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        let replaced = url.replace(&there, &here);
        let (frozen, spawner) = (Arc::clone(&self.frozen), self.spawner.clone());
        self.spawner.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&there).await.unwrap();
                spawner.spawn(pass(client, server, frozen.subscribe()));
            }
        });
        replaced
    }
}

async fn pass(client: TcpStream, server: TcpStream, mut frozen: watch::Receiver<bool>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let back = async {
        let mut piece = vec![0; 16 << 10];
        while let Ok(size @ 1..) = from_server.read(&mut piece).await {
            if frozen.wait_for(|frozen| !frozen).await.is_err() {
                return;
            }
            if to_client.write_all(&piece[..size]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = copy(&mut from_client, &mut to_server) => {}
        () = back => {}
    }
}
