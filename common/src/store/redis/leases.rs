//! Leases on Redis: a key each, that ends by itself, and beside it the greatest epoch, which stays;
//! every step is one compare-and-set script.

use std::time::Duration;

use async_trait::async_trait;

use super::Redis;
use super::fault::Fault;
use super::keys::ttl_ms;
use crate::id::Owner;
use crate::store::{Lease, Leases, StoreError};

#[async_trait]
impl Leases for Redis {
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError> {
        const OPERATION: &str = "acquire a lease";
        let key = self.keys.lease(name);
        let mut call = self.scripts.acquire.on(&key);
        call.arg(holder.to_string()).arg(ttl_ms(ttl));
        let epoch: Option<String> = self.call(&self.scripts.acquire, OPERATION, &key, call).await?;
        let Some(epoch) = epoch else { return Ok(None) };
        let epoch =
            epoch.parse().map_err(|why| self.error(OPERATION, Fault::corrupt(&key, why)))?;
        Ok(Some(Lease { name: name.to_owned(), holder, epoch }))
    }

    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError> {
        let key = self.keys.lease(&lease.name);
        let mut call = self.scripts.renew.on(&key);
        call.arg(lease.holder.to_string()).arg(lease.epoch).arg(ttl_ms(ttl));
        self.call(&self.scripts.renew, "renew a lease", &key, call).await
    }

    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError> {
        let key = self.keys.lease(&lease.name);
        let mut call = self.scripts.give_back.on(&key);
        call.arg(lease.holder.to_string()).arg(lease.epoch);
        // Where it is no longer held, there is nothing to give back.
        self.call::<bool>(&self.scripts.give_back, "give a lease back", &key, call).await.map(drop)
    }
}
