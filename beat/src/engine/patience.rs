//! Patience with the store: no call to it is waited for longer than this.

use std::time::Duration;

use leveret_common::store::StoreError;
use leveret_producer::CancelError;
use tokio::time::timeout;

/// How long the store may take to answer one call.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Tells why the store gave no answer that counts.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It gave an error.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is not known whether tasks were cancelled.
    #[error(transparent)]
    Cancel(#[from] CancelError),
    /// It gave no answer in time.
    #[error("failed to hear from the store within {PATIENCE:?}; look at its load and its network")]
    Slow,
}

/// Waits for one call.
pub(super) async fn within<T>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Trouble> {
    timeout(PATIENCE, call).await.map_err(|_| Trouble::Slow)?.map_err(Trouble::Store)
}
