//! How Redis is, for `leveret doctor`.
//!
//! Responsible for asking; what the answers mean is in pure functions below. Changes nothing but
//! the trace of a check.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use deadpool_redis::redis::{Pipeline, Value};

use super::Redis;
use super::findings;
use super::info::Info;
use crate::clock::{Clock, Millis, SystemClock};
use crate::diagnose::{Diagnose, Finding, Health};
use crate::store::StoreError;

const LOOK: &str = "look at the server";
/// Longest time that all of it takes.
const LONGEST: Duration = Duration::from_secs(5);
/// Round trips of which the shortest counts: the first one may find us asleep.
const PINGS: usize = 3;
/// How long the trace of a check is kept.
const TRACE: Duration = Duration::from_secs(1);

#[async_trait]
impl Diagnose for Redis {
    async fn diagnose(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if tokio::time::timeout(LONGEST, self.look(&mut findings)).await.is_err() {
            let found = format!("{} did not answer within {LONGEST:?}", self.endpoint);
            let mend = "look at the server's load and its slow log (SLOWLOG GET)";
            findings.push(findings::new("reachable", Health::Bad, found).mend(mend));
        }
        findings
    }
}

impl Redis {
    async fn look(&self, findings: &mut Vec<Finding>) {
        match self.round_trip().await {
            Ok(took) => findings.push(findings::reachable(&self.endpoint, took)),
            Err(error) => return findings.push(findings::unreachable(&error)),
        }
        match Info::ask(&self.bulk, LOOK).await {
            Ok(Ok(infos)) => {
                let now = SystemClock.now();
                findings.extend(infos.iter().flat_map(|info| findings::of_server(info, now)));
                findings.push(self.timetable(&infos).await);
            }
            Ok(Err(refusal)) => findings.push(findings::unknown(&refusal)),
            Err(error) => return findings.push(findings::unreachable(&error)),
        }
        findings.push(self.clocks().await);
        findings.push(self.scripts_run().await);
    }

    /// Asks over both connections: either may be down alone.
    async fn round_trip(&self) -> Result<Duration, StoreError> {
        let mut ping = Pipeline::with_capacity(1);
        ping.cmd("PING");
        let mut shortest = Duration::MAX;
        for link in [&self.fleet].into_iter().chain([&self.bulk; PINGS]) {
            let began = Instant::now();
            for reply in link.run(LOOK, &ping).await? {
                self.read::<Value>(LOOK, "PING", reply)?;
            }
            shortest = shortest.min(began.elapsed());
        }
        Ok(shortest)
    }

    async fn timetable(&self, infos: &[Info]) -> Finding {
        match self.made_at_run_time().await {
            Ok(made) => findings::timetable(infos, made),
            Err(error) => findings::failed("timetable", &error),
        }
    }

    /// Compares the clock of the server with this machine's.
    pub(super) async fn clocks(&self) -> Finding {
        let mut ask = Pipeline::with_capacity(1);
        ask.cmd("TIME");
        let before = SystemClock.now();
        let reply = match self.bulk.run(LOOK, &ask).await {
            Ok(mut replies) => replies.pop().unwrap_or(Ok(Value::Nil)),
            Err(error) => return findings::failed("clock", &error),
        };
        let after = SystemClock.now();
        match self.read::<(u64, u64)>(LOOK, "TIME", reply) {
            Ok((seconds, micros)) => {
                findings::clocks(Millis(seconds * 1_000 + micros / 1_000), before, after)
            }
            Err(error) => findings::failed("clock", &error),
        }
    }

    /// Loads and runs a script that does what the others do.
    async fn scripts_run(&self) -> Finding {
        let key = self.keys.check();
        let mut call = self.scripts.probe.on(&key);
        call.arg(super::keys::ttl_ms(TRACE));
        let began = Instant::now();
        match self.call::<String>(&self.scripts.probe, "run a script", &key, call).await {
            Ok(_) => {
                let found = "scripts run, and what they write is read back";
                findings::new("scripts", Health::Good, found).took(began.elapsed())
            }
            Err(error) => findings::failed("scripts", &error),
        }
    }
}
