//! Which permissions the user has, found out by doing what changes nothing.
//!
//! A queue of our own that ends with the connection is declared, looked into and deleted, and
//! bindings that do not exist are removed: the server checks the permission before it looks.
//! Guards that a missing permission is named with its resource, so that it can be given.

use lapin::options::{
    BasicGetOptions, ExchangeUnbindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ErrorKind};
use uuid::Uuid;

use crate::broker::rabbitmq::supervisor::Link;
use crate::broker::rabbitmq::topology::Topology;
use crate::broker::rabbitmq::translate::short;

/// A key that no lane has: the name of a lane has one dot.
pub(super) const NO_LANE: &str = "no.such.lane";

/// A permission that the user does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// `configure`, `write` or `read`.
    pub(super) permission: &'static str,
    /// Such as `queue acme.lane.mail.normal`.
    pub(super) on: String,
}

/// A question that the server answers by refusing or not.
#[derive(Debug)]
enum Probe {
    /// Declares a queue of our own.
    Declare,
    /// Takes a message out of it; there is none.
    Look,
    /// Takes a binding of it to an exchange away; there is none.
    Bind(String),
    /// Takes a binding of an exchange to itself away; there is none. It needs what a publish needs.
    Publish(String),
    /// Deletes the queue.
    Delete,
}

/// Tries what the product does; answers what is refused.
pub(super) async fn missing(topology: &Topology, link: &Link) -> Result<Vec<Missing>, String> {
    let own = topology.probe_queue(&Uuid::new_v4().simple().to_string()[..12]);
    let mut probes = vec![Probe::Declare, Probe::Look];
    for door in topology.exchanges() {
        probes.extend([Probe::Bind(door.clone()), Probe::Publish(door)]);
    }
    probes.push(Probe::Delete);
    let mut missing: Vec<Missing> = Vec::new();
    let mut open = None;
    for probe in probes {
        // Without a queue of our own nothing can be said of queues but that.
        let needs_queue = matches!(probe, Probe::Look | Probe::Bind(_) | Probe::Delete);
        if needs_queue && missing.iter().any(|missing| missing.permission == "configure") {
            continue;
        }
        let channel = match open.take() {
            Some(channel) => channel,
            None => link.connection.channel().await?,
        };
        match ask(&channel, &own, &probe).await {
            Ok(()) => open = Some(channel),
            Err(error) => match error.kind() {
                ErrorKind::ProtocolError(said) if said.get_id() == 403 => {
                    let refused = probe.refused(&own, said.get_message().as_str(), &missing);
                    if !missing.contains(&refused) {
                        missing.push(refused);
                    }
                }
                // It is not declared yet; the permission was checked before that was noticed.
                ErrorKind::ProtocolError(said) if said.get_id() == 404 => {}
                _ => return Err(error.to_string()),
            },
        }
    }
    Ok(missing)
}

/// Tells whether what is missing leaves a user who can neither declare nor bind anything.
pub(super) fn are_narrow(missing: &[Missing]) -> bool {
    let lacks = |permission: &str| missing.iter().any(|missing| missing.permission == permission);
    lacks("configure") && (lacks("read") || lacks("write"))
}

async fn ask(channel: &Channel, own: &str, probe: &Probe) -> lapin::Result<()> {
    let own = short(own);
    match probe {
        Probe::Declare => {
            let options =
                QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
            let mut table = FieldTable::default();
            // A server may have another default, which cannot be exclusive.
            table.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
            // For the case that nobody comes to delete it.
            table.insert("x-expires".into(), AMQPValue::LongInt(60_000));
            channel.queue_declare(own, options, table).await.map(drop)
        }
        Probe::Look => channel.basic_get(own, BasicGetOptions { no_ack: true }).await.map(drop),
        Probe::Bind(exchange) => {
            channel.queue_unbind(own, short(exchange), short(NO_LANE), FieldTable::default()).await
        }
        Probe::Publish(exchange) => {
            let (from, to) = (short(exchange), short(exchange));
            let (options, table) = (ExchangeUnbindOptions::default(), FieldTable::default());
            channel.exchange_unbind(to, from, short(NO_LANE), options, table).await
        }
        Probe::Delete => channel.queue_delete(own, QueueDeleteOptions::default()).await.map(drop),
    }
}

impl Probe {
    /// Says what a refusal means; `said` names the resource, and from 3.13 the permission too.
    fn refused(&self, own: &str, said: &str, missing: &[Missing]) -> Missing {
        let read =
            |exchange: &str| Missing { permission: "read", on: format!("exchange {exchange}") };
        let (permission, on) = match self {
            Self::Declare | Self::Delete => ("configure", format!("queue {own}")),
            Self::Look => ("read", format!("queue {own}")),
            Self::Bind(exchange) if said.contains(&format!("'{exchange}'")) => {
                return read(exchange);
            }
            Self::Bind(_) => ("write", format!("queue {own}")),
            // It asks for both, and the other one is known to be missing.
            Self::Publish(exchange)
                if !said.contains("write access") && missing.contains(&read(exchange)) =>
            {
                return read(exchange);
            }
            Self::Publish(exchange) => ("write", format!("exchange {exchange}")),
        };
        Missing { permission, on }
    }
}
