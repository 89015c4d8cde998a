//! Tasks: put in, asked for, waited for.

use std::time::Duration;

use leveret_common::duration;
use leveret_common::id::TaskId;
use leveret_common::ledger::Entry;
use leveret_common::store::{TaskRecord, TaskView};
use leveret_producer::{Accepted, EnqueueError, Problem, Problems, Request, Submission};

use super::{OperationError, Operations, stored};

impl Operations {
    /// Enqueues one task.
    ///
    /// # Errors
    /// [`OperationError::Enqueue`], with all that is wrong at once.
    ///
    /// # Cancel safety
    /// Dropped, the task may or may not have been accepted.
    pub async fn enqueue(&self, submission: Submission) -> Result<Accepted, OperationError> {
        let request = self.checked(submission)?;
        Ok(self.shared.producer.enqueue(request).await?)
    }

    /// Enqueues many tasks; answers for each in their order.
    ///
    /// # Cancel safety
    /// Dropped, any of them may or may not have been accepted.
    pub async fn enqueue_all<E: From<OperationError>>(
        &self,
        submissions: Vec<Result<Submission, E>>,
    ) -> Vec<Result<Accepted, E>> {
        let mut requests = Vec::with_capacity(submissions.len());
        let mut answers = Vec::with_capacity(submissions.len());
        for submission in submissions {
            match submission.and_then(|submission| Ok(self.checked(submission)?)) {
                Ok(request) => {
                    requests.push(request);
                    answers.push(None);
                }
                Err(problem) => answers.push(Some(problem)),
            }
        }
        let mut sent = self.shared.producer.enqueue_all(requests).await.into_iter();
        let mut answer = |problem| match problem {
            Some(problem) => Err(problem),
            None => match sent.next() {
                Some(answer) => answer.map_err(|error| E::from(error.into())),
                None => {
                    let why = "no answer came".to_owned();
                    let operation = "enqueue the task";
                    Err(E::from(OperationError::Unconfirmed { operation, why }))
                }
            },
        };
        answers.into_iter().map(&mut answer).collect()
    }

    /// Tells where the task that its sender calls `name` stands, after waiting for its end at most
    /// for `wait`.
    ///
    /// # Errors
    /// [`OperationError::UnknownTask`], or what the store says.
    ///
    /// # Cancel safety
    /// Reads only.
    pub async fn task(&self, name: &str, wait: Duration) -> Result<TaskView, OperationError> {
        let id = self.id_of(name)?;
        let producer = &self.shared.producer;
        let view = if wait.is_zero() {
            stored("ask for the task", producer.find(id)).await?
        } else {
            producer.wait(id, wait).await?
        };
        view.ok_or_else(|| self.unknown_task(id))
    }

    pub(super) fn unknown_task(&self, id: TaskId) -> OperationError {
        let kept = duration::format(self.backend().retention.record);
        OperationError::UnknownTask { id, kept }
    }

    /// Reads what ledger and records know of a task, the ledger first.
    pub(super) async fn known_of(
        &self,
        id: TaskId,
    ) -> Result<(Option<Entry>, TaskRecord), OperationError> {
        let backend = self.backend();
        let entries = stored("read the ledger", backend.ledger.entries(&[id])).await?;
        let records = stored("read the records", backend.records.find(&[id])).await?;
        let entry = entries.into_iter().next().flatten();
        Ok((entry, records.into_iter().next().unwrap_or_default()))
    }

    /// Adds what the producer would refuse to what was found already.
    fn checked(&self, submission: Submission) -> Result<Request, OperationError> {
        let Submission { request, mut problems } = submission;
        if problems.is_empty() {
            return Ok(request);
        }
        if let Err(EnqueueError::Invalid(further)) = self.shared.producer.check(request) {
            let is_new = |new: &Problem| problems.iter().all(|old| old.field != new.field);
            let further: Vec<_> = further.0.into_iter().filter(is_new).collect();
            problems.extend(further);
        }
        Err(EnqueueError::Invalid(Problems(problems)).into())
    }
}
