//! Which kinds this worker performs, and how; and which schedules its program declares for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::name::{InvalidName, KindName, Lane, QueueName, ScheduleName};
use leveret_common::retry::{MAX_ATTEMPTS, RetryPolicy};
use leveret_common::schedule::Definition;
use leveret_common::shape::{Shape, Shapes, Unusable};

use super::{Handler, HandlerLayer};

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

impl Kind {
    /// Sets what becomes of its failures.
    #[must_use]
    pub fn retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// Sets the time limit of one attempt, where the task does not say otherwise.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Puts a layer around its handler, outside of those that are there.
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "a layer is handed over, as to `Handlers`")]
    pub fn layer(self, layer: impl HandlerLayer) -> Self {
        Self { handler: layer.around(self.handler), ..self }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, retry, timeout, handler: _ } = self;
        let mut shown = to.debug_struct("Kind");
        shown.field("name", name).field("retry", retry).field("timeout", timeout);
        shown.finish_non_exhaustive()
    }
}

/// The kinds of a worker, by name, and the schedules that its program declares.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    kinds: BTreeMap<KindName, Arc<Kind>>,
    /// Names that kinds had before.
    aliases: BTreeMap<KindName, KindName>,
    /// The queues that tasks of its kinds go to by themselves, as far as it is known.
    queues: BTreeSet<QueueName>,
    /// What the types of args say of the lane, by each name of their kinds.
    lanes: BTreeMap<KindName, Lane>,
    /// What the types of args must be like, by the same names.
    shapes: Shapes,
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
    /// A kind would be found under the name of another one.
    #[error(
        "failed to register kind {of}: its alias {alias} is the name or an alias of {other}; remove \
         one of the two"
    )]
    Alias {
        /// The alias.
        alias: KindName,
        /// The kind that has it.
        of: KindName,
        /// The kind that is found under it already.
        other: KindName,
    },
    /// A kind, an alias, a queue or a schedule has a name that is none.
    #[error("failed to register handlers: {0}")]
    Name(#[from] InvalidName),
    /// A number of attempts out of range.
    #[error(
        "failed to register handlers: max_attempts is {0}; it must be within 1 and {MAX_ATTEMPTS}"
    )]
    Attempts(u32),
    /// The type of a kind's args has a schema that is none.
    #[error("failed to register kind {kind}: {why}")]
    Schema {
        /// The kind.
        kind: String,
        /// What is wrong.
        why: Unusable,
    },
    /// There was no kind to change.
    #[error(
        "failed to register handlers: `with` changes the kind that was added last, and none was; \
         call it after `handle`"
    )]
    NothingToChange,
    /// More than one thing is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),
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
        if let Some(of) = self.aliases.get(&kind.name) {
            let (alias, of, other) = (kind.name.clone(), of.clone(), kind.name);
            return Err(RegistryError::Alias { alias, of, other });
        }
        self.kinds.insert(kind.name.clone(), Arc::new(kind));
        Ok(())
    }

    /// Has the kind `of` perform tasks of another name too, which it had before.
    ///
    /// # Errors
    /// When a kind is found under that name already.
    pub fn alias(&mut self, alias: KindName, of: KindName) -> Result<(), RegistryError> {
        if let Some(other) = self.find(&alias) {
            return Err(RegistryError::Alias { alias, of, other: other.name.clone() });
        }
        self.aliases.insert(alias, of);
        Ok(())
    }

    /// Takes what another registry has.
    ///
    /// # Errors
    /// The first thing that both have; what was taken until then stays.
    pub fn merge(&mut self, other: Self) -> Result<(), RegistryError> {
        let Self { kinds, aliases, queues, lanes, shapes, program, schedules } = other;
        for kind in kinds.into_values() {
            self.add(Arc::unwrap_or_clone(kind))?;
        }
        for (alias, of) in aliases {
            self.alias(alias, of)?;
        }
        for (name, definition) in schedules {
            self.schedule(name, definition)?;
        }
        self.queues.extend(queues);
        self.lanes.extend(lanes);
        self.shapes.extend(&shapes);
        self.program = self.program.take().or(program);
        Ok(())
    }

    /// Notes that tasks of one of the kinds go to `queue` by themselves.
    pub(super) fn serve(&mut self, queue: QueueName) {
        self.queues.insert(queue);
    }

    /// Notes what the type of args says of tasks that are called `kind`.
    pub(super) fn describe(&mut self, kind: KindName, lane: Lane, shape: Option<Arc<dyn Shape>>) {
        if let Some(shape) = shape {
            self.shapes.insert(kind.clone(), shape);
        }
        self.lanes.insert(kind, lane);
    }

    /// Returns where tasks go by themselves whose args have a type that says so, by the names of
    /// their kinds, old ones too: for whoever puts in tasks of these kinds by name.
    #[must_use]
    pub const fn lanes(&self) -> &BTreeMap<KindName, Lane> {
        &self.lanes
    }

    /// Returns the shapes that types ask of args, by the same names.
    #[must_use]
    pub const fn shapes(&self) -> &Shapes {
        &self.shapes
    }

    /// Lists the queues that tasks of the typed kinds go to by themselves: those for a worker to
    /// serve that performs all of them.
    #[must_use]
    pub fn queues(&self) -> Vec<QueueName> {
        self.queues.iter().cloned().collect()
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

    /// Returns the kind that has this name, or had it before.
    #[must_use]
    pub fn find(&self, name: &KindName) -> Option<Arc<Kind>> {
        self.kinds.get(name).or_else(|| self.kinds.get(self.aliases.get(name)?)).cloned()
    }

    /// Puts other handlers in the place of those that are there.
    #[cfg(feature = "testing")]
    pub(crate) fn replace_handlers(&mut self, by: impl Fn(&Kind) -> Arc<dyn Handler>) {
        for kind in self.kinds.values_mut() {
            let handler = by(kind);
            Arc::make_mut(kind).handler = handler;
        }
    }

    /// Lists the names of all kinds, aliases left out.
    pub fn names(&self) -> impl Iterator<Item = &KindName> {
        self.kinds.keys()
    }
}

#[cfg(test)]
mod tests {
    use leveret_common::name::Class;
    use leveret_common::retry::RetryPolicy;

    use super::*;
    use crate::handler::echo;

    fn kind(name: &str) -> Kind {
        let (name, handler) = (name.parse().unwrap(), echo());
        Kind { name, handler, retry: RetryPolicy::default(), timeout: Duration::from_secs(1) }
    }

    fn registry(name: &str, alias: &str, queue: &str) -> Registry {
        let mut registry = Registry::default();
        registry.add(kind(name)).unwrap();
        registry.alias(alias.parse().unwrap(), name.parse().unwrap()).unwrap();
        registry.serve(queue.parse().unwrap());
        let lane = Lane::new(queue.parse().unwrap(), Class::High);
        registry.describe(name.parse().unwrap(), lane, None);
        registry
    }

    fn found(registry: &Registry, name: &str) -> Option<String> {
        Some(registry.find(&name.parse().unwrap())?.name.to_string())
    }

    #[test]
    fn a_kind_is_found_under_its_name_and_its_aliases_and_listed_once() {
        let registry = registry("email.welcome", "mail.welcome", "mail");
        for name in ["email.welcome", "mail.welcome"] {
            assert_eq!(found(&registry, name).as_deref(), Some("email.welcome"));
        }
        assert_eq!(found(&registry, "welcome"), None);
        assert_eq!(registry.names().count(), 1);
    }

    #[test]
    fn no_two_kinds_are_found_under_one_name() {
        let mut registry = registry("a", "b", "mail");
        let taken = |error: RegistryError| matches!(error, RegistryError::Alias { .. });
        assert!(taken(registry.add(kind("b")).unwrap_err()));
        registry.add(kind("c")).unwrap();
        for alias in ["a", "b"] {
            let error = registry.alias(alias.parse().unwrap(), "c".parse().unwrap()).unwrap_err();
            assert!(taken(error), "{alias}");
        }
    }

    #[test]
    fn what_is_merged_is_all_there_and_nothing_is_there_twice() {
        let mut all = registry("a", "old.a", "mail");
        let mut other = registry("b", "old.b", "files");
        other.program("shop");
        all.merge(other.clone()).unwrap();
        assert_eq!(found(&all, "old.a").as_deref(), Some("a"));
        assert_eq!(found(&all, "old.b").as_deref(), Some("b"));
        let queues: Vec<_> = all.queues().iter().map(ToString::to_string).collect();
        assert_eq!(queues, ["files", "mail"]);
        let lane = |name: &str| all.lanes()[&name.parse().unwrap()].to_string();
        assert_eq!((lane("a"), lane("b")), ("mail.high".to_owned(), "files.high".to_owned()));
        assert_eq!(all.program_name(), Some("shop"));
        let twice = all.merge(other).unwrap_err();
        assert_eq!(twice, RegistryError::Twice("b".parse().unwrap()));
    }
}
