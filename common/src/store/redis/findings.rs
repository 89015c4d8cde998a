//! What the server's answers mean: each of them judged by itself, without I/O.

use std::time::Duration;

use deadpool_redis::redis::RedisError;

use super::fault::Endpoint;
use super::info::Info;
use super::start_checks::{OLDEST, version};
use crate::clock::Millis;
use crate::diagnose::{Finding, Health};
use crate::store::StoreError;

/// A round trip longer than this holds every task up: each needs two or three.
const SLOW: Duration = Duration::from_millis(20);
/// Clocks further apart than this shift expiries and dates by more than anybody would call now.
const APART: Duration = Duration::from_secs(1);
/// Clocks further apart than this let tasks expire that had time, and the other way round.
const FAR_APART: Duration = Duration::from_secs(30);

/// Begins a finding of this part.
pub(super) fn new(check: &str, health: Health, found: impl Into<String>) -> Finding {
    Finding::new("store", check, health, found)
}

pub(super) fn reachable(endpoint: &Endpoint, took: Duration) -> Finding {
    let found = format!("Redis at {endpoint} answers in {took:.1?}");
    if took <= SLOW {
        return new("reachable", Health::Good, found).took(took);
    }
    let mend = "every task waits for several answers: move Redis closer to the workers, or look at \
                its load and its slow log (SLOWLOG GET)";
    new("reachable", Health::Risky, found).took(took).mend(mend)
}

pub(super) fn unreachable(error: &StoreError) -> Finding {
    let mend = "start Redis there, or correct store.url; until it answers workers take no tasks, \
                and what is accepted waits in the broker";
    new("reachable", Health::Bad, error.to_string()).mend(mend)
}

/// One check could not be made. Its error says how to mend it.
pub(super) fn failed(check: &str, error: &StoreError) -> Finding {
    let mend = "workers need this: mend it, or point store.url to another server";
    new(check, Health::Bad, error.to_string()).mend(mend)
}

pub(super) fn unknown(refusal: &RedisError) -> Finding {
    let found = format!(
        "version, eviction policy, persistence, memory and role are unknown: INFO was answered \
         with {refusal}"
    );
    let mend = "allow INFO to the user of store.url (ACL SETUSER … +info)";
    new("server", Health::Risky, found).mend(mend)
}

/// Compares the server's time with the local times before and after it was asked.
pub(super) fn clocks(server: Millis, before: Millis, after: Millis) -> Finding {
    let (apart, direction) = match () {
        () if server > after => (server.since(after), "ahead of"),
        () => (before.since(server), "behind"),
    };
    let health = match apart {
        apart if apart <= APART => {
            let found = format!("the clocks of Redis and this machine agree to {APART:?}");
            return new("clock", Health::Good, found);
        }
        apart if apart <= FAR_APART => Health::Risky,
        _ => Health::Bad,
    };
    let found = format!("the clock of Redis is {apart:.1?} {direction} this machine's");
    let mend = "expiries are judged by the clock of Redis: let NTP set the clocks of both machines";
    new("clock", health, found).mend(mend)
}

/// Judges what the server says of itself at `now`.
pub(super) fn of_server(info: &Info, now: Millis) -> Vec<Finding> {
    let findings =
        [of_version(info), eviction(info), persistence(info, now), memory(info), role(info)];
    let of = |mut finding: Finding| {
        if let Some(node) = &info.node {
            finding.found = format!("{node}: {}", finding.found);
        }
        finding
    };
    findings.map(of).into()
}

fn of_version(info: &Info) -> Finding {
    let (version, is_new_enough) = version(info);
    let product = info.field("server_name").unwrap_or("redis");
    let found = format!("{product} {version}");
    if is_new_enough {
        return new("version", Health::Good, found);
    }
    let mend = format!("upgrade it: Leveret needs {}.{} or newer", OLDEST.0, OLDEST.1);
    new("version", Health::Bad, found).mend(mend)
}

fn eviction(info: &Info) -> Finding {
    let policy = info.field("maxmemory_policy").unwrap_or("unknown");
    if policy == "noeviction" {
        return new("eviction", Health::Good, "maxmemory-policy is noeviction");
    }
    let mend = "CONFIG SET maxmemory-policy noeviction, and write it into redis.conf";
    if info.number("maxmemory") == Some(0) {
        let found =
            format!("maxmemory-policy is {policy}: once maxmemory is set, claims are forgotten");
        return new("eviction", Health::Risky, found).mend(mend);
    }
    let found = format!(
        "maxmemory-policy is {policy}: under pressure claims are forgotten, and tasks run twice"
    );
    new("eviction", Health::Bad, found).mend(mend)
}

fn persistence(info: &Info, now: Millis) -> Finding {
    let bad = |found: &str, mend: &str| new("persistence", Health::Bad, found).mend(mend);
    let is_off = |name| info.field(name) == Some("0");
    let went_wrong = |name| info.field(name).is_some_and(|status| status != "ok");
    if info.field("loading") == Some("1") {
        return bad("it is still loading its data and refuses requests", "wait until it is done");
    }
    if went_wrong("aof_last_write_status") {
        let mend = "it refuses writes: look at its log, and free disk space";
        return bad("the last write to the append-only file failed", mend);
    }
    if went_wrong("rdb_last_bgsave_status") {
        let mend = "it may refuse writes: look at its log, and free disk space and memory for the \
                    fork";
        return bad("the last snapshot failed", mend);
    }
    let snapshot = snapshot(info, now);
    if is_off("aof_enabled") {
        let found = format!("appendonly is no; {snapshot}");
        let mend = "a restart of Redis forgets what was written since the last snapshot and may \
                    repeat work: CONFIG SET appendonly yes, and write it into redis.conf";
        return new("persistence", Health::Risky, found).mend(mend);
    }
    let found = format!("appendonly is yes and the last write went well; {snapshot}");
    if went_wrong("aof_last_bgrewrite_status") {
        let found = format!("{found}; the last rewrite of the append-only file failed");
        let mend = "the file grows until it is rewritten: look at the log, and free disk space";
        return new("persistence", Health::Risky, found).mend(mend);
    }
    new("persistence", Health::Good, found)
}

/// Judges what a restart would do to the schedules that stand in no file or program.
pub(super) fn timetable(infos: &[Info], made: u64) -> Finding {
    if made == 0 {
        return new("timetable", Health::Good, "no schedule was made at run time");
    }
    let found = format!("{made} schedules were made at run time");
    if infos.iter().any(|info| info.field("aof_enabled") != Some("1")) {
        let found = format!("{found}, and appendonly is no");
        let mend = "a restart of Redis forgets those made or changed since the last snapshot, unless \
                    a beat outlives it that remembers them: CONFIG SET appendonly yes, and write it \
                    into redis.conf; or keep them in a timetable file";
        return new("timetable", Health::Risky, found).mend(mend);
    }
    new("timetable", Health::Good, format!("{found}; they are in the append-only file"))
}

fn snapshot(info: &Info, now: Millis) -> String {
    let saved = info.number("rdb_last_save_time").unwrap_or(0);
    let changes = info.number("rdb_changes_since_last_save").unwrap_or(0);
    let age = Duration::from_secs(now.since(Millis(saved.saturating_mul(1_000))).as_secs());
    format!("the last snapshot, or the start, was {age:?} and {changes} changes ago")
}

fn memory(info: &Info) -> Finding {
    let used = info.number("used_memory").unwrap_or(0);
    let (limit, of) = match info.number("maxmemory") {
        Some(limit) if limit > 0 => (limit, "maxmemory"),
        _ => (info.number("total_system_memory").unwrap_or(0), "the machine's memory"),
    };
    let percent = used.saturating_mul(100).checked_div(limit).unwrap_or(0);
    let mib = |bytes: u64| bytes.div_ceil(1024 * 1024);
    let (used, room) = (mib(used), mib(limit));
    let found = format!("{used} MiB in use, {percent} % of {of} ({room} MiB)");
    let mend = "raise maxmemory, or shorten retention.record and retention.result: when it is full \
                workers take no tasks";
    let finding = match percent {
        0..80 => new("memory", Health::Good, found),
        80..100 => new("memory", Health::Risky, found).mend(mend),
        _ => new("memory", Health::Bad, found).mend(mend),
    };
    if limit == 0 { finding } else { finding.room(limit) }
}

fn role(info: &Info) -> Finding {
    // A node that was found by asking the cluster has its address.
    if info.field("cluster_enabled") == Some("1") && info.node.is_none() {
        let mend = "it takes the keys of its own slots only: write redis-cluster:// in store.url, \
                    with some of the nodes";
        return new("role", Health::Bad, "it is a node of a Redis Cluster").mend(mend);
    }
    let role = info.field("role").unwrap_or("unknown");
    if role == "master" {
        let replicas = info.number("connected_slaves").unwrap_or(0);
        return new("role", Health::Good, format!("it is a primary with {replicas} replicas"));
    }
    let host = info.field("master_host").unwrap_or("an unknown host");
    let port = info.field("master_port").unwrap_or("?");
    let writes = if info.field("slave_read_only") == Some("0") {
        "it takes writes and loses them when it next synchronises"
    } else {
        "it takes no writes"
    };
    let found = format!("it is a replica of {host}:{port}: {writes}");
    let mend = format!("point store.url to the primary, {host}:{port}");
    new("role", Health::Bad, found).mend(mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: &str = "redis_version:7.2.4\r\nused_memory:104857600\r\nmaxmemory:1073741824\r\n\
                        maxmemory_policy:noeviction\r\nloading:0\r\naof_enabled:1\r\n\
                        aof_last_write_status:ok\r\naof_last_bgrewrite_status:ok\r\n\
                        rdb_last_bgsave_status:ok\r\nrdb_last_save_time:1790000000\r\n\
                        rdb_changes_since_last_save:3\r\nrole:master\r\nconnected_slaves:2\r\n\
                        cluster_enabled:0\r\n";
    const NOW: Millis = Millis(1_790_000_060_500);

    /// Fields that change, the check that finds it, and how bad it is.
    type Case = (&'static [(&'static str, &'static str)], &'static str, Health);

    /// Judges the well server with some fields changed; returns what is not good.
    fn trouble(changes: &[(&str, &str)]) -> Vec<(String, Health)> {
        let mut text = WELL.to_owned();
        for (field, value) in changes {
            let old = text.lines().find(|line| line.starts_with(&format!("{field}:")));
            let old = old.map(str::to_owned);
            match old {
                Some(old) => text = text.replace(&old, &format!("{field}:{value}")),
                None => text.push_str(&format!("{field}:{value}\r\n")),
            }
        }
        let findings = of_server(&Info::from(text.as_str()), NOW);
        let bad = findings.into_iter().filter(|finding| finding.health != Health::Good);
        bad.inspect(|finding| assert!(finding.mend.is_some(), "{finding:?}"))
            .map(|finding| (finding.check, finding.health))
            .collect()
    }

    #[test]
    fn what_the_server_says_is_judged_field_by_field() {
        use Health::{Bad, Risky};
        assert_eq!(trouble(&[]), []);
        let cases: [Case; 17] = [
            (&[("redis_version", "6.2.14")], "version", Bad),
            (&[("redis_version", "?")], "version", Bad),
            (&[("maxmemory_policy", "volatile-ttl")], "eviction", Bad),
            (&[("maxmemory_policy", "allkeys-lru"), ("maxmemory", "0")], "eviction", Risky),
            (&[("loading", "1")], "persistence", Bad),
            (&[("aof_last_write_status", "err")], "persistence", Bad),
            (&[("rdb_last_bgsave_status", "err")], "persistence", Bad),
            (&[("aof_enabled", "0")], "persistence", Risky),
            (&[("aof_last_bgrewrite_status", "err")], "persistence", Risky),
            (&[("used_memory", "900000000")], "memory", Risky),
            (&[("used_memory", "1073741825")], "memory", Bad),
            (&[("maxmemory", "0"), ("total_system_memory", "110000000")], "memory", Risky),
            (&[("role", "slave"), ("slave_read_only", "1")], "role", Bad),
            (&[("role", "slave"), ("slave_read_only", "0")], "role", Bad),
            (&[("role", "sentinel")], "role", Bad),
            (&[("cluster_enabled", "1")], "role", Bad),
            (&[("used_memory", "1073741824")], "memory", Bad),
        ];
        for (changes, check, health) in cases {
            assert_eq!(trouble(changes), [(check.to_owned(), health)], "{changes:?}");
        }
        assert_eq!(trouble(&[("maxmemory", "0")]), [], "no limit is known: nothing is concluded");
    }

    #[test]
    fn what_was_found_is_told_with_numbers() {
        let findings = of_server(&Info::from(WELL), NOW);
        let found: Vec<_> = findings.iter().map(|finding| finding.found.as_str()).collect();
        assert_eq!(
            found,
            [
                "redis 7.2.4",
                "maxmemory-policy is noeviction",
                "appendonly is yes and the last write went well; the last snapshot, or the start, \
                 was 60s and 3 changes ago",
                "100 MiB in use, 9 % of maxmemory (1024 MiB)",
                "it is a primary with 2 replicas",
            ]
        );
    }

    #[test]
    fn schedules_that_a_restart_would_forget_are_a_risk() {
        let judged = |aof: &str, made| timetable(&[Info::from(aof)], made);
        let (on, off) = ("aof_enabled:1\r\n", "aof_enabled:0\r\n");
        for (aof, made, health) in [
            (on, 0, Health::Good),
            (off, 0, Health::Good),
            (on, 3, Health::Good),
            (off, 3, Health::Risky),
        ] {
            let finding = judged(aof, made);
            assert_eq!(finding.health, health, "{finding:?}");
            assert_eq!(finding.mend.is_some(), health == Health::Risky);
        }
        assert_eq!(judged(off, 3).found, "3 schedules were made at run time, and appendonly is no");
    }

    #[test]
    fn clocks_are_apart_only_by_what_the_round_trip_does_not_explain() {
        let (before, after) = (Millis(1_000_000), Millis(1_000_300));
        let judged = |server| clocks(Millis(server), before, after);
        for server in [999_000, 1_000_000, 1_000_300, 1_001_300] {
            assert_eq!(judged(server).health, Health::Good, "{server}");
        }
        let ahead = judged(1_002_800);
        assert_eq!(ahead.health, Health::Risky);
        assert!(ahead.found.contains("2.5s ahead of"), "{}", ahead.found);
        let behind = judged(900_000);
        assert_eq!(behind.health, Health::Bad);
        assert!(behind.found.contains("100.0s behind this"), "{}", behind.found);
    }
}
