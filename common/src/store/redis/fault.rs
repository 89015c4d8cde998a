//! What went wrong with Redis, in the words of the store seam.
//!
//! Responsible for sorting the client's errors into [`StoreErrorKind`] and for saying how to mend
//! them. An error is never read as an answer. Passwords never enter a message: the client's own
//! texts do not hold them, and [`Endpoint`] does not keep them.

use std::fmt;
use std::time::Duration;

use deadpool_redis::redis::{
    ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind,
};

use crate::store::{StoreError, StoreErrorKind};

/// Where the server is, and as whom we speak to it.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    address: String,
    user: String,
    tls: bool,
    /// The key of the configuration that names it.
    key: &'static str,
}

impl Endpoint {
    pub(super) fn of(info: &ConnectionInfo, key: &'static str) -> Self {
        let settings = info.redis_settings();
        let (server, tls) = match info.addr() {
            ConnectionAddr::TcpTls { host, port, .. } => (format!("{host}:{port}"), true),
            other => (other.to_string(), false),
        };
        Self {
            address: format!("{server}/{}", settings.db()),
            user: settings.username().unwrap_or("default").to_owned(),
            tls,
            key,
        }
    }

    /// The addresses of several, and what they are or name.
    pub(super) fn of_several(infos: &[ConnectionInfo], what: &str, key: &'static str) -> Self {
        let each = infos.iter().map(|info| Self::of(info, key)).collect::<Vec<_>>();
        let servers: Vec<&str> =
            each.iter().map(|one| one.address.trim_end_matches("/0")).collect();
        let first = each.first();
        Self {
            address: format!("{} ({what})", servers.join(",")),
            user: first.map_or_else(String::new, |one| one.user.clone()),
            tls: first.is_some_and(|one| one.tls),
            key,
        }
    }

    /// As whom the servers are spoken to, where others are asked for them.
    pub(super) fn with_user(self, info: &ConnectionInfo) -> Self {
        let user = info.redis_settings().username().unwrap_or("default").to_owned();
        Self { user, ..self }
    }

    /// Says that nobody has answered there so far.
    pub(super) fn unconnected(&self) -> Fault {
        let why = format!(
            "nobody has answered there so far; it is tried again by itself. If this lasts, start \
             Redis there, or correct {}",
            self.key
        );
        Fault { kind: StoreErrorKind::Unavailable, why, source: None }
    }

    /// Builds the error of one operation.
    pub(super) fn error(&self, operation: &'static str, fault: Fault) -> StoreError {
        StoreError {
            operation,
            endpoint: self.address.clone(),
            kind: fault.kind,
            why: fault.why,
            source: fault.source.map(Into::into),
        }
    }

    /// Builds the error of a connection that could not be opened.
    pub(super) fn unopened(&self, error: RedisError, elapsed: Duration) -> Fault {
        let key = self.key;
        let tls = if self.tls { "with TLS" } else { "without TLS" };
        let attempt = format!("as user {} {tls}, after {elapsed:.1?}", self.user);
        if is_refused_login(&error) {
            let why = format!("it refuses the login ({attempt}): {error}; correct {key}");
            return Fault { kind: StoreErrorKind::Refused, why, source: Some(error) };
        }
        let mend = match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => {
                let why = format!("it refuses us ({attempt}): {error}; correct {key}");
                return Fault { kind: StoreErrorKind::Refused, why, source: Some(error) };
            }
            ErrorKind::Parse => {
                let why = format!(
                    "something answers there, but not as Redis does ({attempt}); correct {key}"
                );
                return Fault { kind: StoreErrorKind::Unavailable, why, source: Some(error) };
            }
            _ if error.is_connection_refusal() => format!("start Redis there, or correct {key}"),
            _ if error.is_timeout() => {
                format!("is the address in {key} right, and Redis not stuck?")
            }
            _ => format!("check the server's log and {key}"),
        };
        let why = format!("it cannot be reached ({attempt}): {error}; {mend}");
        Fault { kind: StoreErrorKind::Unavailable, why, source: Some(error) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

fn is_refused_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH" | "DENIED"))
}

/// A failure that is not yet tied to an operation.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) kind: StoreErrorKind,
    pub(super) why: String,
    pub(super) source: Option<RedisError>,
}

impl Fault {
    /// Says that what lies under `key` is not ours.
    pub(super) fn corrupt(key: &str, why: impl fmt::Display) -> Self {
        let why = format!(
            "what lies under {key} cannot be read: {why}; something else writes into this \
             namespace, or a newer version did: look at the key, and delete it only if it is not \
             Leveret's"
        );
        Self { kind: StoreErrorKind::Corrupt, why, source: None }
    }

    /// Sorts the server's answer to a command on `key`.
    pub(super) fn on(key: &str, error: RedisError) -> Self {
        match error.code() {
            Some("WRONGTYPE") => Self::corrupt(key, "it has another type than ours"),
            Some("LVCORRUPT") => {
                // Redis appends the script's hash and line; nobody can use them.
                let detail = error.detail().unwrap_or_default();
                Self::corrupt(key, detail.split(" script: ").next().unwrap_or_default())
            }
            _ => Self::answered(error),
        }
    }

    /// Sorts the failure of a whole round trip.
    pub(super) fn of_trip(error: RedisError, waited: Duration) -> Self {
        let (kind, why) = if error.is_timeout() {
            let why = format!(
                "no answer within {waited:?}; the request may have been applied: it is safe to \
                 repeat. Look at the server's load and slow log"
            );
            (StoreErrorKind::Timeout, why)
        } else if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
            return Self::answered(error);
        } else {
            let why = format!(
                "the connection broke ({error}); the request may have been applied. It is opened \
                 again by itself"
            );
            (StoreErrorKind::Unavailable, why)
        };
        Self { kind, why, source: Some(error) }
    }

    fn answered(error: RedisError) -> Self {
        let mend = match error.code() {
            Some("OOM") => "it is out of memory: raise maxmemory, or shorten the retention",
            Some("READONLY") => "it is a read-only replica: point store.url to the primary",
            Some("NOPERM") => "the user may not do this: extend its ACL",
            Some("MISCONF") => "it cannot write to its disk: look at its log and free disk space",
            Some("LOADING") => "it is still loading its data: wait",
            Some("BUSY") => "a foreign script blocks it: SCRIPT KILL",
            Some("NOREPLICAS") => "too few replicas answer: see min-replicas-to-write",
            Some("MASTERDOWN" | "CLUSTERDOWN") => "its primary is down: wait for the failover",
            Some("MOVED" | "ASK" | "CROSSSLOT") => {
                "it is a node of a cluster: write redis-cluster:// in store.url"
            }
            Some("NOSCRIPT") => "its scripts are flushed again and again: repeat",
            // Inside a script, a missing permission has no code of its own.
            _ if error.detail().is_some_and(|text| text.contains("can't run this command")) => {
                "the user may not do this: extend its ACL"
            }
            _ => "see the server's log",
        };
        // An answer of a shape that the command cannot have: this is not Redis, or not ours.
        let kind = match error.kind() {
            ErrorKind::UnexpectedReturnType | ErrorKind::Parse => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Refused,
        };
        Self { kind, why: format!("it answered {error}; {mend}"), source: Some(error) }
    }
}

/// Tells whether a script was not there; the call was not executed then.
pub(super) fn is_no_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}
