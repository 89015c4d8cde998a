//! What can go wrong between a relay and the database of an outbox.

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Tells why an outbox cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// The address is wrong.
    #[error("failed to read outbox.url: {0}")]
    Address(String),
    /// It cannot be reached, or refuses us.
    #[error("failed to reach the outbox at {endpoint}: {why}")]
    Connect {
        /// Host, port and database, or the file; never a password.
        endpoint: String,
        /// What happened and how to mend it.
        why: String,
        /// The client's own error.
        #[source]
        source: Option<Source>,
    },
    /// The table is not there.
    #[error(
        "failed to find the table leveret_outbox at {endpoint}; make it as the database's owner: \
         leveret relay schema --for {dialect}"
    )]
    NoTable {
        /// Where.
        endpoint: String,
        /// `postgres` or `sqlite`.
        dialect: &'static str,
    },
    /// One statement failed.
    #[error("failed to {operation} in the outbox at {endpoint}: {why}")]
    Operation {
        /// What was tried.
        operation: &'static str,
        /// Where.
        endpoint: String,
        /// What the database said.
        why: String,
        /// The client's own error.
        #[source]
        source: Option<Source>,
    },
}
