//! Stores of several servers: a cluster, and a primary that sentinels name. What dies in them is the
//! test's own, and somebody else goes on.

use std::future::Future;

use leveret_common::testkit;
use leveret_nodes::{Generation, Sentinel, Store, or_skip};

use super::bare::start_of;
use super::*;
use crate::conformance::redis_store;

/// Long enough for a replica to become a primary on a loaded machine.
const FAILOVER: Duration = Duration::from_secs(60);
/// How long a primary says nothing until a sentinel takes it for down.
const SILENCE: Duration = Duration::from_millis(500);
/// The last of a cluster's slots.
const LAST_SLOT: usize = 16_383;

fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

async fn text(server: &Store, words: &[&str]) -> String {
    server.ask(words).await.unwrap().text().unwrap()
}

async fn info(server: &Store, section: &str) -> String {
    text(server, &["INFO", section]).await
}

/// Asks both generations at once: most of their time is waiting.
async fn on_both<Fut: Future<Output = ()>>(ask: impl Fn(Generation) -> Fut) {
    let [old, new] = Generation::ALL;
    tokio::join!(ask(old), ask(new));
}

const fn redis_of(generation: Generation) -> u8 {
    match generation {
        Generation::Old => 7,
        Generation::New => 8,
    }
}

/// Three primaries, each with as many replicas as asked for.
struct Cluster(Vec<Store>);

impl Cluster {
    async fn start(generation: Generation, replicas: usize) -> Option<Self> {
        let mut servers = Vec::new();
        for _ in 0..3 * (1 + replicas) {
            // Its bus would else be 10,000 ports above its own, where another server may be.
            let bus = leveret_nodes::free_port().unwrap().to_string();
            let settings = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000"];
            let settings = [settings.as_slice(), &["--cluster-port", &bus]].concat();
            servers.push((start_of(generation, &settings).await?, bus));
        }
        let (first, _) = &servers[0];
        for (place, (server, bus)) in servers.iter().enumerate() {
            let epoch = (place + 1).to_string();
            assert_eq!(text(server, &["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await, "OK");
            if place < 3 {
                let [from, to] = [place, place + 1].map(|third| (third * (LAST_SLOT + 1)) / 3);
                let range = [from, to - 1].map(|slot| slot.to_string());
                let asked = ["CLUSTER", "ADDSLOTSRANGE", &range[0], &range[1]];
                assert_eq!(text(server, &asked).await, "OK");
            }
            if place > 0 {
                let asked = ["CLUSTER", "MEET", "127.0.0.1", &server.port().to_string(), bus];
                assert_eq!(text(first, &asked).await, "OK");
            }
        }
        let cluster = Self(servers.into_iter().map(|(server, _)| server).collect());
        cluster.agrees(&format!("cluster_known_nodes:{}\r", cluster.0.len())).await;
        for (place, replica) in cluster.0.iter().enumerate().skip(3) {
            let of = text(&cluster.0[place % 3], &["CLUSTER", "MYID"]).await;
            // Whoever is to be followed has to be known by then, and not only to the first.
            eventually(FAILOVER, "a node becomes a replica", || async {
                replica.ask(&["CLUSTER", "REPLICATE", &of]).await.unwrap().text().is_some()
            })
            .await;
            eventually(FAILOVER, "a replica follows", || async {
                info(replica, "replication").await.contains("master_link_status:up")
            })
            .await;
        }
        cluster.agrees("cluster_state:ok").await;
        Some(cluster)
    }

    /// Waits until each node says so.
    async fn agrees(&self, what: &str) {
        for server in &self.0 {
            eventually(FAILOVER, what, || async {
                text(server, &["CLUSTER", "INFO"]).await.contains(what)
            })
            .await;
        }
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
    sentinel: Sentinel,
}

impl Watched {
    async fn start(generation: Generation, silence: Duration) -> Option<Self> {
        let primary = start_of(generation, &[]).await?;
        let at = primary.port().to_string();
        let replica = start_of(generation, &["--replicaof", "127.0.0.1", &at]).await?;
        let sentinel = or_skip(Sentinel::start("main", &primary, silence).await)?;
        let watched = Self { primary, replica, sentinel };
        eventually(FAILOVER, "the sentinel knows the replica", || watched.knows_the_replica())
            .await;
        Some(watched)
    }

    /// Nobody listens at the first of the addresses.
    fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:1,{}/main/2", address(self.sentinel.port()))
    }

    async fn knows_the_replica(&self) -> bool {
        let is_up = info(&self.replica, "replication").await.contains("master_link_status:up");
        let found = self.sentinel.ask(&["SENTINEL", "REPLICAS", "main"]).await;
        is_up && matches!(found, Ok(Reply::List(replicas)) if replicas.len() == 1)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_every_promise_of_a_store() {
    on_both(|generation| async move {
        let Some(cluster) = Cluster::start(generation, 0).await else { return };
        let url = cluster.url();
        let name = format!("redis-{}-cluster", redis_of(generation));
        testkit::store::suite(&name, move || redis_store(url.clone())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_sentinels_name_keeps_every_promise_of_a_store() {
    on_both(|generation| async move {
        // Nobody is to fail over here: a loaded machine is no dead primary.
        let Some(watched) = Watched::start(generation, FAILOVER).await else { return };
        let url = watched.url();
        let name = format!("redis-{}-sentinel", redis_of(generation));
        testkit::store::suite(&name, move || redis_store(url.clone())).await;
    })
    .await;
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
    on_both(|generation| async move {
        let Some(mut cluster) = Cluster::start(generation, 1).await else { return };
        let fixture = fixture(&cluster.url()).await;
        let over = done(&fixture).await;
        let key = fixture.key("t", over.id);
        copied(cluster.primary_of(&key).await);
        cluster.primary_of(&key).await.kill().await.unwrap();
        goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_primary_dies_the_one_that_sentinels_name_next_is_used() {
    on_both(|generation| async move {
        let Some(mut watched) = Watched::start(generation, SILENCE).await else { return };
        let fixture = fixture(&watched.url()).await;
        let over = done(&fixture).await;
        copied(&watched.primary);
        watched.primary.kill().await.unwrap();
        goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_is_demoted_alive_is_left_for_the_next() {
    on_both(|generation| async move {
        let Some(watched) = Watched::start(generation, SILENCE).await else { return };
        let fixture = fixture(&watched.url()).await;
        let over = done(&fixture).await;
        copied(&watched.primary);
        let asked = watched.sentinel.ask(&["SENTINEL", "FAILOVER", "main"]).await;
        assert_eq!(asked.unwrap(), Reply::Text("OK".to_owned()));
        eventually(FAILOVER, "the replica is the primary", || async {
            info(&watched.replica, "replication").await.contains("role:master")
        })
        .await;
        goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
    })
    .await;
}

/// Nobody closes the connections to it: it only says that it is read-only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_says_it_is_none_is_left_though_its_connections_stay() {
    on_both(|generation| async move {
        let Some(watched) = Watched::start(generation, SILENCE).await else { return };
        let fixture = fixture(&watched.url()).await;
        let over = done(&fixture).await;
        copied(&watched.primary);
        watched.replica.ask(&["REPLICAOF", "NO", "ONE"]).await.unwrap();
        let port = watched.replica.port().to_string();
        watched.primary.ask(&["REPLICAOF", "127.0.0.1", &port]).await.unwrap();
        goes_on(&fixture, &over, &claim(TaskId::mint(), Owner::mint())).await;
    })
    .await;
}

#[tokio::test]
async fn an_address_of_another_sort_is_an_error_that_says_so() {
    on_both(|generation| async move {
        let Some(plain) = start_of(generation, &[]).await else { return };
        let address = address(plain.port());
        let told = async |url: String| connect(&url).await.err().expect("refused").to_string();
        let error = told(format!("redis-cluster://{address}")).await;
        assert!(error.contains("cluster support disabled"), "{error}");
        let error = told(format!("redis-sentinel://{address}/main")).await;
        assert!(error.contains("sentinel"), "{error}");
        let Some(watched) = Watched::start(generation, SILENCE).await else { return };
        let port = watched.sentinel.port();
        let error = told(format!("redis-sentinel://127.0.0.1:{port}/mian")).await;
        assert!(error.contains("MasterNameNotFound"), "{error}");
    })
    .await;
}
