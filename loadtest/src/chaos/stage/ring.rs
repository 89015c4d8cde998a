//! A cluster of brokers on a stage, with a proxy on each way between two of them.
//!
//! Guards that a partition is one of nodes: clients reach whoever listens, by a URL that names all of them.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::row::Play;
use crate::error::Error;
use crate::node::cluster::SIZE;
use crate::node::{Broker, Cluster, Generation, Seats};
use crate::proxy::fault::Fault;
use crate::proxy::{Protocol, Proxy};

/// A cluster, and the ways to and within it.
pub struct Ring {
    /// Its nodes.
    pub cluster: Cluster,
    /// From which node to which.
    ways: Vec<((usize, usize), Proxy)>,
}

impl Ring {
    /// Starts it.
    pub(super) async fn start(
        play: &Play,
        generation: Generation,
        conf: &str,
    ) -> Result<Self, Error> {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let seats = Seats::free()?;
        let mut seeds = play.chance(3);
        let mut ways = Vec::new();
        for from in 0..SIZE {
            for (to, port) in seats.distribution().into_iter().enumerate() {
                if from != to {
                    let way = Proxy::start(at(port), Protocol::Raw, seeds.u64(..)).await?;
                    ways.push(((from, to), way));
                }
            }
        }
        let road = |from, to| {
            let way = ways.iter().find(|(ends, _)| *ends == (from, to));
            way.map_or(0, |(_, way)| way.address().port())
        };
        let cluster = Cluster::start(generation, conf, &seats, road).await?;
        Ok(Self { cluster, ways })
    }

    /// Returns `amqp://…` with every node.
    #[must_use]
    pub fn url(&self) -> String {
        let doors: Vec<String> =
            (0..SIZE).map(|node| format!("127.0.0.1:{}", self.cluster.node(node).port())).collect();
        format!("amqp://guest:guest@{}", doors.join(","))
    }

    /// Returns a node that runs.
    #[must_use]
    pub fn look(&self) -> &Broker {
        let nodes = (0..SIZE).map(|node| self.cluster.node(node));
        nodes.into_iter().find(|node| node.pid().is_ok()).unwrap_or(self.cluster.node(0))
    }

    /// Silences every way between a node and the others.
    pub fn cut_off(&self, node: usize) {
        self.change(node, Fault::Blackhole);
    }

    /// Heals the ways of a node.
    pub fn heal(&self, node: usize) {
        self.change(node, Fault::None);
    }

    /// Returns how often something was not carried between a node and the others.
    #[must_use]
    pub fn withheld(&self, node: usize) -> u64 {
        self.of(node).map(|way| way.seen().withheld).sum()
    }

    fn change(&self, node: usize, fault: Fault) {
        self.of(node).for_each(|way| way.set(fault));
    }

    fn of(&self, node: usize) -> impl Iterator<Item = &Proxy> {
        let is_of = move |ends: (usize, usize)| ends.0 == node || ends.1 == node;
        self.ways.iter().filter(move |(ends, _)| is_of(*ends)).map(|(_, way)| way)
    }
}
