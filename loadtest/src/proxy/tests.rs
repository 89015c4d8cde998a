//! Every fault on real sockets, and what the proxy says about it.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use leveret_common::spawn::Spawner;
use leveret_common::testkit::eventually;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::fault::{Fault, Towards};
use super::seen::Seen;
use super::{Protocol, Proxy};

/// For what happens at once, on a machine that is busy.
const SOON: Duration = Duration::from_secs(20);

/// A server that hands out its connections, and a proxy before it.
struct Scene {
    proxy: Proxy,
    accepted: mpsc::UnboundedReceiver<TcpStream>,
    spawner: Spawner,
}

impl Scene {
    async fn new(speaks: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(listener.local_addr().unwrap(), speaks, 7).await.unwrap();
        let (tell, accepted) = mpsc::unbounded_channel();
        let spawner = Spawner::new();
        spawner.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                if tell.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { proxy, accepted, spawner }
    }

    /// Connects through the proxy; returns both ends.
    async fn connect(&mut self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.proxy.address()).await.unwrap();
        (client, self.accepted.recv().await.unwrap())
    }

    async fn until(&self, what: &str, holds: impl Fn(Seen) -> bool) {
        eventually(SOON, what, || async { holds(self.proxy.seen()) }).await;
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // What waits for connections would wait for ever.
        self.accepted.close();
        self.spawner.shut_down();
    }
}

async fn say(stream: &mut TcpStream, what: &[u8]) {
    stream.write_all(what).await.unwrap();
}

async fn hear(stream: &mut TcpStream, bytes: usize) -> Vec<u8> {
    let mut heard = vec![0; bytes];
    tokio::time::timeout(SOON, stream.read_exact(&mut heard)).await.unwrap().unwrap();
    heard
}

/// Reads to the end; the error where it was no orderly one.
async fn end_of(stream: &mut TcpStream) -> Result<Vec<u8>, ErrorKind> {
    let mut heard = Vec::new();
    let read = tokio::time::timeout(SOON, stream.read_to_end(&mut heard)).await.unwrap();
    read.map(|_| heard).map_err(|error| error.kind())
}

/// Whether nothing can be read now.
fn is_silent(stream: &TcpStream) -> bool {
    stream.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn long(bytes: usize) -> Vec<u8> {
    let mut luck = fastrand::Rng::with_seed(1);
    std::iter::repeat_with(|| luck.u8(..)).take(bytes).collect()
}

#[tokio::test]
async fn bytes_and_both_ends_pass_unchanged() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    let sent = long(3_000_000);
    let (_, heard) = tokio::join!(
        async {
            say(&mut client, &sent).await;
            client.shutdown().await.unwrap();
        },
        end_of(&mut server)
    );
    assert!(heard.unwrap() == sent, "bytes were changed");
    say(&mut server, b"bye").await;
    drop(server);
    assert_eq!(end_of(&mut client).await.unwrap(), b"bye");
    scene.until("it is over", |seen| seen.open == 0).await;
    let expected = Seen { connections: 1, to_server: 3_000_000, to_client: 3, ..Seen::default() };
    assert_eq!(scene.proxy.seen(), expected);
}

#[tokio::test]
async fn latency_delays_each_direction_and_keeps_the_order() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mean, jitter) = (Duration::from_millis(60), Duration::from_millis(30));
    scene.proxy.set(Fault::Latency { mean, jitter });
    let (mut client, mut server) = scene.connect().await;
    let began = Instant::now();
    for byte in 0..50 {
        say(&mut client, &[byte]).await;
    }
    assert_eq!(hear(&mut server, 50).await, (0..50).collect::<Vec<u8>>());
    say(&mut server, b"x").await;
    hear(&mut client, 1).await;
    assert!(began.elapsed() >= 2 * (mean - jitter), "{:?}", began.elapsed());
    assert!(scene.proxy.seen().delayed >= 2);
}

#[tokio::test]
async fn latency_of_one_direction_leaves_the_other_alone() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let far = Fault::Latency { mean: Duration::from_secs(3600), jitter: Duration::ZERO };
    scene.proxy.set_towards(Towards::Client, far);
    let (mut client, mut server) = scene.connect().await;
    say(&mut client, b"asked").await;
    assert_eq!(hear(&mut server, 5).await, b"asked");
    say(&mut server, b"answered").await;
    scene.until("the answer is on its way", |seen| seen.delayed == 1).await;
    assert!(is_silent(&client));
}

#[tokio::test]
async fn a_rate_is_not_exceeded() {
    let mut scene = Scene::new(Protocol::Raw).await;
    scene.proxy.set(Fault::Rate { bytes_per_second: 20_000 });
    let (mut client, mut server) = scene.connect().await;
    let began = Instant::now();
    let sent = long(6_000);
    say(&mut client, &sent).await;
    assert!(hear(&mut server, 6_000).await == sent, "bytes were changed");
    // The first twentieth of a second's bytes goes at once.
    assert!(began.elapsed() >= Duration::from_millis(240), "{:?}", began.elapsed());
    assert!(scene.proxy.seen().throttled > 0);
}

#[tokio::test]
async fn faults_add_up_and_a_new_one_replaces_them() {
    let mut scene = Scene::new(Protocol::Raw).await;
    scene.proxy.set(Fault::Latency { mean: Duration::from_millis(5), jitter: Duration::ZERO });
    scene.proxy.add(Fault::Rate { bytes_per_second: 50_000 });
    scene.proxy.add(Fault::Slice { bytes: 7 });
    let (mut client, mut server) = scene.connect().await;
    let sent = long(4_000);
    say(&mut client, &sent).await;
    assert!(hear(&mut server, 4_000).await == sent, "bytes were changed");
    let seen = scene.proxy.seen();
    assert!(seen.delayed > 0 && seen.throttled > 0 && seen.sliced > 400, "{seen:?}");
    scene.proxy.set(Fault::None);
    say(&mut client, &sent).await;
    assert!(hear(&mut server, 4_000).await == sent, "bytes were changed");
    let after = scene.proxy.seen();
    assert_eq!((after.delayed, after.sliced), (seen.delayed, seen.sliced));
}

#[tokio::test]
async fn a_silent_network_tells_nobody_and_goes_on_where_it_stopped() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    say(&mut client, b"a").await;
    hear(&mut server, 1).await;
    scene.proxy.set(Fault::Blackhole);
    say(&mut client, b"b").await;
    say(&mut server, b"c").await;
    client.shutdown().await.unwrap();
    let newcomer = TcpStream::connect(scene.proxy.address()).await.unwrap();
    scene.until("all three are silenced", |seen| seen.withheld == 3).await;
    assert!(is_silent(&server) && is_silent(&client) && is_silent(&newcomer));
    assert!(scene.accepted.try_recv().is_err(), "who is silenced does not reach the server");
    scene.proxy.set(Fault::None);
    assert_eq!(end_of(&mut server).await.unwrap(), b"b");
    assert_eq!(hear(&mut client, 1).await, b"c");
    assert!(scene.accepted.recv().await.is_some());
}

#[tokio::test]
async fn one_direction_can_be_silent_alone() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.set_towards(Towards::Server, Fault::Blackhole);
    say(&mut client, b"unheard").await;
    scene.until("it is silenced", |seen| seen.withheld == 1).await;
    say(&mut server, b"heard").await;
    assert_eq!(hear(&mut client, 5).await, b"heard");
    assert!(is_silent(&server));
}

#[tokio::test]
async fn a_half_open_connection_stays_dead_and_new_ones_live() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.set(Fault::HalfOpen);
    assert_eq!(end_of(&mut server).await.unwrap(), b"");
    scene.proxy.set(Fault::None);
    say(&mut client, &long(100_000)).await;
    let (mut other, mut its_server) = scene.connect().await;
    say(&mut other, b"hello").await;
    assert_eq!(hear(&mut its_server, 5).await, b"hello");
    assert!(is_silent(&client), "nobody told the client");
    assert_eq!(scene.proxy.seen().open, 1);
    scene.proxy.cut();
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(scene.proxy.seen().half_opened, 1);
    scene.until("both were reset", |seen| seen.reset == 2).await;
}

#[tokio::test]
async fn a_reset_is_one_for_both_ends_and_for_who_comes() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.set(Fault::Reset);
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(end_of(&mut server).await, Err(ErrorKind::ConnectionReset));
    let mut late = TcpStream::connect(scene.proxy.address()).await.unwrap();
    assert_eq!(end_of(&mut late).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(scene.proxy.seen().reset, 2);
    scene.proxy.set(Fault::None);
    let (mut client, mut server) = scene.connect().await;
    scene.proxy.cut();
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(end_of(&mut server).await, Err(ErrorKind::ConnectionReset));
    scene.connect().await;
}

#[tokio::test]
async fn a_reset_by_the_server_reaches_the_client_as_one() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, server) = scene.connect().await;
    server.set_zero_linger().unwrap();
    drop(server);
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(scene.proxy.seen().reset, 0, "that was none of ours");
}

#[tokio::test]
async fn a_closed_door_refuses_and_open_connections_go_on() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    let address = scene.proxy.address();
    for _ in 0..3 {
        scene.proxy.set(Fault::Refuse);
        eventually(SOON, "connections are refused", async || refuses(address).await).await;
        say(&mut client, b"still").await;
        assert_eq!(hear(&mut server, 5).await, b"still");
        scene.proxy.set(Fault::None);
        eventually(SOON, "the door is open", async || !refuses(address).await).await;
    }
    assert_eq!(scene.proxy.seen().refusals, 3);
}

async fn refuses(address: SocketAddr) -> bool {
    let error = TcpStream::connect(address).await.err().map(|error| error.kind());
    error == Some(ErrorKind::ConnectionRefused)
}

#[tokio::test]
async fn a_server_that_is_away_is_a_reset() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = Proxy::start(gone, Protocol::Raw, 1).await.unwrap();
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(end_of(&mut client).await, Err(ErrorKind::ConnectionReset));
    assert_eq!(proxy.seen().unreached, 1);
}

/// Sends 100,000 bytes through a network that spoils one in a hundred; returns what arrives.
async fn spoiled(pieces: usize) -> (Vec<u8>, Seen) {
    let mut scene = Scene::new(Protocol::Raw).await;
    scene.proxy.set_towards(Towards::Server, Fault::Corrupt { one_in: 100 });
    let (mut client, mut server) = scene.connect().await;
    let sent = vec![0; 100_000];
    for piece in sent.chunks(100_000 / pieces) {
        say(&mut client, piece).await;
    }
    let heard = hear(&mut server, sent.len()).await;
    say(&mut server, &[0; 1000]).await;
    assert_eq!(hear(&mut client, 1000).await, [0; 1000], "the other direction is whole");
    (heard, scene.proxy.seen())
}

#[tokio::test]
async fn about_one_byte_in_so_many_is_spoiled_the_same_ones_for_the_same_seed() {
    let (heard, seen) = spoiled(1).await;
    let changed = heard.iter().filter(|byte| **byte != 0).count() as u64;
    assert_eq!(changed, seen.corrupted);
    assert!((800..1200).contains(&changed), "{changed} of 100,000");
    let (again, _) = spoiled(50).await;
    assert!(again == heard, "the same seed spoils other bytes");
}

#[tokio::test]
async fn a_lost_reply_of_redis_ends_its_connection_after_the_request_went_through() {
    let mut scene = Scene::new(Protocol::Resp).await;
    let (mut client, mut server) = scene.connect().await;
    say(&mut client, b"PING\r\n").await;
    assert_eq!(hear(&mut server, 6).await, b"PING\r\n");
    say(&mut server, b"+PONG\r\n").await;
    assert_eq!(hear(&mut client, 7).await, b"+PONG\r\n");
    scene.proxy.set(Fault::DropReplies { share: 1.0 });
    say(&mut client, b"INCR a\r\n").await;
    assert_eq!(hear(&mut server, 8).await, b"INCR a\r\n", "the server does what was asked");
    say(&mut server, b":1\r\n").await;
    assert_eq!(end_of(&mut client).await.unwrap(), b"", "nothing of the reply arrives");
    let seen = scene.proxy.seen();
    assert_eq!((seen.replies, seen.replies_lost), (2, 1));
}

#[tokio::test]
async fn replies_before_the_lost_one_arrive() {
    let mut scene = Scene::new(Protocol::Resp).await;
    scene.proxy.set(Fault::DropReplies { share: 0.05 });
    let (mut client, mut server) = scene.connect().await;
    // The client may have gone before all of it is written.
    let _ = server.write_all("*2\r\n$3\r\nabc\r\n:12\r\n".repeat(500).as_bytes()).await;
    let heard = end_of(&mut client).await.unwrap();
    let seen = scene.proxy.seen();
    assert_eq!(seen.replies_lost, 1);
    assert_eq!(heard.len() as u64, (seen.replies - 1) * 18, "whole replies only");
}

#[tokio::test]
async fn confirms_of_rabbitmq_are_lost_and_the_connection_goes_on() {
    let mut scene = Scene::new(Protocol::Amqp).await;
    let (mut client, mut server) = scene.connect().await;
    say(&mut server, b"\x01\x00\x01\x00\x00\x00\x04\x00\x55\x00\x0b\xce").await;
    hear(&mut client, 12).await;
    scene.proxy.set(Fault::DropReplies { share: 1.0 });
    say(&mut server, b"\x01\x00\x01\x00\x00\x00\x0d\x00\x3c\x00\x50").await;
    say(&mut server, b"\x00\x00\x00\x00\x00\x00\x00\x03\x01\xce").await;
    let heartbeat = b"\x08\x00\x00\x00\x00\x00\x00\xce";
    say(&mut server, heartbeat).await;
    assert_eq!(hear(&mut client, 8).await, heartbeat);
    let seen = scene.proxy.seen();
    assert_eq!((seen.confirms, seen.confirms_lost, seen.unread), (3, 3, 0));
}

#[tokio::test]
async fn connections_end_with_their_proxy() {
    let mut scene = Scene::new(Protocol::Raw).await;
    let (mut client, mut server) = scene.connect().await;
    let address = scene.proxy.address();
    let gone = Proxy::start(address, Protocol::Raw, 2).await.unwrap();
    let mut behind = TcpStream::connect(gone.address()).await.unwrap();
    scene.accepted.recv().await.unwrap();
    drop(gone);
    assert_eq!(end_of(&mut behind).await, Err(ErrorKind::ConnectionReset));
    say(&mut client, b"on").await;
    assert_eq!(hear(&mut server, 2).await, b"on", "another proxy's go on");
}
