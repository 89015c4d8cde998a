//! When a fleet on servers is at rest: only then are all its second runs seen.

use std::time::Instant;

use leveret_common::testkit::eventually;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::fleet_process::FleetProcess;
use super::{DEADLINE, Fleet, Ground};

/// Whether the work of a test leaves dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Letters {
    None,
    Some,
}

impl Fleet {
    /// Works until every queue of the fleet is empty: nothing waits, is parked or is unsettled.
    ///
    /// A drained worker holds nothing back, so what the broker shows then is all there is. Dead
    /// letters stay where they are; without them nothing may be dead either.
    pub(super) async fn works_until_rest(&self, mut workers: Vec<FleetProcess>, letters: Letters) {
        let begun = Instant::now();
        loop {
            for worker in workers {
                worker.signal(Signal::SIGTERM);
                assert_eq!(worker.ended().await.code(), Some(0));
            }
            let left = self.queues_in_use(letters).await;
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "still in use: {left:?}");
            workers = vec![self.start("").await];
            eventually(DEADLINE, "the queues are empty", || async {
                self.queues_in_use(letters).await.is_empty()
            })
            .await;
        }
    }

    /// Names the queues of the fleet in which a message is ready, by looking into each.
    async fn queues_in_use(&self, letters: Letters) -> Vec<String> {
        let Ground::Servers { broker, .. } = &self.ground else { panic!("there is no broker") };
        let path = format!("/api/queues/{}", broker.name);
        let queues = broker.management.call("GET", &path, &Value::Null).await;
        let names = queues.as_array().unwrap().iter().map(|queue| queue["name"].as_str().unwrap());
        let prefix = format!("{}.", self.namespace);
        let dead = format!("{prefix}dead.");
        let ours: Vec<_> = names
            .filter(|name| name.starts_with(&prefix))
            .filter(|name| letters == Letters::None || !name.starts_with(&dead))
            .collect();
        assert!(!ours.is_empty(), "the broker lists no queue of {prefix}");
        let mut in_use = Vec::new();
        for name in ours {
            if !broker.management.peek(&broker.name, name, 1).await.is_empty() {
                in_use.push(name.to_owned());
            }
        }
        in_use
    }
}
