//! `http` kinds: whoever answers at a URL performs the task.
//!
//! The args are posted as they were enqueued; 2xx is done, and the answer is the result; 4xx is
//! dead, but for 408, 425 and 429, which like 5xx are retried, after `Retry-After` where that is
//! said; anything else is by policy. Where a request goes is the configuration's and nobody
//! else's: redirects are not followed, proxies of the environment not asked, and the addresses
//! behind a name are checked before they are called (`resolver`). What is in a request is
//! `request`'s, what an answer means `verdict`'s.

mod request;
mod resolver;
mod retry_after;
mod signature;
mod verdict;

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use leveret_common::address::{Allowed, Refused};
use leveret_common::clock::SharedClock;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url, retry};

use self::resolver::Guarded;
pub use self::resolver::{Lookup, SystemLookup};
pub use self::retry_after::MAX_RETRY_AFTER;
use self::signature::Signer;
use super::{Execution, Handler, Reply, TaskError};

/// How long resolving a name, connecting and the TLS handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection is kept that nobody uses. Node and Apache close theirs after 5 s, and a
/// request into one that is being closed is a failed attempt: nobody knows whether it was read.
const IDLE: Duration = Duration::from_secs(4);
/// Most connections per host that are kept and not used.
const MAX_IDLE: usize = 32;

/// What a kind's requests look like and where they go. It holds secrets in the clear, hence no
/// `Debug`.
#[derive(Clone, Default)]
pub struct Endpoint {
    /// The URL, `http://…` or `https://…`.
    pub url: String,
    /// Headers beside Leveret's own.
    pub headers: Vec<(String, String)>,
    /// What the requests are signed with: nothing, one secret, or the new one and the old one.
    pub secrets: Vec<String>,
    /// What the URL's name may lead to beside public addresses.
    pub allow: Vec<Allowed>,
}

/// Tells why an endpoint cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The URL is none, or not one of HTTP.
    #[error("the URL cannot be used: {0}; write http://host/path or https://host/path")]
    Url(String),
    /// A header is none.
    #[error("the header {0} cannot be sent; write a name of letters, and visible ASCII characters")]
    Header(String),
    /// There is no client, most often for want of the system's root certificates.
    #[error("failed to make an HTTP client: {0}")]
    Client(#[source] reqwest::Error),
}

/// Makes the handlers of `http` kinds. They share their connections, as far as they are allowed
/// the same: one that is open must not let in whom its address would be refused to.
pub struct Pusher {
    clock: SharedClock,
    connect_timeout: Duration,
    lookup: Arc<dyn Lookup>,
    clients: Mutex<Vec<(Vec<Allowed>, Client)>>,
}

impl Pusher {
    /// Creates one that asks the system for addresses.
    #[must_use]
    pub fn new(clock: SharedClock) -> Self {
        Self::with_lookup(clock, Arc::new(SystemLookup))
    }

    /// Creates one that asks `lookup` for addresses.
    #[must_use]
    pub fn with_lookup(clock: SharedClock, lookup: Arc<dyn Lookup>) -> Self {
        Self { clock, lookup, connect_timeout: CONNECT_TIMEOUT, clients: Mutex::default() }
    }

    /// Sets how long resolving a name, connecting and the TLS handshake may take together, for
    /// handlers made from now on; 10 s.
    #[must_use]
    pub const fn connect_within(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Makes the handler of a kind.
    ///
    /// # Errors
    /// [`EndpointError`], where URL or headers cannot be used, or there is no client.
    pub fn handler(&self, endpoint: Endpoint) -> Result<Arc<dyn Handler>, EndpointError> {
        let url =
            Url::parse(&endpoint.url).map_err(|error| EndpointError::Url(error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(EndpointError::Url("it names no host to speak HTTP with".to_owned()));
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &endpoint.headers {
            let bad = || EndpointError::Header(name.clone());
            let key = name.parse::<HeaderName>().map_err(|_| bad())?;
            let mut value = value.parse::<HeaderValue>().map_err(|_| bad())?;
            value.set_sensitive(true);
            headers.insert(key, value);
        }
        Ok(Arc::new(Push {
            client: self.client(endpoint.allow)?,
            name: shown(&url),
            url,
            headers,
            signer: Signer::new(&endpoint.secrets),
            clock: Arc::clone(&self.clock),
        }))
    }

    fn client(&self, mut allow: Vec<Allowed>) -> Result<Client, EndpointError> {
        allow.sort();
        allow.dedup();
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, client)) = clients.iter().find(|(allowed, _)| *allowed == allow) {
            return Ok(client.clone());
        }
        let resolver = Guarded { lookup: Arc::clone(&self.lookup), allow: allow.clone().into() };
        let client = Client::builder()
            .user_agent(concat!("leveret/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(resolver))
            .redirect(Policy::none())
            .no_proxy()
            .referer(false)
            // Attempts are counted in the task, and nowhere else.
            .retry(retry::never())
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .build()
            .map_err(EndpointError::Client)?;
        clients.push((allow, client.clone()));
        Ok(client)
    }
}

/// Returns the URL as messages show it: what follows a `?` may be a secret.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

struct Push {
    client: Client,
    url: Url,
    name: String,
    headers: HeaderMap,
    signer: Signer,
    clock: SharedClock,
}

#[async_trait]
impl Handler for Push {
    async fn perform(&self, execution: Execution) -> Result<Reply, TaskError> {
        let stop = execution.cancel.clone();
        tokio::select! {
            answer = self.exchange(execution) => answer,
            // Dropped, the request ends with its connection.
            () = stop.cancelled() => {
                let why = format!("POST {}: stopped before it was answered", self.name);
                Err(TaskError::failed("stopped", why))
            }
        }
    }
}

impl Push {
    async fn exchange(&self, execution: Execution) -> Result<Reply, TaskError> {
        let now = self.clock.now();
        let headers = request::headers(&self.headers, &execution, &self.signer, now);
        let request = self.client.post(self.url.clone()).headers(headers).body(execution.args);
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        verdict::judge(response, &self.name, self.clock.now()).await
    }

    /// Says why there is no answer.
    fn lost(&self, error: &reqwest::Error) -> TaskError {
        let causes = || std::iter::successors(error.source(), |error| (*error).source());
        if let Some(refused) = causes().find_map(|cause| cause.downcast_ref::<Refused>()) {
            return TaskError::failed("address", format!("POST {}: {refused}", self.name));
        }
        let class = if error.is_connect() { "connect" } else { "connection" };
        // The outermost text repeats the URL, and what it may hide.
        let why = causes().map(ToString::to_string).collect::<Vec<_>>().join(": ");
        TaskError::failed(class, format!("POST {}: {why}", self.name))
    }
}
