//! Performing: one task, all that is due, or everything that there is, with the clock moved on.

use leveret_common::id::TaskId;
use leveret_producer::Request;

use super::bench::Wanted;
use super::fail::{fail, or_fail};
use super::table;
use super::{Became, Harness, Performed, Summary};

impl Harness {
    /// Performs one task that is due: of the most urgent class, and there what came first. Nothing
    /// where nothing is due.
    ///
    /// # Panics
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// Dropped, the worker is as good as killed: the task is performed again.
    pub async fn perform_one(&mut self) -> Option<Performed> {
        self.bench.perform(Wanted::Due, 1).await.pop()
    }

    /// Performs as many tasks as are due, but at most so many, all at once: for handlers that run
    /// beside each other, and for batches, which are filled by tasks that are performed at once.
    ///
    /// # Panics
    /// When the store cannot be asked.
    ///
    /// # Cancel safety
    /// As [`perform_one`](Self::perform_one).
    pub async fn perform_at_once(&mut self, most: usize) -> Summary {
        Summary { performed: self.bench.perform(Wanted::Due, most.min(super::SLOTS)).await }
    }

    /// Enqueues a task and performs it at once, alone: what else is due stays where it is, and so do
    /// its follow-ups and its retry.
    ///
    /// # Panics
    /// When the task is refused, is not due yet, or was performed before under the same key.
    ///
    /// # Cancel safety
    /// As [`perform_one`](Self::perform_one).
    pub async fn perform(&mut self, task: impl Into<Request>) -> Became {
        let accepted = or_fail(self.enqueue(task).await, "enqueue the task");
        let performed = self.bench.perform(Wanted::One(accepted.id), 1).await.pop();
        let Some(performed) = performed else {
            let state = accepted.state.as_str();
            fail(&format!(
                "the harness failed to perform task {}: it is {state}, and cannot be performed now; \
                 use enqueue, advance and run_until_idle\n{}",
                accepted.id,
                self.what_waits(),
            ));
        };
        performed.became
    }

    /// Performs what is due, follow-ups and retries that are due as well, until nothing is. The clock
    /// stands still.
    ///
    /// # Panics
    /// When it goes on for more than [`at_most`](Self::at_most) attempts, with the kinds of these.
    ///
    /// # Cancel safety
    /// As [`perform_one`](Self::perform_one).
    pub async fn run_until_idle(&mut self) -> Summary {
        let mut summary = Summary::default();
        while let Some(performed) = self.perform_one().await {
            self.add(&mut summary, performed);
        }
        summary
    }

    /// Performs everything: what is due, then the clock is moved to when the next task is due, until
    /// nothing waits any more, no retry and no delayed task.
    ///
    /// # Panics
    /// As [`run_until_idle`](Self::run_until_idle).
    ///
    /// # Cancel safety
    /// As [`perform_one`](Self::perform_one).
    pub async fn run_everything(&mut self) -> Summary {
        let mut summary = Summary::default();
        loop {
            while let Some(performed) = self.perform_one().await {
                self.add(&mut summary, performed);
            }
            if !self.skip_to_next() {
                return summary;
            }
        }
    }

    /// Performs tasks, and moves the clock as [`run_everything`](Self::run_everything) does, until
    /// this one is over; tells how it ended.
    ///
    /// # Panics
    /// When the task is not over and nothing more will be due, and as
    /// [`run_until_idle`](Self::run_until_idle).
    ///
    /// # Cancel safety
    /// As [`perform_one`](Self::perform_one).
    pub async fn run_until_over(&mut self, id: TaskId) -> Became {
        let mut summary = Summary::default();
        loop {
            if let Some(ended) = self.find(id).await.as_ref().and_then(Became::ended) {
                return ended;
            }
            match self.perform_one().await {
                Some(performed) => self.add(&mut summary, performed),
                None if self.skip_to_next() => {}
                None => fail(&format!(
                    "the harness failed to run until task {id} is over: nothing more will be due; \
                     performed was:\n{summary}\n{}",
                    self.what_waits(),
                )),
            }
        }
    }

    /// Moves the clock to when something is due; false where nothing waits for its time.
    fn skip_to_next(&mut self) -> bool {
        let Some(next) = self.bench.next_due() else { return false };
        self.advance(next.since(self.now()));
        true
    }

    #[track_caller]
    fn add(&self, summary: &mut Summary, performed: Performed) {
        if summary.attempts() >= self.most {
            fail(&format!(
                "the harness is not idle after {} attempts: {}; raise the limit with at_most, or see \
                 whether a task enqueues itself or is snoozed for ever\n{}",
                self.most,
                summary.by_kind(),
                self.what_waits(),
            ));
        }
        summary.performed.push(performed);
    }

    /// Shows what waits, for people.
    pub(super) fn what_waits(&self) -> String {
        table::of(&self.pending())
    }
}
