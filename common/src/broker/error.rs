//! What can go wrong between us and a broker, named by operation.

use std::time::Duration;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// Tells why a message is not known to be safe with the broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The broker said no: a full queue, a node without quorum.
    #[error("failed to publish: the broker rejected the message ({0}); try again later")]
    Rejected(String),
    /// No queue takes the message.
    #[error("failed to publish: no queue is bound for {0}; the message came back")]
    Unroutable(String),
    /// The message is larger than the limit; nothing was sent.
    #[error("failed to publish: the body has {size} bytes; the limit is {limit} (limits.payload)")]
    TooLarge {
        /// Bytes of the body.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The broker blocks publishers (memory or disk alarm), or the window stayed full; nothing
    /// was sent.
    #[error("failed to publish: the broker blocks publishers ({0}); nothing was sent")]
    Blocked(String),
    /// There is no connection; nothing was sent.
    #[error("failed to publish: {0}; nothing was sent")]
    Unavailable(String),
    /// The answer did not come: the message may or may not be safe. To be repeated under the
    /// same id.
    #[error(
        "failed to publish: no confirmation within {within:?} ({why}); the message may have \
         arrived: repeat it with the same id"
    )]
    Unknown {
        /// How long the answer was waited for.
        within: Duration,
        /// What happened instead.
        why: String,
    },
    /// The broker has something else under the name of what we would declare.
    #[error("failed to declare {name}: {why}")]
    Topology {
        /// The queue or exchange.
        name: String,
        /// What differs and how to mend it.
        why: String,
    },
}

impl PublishError {
    /// Tells whether the same message may be published again with hope.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Rejected(_) | Self::Blocked(_) | Self::Unavailable(_) | Self::Unknown { .. } => {
                true
            }
            Self::Unroutable(_) | Self::TooLarge { .. } | Self::Topology { .. } => false,
        }
    }

    /// Returns the outcome's name in metrics.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Rejected(_) => "rejected",
            Self::Unroutable(_) => "unroutable",
            Self::TooLarge { .. } => "too-large",
            Self::Blocked(_) => "blocked",
            Self::Unavailable(_) => "unavailable",
            Self::Unknown { .. } => "unknown",
            Self::Topology { .. } => "topology",
        }
    }
}

/// Tells why a broker cannot serve at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It cannot be reached, or refuses us.
    #[error("failed to reach the broker at {endpoint} after {elapsed:?}: {why}")]
    Connect {
        /// Host, port, vhost and user; never the password.
        endpoint: String,
        /// How long it was tried.
        elapsed: Duration,
        /// What happened and how to mend it.
        why: String,
        /// The client's own error.
        #[source]
        source: Option<Source>,
    },
    /// It has something else under the name of what we would declare.
    #[error("failed to declare {name}: {why}")]
    Topology {
        /// The queue or exchange.
        name: String,
        /// What differs and how to mend it.
        why: String,
    },
    /// One operation failed on a working connection.
    #[error("failed to {operation}: {why}")]
    Operation {
        /// What was tried.
        operation: &'static str,
        /// What happened.
        why: String,
        /// The client's own error.
        #[source]
        source: Option<Source>,
    },
}

/// Tells why a delivery could not be settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The connection it came on is gone: the broker hands it out again.
    #[error("failed to settle the delivery: its connection is gone; it comes again")]
    Gone,
}
