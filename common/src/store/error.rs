//! What can go wrong between us and a store. Never read as "claimed" or "done".

/// What sort of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// It cannot be reached.
    Unavailable,
    /// It did not answer in time; the request may have been applied.
    Timeout,
    /// It answered no: out of memory, read-only, no permission.
    Refused,
    /// What lies under our name is not ours or cannot be read.
    Corrupt,
}

/// Tells which operation on the store failed, and how.
#[derive(Debug, thiserror::Error)]
#[error("failed to {operation} in the store at {endpoint}: {why}")]
pub struct StoreError {
    /// What was tried.
    pub operation: &'static str,
    /// Host, port and database, or the file; never the password.
    pub endpoint: String,
    /// What sort of failure it was.
    pub kind: StoreErrorKind,
    /// What happened and how to mend it.
    pub why: String,
    /// The client's own error.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// Tells whether the same request may succeed later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self.kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Timeout | StoreErrorKind::Refused => true,
            StoreErrorKind::Corrupt => false,
        }
    }
}
