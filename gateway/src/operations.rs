//! What the gateway can do, without HTTP: enqueue, ask, wait, check.
//!
//! Routes translate requests into these calls and their answers back; a console would stand on the
//! same calls.

use std::time::Duration;

use leveret_common::duration;
use leveret_common::store::TaskView;
use leveret_producer::{Accepted, EnqueueError, Problem as FieldProblem, Producer};
use tokio::time::timeout;

use crate::problem::{Problem, Sort};
use crate::submission::Submission;

/// The operations of one gateway.
#[derive(Clone)]
pub(crate) struct Operations {
    producer: Producer,
    check_timeout: Duration,
}

impl Operations {
    pub(crate) const fn new(producer: Producer, check_timeout: Duration) -> Self {
        Self { producer, check_timeout }
    }

    /// Returns the most bytes of a task's args.
    pub(crate) fn payload_limit(&self) -> usize {
        self.producer.options().payload_limit
    }

    /// Enqueues one task.
    pub(crate) async fn enqueue(&self, submission: Submission) -> Result<Accepted, Problem> {
        let request = self.checked(submission)?;
        Ok(self.producer.enqueue(request).await?)
    }

    /// Enqueues many tasks; answers for each in their order.
    pub(crate) async fn enqueue_all(
        &self,
        submissions: Vec<Result<Submission, Problem>>,
    ) -> Vec<Result<Accepted, Problem>> {
        let mut requests = Vec::with_capacity(submissions.len());
        let mut answers = Vec::with_capacity(submissions.len());
        for submission in submissions {
            match submission.and_then(|submission| self.checked(submission)) {
                Ok(request) => {
                    requests.push(request);
                    answers.push(None);
                }
                Err(problem) => answers.push(Some(problem)),
            }
        }
        let mut sent = self.producer.enqueue_all(requests).await.into_iter();
        let mut answer = |problem| match problem {
            Some(problem) => Err(problem),
            None => match sent.next() {
                Some(answer) => answer.map_err(Problem::from),
                None => Err(Problem::new(Sort::INTERNAL, "the producer gave no answer")),
            },
        };
        answers.into_iter().map(&mut answer).collect()
    }

    /// Tells where the task that its sender calls `name` stands, after waiting for its end at most
    /// for `wait`.
    pub(crate) async fn task(&self, name: &str, wait: Duration) -> Result<TaskView, Problem> {
        let id = self.producer.id_of(name).map_err(|error| {
            Problem::invalid(Sort::INVALID_REQUEST, vec![FieldProblem::new("id", error)])
        })?;
        let view = if wait.is_zero() {
            self.producer.find(id).await?
        } else {
            self.producer.wait(id, wait).await?
        };
        view.ok_or_else(|| {
            let kept = duration::format(self.producer.backend().retention.record);
            let detail = format!(
                "nobody knows task {id}: either it was never accepted, or it is queued and its \
                 enqueue was not recorded (records.enqueue is off, or the store was away), or it \
                 ended longer ago than tasks are remembered (retention.record, {kept})"
            );
            Problem::new(Sort::UNKNOWN_TASK, detail).about(id)
        })
    }

    /// Tells which of the servers behind cannot be used, and why.
    pub(crate) async fn troubles(&self) -> Vec<FieldProblem> {
        let backend = self.producer.backend();
        let limit = self.check_timeout;
        let (broker, ledger) = tokio::join!(
            timeout(limit, backend.broker.check()),
            timeout(limit, backend.ledger.check())
        );
        let late = || format!("no answer within {limit:?}");
        let broker = broker.map_err(|_| late()).and_then(|met| met.map_err(|e| e.to_string()));
        let ledger = ledger.map_err(|_| late()).and_then(|met| met.map_err(|e| e.to_string()));
        let found = [("broker", broker), ("ledger", ledger)].into_iter();
        found.filter_map(|(name, met)| Some(FieldProblem::new(name, met.err()?))).collect()
    }

    /// Adds what the producer would refuse to what was found already.
    fn checked(&self, submission: Submission) -> Result<leveret_producer::Request, Problem> {
        let Submission { request, mut problems } = submission;
        if problems.is_empty() {
            return Ok(request);
        }
        if let Err(EnqueueError::Invalid(further)) = self.producer.check(request) {
            let is_new = |new: &FieldProblem| problems.iter().all(|old| old.field != new.field);
            let further: Vec<_> = further.0.into_iter().filter(is_new).collect();
            problems.extend(further);
        }
        Err(Problem::invalid(Sort::INVALID_TASK, problems))
    }
}
