//! A TCP proxy that does to a connection what networks do: slow it, silence it, cut it, spoil it.
//!
//! It stands between roles and one server. Its fault is changed while it runs; [`Proxy::seen`] says what
//! has really happened, so that a run can show that its fault took place. Two faults need to know what
//! is said: a reply of Redis is lost after its request went through, and confirms of RabbitMQ are lost
//! ([`Protocol`]). Everything that is drawn comes from a seed, per connection and direction.
//!
//! What it cannot do: drop single packets, or refuse the kernel's own part of a connection. A silent
//! network is one that accepts connections and carries nothing.
//!
//! Read in this order: [`fault`], [`seen`], `door` (accepts), `connection` (its whole), `pump` (one
//! direction of it), `held` (bytes on their way), `filter` with `amqp` and `resp`, `luck`.

mod amqp;
mod connection;
mod door;
pub mod fault;
mod filter;
mod held;
mod luck;
mod pump;
mod resp;
pub mod seen;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use leveret_common::spawn::Spawner;
use tokio::sync::watch;

use self::door::Door;
use self::fault::{Conditions, Fault, Towards};
use self::seen::Seen;
use crate::error::Error;

/// What is spoken over the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Anything: replies cannot be lost one by one.
    Raw,
    /// AMQP 0-9-1, as RabbitMQ speaks it.
    Amqp,
    /// The protocol of Redis, RESP 2 or 3.
    Resp,
}

/// A running proxy to one server; its connections are reset when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: Arc<Link>,
    spawner: Spawner,
}

impl Proxy {
    /// Starts one on a free port of this machine. The same `seed` draws the same faults for the same
    /// connections and bytes.
    ///
    /// # Errors
    /// When no port can be had.
    ///
    /// # Cancel safety
    /// Nothing stays behind when it is dropped.
    pub async fn start(to: SocketAddr, speaks: Protocol, seed: u64) -> Result<Self, Error> {
        let door = Door::open()?;
        let address = door.address();
        let spawner = Spawner::new();
        let conditions = watch::Sender::new(Conditions::default());
        let link = Arc::new(Link { to, speaks, seed, conditions, seen: Mutex::default() });
        spawner.spawn(door.run(link.clone(), spawner.clone()));
        Ok(Self { address, link, spawner })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces whatever is wrong with the network by `fault`, in both directions;
    /// [`Fault::None`] heals it.
    pub fn set(&self, fault: Fault) {
        self.change(|conditions| {
            conditions.heal();
            conditions.apply(fault, &Towards::BOTH);
        });
    }

    /// Adds `fault`, in both directions, to what is wrong already.
    pub fn add(&self, fault: Fault) {
        self.change(|conditions| conditions.apply(fault, &Towards::BOTH));
    }

    /// Replaces what is wrong with one direction. A fault of whole connections (half-open, reset,
    /// refuse) has none and is added, as is what befalls replies, which all go to the client.
    pub fn set_towards(&self, towards: Towards, fault: Fault) {
        self.change(|conditions| {
            conditions.heal_towards(towards);
            conditions.apply(fault, &[towards]);
        });
    }

    /// Resets every connection that is open now, once.
    pub fn cut(&self) {
        self.change(Conditions::cut);
    }

    /// Returns what has happened until now.
    #[must_use]
    pub fn seen(&self) -> Seen {
        *self.link.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Conditions)) {
        self.link.conditions.send_modify(change);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.spawner.shut_down();
    }
}

/// What the tasks of a proxy share.
#[derive(Debug)]
struct Link {
    to: SocketAddr,
    speaks: Protocol,
    seed: u64,
    conditions: watch::Sender<Conditions>,
    seen: Mutex<Seen>,
}

impl Link {
    /// Writes down what happened.
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
