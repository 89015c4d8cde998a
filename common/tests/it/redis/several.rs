//! Stores of several servers: a cluster, and a primary that sentinels name. What dies in them is the
//! test's own, and somebody else goes on.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use leveret_common::testkit;
use leveret_nodes::{Connection, Store};

use super::*;
use crate::conformance::redis_store;

/// Long enough for a replica to become a primary on a loaded machine.
const FAILOVER: Duration = Duration::from_secs(60);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

async fn info(server: &Store, section: &str) -> String {
    server.ask(&["INFO", section]).await.unwrap().text().unwrap()
}

/// Three primaries, each with as many replicas as asked for.
struct Cluster(Vec<Store>);

impl Cluster {
    async fn start(replicas: usize) -> Option<Self> {
        let mut servers = Vec::new();
        for _ in 0..3 * (1 + replicas) {
            let bus = free_port().to_string();
            let timing = ["--cluster-node-timeout", "1000", "--cluster-port", &bus];
            servers
                .push(start(&[["--cluster-enabled", "yes"].as_slice(), &timing].concat()).await?);
        }
        let made = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(servers.iter().map(|server| address(server.port())))
            .args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
        for server in &servers {
            eventually(FAILOVER, "the nodes agree", || async {
                let state = server.ask(&["CLUSTER", "INFO"]).await.unwrap().text().unwrap();
                state.contains("cluster_state:ok")
            })
            .await;
        }
        Some(Self(servers))
    }

    /// Names two of the nodes; they know the others.
    fn url(&self) -> String {
        let [first, second] = [&self.0[1], &self.0[0]].map(|server| address(server.port()));
        format!("redis-cluster://{first},{second}")
    }

    /// Returns the primary that serves a key.
    async fn primary_of(&mut self, key: &str) -> &mut Store {
        let mut found = None;
        for (place, server) in self.0.iter().enumerate() {
            let is_primary = info(server, "replication").await.contains("role:master");
            if is_primary && server.ask(&["EXISTS", key]).await.unwrap() == Reply::Number(1) {
                found = Some(place);
            }
        }
        &mut self.0[found.expect("some primary serves the key")]
    }
}

/// One primary, one replica, and a sentinel over them.
struct Watched {
    primary: Store,
    replica: Store,
    sentinel: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Watched {
    async fn start() -> Option<Self> {
        let primary = start(&[]).await?;
        let at = primary.port().to_string();
        let replica = start(&["--replicaof", "127.0.0.1", &at]).await?;
        let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        let settings = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nsentinel monitor main 127.0.0.1 {at} 1\n\
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
        eventually(FAILOVER, "the sentinel knows the replica", || watched.knows_the_replica())
            .await;
        Some(watched)
    }

    /// Nobody listens at the first of the addresses.
    fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:1,{}/main/2", address(self.port))
    }

    fn ask_sentinel(&self, words: &[&str]) -> Option<Reply> {
        let mut sentinel = Connection::open(&format!("redis://{}", address(self.port))).ok()?;
        sentinel.ask(words).ok()
    }

    async fn knows_the_replica(&self) -> bool {
        let is_up = info(&self.replica, "replication").await.contains("master_link_status:up");
        let found = self.ask_sentinel(&["SENTINEL", "REPLICAS", "main"]);
        is_up && matches!(found, Some(Reply::List(replicas)) if replicas.len() == 1)
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
    let Some(cluster) = Cluster::start(0).await else { return };
    let url = cluster.url();
    testkit::store::suite("redis-cluster", move || redis_store(url.clone())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_sentinels_name_keeps_every_promise_of_a_store() {
    let Some(watched) = Watched::start().await else { return };
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
fn copied(server: &Store) {
    let mut bare = Bare::connect(&server.url());
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
    let Some(mut cluster) = Cluster::start(1).await else { return };
    let fixture = fixture(&cluster.url()).await;
    let over = done(&fixture).await;
    let key = fixture.key("t", over.id);
    copied(cluster.primary_of(&key).await);
    cluster.primary_of(&key).await.kill().await.unwrap();
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_dies_the_one_that_sentinels_name_next_is_used() {
    let Some(mut watched) = Watched::start().await else { return };
    let fixture = fixture(&watched.url()).await;
    let over = done(&fixture).await;
    copied(&watched.primary);
    watched.primary.kill().await.unwrap();
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_demoted_alive_is_left_for_the_next() {
    let Some(watched) = Watched::start().await else { return };
    let fixture = fixture(&watched.url()).await;
    let over = done(&fixture).await;
    copied(&watched.primary);
    let asked = watched.ask_sentinel(&["SENTINEL", "FAILOVER", "main"]);
    assert_eq!(asked, Some(Reply::Text("OK".to_owned())));
    eventually(FAILOVER, "the replica is the primary", || async {
        info(&watched.replica, "replication").await.contains("role:master")
    })
    .await;
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

/// Nobody closes the connections to it: it only says that it is read-only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_says_it_is_none_is_left_though_its_connections_stay() {
    let Some(watched) = Watched::start().await else { return };
    let fixture = fixture(&watched.url()).await;
    let over = done(&fixture).await;
    copied(&watched.primary);
    watched.replica.ask(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
    let port = watched.replica.port().to_string();
    watched.primary.ask(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
    goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
}

#[tokio::test]
async fn an_address_of_another_sort_is_an_error_that_says_so() {
    let Some(plain) = start(&[]).await else { return };
    let address = address(plain.port());
    let told = async |url: String| connect(&url).await.err().expect("it is refused").to_string();
    let error = told(format!("redis-cluster://{address}")).await;
    assert!(error.contains("cluster support disabled"), "{error}");
    let error = told(format!("redis-sentinel://{address}/main")).await;
    assert!(error.contains("sentinel"), "{error}");
    let Some(watched) = Watched::start().await else { return };
    let error = told(format!("redis-sentinel://127.0.0.1:{}/mian", watched.port)).await;
    assert!(error.contains("MasterNameNotFound"), "{error}");
}
