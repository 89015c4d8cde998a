//! Stores of several servers: a cluster, and a primary that sentinels name. What dies in them is the
//! test's own, and somebody else goes on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use leveret_common::testkit;

use super::*;
use crate::conformance::redis_store;

/// Long enough for a replica to become a primary on a loaded machine.
const FAILOVER: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Primaries, each with as many replicas as asked for.
struct Cluster(Vec<Server>);

impl Cluster {
    fn start(replicas: usize) -> Option<Self> {
        let servers: Option<Vec<Server>> = (0..3 * (1 + replicas))
            .map(|_| {
                let bus = free_port().to_string();
                let timeout = ["--cluster-node-timeout", "1000", "--cluster-port", &bus];
                Server::start(&[["--cluster-enabled", "yes"].as_slice(), &timeout].concat())
            })
            .collect();
        let cluster = Self(servers?);
        let nodes = cluster.0.iter().map(Server::address);
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes)
            .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        let deadline = Instant::now() + FAILOVER;
        let is_ok = |server: &Server| {
            let state = server.bare().ask(&["CLUSTER", "INFO"]).text().unwrap();
            state.contains("cluster_state:ok")
        };
        while !cluster.0.iter().all(is_ok) {
            assert!(Instant::now() < deadline, "the nodes do not agree");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(cluster)
    }

    /// Names two of the nodes; they know the others.
    fn url(&self) -> String {
        format!("redis-cluster://{},{}", self.0[1].address(), self.0[0].address())
    }

    /// Returns the primary that serves a key.
    fn primary_of(&mut self, key: &str) -> &mut Server {
        let serves = |server: &Server| {
            let role = server.bare().ask(&["INFO", "replication"]).text().unwrap();
            role.contains("role:master") && server.bare().ask(&["EXISTS", key]) == Reply::Number(1)
        };
        self.0.iter_mut().find(|server| serves(server)).expect("some primary serves the key")
    }
}

/// One primary, one replica, and a sentinel over them.
struct Watched {
    primary: Server,
    replica: Server,
    sentinel: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn start() -> Option<Self> {
        let primary = Server::start(&[])?;
        let of = primary.address();
        let (host, at) = of.split_once(':').unwrap();
        let replica = Server::start(&["--replicaof", host, at])?;
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main {host} {at} 1\n\
             sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 5000\n",
            folder.path().display()
        );
        std::fs::write(&file, settings).unwrap();
        let sentinel = Command::new("redis-server")
            .arg(&file)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let watched = Self { primary, replica, sentinel, port, _folder: folder };
        watched.knows_the_replica();
        Some(watched)
    }

    /// Nobody listens at the first of the addresses.
    fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:1,127.0.0.1:{}/main/2", self.port)
    }

    fn sentinel(&self) -> Option<Bare> {
        Bare::try_connect(&format!("127.0.0.1:{}", self.port)).ok()
    }

    fn knows_the_replica(&self) {
        let deadline = Instant::now() + FAILOVER;
        let knows = || {
            let found = self.sentinel()?.ask(&["SENTINEL", "REPLICAS", "main"]);
            let synced = self.replica.bare().ask(&["INFO", "replication"]).text()?;
            let is_up = synced.contains("master_link_status:up");
            matches!(found, Reply::List(replicas) if replicas.len() == 1 && is_up).then_some(())
        };
        while knows().is_none() {
            assert!(Instant::now() < deadline, "the sentinel does not know the replica");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.sentinel.kill();
        let _ = self.sentinel.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_every_promise_of_a_store() {
    let Some(cluster) = Cluster::start(0) else { return };
    let url = cluster.url();
    testkit::store::suite("redis-cluster", move || redis_store(url.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_sentinels_name_keeps_every_promise_of_a_store() {
    let Some(watched) = Watched::start() else { return };
    let url = watched.url();
    testkit::store::suite("redis-sentinel", move || redis_store(url.clone())).await;
}

/// Claims a task and marks it done.
async fn done(fixture: &Fixture) -> Claim {
    let ask = claim(TaskId::mint(), Owner::mint());
    let hold = claimed(&fixture.redis, &ask).await;
    let mark = Mark { id: ask.id, hold, order: ask.order, marking: Marking::Done, ttl: HOUR };
    assert_eq!(fixture.redis.mark(&[mark]).await.unwrap(), [Ruling::Accepted]);
    ask
}

/// Waits until a replica has what was written here so far.
fn copied(server: &Server) {
    let mut bare = server.bare();
    // A connection waits for what it has written itself, and so for all that was before.
    assert_eq!(bare.ask(&["FUNCTION", "FLUSH"]), Reply::Text("OK".to_owned()));
    assert_eq!(bare.ask(&["WAIT", "1", "10000"]), Reply::Number(1));
}

/// The ledger answers for a task that is over, and claims another one.
async fn goes_on(fixture: &Fixture, over: &Claim, next: &Claim) {
    let began = Instant::now();
    let answers = async || fixture.redis.claim(&[over.clone(), next.clone()]).await;
    let mut last = None;
    while began.elapsed() < FAILOVER {
        match answers().await {
            Ok(answers) => {
                assert_eq!(answers[0], Answer::Settled(Ending::Done), "what was copied is there");
                assert!(matches!(answers[1], Answer::Claimed { .. }), "{answers:?}");
                println!("somebody else answers after {:?}; before: {last:?}", began.elapsed());
                return;
            }
            Err(error) => last = Some(error.to_string()),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody answers for it: {last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_primary_of_a_cluster_dies_its_replica_answers_for_its_keys() {
    let Some(mut cluster) = Cluster::start(1) else { return };
    let fixture = fixture(&cluster.url()).await;
    let over = done(&fixture).await;
    let key = fixture.key("t", over.id);
    copied(cluster.primary_of(&key));
    cluster.primary_of(&key).kill();
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_dies_the_one_that_sentinels_name_next_is_used() {
    let Some(mut watched) = Watched::start() else { return };
    let fixture = fixture(&watched.url()).await;
    let over = done(&fixture).await;
    copied(&watched.primary);
    watched.primary.kill();
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_demoted_alive_is_left_for_the_next() {
    let Some(watched) = Watched::start() else { return };
    let fixture = fixture(&watched.url()).await;
    let over = done(&fixture).await;
    copied(&watched.primary);
    let asked = watched.sentinel().unwrap().ask(&["SENTINEL", "FAILOVER", "main"]);
    assert_eq!(asked, Reply::Text("OK".to_owned()));
    eventually(FAILOVER, "the replica is the primary", || async {
        watched.replica.bare().ask(&["INFO", "replication"]).text().unwrap().contains("role:master")
    })
    .await;
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

#[tokio::test]
async fn an_address_of_another_sort_is_an_error_that_says_so() {
    let Some(plain) = Server::start(&[]) else { return };
    let address = plain.address();
    let told = async |url: String| connect(&url).await.err().expect("it is refused").to_string();
    let error = told(format!("redis-cluster://{address}")).await;
    assert!(error.contains("cluster support disabled"), "{error}");
    let error = told(format!("redis-sentinel://{address}/main")).await;
    assert!(error.contains("sentinel"), "{error}");
    let Some(watched) = Watched::start() else { return };
    let error = told(format!("redis-sentinel://127.0.0.1:{}/mian", watched.port)).await;
    assert!(error.contains("mian") || error.contains("aster"), "{error}");
}
