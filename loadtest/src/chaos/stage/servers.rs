//! The servers of a play's own, and the proxies on the way to them.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::row::Play;
use super::plan::{Plan, Proxied};
use crate::error::Error;
use crate::fleet::{Backend, Ways};
use crate::node::{Broker, Store};
use crate::proxy::{Protocol, Proxy};

/// Servers of a play's own.
pub(super) struct Servers {
    pub(super) broker: Broker,
    pub(super) store: Store,
    /// To broker and store, where somebody goes through them.
    pub(super) proxies: Option<(Proxy, Proxy)>,
}

impl Servers {
    /// Starts them, where the backend has some.
    pub(super) async fn start(play: &Play, plan: &Plan) -> Result<Option<Self>, Error> {
        let Some(generation) = play.on.generation() else { return Ok(None) };
        let arguments: Vec<&str> = plan.redis_arguments.iter().map(String::as_str).collect();
        let (broker, store) = tokio::try_join!(
            Broker::start_with(generation, &plan.rabbitmq_conf),
            Store::start_with(generation, &arguments)
        )?;
        let proxies = match plan.proxied {
            Proxied::Nobody => None,
            Proxied::Workers | Proxied::Everybody => {
                let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                let mut seeds = play.chance(2);
                let broker = Proxy::start(at(broker.port()), Protocol::Amqp, seeds.u64(..)).await?;
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
            broker: around(self.broker.url(), self.broker.port(), broker),
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
