//! Of workers: everything that their heartbeats say.

use std::time::Duration;

use leveret_common::id::{Owner, TaskId};
use leveret_common::store::{Heartbeat, LaneInfo};
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::name;
use crate::operations::time::{rate, text as time};

/// What a worker says of itself.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Worker)]
pub(crate) struct WorkerAnswer {
    #[schema(value_type = name::Owner)]
    owner: Owner,
    /// Its machine.
    host: String,
    /// Its process.
    pid: u32,
    /// `running`, `quiet` or `draining`.
    state: &'static str,
    version: String,
    #[schema(value_type = name::Instant)]
    started_at: String,
    /// When it spoke last.
    #[schema(value_type = name::Instant)]
    at: String,
    /// How many milliseconds ago that was.
    heartbeat_age_ms: u64,
    /// How many tasks it runs at once.
    slots: u32,
    /// How many of its slots are taken.
    in_use: u32,
    /// How many attempts it ended since its start.
    attempts: u64,
    /// Bytes of memory that it uses.
    memory: u64,
    lanes: Vec<LaneAnswer>,
    /// The kinds that it knows.
    kinds: Vec<String>,
    /// The tasks whose claims it holds.
    #[schema(value_type = Vec<name::TaskId>)]
    running: Vec<TaskId>,
}

/// A lane that a worker serves.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WorkerLane)]
struct LaneAnswer {
    #[schema(value_type = name::Lane)]
    lane: String,
    /// Whether it takes deliveries of it now.
    consuming: bool,
    /// Deliveries that it holds until a slot is free.
    waiting: u32,
    /// Attempts that it ended there per second.
    rate: f64,
    /// When the message was enqueued that it took last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<name::Instant>)]
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
