//! What must be true of a server before it may hold the ledger, and what had better be.
//!
//! Refused by name: a version older than 7.0, and a memory limit whose policy evicts keys (every
//! key of ours has a time to live, so the `volatile-*` policies evict them too: a task would run
//! twice in silence). Warned by name: an evicting policy without a limit, no append-only file, a clock that differs.

use std::sync::Arc;

use super::fault::{Endpoint, Fault};
use super::info::Info;
use super::link::Link;
use crate::diagnose::{Finding, Health};
use crate::store::{StoreError, StoreErrorKind};

const OPERATION: &str = "check the server";
/// Oldest version that is tested.
pub(super) const OLDEST: (u32, u32) = (7, 0);

/// Asks the server about itself and returns the warnings.
pub(super) async fn run(link: &Arc<Link>, endpoint: &Endpoint) -> Result<Vec<String>, StoreError> {
    let refuse = |why: String| {
        let fault = Fault { kind: StoreErrorKind::Refused, why, source: None };
        endpoint.error(OPERATION, fault)
    };
    let mut warnings = Vec::new();
    match Info::ask(link, OPERATION).await? {
        Ok(infos) => {
            for info in infos {
                let of = |why: String| match &info.node {
                    Some(node) => format!("{node}: {why}"),
                    None => why,
                };
                let found = judge(&info).map_err(|why| refuse(of(why)))?;
                warnings.extend(found.into_iter().map(of));
            }
        }
        Err(error) => warnings.push(format!(
            "the server's version, eviction policy and persistence are unknown: INFO was answered \
             with {error}; allow the command to the user of store.url"
        )),
    }
    for warning in &warnings {
        tracing::warn!(%endpoint, %warning, "store may lose what it remembers");
    }
    Ok(warnings)
}

/// Warns where the clocks differ: what is due, delayed or expires is off by as much, and a schedule that was put in by a
/// clock that is ahead waits until that time has come.
pub(super) fn clock(endpoint: &Endpoint, finding: &Finding) -> Option<String> {
    if finding.health == Health::Good {
        return None;
    }
    let mend = finding.mend.as_deref().unwrap_or_default();
    let warning = format!("{}: {mend}", finding.found);
    tracing::warn!(%endpoint, %warning, "the clocks of this machine and of the store may differ");
    Some(warning)
}

/// Returns the server's version, and whether it is new enough.
pub(super) fn version(info: &Info) -> (&str, bool) {
    let version = info.field("redis_version").unwrap_or("unknown");
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let parsed = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (version, parsed >= OLDEST)
}

/// Judges the answer to `INFO`: the error says why the server is refused.
fn judge(info: &Info) -> Result<Vec<String>, String> {
    let (version, is_new_enough) = version(info);
    if !is_new_enough {
        return Err(format!(
            "its version is {version}; Leveret needs Redis {}.{} or newer: upgrade it",
            OLDEST.0, OLDEST.1
        ));
    }
    let mut warnings = Vec::new();
    let policy = info.field("maxmemory_policy").unwrap_or("unknown");
    if policy != "noeviction" {
        if info.field("maxmemory").is_some_and(|limit| limit != "0") {
            return Err(format!(
                "maxmemory-policy is {policy}: under pressure it would forget claims, and tasks \
                 would run twice; CONFIG SET maxmemory-policy noeviction, and write it into \
                 redis.conf"
            ));
        }
        warnings.push(format!(
            "maxmemory-policy is {policy}: once maxmemory is set, claims are forgotten under \
             pressure; set it to noeviction"
        ));
    }
    if info.field("aof_enabled") == Some("0") {
        warnings.push(
            "appendonly is no: a restart of Redis forgets what ran since the last snapshot, and \
             may repeat work and lose schedules that were made at run time; set appendonly yes"
                .to_owned(),
        );
    }
    Ok(warnings)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, maxmemory: &str, policy: &str, aof: &str) -> Info {
        let text = format!(
            "# Server\r\nredis_version:{version}\r\n# Memory\r\nmaxmemory:{maxmemory}\r\n\
             maxmemory_human:0B\r\nmaxmemory_policy:{policy}\r\naof_enabled:{aof}\r\n"
        );
        Info::from(text.as_str())
    }

    #[test]
    fn a_safe_server_is_accepted_without_a_warning() {
        for version in ["7.0.0", "7.2.4", "8.0.2", "10.0"] {
            assert_eq!(judge(&info(version, "104857600", "noeviction", "1")), Ok(Vec::new()));
        }
    }

    #[test]
    fn an_old_server_is_refused_by_version() {
        for version in ["6.2.14", "5.0", "unknown"] {
            let why = judge(&info(version, "0", "noeviction", "1")).unwrap_err();
            assert!(why.contains(version), "{why}");
        }
    }

    #[test]
    fn an_evicting_policy_is_refused_with_a_limit_and_warned_about_without() {
        let why = judge(&info("7.0.15", "1", "volatile-ttl", "1")).unwrap_err();
        assert!(why.contains("volatile-ttl") && why.contains("noeviction"), "{why}");
        let warnings = judge(&info("7.0.15", "0", "allkeys-lru", "1")).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("allkeys-lru"), "{warnings:?}");
    }

    #[test]
    fn a_clock_that_differs_is_warned_about_with_how_to_mend_it() {
        let (_, endpoint) = super::super::way::read("redis://127.0.0.1:6379", "store.url").unwrap();
        let good = Finding::new("store", "clock", Health::Good, "they agree");
        assert_eq!(clock(&endpoint, &good), None);
        let bad = Finding::new("store", "clock", Health::Bad, "it is 1 h behind").mend("use NTP");
        assert_eq!(clock(&endpoint, &bad), Some("it is 1 h behind: use NTP".to_owned()));
    }

    #[test]
    fn a_server_without_append_only_file_is_warned_about() {
        let warnings = judge(&info("7.0.15", "0", "noeviction", "0")).unwrap();
        assert!(warnings.len() == 1 && warnings[0].contains("appendonly"), "{warnings:?}");
    }
}
