//! What the ledger says of the tasks of letters.

use crate::id::TaskId;
use crate::ledger::Entry;
use crate::store::{Ledger, StoreError};

/// Reads the entries of these tasks. One that cannot be read is told by itself and is in no other's
/// way.
///
/// # Errors
/// When the store does not answer.
///
/// # Cancel safety
/// Reads only.
pub async fn read(
    ledger: &dyn Ledger,
    ids: &[TaskId],
) -> Result<Vec<Result<Option<Entry>, StoreError>>, StoreError> {
    match ledger.entries(ids).await {
        Ok(entries) => return Ok(entries.into_iter().map(Ok).collect()),
        Err(error) if error.retryable() => return Err(error),
        Err(_) => {}
    }
    let mut entries = Vec::with_capacity(ids.len());
    for id in ids {
        entries.push(match ledger.entries(std::slice::from_ref(id)).await {
            Ok(mut found) => Ok(found.pop().flatten()),
            Err(error) if error.retryable() => return Err(error),
            Err(error) => Err(error),
        });
    }
    Ok(entries)
}
