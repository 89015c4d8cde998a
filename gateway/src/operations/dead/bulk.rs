//! Bulk verbs: one deed on every letter that matches, queue after queue, told as it goes.
//!
//! A queue that somebody else walks is passed over and told; anything else ends the verb, and what
//! was done until then stays done. Whoever ordered it can end it after the handful at hand.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use leveret_common::clock::Millis;
use leveret_common::desk::walk::Terms;
use leveret_common::desk::{DeskError, Plan, Verdict, Walked, letter};
use leveret_common::envelope::Wire;
use leveret_common::filter::Filter;
use leveret_common::name::{Class, Namespace, QueueName};
use leveret_common::store::Letter;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::super::{OperationError, Operations};
use super::scan::Scan;
use super::{MOST_SCANNED, subject, target};

/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(500);
/// Most examples of a dry run.
const EXAMPLES: usize = 5;

/// What is done with letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// Their tasks start anew, each in its own lane where nothing is named.
    Replay {
        /// To this queue instead.
        queue: Option<QueueName>,
        /// In this class instead.
        class: Option<Class>,
    },
    /// They are taken away.
    Discard,
    /// Nothing: the walk itself writes the index anew.
    Reindex,
}

/// A bulk verb.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Which letters.
    pub filter: Filter,
    /// What is done with them.
    pub deed: Deed,
    /// Most letters per second.
    pub rate: Option<f64>,
    /// Most letters.
    pub limit: Option<u64>,
    /// Who ordered it.
    pub by: String,
}

/// How far a bulk verb is.
#[derive(Debug)]
pub struct Progress {
    /// The queue that is walked.
    pub queue: QueueName,
    /// How far, or why it was passed over.
    pub walked: Result<Walked, OperationError>,
}

/// How a bulk verb ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Walks {
    /// All queues together.
    pub totals: Walked,
    /// Queues that somebody else walked and that were passed over.
    pub passed_over: u64,
}

/// What a bulk verb would be about, by the index.
#[derive(Debug, Clone, PartialEq)]
pub struct Matching {
    /// How many letters match.
    pub matching: u64,
    /// Up to five of them, the newest.
    pub examples: Vec<Letter>,
    /// Whether all were looked at.
    pub complete: bool,
}

impl Operations {
    /// Tells how many letters match, by the index alone: no queue is touched.
    ///
    /// # Errors
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn matching(&self, filter: &Filter) -> Result<Matching, OperationError> {
        let queues = self.listed_queues(filter).await?;
        let mut scan = Scan::new(self, queues, None, usize::MAX);
        let (mut matching, mut examples) = (0, Vec::new());
        while scan.scanned() < MOST_SCANNED * 10 {
            let Some(chunk) = scan.next(usize::MAX, filter).await? else { break };
            matching += chunk.len() as u64;
            examples.extend(chunk.into_iter().take(EXAMPLES - examples.len()));
        }
        Ok(Matching { matching, examples, complete: scan.place().is_none() })
    }

    /// Does a deed on every letter that matches. `progress` is told about twice a second and at
    /// the end of each queue; `stop` ends it after the handful at hand.
    ///
    /// # Errors
    /// When broker or store fail; what was done until then stays done.
    ///
    /// # Cancel safety
    /// As [`Desk::walk`](leveret_common::desk::Desk::walk): better cancel `stop`.
    pub async fn walk(
        &self,
        bulk: &Bulk,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Walks, OperationError> {
        let mut ended = Walks::default();
        let mut left = bulk.limit;
        for queue in self.queues_to_walk(&bulk.filter).await? {
            if stop.is_cancelled() || left == Some(0) {
                break;
            }
            let mut plan = BulkPlan {
                bulk,
                queue: &queue,
                namespace: &self.backend().namespace,
                now: self.now(),
                left: &mut left,
                progress,
                told: None,
            };
            let terms = Terms { by: bulk.by.clone(), rate: bulk.rate, stop: stop.clone() };
            let walked = match self.shared.desk.walk(&queue, &mut plan, &terms).await {
                Ok(walked) => {
                    add(&mut ended.totals, &walked);
                    Ok(walked)
                }
                Err(busy @ DeskError::Busy { .. }) => {
                    ended.passed_over += 1;
                    Err(busy.into())
                }
                Err(error) => return Err(error.into()),
            };
            let told = progress.send(Progress { queue, walked }).await;
            if told.is_err() {
                break;
            }
        }
        Ok(ended)
    }

    /// Writes the index of one queue anew, or of all.
    ///
    /// # Errors
    /// As [`Operations::walk`].
    ///
    /// # Cancel safety
    /// As [`Operations::walk`].
    pub async fn reindex(
        &self,
        queue: Option<&QueueName>,
        by: String,
        progress: &mpsc::Sender<Progress>,
        stop: &CancellationToken,
    ) -> Result<Walks, OperationError> {
        let filter = match queue {
            Some(queue) => format!("queue:{queue}").parse()?,
            None => Filter::default(),
        };
        let bulk = Bulk { filter, deed: Deed::Reindex, rate: None, limit: None, by };
        self.walk(&bulk, progress, stop).await
    }
}

struct BulkPlan<'a> {
    bulk: &'a Bulk,
    queue: &'a QueueName,
    namespace: &'a Namespace,
    now: Millis,
    left: &'a mut Option<u64>,
    progress: &'a mpsc::Sender<Progress>,
    told: Option<Instant>,
}

#[async_trait]
impl Plan for BulkPlan<'_> {
    fn decide(&mut self, found: &Letter, wire: &Wire) -> Verdict {
        let verdict = match &self.bulk.deed {
            Deed::Reindex => return Verdict::Keep,
            _ if !self.bulk.filter.matches(&subject(found, self.now)) => return Verdict::Keep,
            Deed::Replay { queue, class } => {
                let own = letter::origin(wire, self.namespace, self.queue);
                Verdict::Replay(target(&own, queue.as_ref(), *class))
            }
            Deed::Discard => Verdict::Discard,
        };
        if let Some(left) = self.left.as_mut() {
            *left = left.saturating_sub(1);
        }
        verdict
    }

    fn is_over(&self) -> bool {
        *self.left == Some(0) || self.progress.is_closed()
    }

    async fn walked(&mut self, walked: &Walked) {
        if self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        // Whoever reads slowly misses a line, and the walk is not held up.
        let _ = self.progress.try_send(Progress { queue: self.queue.clone(), walked: Ok(*walked) });
    }
}

/// Adds one queue's figures to those of all.
fn add(totals: &mut Walked, walked: &Walked) {
    totals.total += walked.total;
    totals.taken += walked.taken;
    totals.kept += walked.kept;
    totals.hidden += walked.hidden;
    totals.replayed += walked.replayed;
    totals.discarded += walked.discarded;
    totals.replaced += walked.replaced;
    totals.returned += walked.returned;
    totals.superseded += walked.superseded;
    totals.failed += walked.failed;
}
