//! Every limit of the gateway, with its default.
//!
//! Where a value comes from is the configuration's matter (`gateway.*`); nothing is read here.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::operations::Known;
use crate::token::Tokens;

/// What a gateway is told once.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens (`gateway.listen`); `127.0.0.1:7878`. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// Who may come in (`gateway.token_file`); absent, only this machine is served.
    pub tokens: Option<Tokens>,
    /// Most tasks of one NDJSON request (`gateway.max_batch`); 10,000.
    pub max_batch: usize,
    /// Most bytes of a request's body (`gateway.max_body`); 32 MiB.
    pub max_body: usize,
    /// How long a request may take (`gateway.request_timeout`), a wait for a result included;
    /// 70 s. An NDJSON request may take longer as a whole, see `idle_timeout`.
    pub request_timeout: Duration,
    /// How long the head of a request may take to arrive; 10 s.
    pub header_timeout: Duration,
    /// How long an NDJSON request may send nothing; 30 s.
    pub idle_timeout: Duration,
    /// Most connections at once; further ones wait to be accepted; 1,024.
    pub max_connections: usize,
    /// How long requests may go on after the shutdown began; 10 s.
    pub grace: Duration,
    /// How long a client may read nothing of an answer; 30 s.
    pub write_timeout: Duration,
    /// What is configured elsewhere and matters to answers.
    pub known: Known,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 7878)),
            tokens: None,
            max_batch: 10_000,
            max_body: 32 << 20,
            request_timeout: Duration::from_secs(70),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            max_connections: 1_024,
            grace: Duration::from_secs(10),
            write_timeout: Duration::from_secs(30),
            known: Known::default(),
        }
    }
}
