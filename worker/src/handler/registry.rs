//! Which kinds this worker performs, and how; and which schedules its program declares for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::name::{KindName, ScheduleName};
use leveret_common::retry::RetryPolicy;
use leveret_common::schedule::Definition;

use super::Handler;

/// A kind and everything a worker knows of it.
#[derive(Clone)]
pub struct Kind {
    /// Its name.
    pub name: KindName,
    /// What performs it.
    pub handler: Arc<dyn Handler>,
    /// What becomes of its failures.
    pub retry: RetryPolicy,
    /// The time limit of one attempt, where the task does not say otherwise.
    pub timeout: Duration,
}

/// The kinds of a worker, by name, and the schedules that its program declares.
#[derive(Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<KindName, Arc<Kind>>,
    program: Option<String>,
    schedules: BTreeMap<ScheduleName, Definition>,
}

/// Tells why a kind cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// The kind is there already.
    #[error("failed to register kind {0}: it has a handler already; remove one of the two")]
    Twice(KindName),
    /// The schedule is there already.
    #[error("failed to declare schedule {0}: it is declared already; remove one of the two")]
    ScheduledTwice(ScheduleName),
}

impl Registry {
    /// Adds a kind.
    ///
    /// # Errors
    /// When the kind has a handler already.
    pub fn add(&mut self, kind: Kind) -> Result<(), RegistryError> {
        if self.kinds.contains_key(&kind.name) {
            return Err(RegistryError::Twice(kind.name));
        }
        self.kinds.insert(kind.name.clone(), Arc::new(kind));
        Ok(())
    }

    /// Declares a schedule, next to the handler of what it puts in.
    ///
    /// As the worker starts, the timetable is made to hold what the program declares: what it
    /// declares no more is deleted, what belongs to another program, to a file or to the people who
    /// use the API is left alone. Where two versions of a program run side by side during a deploy,
    /// the one that started last is right.
    ///
    /// # Errors
    /// When a schedule of that name is declared already.
    ///
    /// # Examples
    /// ```
    /// use leveret_common::schedule::{Definition, Overlap};
    /// use leveret_worker::Registry;
    ///
    /// let mut registry = Registry::default();
    /// let mut nightly = Definition::new("0 2 * * *", "report.build".parse()?);
    /// nightly.zone = Some("Europe/Berlin".to_owned());
    /// nightly.overlap = Overlap::Skip;
    /// registry.schedule("report.nightly".parse()?, nightly)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn schedule(
        &mut self,
        name: ScheduleName,
        definition: Definition,
    ) -> Result<(), RegistryError> {
        if self.schedules.contains_key(&name) {
            return Err(RegistryError::ScheduledTwice(name));
        }
        self.schedules.insert(name, definition);
        Ok(())
    }

    /// Names the program in whose name schedules are declared; where it is not called, the name
    /// of the executable.
    ///
    /// All workers of one program declare the same schedules. A program that is named and declares
    /// none has those deleted that it declared before; one that is not named leaves them alone.
    pub fn program(&mut self, name: impl Into<String>) {
        self.program = Some(name.into());
    }

    /// Returns the schedules that are declared, by name.
    #[must_use]
    pub const fn schedules(&self) -> &BTreeMap<ScheduleName, Definition> {
        &self.schedules
    }

    /// Returns what the program calls itself.
    #[must_use]
    pub fn program_name(&self) -> Option<&str> {
        self.program.as_deref()
    }

    /// Returns the kind of this name.
    #[must_use]
    pub fn find(&self, name: &KindName) -> Option<Arc<Kind>> {
        self.kinds.get(name).cloned()
    }

    /// Lists the names of all kinds.
    pub fn names(&self) -> impl Iterator<Item = &KindName> {
        self.kinds.keys()
    }
}
