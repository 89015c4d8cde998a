//! A relay whose database or broker takes what it is told and answers nothing.

use std::future::pending;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::spawn::Spawner;
use leveret_producer::{Options, Producer};
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::super::error::RelayError;
use super::super::source::{Mark, Row, Source, Survey};
use super::{Address, Config, DEADLINE, Relay, World};

/// The step at which a database falls silent.
#[derive(Clone, Copy, PartialEq)]
enum Silent {
    Never,
    AtTaking,
    AtMarking,
    AtCounting,
}

/// A database with one row.
struct Stuck {
    at: Silent,
    reached: Arc<Notify>,
}

impl Stuck {
    async fn reach(&self, step: Silent) {
        if self.at == step {
            self.reached.notify_one();
            pending::<()>().await;
        }
    }
}

#[async_trait]
impl Source for Stuck {
    async fn take(&mut self, _: u32) -> Result<Vec<Row>, RelayError> {
        self.reach(Silent::AtTaking).await;
        Ok(vec![Row {
            seq: 1,
            id: "row-1".to_owned(),
            kind: "a.b".to_owned(),
            args: "1".to_owned(),
            options: "{}".to_owned(),
            age: Duration::ZERO,
            tries: 0,
            defect: None,
        }])
    }

    async fn mark(&mut self, _: Vec<Mark>) -> Result<(), RelayError> {
        self.reach(Silent::AtMarking).await;
        Ok(())
    }

    async fn wait(&mut self, _: Duration) -> Result<(), RelayError> {
        Ok(())
    }

    async fn prune(&mut self) -> Result<bool, RelayError> {
        self.reach(Silent::AtCounting).await;
        Ok(false)
    }

    async fn survey(&mut self) -> Result<Survey, RelayError> {
        Ok(Survey::default())
    }

    fn stands_by(&self) -> bool {
        false
    }
}

fn relay(world: &World, at: Silent, reached: &Arc<Notify>) -> Relay {
    let source = Box::new(Stuck { at, reached: Arc::clone(reached) });
    let producer = Producer::new(world.backend.clone(), Options::default());
    Relay::on(source, world.address(), producer, Config::default(), &world.spawner)
}

#[tokio::test]
async fn a_stop_is_heard_while_the_database_says_nothing() {
    for at in [Silent::AtTaking, Silent::AtMarking, Silent::AtCounting] {
        let (world, reached, stop) = (World::new(), Arc::default(), CancellationToken::new());
        let running = world.spawner.spawn(relay(&world, at, &reached).run(stop.clone()));
        reached.notified().await;
        stop.cancel();
        timeout(DEADLINE, running).await.expect("it ends").unwrap();
    }
}

#[tokio::test]
async fn a_broker_that_says_nothing_holds_a_stop_up_for_the_grace_and_no_longer() {
    let (world, reached, stop) = (World::new(), Arc::default(), CancellationToken::new());
    world.broker.is_hung.store(true, Ordering::SeqCst);
    let relay = relay(&world, Silent::Never, &reached);
    let grace = Duration::from_millis(50);
    let running = world.spawner.spawn(relay.run_within(stop.clone(), grace));
    world.broker.asked.notified().await;
    stop.cancel();
    timeout(DEADLINE, running).await.expect("it ends").unwrap();
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_given_up() {
    // The system accepts for it.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let url = format!("postgresql://app@127.0.0.1:{port}/shop?connect_timeout=1");
    let (address, spawner): (Address, _) = (url.parse().unwrap(), Spawner::new());
    let looked = timeout(DEADLINE, Relay::survey(&address, &spawner)).await.expect("it ends");
    let why = looked.unwrap_err().to_string();
    // A second for the way to its one address, and one for what is said there.
    assert!(why.contains("no answer within 2s"), "{why}");
    spawner.drained().await;
}
