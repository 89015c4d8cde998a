//! Of queues.

use leveret_common::store::Pause;
use serde::Serialize;

use crate::operations::queues::{LaneView, QueueView};
use crate::operations::time::{rough, text as time};

/// What is said of a queue.
#[derive(Debug, Serialize)]
pub(crate) struct QueueAnswer {
    queue: String,
    paused: Option<PauseAnswer>,
    workers: usize,
    dead: u64,
    lanes: Vec<LaneAnswer>,
}

/// Who paused a queue.
#[derive(Debug, Serialize)]
pub(crate) struct PauseAnswer {
    by: String,
    at: String,
    why: Option<String>,
}

#[derive(Debug, Serialize)]
struct LaneAnswer {
    lane: String,
    class: &'static str,
    depth: u64,
    consumers: u32,
    oldest: Option<String>,
    oldest_at_most: Option<String>,
    rate: f64,
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
