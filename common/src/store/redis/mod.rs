//! The store seams on Redis.
//!
//! Redis is coordination, not truth: losing all of its memory repeats work, and loses none. The
//! key space is in `keys`, the rules of the ledger in `lua/`. Two connections are held: one for
//! the bulk, one for heartbeats, which must not wait behind it. Every round trip is bounded by
//! the response timeout; while the server is away requests fail at once.
//!
//! `way` knows how a store is reached: one server, the primary that sentinels name, or a cluster. The
//! scripts touch one key each, but for those of letters and of the timetable, whose keys share a slot.

mod diagnosis;
mod fault;
mod findings;
mod fleet;
mod info;
mod interim;
mod keys;
mod leases;
mod ledger;
mod letters;
mod link;
mod notices;
mod records;
mod requests;
mod sabotage;
mod schedules;
mod scripts;
mod seen;
mod signals;
mod start_checks;
mod way;

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Cmd, FromRedisValue, Pipeline, RedisResult, Value, from_redis_value};

use self::fault::{Endpoint, Fault};
use self::keys::Keys;
use self::link::{Link, Patience};
pub use self::notices::CeleryResults;
use self::notices::Notices;
use self::scripts::{Script, Scripts};
use self::seen::Noted;
use super::{Retention, StoreError};
use crate::name::Namespace;
use crate::spawn::Spawner;

/// Most commands in one round trip; a longer batch takes several, each bounded by itself.
const MAX_PIPELINE: usize = 1_000;

/// Where Redis is and how patient we are: `store.*` of the configuration.
#[derive(Clone)]
pub struct Config {
    /// `redis://[user][:password@]host[:port][/db]`, or `rediss://…` for TLS.
    pub url: String,
    /// Whose keys these are.
    pub namespace: Namespace,
    /// Longest wait for the answer to one round trip; 500 ms by configuration.
    pub response_timeout: Duration,
    /// Longest wait for a connection, its handshake included.
    pub connect_timeout: Duration,
    /// How long records are kept.
    pub retention: Retention,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Config")
            .field("namespace", &self.namespace)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// All seams of a store in one Redis database.
#[derive(Debug)]
pub struct Redis {
    keys: Keys,
    endpoint: Endpoint,
    retention: Retention,
    scripts: Scripts,
    noted: Noted,
    /// Everything but heartbeats.
    bulk: Arc<Link>,
    /// Heartbeats.
    fleet: Arc<Link>,
    notices: Notices,
    warnings: Vec<String>,
}

impl Redis {
    /// Connects and checks the server.
    ///
    /// # Errors
    /// When the URL is wrong, the server cannot be reached or refuses us, is older than 7.0, or
    /// would evict what the ledger holds.
    ///
    /// # Cancel safety
    /// Dropped, nothing was written.
    pub async fn connect(config: Config, spawner: &Spawner) -> Result<Arc<Self>, StoreError> {
        Self::connect_with(config, CeleryResults::default(), spawner).await
    }

    /// As [`Self::connect`], and says where the results of tasks go that Celery clients sent.
    ///
    /// # Errors
    /// As there; and when the URL for these results is wrong. That nobody answers there is none.
    ///
    /// # Cancel safety
    /// As there.
    pub async fn connect_with(
        config: Config,
        results: CeleryResults,
        spawner: &Spawner,
    ) -> Result<Arc<Self>, StoreError> {
        const OPERATION: &str = "open a connection";
        let (way, endpoint) = way::read(&config.url, "store.url")?;
        let patience =
            Patience { response: config.response_timeout, connect: config.connect_timeout };
        let open = || Link::open(way.clone(), endpoint.clone(), patience, spawner.clone());
        let bulk = open().await.map_err(|fault| endpoint.error(OPERATION, fault))?;
        let warnings = start_checks::run(&bulk, &endpoint).await?;
        let fleet = open().await.map_err(|fault| endpoint.error(OPERATION, fault))?;
        let notices = Notices::open(results, (&bulk, &endpoint), spawner)?;
        let mut redis = Self {
            keys: Keys::new(config.namespace),
            endpoint,
            retention: config.retention,
            scripts: Scripts::new(),
            noted: Noted::default(),
            bulk,
            fleet,
            notices,
            warnings,
        };
        let clock = start_checks::clock(&redis.endpoint, &redis.clocks().await);
        redis.warnings.extend(clock);
        Ok(Arc::new(redis))
    }

    /// Returns what the checks at the start found to be risky.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    fn error(&self, operation: &'static str, fault: Fault) -> StoreError {
        self.endpoint.error(operation, fault)
    }

    /// Makes one call of `script`, which was begun on `key`, and reads its answer.
    async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        operation: &'static str,
        key: &str,
        call: Cmd,
    ) -> Result<T, StoreError> {
        let mut calls = Pipeline::with_capacity(1);
        calls.add_command(call);
        let mut replies = script.run(&self.bulk, operation, &calls).await?;
        self.read(operation, key, replies.pop().unwrap_or(Ok(Value::Nil)))
    }

    /// Reads the answer to one command on `key`.
    fn read<T: FromRedisValue>(
        &self,
        operation: &'static str,
        key: &str,
        reply: RedisResult<Value>,
    ) -> Result<T, StoreError> {
        reply
            .map_err(|error| Fault::on(key, error))
            .and_then(|value| from_redis_value(value).map_err(|why| Fault::corrupt(key, why)))
            .map_err(|fault| self.error(operation, fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_printed_without_its_password() {
        let url = "redis://:s3cret@127.0.0.1:0x/".to_owned();
        let config = Config {
            url,
            namespace: Namespace::default(),
            response_timeout: Duration::ZERO,
            connect_timeout: Duration::ZERO,
            retention: Retention { record: Duration::ZERO, result: Duration::ZERO },
        };
        assert!(!format!("{config:?}").contains("s3cret"));
    }
}
