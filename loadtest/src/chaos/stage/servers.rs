//! The servers of a play's own, and the proxies on the way to them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use super::super::row::{Lent, Play};
use super::plan::{Plan, Proxied};
use super::ring::Ring;
use crate::error::Error;
use crate::fleet::{Backend, Ways};
use crate::node::{Broker, Generation, Store};
use crate::proxy::{Protocol, Proxy};

/// The broker of a play, its own or lent to it.
pub(super) enum Brokers {
    One(Arc<Broker>),
    Several(Ring),
}

impl Brokers {
    async fn start(play: &Play, plan: &Plan, generation: Generation) -> Result<Self, Error> {
        let conf = &plan.rabbitmq_conf;
        if plan.is_cluster {
            return Ok(Self::Several(Ring::start(play, generation, conf).await?));
        }
        if let Some(size) = plan.small_disks {
            let broker = Broker::start_on_small_disk(generation, conf, size).await?;
            return Ok(Self::One(Arc::new(broker)));
        }
        match &play.lent {
            None => Ok(Self::One(Arc::new(Broker::start_with(generation, conf).await?))),
            Some(Lent(broker)) if conf.is_empty() && broker.generation() == generation => {
                Ok(Self::One(Arc::clone(broker)))
            }
            Some(_) => {
                Err(Error::unexpected("the broker that is lent", "is not what the play needs"))
            }
        }
    }

    fn url(&self) -> String {
        match self {
            Self::One(broker) => broker.url(),
            Self::Several(ring) => ring.url(),
        }
    }

    /// Returns a node that can be asked.
    pub(super) fn look(&self) -> &Broker {
        match self {
            Self::One(broker) => broker,
            Self::Several(ring) => ring.look(),
        }
    }
}

/// Servers of a play's own; the broker may be lent to it.
pub(super) struct Servers {
    pub(super) broker: Brokers,
    pub(super) store: Store,
    /// To broker and store, where somebody goes through them.
    pub(super) proxies: Option<(Proxy, Proxy)>,
}

impl Servers {
    /// Starts them, where the backend has some.
    pub(super) async fn start(play: &Play, plan: &Plan) -> Result<Option<Self>, Error> {
        let Some(generation) = play.on.generation() else { return Ok(None) };
        let arguments: Vec<&str> = plan.redis_arguments.iter().map(String::as_str).collect();
        let store = async {
            Ok(match plan.small_disks {
                None => Store::start_with(generation, &arguments).await?,
                Some(size) => Store::start_on_small_disk(generation, &arguments, size).await?,
            })
        };
        let (broker, store) = tokio::try_join!(Brokers::start(play, plan, generation), store)?;
        let proxies = match plan.proxied {
            Proxied::Nobody => None,
            Proxied::Workers | Proxied::Everybody => {
                let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let mut seeds = play.chance(2);
                let broker =
                    Proxy::start(at(broker.look().port()), Protocol::Amqp, seeds.u64(..)).await?;
                let store = Proxy::start(at(store.port()), Protocol::Resp, seeds.u64(..)).await?;
                Some((broker, store))
            }
        };
        Ok(Some(Self { broker, store, proxies }))
    }

    /// Returns how each role reaches them.
    pub(super) fn ways(&self, proxied: Proxied) -> Ways {
        let straight = Backend::Servers { broker: self.broker.url(), store: self.store.url() };
        let mut ways = Ways::all(&straight);
        let Some((broker, store)) = &self.proxies else { return ways };
        let around = |url: String, port: u16, by: &Proxy| {
            url.replace(&format!("127.0.0.1:{port}"), &by.address().to_string())
        };
        let through = Backend::Servers {
            broker: around(self.broker.url(), self.broker.look().port(), broker),
            store: around(self.store.url(), self.store.port(), store),
        };
        match proxied {
            Proxied::Nobody => {}
            Proxied::Workers => ways.workers = through,
            Proxied::Everybody => ways = Ways::all(&through),
        }
        ways
    }
}
