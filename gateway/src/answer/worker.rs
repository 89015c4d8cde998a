//! Of workers: everything that their heartbeats say.

use std::time::Duration;

use leveret_common::id::{Owner, TaskId};
use leveret_common::store::{Heartbeat, LaneInfo};
use serde::Serialize;

use crate::operations::time::{rate, text as time};

/// What is said of a worker.
#[derive(Debug, Serialize)]
pub(crate) struct WorkerAnswer {
    owner: Owner,
    host: String,
    pid: u32,
    state: &'static str,
    version: String,
    started_at: String,
    at: String,
    heartbeat_age_ms: u64,
    slots: u32,
    in_use: u32,
    attempts: u64,
    memory: u64,
    lanes: Vec<LaneAnswer>,
    kinds: Vec<String>,
    /// The tasks whose claims it holds.
    running: Vec<TaskId>,
}

#[derive(Debug, Serialize)]
struct LaneAnswer {
    lane: String,
    consuming: bool,
    waiting: u32,
    rate: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<String>,
}

impl WorkerAnswer {
    pub(crate) fn new(heartbeat: Heartbeat, age: Duration) -> Self {
        let Heartbeat { owner, held, info } = heartbeat;
        Self {
            owner,
            host: info.host,
            pid: info.pid,
            state: info.state.as_str(),
            version: info.version,
            started_at: time(info.started_at),
            at: time(info.at),
            heartbeat_age_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            slots: info.slots,
            in_use: info.in_use,
            attempts: info.attempts,
            memory: info.memory,
            lanes: info.lanes.into_iter().map(LaneAnswer::from).collect(),
            kinds: info.kinds,
            running: held.into_iter().map(|(id, _)| id).collect(),
        }
    }
}

impl From<LaneInfo> for LaneAnswer {
    fn from(info: LaneInfo) -> Self {
        Self {
            lane: info.lane.to_string(),
            consuming: info.consuming,
            waiting: info.waiting,
            rate: rate(info.rate),
            reached: info.reached.map(time),
        }
    }
}
