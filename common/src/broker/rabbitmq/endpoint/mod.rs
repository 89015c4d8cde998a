//! Where RabbitMQ is, and as whom it is entered: one server, or the nodes of a cluster, any of which will do.
//!
//! `node` opens the way to one of them. With several, each attempt goes round all of them, from another one each
//! time, so that a fleet spreads over its cluster and a node that is away costs a share of the attempt's time.
//! Guards that no password is ever printed.

mod node;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lapin::uri::{AMQPScheme, AMQPUri};
use tokio::time::timeout;

use super::Config;
use super::connection::{Connected, CutOnDrop, Role};
use crate::broker::BrokerError;

/// Largest frame of a connection on which nothing but questions and short answers travel, in bytes.
/// The client keeps 64 frames of memory for each connection; a message's headers must fit into one.
const SMALL_FRAME: u32 = 16 * 1024;

/// Where the servers are, and as whom they are entered.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// The same but for host and port.
    nodes: Arc<[AMQPUri]>,
    /// Whose turn it is.
    turn: Arc<AtomicUsize>,
    client_name: String,
    timeout: Duration,
    receives: bool,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AMQPUri { authority, vhost, scheme, .. } = self.login();
        let hosts: Vec<String> = self.nodes.iter().map(place).collect();
        let (hosts, user) = (hosts.join(","), &authority.userinfo.username);
        let tls = if *scheme == AMQPScheme::AMQPS { "on" } else { "off" };
        write!(f, "{hosts} (vhost {vhost:?}, user {user:?}, TLS {tls})")
    }
}

impl Endpoint {
    /// Reads the URL of the config.
    pub(super) fn read(config: &Config) -> Result<Self, BrokerError> {
        let refuse = |why: String| BrokerError::Connect {
            endpoint: "broker.url".to_owned(),
            elapsed: Duration::ZERO,
            why: format!(
                "{why}; write it as amqp://user:password@host:5672/vhost (amqps:// for TLS; the \
                 nodes of a cluster with commas between, host:5672,host:5672)"
            ),
            source: None,
        };
        if config.url.contains("@[") || config.url.contains("//[") || config.url.contains(",[") {
            // The client's parser drops an IPv6 host and takes localhost instead.
            return Err(refuse("an IPv6 address is not supported: use a host name".to_owned()));
        }
        let heartbeat = u16::try_from(config.heartbeat.as_secs().clamp(1, 600)).ok();
        let mut nodes = Vec::new();
        for url in each_host(&config.url) {
            let mut uri: AMQPUri =
                url.parse().map_err(|why| refuse(format!("the URL is not valid: {why}")))?;
            if uri.vhost.is_empty() {
                // "…:5672/" names the empty vhost; whoever writes it means the default one.
                "/".clone_into(&mut uri.vhost);
            }
            uri.query.heartbeat = heartbeat;
            nodes.push(uri);
        }
        let with_tls = nodes.iter().any(|uri| uri.scheme == AMQPScheme::AMQPS);
        if with_tls && cfg!(not(feature = "tls")) {
            // The client without TLS would say everything in the clear.
            return Err(refuse(
                "this program speaks no TLS: build it with the feature `tls`, or name a port that \
                 does without"
                    .to_owned(),
            ));
        }
        Ok(Self {
            turn: Arc::new(AtomicUsize::new(fastrand::usize(..nodes.len()))),
            nodes: nodes.into(),
            client_name: config.client_name.clone(),
            timeout: config.connect_timeout,
            receives: config.receives,
        })
    }

    /// Returns the servers; they hold the password.
    pub(super) fn nodes(&self) -> &[AMQPUri] {
        &self.nodes
    }

    /// Returns as whom and into which vhost we enter, wherever; holds the password.
    pub(super) fn login(&self) -> &AMQPUri {
        // A URL names a host at least.
        &self.nodes[0]
    }

    /// Returns how often the server is to be heard of.
    pub(super) fn heartbeat(&self) -> Duration {
        Duration::from_secs(self.login().query.heartbeat.unwrap_or_default().max(1).into())
    }

    /// Connects to one of them within the timeout of the config.
    pub(super) async fn connect(&self, role: Role) -> Result<Connected, BrokerError> {
        let (start, count) = (Instant::now(), self.nodes.len());
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % count;
        let (before, after) = self.nodes.split_at(first);
        let (mut whys, mut source) = (Vec::new(), None);
        for (tried, node) in after.iter().chain(before).enumerate() {
            // What one does not use of its time is left to the others.
            let left = self.timeout.saturating_sub(start.elapsed());
            let share = left / u32::try_from(count - tried).unwrap_or(u32::MAX);
            match self.connect_to(node, role, share).await {
                Ok(connected) => return Ok(connected),
                Err((why, _)) if count > 1 => whys.push(format!("{}: {why}", place(node))),
                Err((why, error)) => {
                    whys.push(why);
                    source = error.map(Into::into);
                }
            }
        }
        let (endpoint, elapsed) = (self.to_string(), start.elapsed());
        Err(BrokerError::Connect { endpoint, elapsed, why: whys.join("; "), source })
    }

    async fn connect_to(
        &self,
        node: &AMQPUri,
        role: Role,
        within: Duration,
    ) -> Result<Connected, (String, Option<lapin::Error>)> {
        let socket = CutOnDrop::default();
        let name = format!("{} ({})", self.client_name, role.as_str());
        let mut uri = node.clone();
        if role == Role::Consume && !self.receives {
            uri.query.frame_max = Some(SMALL_FRAME);
        }
        match timeout(within, node::open(uri, name, socket.socket())).await {
            Ok(Ok(connection)) => Ok(Connected::new(connection, socket)),
            Ok(Err(error)) => Err((node::explain(node, &error), Some(error))),
            Err(_) => {
                let why = "it did not answer in time; is something else listening there, or a \
                           firewall between?";
                Err((why.to_owned(), None))
            }
        }
    }
}

/// Returns where a server is, as people write it.
pub(super) fn place(AMQPUri { authority, .. }: &AMQPUri) -> String {
    format!("{}:{}", authority.host, authority.port)
}

/// Takes `scheme://login@host,host/rest` apart into one URL for each host.
fn each_host(url: &str) -> impl Iterator<Item = String> {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + 3));
    let (authority, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    hosts.split(',').map(move |host| format!("{scheme}{login}{host}{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(url: &str) -> Vec<String> {
        each_host(url).collect()
    }

    #[test]
    fn each_host_of_a_url_has_the_login_and_the_vhost() {
        assert_eq!(urls("amqp://host"), ["amqp://host"]);
        assert_eq!(
            urls("amqp://u:p,w@a:1,b,c:3/v?frame_max=8192"),
            [
                "amqp://u:p,w@a:1/v?frame_max=8192",
                "amqp://u:p,w@b/v?frame_max=8192",
                "amqp://u:p,w@c:3/v?frame_max=8192"
            ]
        );
        assert_eq!(urls("amqps://a,b/x,y"), ["amqps://a/x,y", "amqps://b/x,y"]);
    }
}
