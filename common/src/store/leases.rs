//! The leases seam: a right that one holder has at a time and that ends by itself.
//!
//! Safety never rests on a lease alone: whatever a holder does must be harmless when two do it.
//! Any error means "not held".

use std::time::Duration;

use async_trait::async_trait;

use super::StoreError;
use crate::id::Owner;

/// A lease that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is the right to, such as `dead/mail`: at most 128 bytes.
    pub name: String,
    /// Who holds it.
    pub holder: Owner,
    /// Grows with each acquisition, also across a wipe: at least the store's time in µs.
    pub epoch: u64,
}

/// Gives leases out.
///
/// # Errors
/// Each method fails with a [`StoreError`] where the store cannot be asked, or refuses;
/// [`StoreError::retryable`] tells whether to ask again.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// Takes the lease called `name` for `ttl`; nothing when somebody else holds it. A holder that
    /// asks again gets its lease again, under a new epoch.
    ///
    /// # Cancel safety
    /// Dropped, it may be held until `ttl` is over.
    async fn acquire(
        &self,
        name: &str,
        holder: Owner,
        ttl: Duration,
    ) -> Result<Option<Lease>, StoreError>;

    /// Prolongs the lease to `ttl` from now; false when it is no longer held under this epoch.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not have been prolonged.
    async fn renew(&self, lease: &Lease, ttl: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, where it is still held under this epoch.
    ///
    /// # Cancel safety
    /// Dropped, it may be held until it ends by itself.
    async fn give_back(&self, lease: &Lease) -> Result<(), StoreError>;
}
