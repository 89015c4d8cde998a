//! Of queues.

use leveret_common::store::Pause;
use serde::Serialize;
use utoipa::ToSchema;

use crate::openapi::name;
use crate::operations::queues::{LaneView, QueueView};
use crate::operations::time::{rough, text as time};

/// A queue, with its lanes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Queue)]
pub(crate) struct QueueAnswer {
    #[schema(value_type = name::QueueName)]
    queue: String,
    /// Who paused it; `null` where nobody did.
    #[schema(required = true)]
    paused: Option<PauseAnswer>,
    /// How many living workers serve it.
    workers: usize,
    /// How many dead letters are listed.
    dead: u64,
    lanes: Vec<LaneAnswer>,
}

/// Who paused a queue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub(crate) struct PauseAnswer {
    by: String,
    #[schema(value_type = name::Instant)]
    at: String,
    /// In their words; `null` where they said nothing.
    #[schema(required = true)]
    why: Option<String>,
}

/// A lane: one queue, one class.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QueueLane)]
struct LaneAnswer {
    #[schema(value_type = name::Lane)]
    lane: String,
    #[schema(value_type = name::Class)]
    class: &'static str,
    /// Messages that rest there.
    depth: u64,
    /// Consumers that the broker knows.
    consumers: u32,
    /// When the message that rests there longest was enqueued, where the broker can say.
    #[schema(value_type = Option<name::Instant>, required = true)]
    oldest: Option<String>,
    /// How old that message is at most, as workers have seen; rounded, such as `3m20s`.
    #[schema(required = true)]
    oldest_at_most: Option<String>,
    /// Attempts that ended there per second.
    rate: f64,
    /// Deliveries that workers hold until a slot is free.
    waiting: u64,
}

impl From<&Pause> for PauseAnswer {
    fn from(pause: &Pause) -> Self {
        Self { by: pause.by.clone(), at: time(pause.at), why: pause.why.clone() }
    }
}

impl From<QueueView> for QueueAnswer {
    fn from(view: QueueView) -> Self {
        Self {
            queue: view.queue.to_string(),
            paused: view.paused.as_ref().map(PauseAnswer::from),
            workers: view.workers,
            dead: view.dead,
            lanes: view.lanes.iter().map(LaneAnswer::from).collect(),
        }
    }
}

impl From<&LaneView> for LaneAnswer {
    fn from(view: &LaneView) -> Self {
        Self {
            lane: view.lane.to_string(),
            class: view.lane.class.as_str(),
            depth: view.depth,
            consumers: view.consumers,
            oldest: view.oldest.map(time),
            oldest_at_most: view.oldest_at_most.map(rough),
            rate: view.rate,
            waiting: view.waiting,
        }
    }
}
