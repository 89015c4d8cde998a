//! What can go wrong with the file: [`OpenError`] for people, and the failure of one operation.
//!
//! The failure is made here from SQLite's codes once, and turned into the error of whichever seam
//! the operation belongs to. One failure may have many callers, so it can be cloned.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::ErrorCode;

use crate::broker::{BrokerError, PublishError};
use crate::name::Namespace;
use crate::store::{StoreError, StoreErrorKind};

/// Tells why the data folder could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has the folder.
    #[error(
        "failed to open the data folder {}: it is in use by {owner}; stop that process, or use \
         --data OTHER, or speak to it through its gateway",
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// The other process: its id, host and start.
        owner: String,
    },
    /// The folder is not there and cannot be made.
    #[error(
        "failed to create the data folder {}: {source}; make the folder yourself, or use --data \
         OTHER",
        folder.display()
    )]
    Create {
        /// The folder.
        folder: PathBuf,
        /// The system's own error.
        source: std::io::Error,
    },
    /// The folder or the file in it cannot be written.
    #[error(
        "failed to write to {}: it is read-only for this user; change its permissions, or use \
         --data OTHER",
        path.display()
    )]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
    },
    /// There is no room.
    #[error("failed to write to {}: the disk is full; free some space, or use --data OTHER",
        path.display())]
    DiskFull {
        /// The folder or file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error(
        "failed to open {}: it is not a Leveret database; move it away, or use --data OTHER",
        file.display()
    )]
    Foreign {
        /// The file.
        file: PathBuf,
    },
    /// The file was written by a newer program.
    #[error(
        "failed to open {}: its schema is version {found} and this program knows {known}; use the \
         newer program, or --data OTHER",
        file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// The file's schema version.
        found: u32,
        /// The newest version that this program knows.
        known: u32,
    },
    /// The file holds the tasks of another namespace.
    #[error(
        "failed to open {}: it belongs to the namespace {found:?}, not to {wanted:?}; use that \
         namespace, or --data OTHER",
        file.display()
    )]
    OtherNamespace {
        /// The file.
        file: PathBuf,
        /// Whose file it is.
        found: String,
        /// Whose file was wanted.
        wanted: Namespace,
    },
    /// Anything else that the system or SQLite refuses.
    #[error("failed to {operation} {}: {why}", path.display())]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// What happened.
        why: String,
        /// The underlying error.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

impl OpenError {
    pub(super) fn io(operation: &'static str, path: PathBuf, source: std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match source.kind() {
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::ReadOnly { path },
            Kind::StorageFull | Kind::QuotaExceeded => Self::DiskFull { path },
            _ => {
                let why = source.to_string();
                Self::Failed { operation, path, why, source: Some(Box::new(source)) }
            }
        }
    }

    pub(super) fn sqlite(operation: &'static str, path: PathBuf, source: rusqlite::Error) -> Self {
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::Foreign { file: path },
            Some(ErrorCode::DiskFull) => Self::DiskFull { path },
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly { path },
            _ => {
                let why = source.to_string();
                Self::Failed { operation, path, why, source: Some(Box::new(source)) }
            }
        }
    }
}

/// What sort of failure it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// The disk is full; nothing was kept.
    Full,
    /// The disk did not do what it was asked; nothing was kept.
    Broken,
    /// What lies in the file cannot be read.
    Corrupt,
    /// A limit of ours is reached.
    Refused,
    /// The commit itself failed: after a crash, what it held may be there.
    Uncertain,
    /// The file is closed.
    Closed,
}

/// Why an operation on the file failed. Shared by all operations of one commit.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) sort: Sort,
    pub(super) why: String,
    source: Option<Arc<rusqlite::Error>>,
}

impl Failure {
    pub(super) fn closed() -> Self {
        let why = "the data folder is closed; open it again".to_owned();
        Self { sort: Sort::Closed, why, source: None }
    }

    pub(super) fn corrupt(why: impl Into<String>) -> Self {
        Self { sort: Sort::Corrupt, why: why.into(), source: None }
    }

    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self { sort: Sort::Refused, why: why.into(), source: None }
    }

    /// Returns the same failure for a `COMMIT`: only a full disk is sure to have kept nothing.
    pub(super) fn of_commit(error: rusqlite::Error) -> Self {
        let failure = Self::from(error);
        match failure.sort {
            Sort::Full => failure,
            Sort::Broken | Sort::Corrupt | Sort::Refused | Sort::Uncertain | Sort::Closed => {
                Self { sort: Sort::Uncertain, ..failure }
            }
        }
    }

    /// Tells whether SQLite failed, so that the transaction cannot go on.
    pub(super) fn breaks_transaction(&self) -> bool {
        self.source.is_some()
    }

    pub(super) fn for_publish(&self, within: Duration) -> PublishError {
        let why = self.why.clone();
        match self.sort {
            Sort::Full | Sort::Refused => PublishError::Rejected(why),
            Sort::Broken | Sort::Corrupt | Sort::Closed => PublishError::Unavailable(why),
            Sort::Uncertain => PublishError::Unknown { within, why },
        }
    }

    pub(super) fn for_broker(self, operation: &'static str) -> BrokerError {
        BrokerError::Operation { operation, why: self.why, source: boxed(self.source) }
    }

    pub(super) fn for_store(self, operation: &'static str, endpoint: &str) -> StoreError {
        let kind = match self.sort {
            Sort::Full | Sort::Refused => StoreErrorKind::Refused,
            Sort::Broken | Sort::Uncertain | Sort::Closed => StoreErrorKind::Unavailable,
            Sort::Corrupt => StoreErrorKind::Corrupt,
        };
        let endpoint = endpoint.to_owned();
        StoreError { operation, endpoint, kind, why: self.why, source: boxed(self.source) }
    }
}

fn boxed(source: Option<Arc<rusqlite::Error>>) -> Option<Box<dyn std::error::Error + Send + Sync>> {
    source.map(|error| Box::new(error) as _)
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        let (sort, why) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => (Sort::Full, "the disk is full; free some space".into()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                (Sort::Corrupt, format!("the file is damaged ({error}); restore it from a backup"))
            }
            Some(_) => (Sort::Broken, format!("{error}; look at the disk that holds the file")),
            // Not from SQLite but about it: a column of another type than ours.
            None => (Sort::Corrupt, format!("a row cannot be read ({error})")),
        };
        Self { sort, why, source: Some(Arc::new(error)) }
    }
}
