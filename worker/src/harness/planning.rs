//! What is to go wrong next, as a test says it.

use leveret_common::name::KindName;
use leveret_producer::{Task, nearest};

use super::Harness;
use super::fail::{fail, or_fail};
use super::script::Mishap;
use crate::handler::TaskError;

/// Each of these is about the next attempt of the kind that nothing is planned for yet: called twice,
/// the next two go wrong.
impl Harness {
    /// Has the next attempt of a kind fail without its handler being called: text or an error is a
    /// failure that is retried by policy, a [`TaskError`] whatever it says.
    ///
    /// ```
    /// # use leveret_worker::harness::Harness;
    /// # use leveret_worker::{Handlers, Task, TaskError};
    /// # #[derive(serde::Serialize, serde::Deserialize, Task)]
    /// # #[task(kind = "card.charge")]
    /// # struct Charge { cents: u64 }
    /// # async fn charge(args: Charge) -> Result<u64, TaskError> { Ok(args.cents) }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let mut app = Harness::new(Handlers::new().handle(charge));
    /// app.fail_next::<Charge>("connection refused");
    /// app.fail_next::<Charge>(TaskError::dead("the card is stolen"));
    /// app.enqueue(Charge { cents: 995 }).await.unwrap();
    /// let summary = app.run_everything().await;
    /// assert_eq!((summary.retried(), summary.dead()), (1, 1));
    /// # }
    /// ```
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn fail_next<T: Task>(&mut self, error: impl Into<TaskError>) {
        self.fail_next_of(T::KIND, error);
    }

    /// Does as [`fail_next`](Self::fail_next) for the kind of this name.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn fail_next_of(&mut self, kind: &str, error: impl Into<TaskError>) {
        self.plan(kind, Mishap::Fail(error.into()));
    }

    /// Has the next attempt of a kind panic, as if its handler had.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn panic_next<T: Task>(&mut self, message: impl Into<String>) {
        self.panic_next_of(T::KIND, message);
    }

    /// Does as [`panic_next`](Self::panic_next) for the kind of this name.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn panic_next_of(&mut self, kind: &str, message: impl Into<String>) {
        self.plan(kind, Mishap::Panic(message.into()));
    }

    /// Has the worker die with the next task of a kind, before its handler is called. The task is
    /// back in its lane, and another worker takes it over; the crash is on its account.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn crash_before_next<T: Task>(&mut self) {
        self.crash_before_next_of(T::KIND);
    }

    /// Does as [`crash_before_next`](Self::crash_before_next) for the kind of this name.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn crash_before_next_of(&mut self, kind: &str) {
        self.plan(kind, Mishap::CrashBefore);
    }

    /// Has the worker die with the next task of a kind, when its handler has done its work and nothing
    /// is recorded of it. It is performed again: the test of a handler that may run twice.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn crash_after_next<T: Task>(&mut self) {
        self.crash_after_next_of(T::KIND);
    }

    /// Does as [`crash_after_next`](Self::crash_after_next) for the kind of this name.
    ///
    /// # Panics
    /// When no handler performs the kind.
    #[track_caller]
    pub fn crash_after_next_of(&mut self, kind: &str) {
        self.plan(kind, Mishap::CrashAfter);
    }

    #[track_caller]
    fn plan(&self, kind: &str, mishap: Mishap) {
        let name: KindName = or_fail(kind.parse(), "read the name of the kind");
        let Some(known) = self.bench.registry.find(&name) else {
            let names: Vec<_> = self.bench.registry.names().map(KindName::as_str).collect();
            let unknown = nearest::unknown("handler of kind", kind, &names);
            fail(&format!("the harness failed to plan what goes wrong: {unknown}"));
        };
        self.bench.script.plan(known.name.clone(), mishap);
    }
}
