//! A URL that names several servers, as a cluster has.

use std::net::TcpListener;
use std::time::Duration;

use leveret_common::broker::Broker;
use leveret_common::broker::rabbitmq::Config;
use leveret_common::diagnose::{Diagnose, Health};
use leveret_common::testkit::services::{VirtualHost, fresh_namespace};

use super::{config, connect};

/// A port at which nobody listens.
const NOBODY: &str = "127.0.0.1:1";

/// Returns the URL with more servers before its own.
fn with(others: &[&str], host: &VirtualHost) -> String {
    let (login, rest) = host.url.split_once('@').unwrap();
    format!("{login}@{},{rest}", others.join(","))
}

pub(super) async fn one_of_several_that_answers_is_enough(host: VirtualHost) {
    // The system accepts for it, and nothing is ever said.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = with(&[NOBODY, &silent.local_addr().unwrap().to_string()], &host);
    let connect_timeout = Duration::from_secs(6);
    // Whoever's turn it is first.
    for _ in 0..2 {
        let config = Config { connect_timeout, ..config(&url, &fresh_namespace()) };
        let broker = connect(config).await.unwrap();
        broker.check().await.unwrap();
        broker.close().await;
    }
}

pub(super) async fn where_none_of_several_answers_each_is_told(host: VirtualHost) {
    let url = host.url.split('@').next().unwrap().to_owned() + "@127.0.0.1:1,127.0.0.1:2/v";
    let error = connect(config(&url, &fresh_namespace())).await.err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1,127.0.0.1:2 (vhost"), "{error}");
    for one in ["127.0.0.1:1: nothing listens there", "127.0.0.1:2: nothing listens there"] {
        assert!(error.contains(one), "{error}");
    }
}

pub(super) async fn one_of_several_that_is_away_is_a_risk_and_named(host: VirtualHost) {
    let url = with(&[NOBODY], &host);
    let broker = connect(config(&url, &fresh_namespace())).await.unwrap();
    let findings = broker.diagnose().await;
    let mut reachable: Vec<_> =
        findings.iter().filter(|one| one.check == "reachable").map(|one| one.health).collect();
    reachable.sort_by_key(|health| *health == Health::Risky);
    assert_eq!(reachable, [Health::Good, Health::Risky], "{findings:#?}");
    let away = findings.iter().find(|one| one.health == Health::Risky).unwrap();
    assert!(away.found.starts_with(NOBODY) && away.mend.is_some(), "{away:#?}");
    broker.close().await;
}
