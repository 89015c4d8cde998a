//! The scripts: composed from `lua/`, called by hash, loaded where they are missing.
//!
//! Each script touches the one key it is given, those of leases, letters and the timetable also keys
//! that begin with it and share its slot. A server that forgot a script (restart, failover,
//! `SCRIPT FLUSH`) says so without executing anything; only those calls are sent again.

use std::sync::Arc;
use std::time::Instant;

use deadpool_redis::redis::{self, Cmd, Pipeline, RedisResult, Value, cmd};

use super::fault::is_no_script;
use super::link::Link;
use super::sabotage;
use crate::store::StoreError;

/// Loads for one batch, should somebody flush the scripts between a load and its calls.
const MAX_LOADS: usize = 4;

/// A script and its hash.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    fn new(text: &'static str) -> Self {
        let text = sabotage::broken(text);
        Self { text, hash: redis::Script::new(text).get_hash().to_owned() }
    }

    /// Begins a call on `key`; the arguments follow.
    pub(super) fn on(&self, key: &str) -> Cmd {
        let mut call = cmd("EVALSHA");
        call.arg(&self.hash).arg(1).arg(key);
        call
    }

    /// Sends `calls` of this script in one round trip; in more, where the script is missing.
    ///
    /// Takes at most twice the response timeout: no round begins after it.
    pub(super) async fn run(
        &self,
        link: &Arc<Link>,
        operation: &'static str,
        calls: &Pipeline,
    ) -> Result<Vec<RedisResult<Value>>, StoreError> {
        let began = Instant::now();
        let mut replies = link.run(operation, calls).await?;
        for _ in 0..MAX_LOADS {
            let missing = missing(&replies);
            if missing.is_empty() || began.elapsed() >= link.patience().response {
                break;
            }
            let mut again = Pipeline::with_capacity(missing.len() + 1);
            again.cmd("SCRIPT").arg("LOAD").arg(self.text);
            for (index, call) in calls.cmd_iter().enumerate() {
                if missing.binary_search(&index).is_ok() {
                    again.add_command(call.clone());
                }
            }
            // The load's own answer is left out: where it failed, the calls say so.
            let answers = link.run(operation, &again).await?.into_iter().skip(1);
            for (index, reply) in missing.into_iter().zip(answers) {
                if let Some(place) = replies.get_mut(index) {
                    *place = reply;
                }
            }
        }
        Ok(replies)
    }
}

/// Returns the calls, in rising order, that were not executed because the script was missing.
fn missing(replies: &[RedisResult<Value>]) -> Vec<usize> {
    let is_missing = |reply: &RedisResult<Value>| reply.as_ref().is_err_and(is_no_script);
    replies
        .iter()
        .enumerate()
        .filter(|(_, reply)| is_missing(reply))
        .map(|(index, _)| index)
        .collect()
}

macro_rules! lua {
    ($($part:literal),+) => {
        concat!($(include_str!(concat!("lua/", $part, ".lua")), "\n"),+)
    };
}

/// Notes a worker in the directory; short and rare, so sent as text.
pub(super) const ENLIST: &str = lua!("enlist");

/// One script for each rule of `ledger::rules`, and for each step on a lease, a letter or the timetable
/// that reads before it writes.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) claim: Script,
    pub(super) take_over: Script,
    pub(super) decide: Script,
    pub(super) mark: Script,
    pub(super) release: Script,
    pub(super) reassert: Script,
    pub(super) cancel: Script,
    pub(super) say: Script,
    pub(super) acquire: Script,
    pub(super) renew: Script,
    pub(super) give_back: Script,
    pub(super) describe: Script,
    pub(super) forget: Script,
    pub(super) list: Script,
    pub(super) counts: Script,
    pub(super) schedules_page: Script,
    pub(super) schedules_read: Script,
    pub(super) schedules_change: Script,
    pub(super) schedules_advance: Script,
    pub(super) schedules_restore: Script,
    pub(super) schedules_note: Script,
    pub(super) schedules_changes: Script,
    /// Of a diagnosis.
    pub(super) probe: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self {
            claim: Script::new(lua!("entry", "claiming", "claim")),
            take_over: Script::new(lua!("entry", "claiming", "take_over")),
            decide: Script::new(lua!("entry", "ruling", "decide")),
            mark: Script::new(lua!("entry", "ruling", "mark")),
            release: Script::new(lua!("entry", "ruling", "release")),
            reassert: Script::new(lua!("entry", "reassert")),
            cancel: Script::new(lua!("entry", "cancel")),
            say: Script::new(lua!("say")),
            acquire: Script::new(lua!("lease", "acquire")),
            renew: Script::new(lua!("lease", "renew")),
            give_back: Script::new(lua!("lease", "give_back")),
            describe: Script::new(lua!("letter", "describe")),
            forget: Script::new(lua!("letter", "forget")),
            list: Script::new(lua!("letter", "list")),
            counts: Script::new(lua!("letter", "counts")),
            schedules_page: Script::new(lua!("schedules", "schedules_page")),
            schedules_read: Script::new(lua!("schedules", "schedules_read")),
            schedules_change: Script::new(lua!("schedules", "schedules_change")),
            schedules_advance: Script::new(lua!("schedules", "schedules_advance")),
            schedules_restore: Script::new(lua!("schedules", "schedules_restore")),
            schedules_note: Script::new(lua!("schedules", "schedules_note")),
            schedules_changes: Script::new(lua!("schedules", "schedules_changes")),
            probe: Script::new(lua!("probe")),
        }
    }
}
