//! From a name to addresses that may be called.
//!
//! Every address of every answer is checked, and the connection goes to one of those that were:
//! nobody asks a second time in between, so that a name cannot be one thing when it is looked at
//! and another when it is called. One address that is refused refuses the name. A URL with an
//! address in place of a name does not come here: the configuration itself names it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use leveret_common::address::{Allowed, check};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Finds the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync + 'static {
    /// Returns all addresses of a name.
    ///
    /// # Errors
    /// What the system says where there are none.
    ///
    /// # Cancel safety
    /// Dropped, nothing is left behind but perhaps a question.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system, as every other program does.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect())
    }
}

/// A lookup whose answers are checked.
pub(super) struct Guarded {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) allow: Arc<[Allowed]>,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allow) = (Arc::clone(&self.lookup), Arc::clone(&self.allow));
        Box::pin(async move {
            let found = lookup.lookup(name.as_str()).await?;
            let mut addresses = Vec::with_capacity(found.len());
            for address in found {
                check(name.as_str(), address, &allow)?;
                // The port is the URL's.
                addresses.push(SocketAddr::new(address, 0));
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
