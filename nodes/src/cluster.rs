//! Three brokers of a run's own that are one: each queue has a member on each.
//!
//! Responsible for bringing them together, and for telling who leads a queue; each of them is a
//! [`Broker`] and may be killed and started again. Guards that the way between any two of them is the
//! caller's: nodes find one another at the ports they are told, and nowhere else.

use std::time::Instant;

use crate::Generation;
use crate::broker::{Broker, Ports};
use crate::error::Error;
use crate::server::{LOOK, PATIENCE};

/// How many nodes there are.
pub const SIZE: usize = 3;

/// The ports of nodes that are still to be started.
#[derive(Debug, Clone, Copy)]
pub struct Seats([Ports; SIZE]);

impl Seats {
    /// Finds ports that are free now.
    ///
    /// # Errors
    /// When there are none.
    pub fn free() -> Result<Self, Error> {
        Ok(Self([Ports::free()?, Ports::free()?, Ports::free()?]))
    }

    /// Returns the ports where the nodes will listen to one another.
    #[must_use]
    pub fn distribution(&self) -> [u16; SIZE] {
        self.0.map(|ports| ports.distribution)
    }
}

/// Brokers that only this run knows and that know one another; they end with the value.
pub struct Cluster {
    nodes: Vec<Broker>,
}

impl Cluster {
    /// Starts the nodes, each with these lines of `rabbitmq.conf`. `road(from, to)` is the port at which one of
    /// them finds another, by their numbers; what is said there has to arrive at the other's own.
    ///
    /// # Errors
    /// As [`Broker::start`], and when they do not come together.
    ///
    /// # Cancel safety
    /// What was started is ended.
    pub async fn start(
        generation: Generation,
        settings: &str,
        seats: &Seats,
        road: impl Fn(usize, usize) -> u16,
    ) -> Result<Self, Error> {
        let names = seats.0.map(|ports| ports.node(generation));
        let started = |node: usize| {
            let others: Vec<(String, u16)> = (0..SIZE)
                .filter(|other| *other != node)
                .map(|other| (names[other].clone(), road(node, other)))
                .collect();
            // All join the first, which is there before them.
            let mut conf = format!(
                "{settings}\ncluster_formation.peer_discovery_backend = classic_config\n\
                 cluster_formation.classic_config.nodes.1 = {}",
                names[0]
            );
            if node > 0 {
                conf += &format!("\ncluster_formation.classic_config.nodes.2 = {}", names[node]);
            }
            let ports = seats.0[node];
            async move { Broker::start_among(generation, ports, &conf, &others).await }
        };
        let mut nodes = Vec::with_capacity(SIZE);
        for node in 0..SIZE {
            nodes.push(started(node).await?);
        }
        let cluster = Self { nodes };
        cluster.comes_together().await?;
        Ok(cluster)
    }

    /// Returns a node by its number.
    ///
    /// # Panics
    /// Where there is none of this number; there are [`SIZE`].
    #[must_use]
    pub fn node(&self, number: usize) -> &Broker {
        &self.nodes[number]
    }

    /// Returns a node by its number, to do something to it.
    ///
    /// # Panics
    /// As [`Self::node`].
    pub fn node_mut(&mut self, number: usize) -> &mut Broker {
        &mut self.nodes[number]
    }

    /// Waits until every node runs and sees all others run.
    ///
    /// # Errors
    /// When they do not within minutes.
    ///
    /// # Cancel safety
    /// It only looks.
    pub async fn comes_together(&self) -> Result<(), Error> {
        let began = Instant::now();
        for node in &self.nodes {
            // Who is still starting, or pauses, does not answer.
            while running(node).await.ok() != Some(SIZE) {
                if began.elapsed() > PATIENCE {
                    let what =
                        format!("{} does not see its nodes within {PATIENCE:?}", node.node());
                    return Err(Error::unexpected("the cluster", what));
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Returns the numbers of the node that leads a queue and of those that have a member of it, by the word of the
    /// node `asked`.
    ///
    /// # Errors
    /// When it does not answer, or knows no such queue.
    ///
    /// # Cancel safety
    /// It only looks.
    pub async fn places_of(&self, queue: &str, asked: usize) -> Result<(usize, Vec<usize>), Error> {
        let bytes: Vec<String> = queue.bytes().map(|byte| byte.to_string()).collect();
        let told = self.nodes[asked]
            .ask(&format!(
                "Name = rabbit_misc:r(<<\"/\">>, queue, <<{}>>),
                 {{ok, Queue}} = rabbit_amqqueue:lookup(Name),
                 {{_, Leader}} = amqqueue:get_pid(Queue),
                 #{{nodes := Nodes}} = amqqueue:get_type_state(Queue),
                 iolist_to_binary([[atom_to_list(Node), \" \"] || Node <- [Leader | Nodes]]).",
                bytes.join(",")
            ))
            .await?;
        let number = |name: &str| self.nodes.iter().position(|node| node.node() == name);
        let places: Option<Vec<usize>> = told.split_whitespace().map(number).collect();
        match places.as_deref() {
            Some([leader, members @ ..]) => Ok((*leader, members.to_vec())),
            _ => Err(Error::unexpected("RabbitMQ", format!("has {queue} on {told}"))),
        }
    }
}

/// Returns how many nodes run, as one of them sees it.
async fn running(node: &Broker) -> Result<usize, Error> {
    let told = node.ask("length(rabbit_mnesia:cluster_nodes(running)).").await?;
    told.parse().map_err(|_| Error::unexpected("RabbitMQ", format!("says {told} of its nodes")))
}
