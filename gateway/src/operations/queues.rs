//! Queues: which there are, how full their lanes are, who serves them, and pausing them.
//!
//! Known are the queues that something was enqueued to, that a worker serves, that a configured
//! kind names, whose dead letters are listed, or that are paused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use leveret_common::broker::{Place, Survey};
use leveret_common::clock::Millis;
use leveret_common::name::{Class, Lane, QueueName};
use leveret_common::store::{Heartbeat, Pause};

use super::{LOOK, LOOK_AGE, OperationError, Operations, moved, stored, time, written};

/// Most lanes that one request looks at.
const MOST_LANES: usize = 2_000;

/// A queue as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueView {
    /// Its name.
    pub queue: QueueName,
    /// Who paused it, and since when.
    pub paused: Option<Pause>,
    /// How many workers serve one of its lanes.
    pub workers: usize,
    /// How many dead letters it holds.
    pub dead: u64,
    /// Its lanes.
    pub lanes: Vec<LaneView>,
}

/// A lane as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneView {
    /// The lane.
    pub lane: Lane,
    /// Messages that rest there; those handed out are not counted.
    pub depth: u64,
    /// Consumers that the broker knows.
    pub consumers: u32,
    /// When the message that rests there longest was enqueued, where the broker can say.
    pub oldest: Option<Millis>,
    /// How long the oldest rests there at most, by what workers have reached.
    pub oldest_at_most: Option<Duration>,
    /// Attempts that ended per second, in all workers.
    pub rate: f64,
    /// Deliveries that wait in workers for a slot.
    pub waiting: u64,
}

/// What is known of the queues before any of them is looked at.
pub(super) struct Outline {
    pub(super) lanes: BTreeSet<Lane>,
    pub(super) queues: BTreeSet<QueueName>,
    pub(super) pauses: BTreeMap<QueueName, Pause>,
    pub(super) workers: Vec<Heartbeat>,
    /// Dead letters that are listed, by queue.
    pub(super) listed: BTreeMap<QueueName, u64>,
}

impl Operations {
    /// Lists the known queues by name.
    ///
    /// # Errors
    /// When broker or store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn queues(&self) -> Result<Vec<QueueView>, OperationError> {
        let outline = self.outline().await?;
        let lanes: Vec<Lane> = outline.lanes.iter().take(MOST_LANES).cloned().collect();
        let queues: Vec<QueueName> = outline.queues.iter().take(MOST_LANES).cloned().collect();
        self.view(&outline, &queues, lanes).await
    }

    /// Shows one queue, with a lane for each class.
    ///
    /// # Errors
    /// [`OperationError::UnknownQueue`], or when broker or store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn queue(&self, queue: &QueueName) -> Result<QueueView, OperationError> {
        let outline = self.outline().await?;
        let lanes = Class::ALL.map(|class| Lane::new(queue.clone(), class)).to_vec();
        let views = self.view(&outline, std::slice::from_ref(queue), lanes).await?;
        let is_known = outline.queues.contains(queue);
        let in_use = |view: &QueueView| {
            is_known || view.dead > 0 || view.lanes.iter().any(|lane| lane.depth > 0)
        };
        let view = views.into_iter().next().filter(in_use);
        view.ok_or_else(|| OperationError::UnknownQueue(queue.clone()))
    }

    /// Pauses a queue for the whole fleet; the first pause of a queue stays.
    ///
    /// # Errors
    /// [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be paused.
    pub async fn pause(
        &self,
        queue: &QueueName,
        by: &str,
        why: Option<String>,
    ) -> Result<Pause, OperationError> {
        let pause = Pause { queue: queue.clone(), at: self.now(), by: by.to_owned(), why };
        let signals = &self.backend().signals;
        let paused = async {
            signals.pause(&pause).await?;
            signals.pauses().await
        };
        let pauses = written("pause the queue", paused).await?;
        Ok(pauses.into_iter().find(|standing| standing.queue == *queue).unwrap_or(pause))
    }

    /// Resumes a queue; false when it was not paused.
    ///
    /// # Errors
    /// [`OperationError::Unconfirmed`], or what the store says.
    ///
    /// # Cancel safety
    /// Dropped, it may or may not be paused.
    pub async fn resume(&self, queue: &QueueName) -> Result<bool, OperationError> {
        written("resume the queue", self.backend().signals.resume(queue)).await
    }

    /// Returns the queues that are known, without looking at them.
    pub(super) async fn outline(&self) -> Result<Outline, OperationError> {
        let backend = self.backend();
        let seen = stored("list what was enqueued", backend.records.seen()).await?;
        let workers = self.workers().await?;
        let pauses = stored("list the pauses", backend.signals.pauses()).await?;
        let listed = stored("count the dead letters", backend.letters.counts()).await?;
        let configured = self.shared.producer.options().lanes.values().cloned();
        let served = workers.iter().flat_map(|w| w.info.lanes.iter().map(|info| info.lane.clone()));
        let lanes: BTreeSet<Lane> =
            seen.into_iter().map(|seen| seen.lane).chain(configured).chain(served).collect();
        let pauses: BTreeMap<_, _> =
            pauses.into_iter().map(|pause| (pause.queue.clone(), pause)).collect();
        let mut queues: BTreeSet<QueueName> = lanes.iter().map(|lane| lane.queue.clone()).collect();
        queues.extend(pauses.keys().cloned());
        queues.extend(listed.keys().cloned());
        Ok(Outline { lanes, queues, pauses, workers, listed })
    }

    /// Looks at places, in their order: first at one, so that a broker that is away is not waited
    /// for.
    pub(super) async fn survey(&self, places: &[Place]) -> Result<Vec<Survey>, OperationError> {
        let broker = &self.backend().broker;
        let first = async { broker.survey(&places[..places.len().min(1)]).await.map(drop) };
        let look = self.shared.surveys.at(LOOK_AGE, LOOK, first);
        look.await.map_err(OperationError::Away)?;
        moved("look at the queues", broker.survey(places)).await
    }

    async fn view(
        &self,
        outline: &Outline,
        queues: &[QueueName],
        lanes: Vec<Lane>,
    ) -> Result<Vec<QueueView>, OperationError> {
        let places = lanes.iter().cloned().map(Place::Lane);
        let places: Vec<Place> = places.chain(queues.iter().cloned().map(Place::Dead)).collect();
        let surveys = self.survey(&places).await?;
        let surveys: BTreeMap<&Place, Survey> = places.iter().zip(surveys).collect();
        let at = |place: &Place| surveys.get(place).copied().unwrap_or_default();
        let mut views: BTreeMap<&QueueName, Vec<LaneView>> = BTreeMap::new();
        for lane in &lanes {
            let survey = at(&Place::Lane(lane.clone()));
            let view = lane_view(lane, survey, &outline.workers, self.now());
            views.entry(&lane.queue).or_default().push(view);
        }
        let view = |queue: &QueueName| QueueView {
            queue: queue.clone(),
            paused: outline.pauses.get(queue).cloned(),
            workers: serving(&outline.workers, queue).count(),
            dead: at(&Place::Dead(queue.clone())).depth,
            lanes: views.get(queue).cloned().unwrap_or_default(),
        };
        Ok(queues.iter().map(view).collect())
    }
}

/// Returns the workers that serve a lane of `queue`.
pub(super) fn serving<'a>(
    workers: &'a [Heartbeat],
    queue: &'a QueueName,
) -> impl Iterator<Item = &'a Heartbeat> {
    workers.iter().filter(|w| w.info.lanes.iter().any(|info| info.lane.queue == *queue))
}

/// Puts together what broker and workers say of a lane.
pub(super) fn lane_view(
    lane: &Lane,
    survey: Survey,
    workers: &[Heartbeat],
    now: Millis,
) -> LaneView {
    let said: Vec<_> =
        workers.iter().flat_map(|w| &w.info.lanes).filter(|info| info.lane == *lane).collect();
    // What rests in the lane came after the delivery that came last, whoever got it.
    let reached = said.iter().filter_map(|info| info.reached).max();
    let bound = || reached.map(|reached| now.since(reached)).filter(|_| survey.depth > 0);
    LaneView {
        lane: lane.clone(),
        depth: survey.depth,
        consumers: survey.consumers,
        oldest: survey.oldest,
        oldest_at_most: if survey.oldest.is_none() { bound() } else { None },
        rate: time::rate(said.iter().map(|info| info.rate).sum()),
        waiting: said.iter().map(|info| u64::from(info.waiting)).sum(),
    }
}
