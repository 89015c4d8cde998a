//! The handlers of a program: typed functions, the state they take, and the layers around them.
//!
//! Whoever performs takes them in their erased form, a [`Registry`]; this is the way to write one down.
//! What is wrong with names or numbers is collected, and told at once where they become a registry.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use leveret_common::name::{InvalidName, KindName, Lane, QueueName};
use leveret_common::retry::{MAX_ATTEMPTS, RetryPolicy};
use leveret_common::schedule::Definition;
use leveret_common::spawn::Spawner;
use leveret_producer::task::{Defaults, Task};
use serde::de::DeserializeOwned;

use super::args::Reader;
use super::batch::{Batched, Batching};
use super::typed::{Async, Blocking, Typed};
use super::{
    Answer, Batch, BatchAnswer, ExtractAll, Function, Handler, HandlerLayer, Kind, Registry,
    RegistryError, shaped,
};

/// The time limit of an attempt where nobody names one, as `worker.timeout`.
const USUAL_TIMEOUT: Duration = Duration::from_secs(600);

/// The handlers of a program, with the state that those added next can take.
///
/// Adding one never fails. What is wrong with them, a name that is none or a kind that is there twice,
/// is told all at once where they are handed over, as by [`Worker::new`](crate::Worker::new).
///
/// # Examples
/// ```
/// use leveret_worker::handler::{Attempt, Handlers, State, TaskError};
/// use leveret_worker::Task;
///
/// #[derive(serde::Serialize, serde::Deserialize, Task)]
/// #[task(kind = "email.welcome", queue = "mail", max_attempts = 8, timeout = "30s")]
/// struct Welcome { user_id: u64, email: String }
///
/// #[derive(Clone)]
/// struct Mailer;
/// # impl Mailer { async fn send(&self, _: &str) -> std::io::Result<u64> { Ok(1) } }
///
/// async fn welcome(
///     args: Welcome,
///     State(mailer): State<Mailer>,
///     attempt: Attempt,
/// ) -> Result<u64, TaskError> {
///     if attempt.is_last() {
///         return Err(TaskError::dead("the mail server has refused for too long"));
///     }
///     Ok(mailer.send(&args.email).await?)
/// }
///
/// let handlers = Handlers::new().state(Mailer).handle(welcome);
/// # let _ = handlers;
/// ```
/// State that was not handed over does not compile:
/// ```compile_fail,E0277
/// # use leveret_worker::handler::{Handlers, State, TaskError};
/// # #[derive(Clone)] struct Mailer;
/// # #[derive(serde::Serialize, serde::Deserialize, leveret_worker::Task)]
/// # #[task(kind = "email.welcome")] struct Welcome { user_id: u64 }
/// # async fn welcome(_: Welcome, _: State<Mailer>) -> Result<(), TaskError> { Ok(()) }
/// let handlers = Handlers::new().handle(welcome);
/// ```
pub struct Handlers<S = ()> {
    state: Arc<S>,
    /// Each with the names it had before.
    kinds: Vec<(Kind, Vec<KindName>)>,
    layers: Vec<Box<dyn HandlerLayer>>,
    registry: Registry,
    timeout: Duration,
    problems: Vec<RegistryError>,
}

impl Handlers {
    /// Creates an empty collection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(()),
            kinds: Vec::new(),
            layers: Vec::new(),
            registry: Registry::default(),
            timeout: USUAL_TIMEOUT,
            problems: Vec::new(),
        }
    }
}

impl Default for Handlers {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: Send + Sync + 'static> Handlers<S> {
    /// Hands `state` to the handlers that are added next: they take it, or a part of it
    /// ([`FromRef`](super::FromRef)), as [`State`](super::State). Those added before keep theirs.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(self, state: T) -> Handlers<T> {
        let Self { kinds, layers, registry, timeout, problems, .. } = self;
        Handlers { state: Arc::new(state), kinds, layers, registry, timeout, problems }
    }

    /// Adds an async fn: it takes args that name their kind, then up to eight extractors, and
    /// answers with a `Result`.
    #[must_use]
    pub fn handle<F, P>(self, function: F) -> Self
    where
        F: Function<P>,
        P: 'static,
        F::Args: Task + DeserializeOwned + Send,
        F::Extractors: ExtractAll<S> + Send,
        F::Answer: Future<Output: Answer> + Send,
    {
        let handler = Async(self.typed(function, Reader::of::<F::Args>()));
        self.add_task::<F::Args>(Arc::new(handler))
    }

    /// Adds an async fn for the kind of this name, whatever the type of its args.
    #[must_use]
    pub fn handle_as<F, P>(self, kind: &str, function: F) -> Self
    where
        F: Function<P>,
        P: 'static,
        F::Args: DeserializeOwned + Send,
        F::Extractors: ExtractAll<S> + Send,
        F::Answer: Future<Output: Answer> + Send,
    {
        let handler = Async(self.typed(function, Reader::OPEN));
        self.add_named(kind, &[], Defaults::new(), Arc::new(handler))
    }

    /// Adds a function that blocks, as [`handle`](Self::handle) does an async one: each call has a
    /// thread to itself.
    ///
    /// A thread cannot be stopped from outside. A function that takes [`Cancel`](super::Cancel) and
    /// asks it now and then ends in time; one that does not runs on after its attempt has ended at
    /// the time limit, beside the next attempt.
    #[must_use]
    pub fn handle_blocking<F, P>(self, function: F) -> Self
    where
        F: Function<P>,
        P: 'static,
        F::Args: Task + DeserializeOwned + Send + 'static,
        F::Extractors: ExtractAll<S> + Send + 'static,
        F::Answer: Answer,
    {
        let typed = self.typed(function, Reader::of::<F::Args>());
        self.add_task::<F::Args>(Arc::new(Blocking { typed, threads: Spawner::new() }))
    }

    /// Adds an async fn that performs several tasks at once: it takes `Vec<Args>`, then
    /// [`State`](super::State), [`Cancel`](super::Cancel) or [`Batched`], and answers with an
    /// outcome for each, see [`BatchAnswer`].
    ///
    /// Each task is claimed and settled by itself: one that failed is tried again, with others, and
    /// the time limit of one that waits in a batch goes on.
    ///
    /// # Examples
    /// ```
    /// use leveret_worker::handler::{Batch, Handlers, TaskError};
    ///
    /// #[derive(serde::Serialize, serde::Deserialize, leveret_worker::Task)]
    /// #[task(kind = "search.index")]
    /// struct Page { url: String }
    ///
    /// async fn index(pages: Vec<Page>) -> Vec<Result<usize, TaskError>> {
    ///     pages.into_iter().map(|page| Ok(page.url.len())).collect()
    /// }
    ///
    /// let handlers = Handlers::new().handle_batch(index, Batch::of(100));
    /// # drop(handlers);
    /// ```
    #[must_use]
    pub fn handle_batch<F, P, A>(self, function: F, batch: Batch) -> Self
    where
        F: Function<P, Args = Vec<A>>,
        P: 'static,
        A: Task + DeserializeOwned + Send + 'static,
        F::Extractors: ExtractAll<S, Batched> + Send,
        F::Answer: Future<Output: BatchAnswer> + Send,
    {
        let state = Arc::clone(&self.state);
        let handler = Batching::<F, P, S, A>::new(function, state, Reader::of::<A>(), batch);
        self.add_task::<A>(Arc::new(handler))
    }

    /// Adds a kind in its erased form, such as a program's.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kinds.push((kind, Vec::new()));
        self
    }

    /// Changes the kind that was added last: its policy, its time limit, its layers.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use leveret_worker::handler::{Handlers, TaskError};
    /// # async fn total(prices: Vec<u64>) -> Result<u64, TaskError> { Ok(prices.iter().sum()) }
    /// let handlers = Handlers::new()
    ///     .handle_as("order.total", total)
    ///     .with(|kind| kind.timeout(Duration::from_secs(5)));
    /// # let _ = handlers;
    /// ```
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(Kind) -> Kind) -> Self {
        match self.kinds.pop() {
            Some((kind, aliases)) => self.kinds.push((change(kind), aliases)),
            None => self.problems.push(RegistryError::NothingToChange),
        }
        self
    }

    /// Puts a layer around every handler, those added later included; the first one sees a task
    /// first.
    #[must_use]
    pub fn layer(mut self, layer: impl HandlerLayer) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Sets the time limit of an attempt for the kinds added next that name none; 10 minutes where it is
    /// not called.
    #[must_use]
    pub fn usual_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Declares a schedule, see [`Registry::schedule`].
    #[must_use]
    pub fn schedule(mut self, name: &str, definition: Definition) -> Self {
        let name = name.parse().map_err(RegistryError::from);
        let declared = name.and_then(|name| self.registry.schedule(name, definition));
        self.problems.extend(declared.err());
        self
    }

    /// Names the program in whose name schedules are declared, see [`Registry::program`].
    #[must_use]
    pub fn program(mut self, name: impl Into<String>) -> Self {
        self.registry.program(name);
        self
    }

    fn typed<F, P>(&self, function: F, reader: Reader) -> Typed<F, P, S> {
        let state = Arc::clone(&self.state);
        Typed { function: Arc::new(function), state, reader, parameters: PhantomData }
    }

    fn add_task<T: Task>(mut self, handler: Arc<dyn Handler>) -> Self {
        let shape = T::shape().unwrap_or_else(|why| {
            self.problems.push(RegistryError::Schema { kind: T::KIND.to_owned(), why });
            None
        });
        let handler = match &shape {
            Some(shape) => shaped(Arc::clone(shape), handler),
            None => handler,
        };
        // Names that are none are told below.
        let Defaults { queue, class, .. } = T::defaults();
        let queue = queue.and_then(|queue| queue.parse().ok()).unwrap_or_default();
        let lane = Lane::new(queue, class.unwrap_or_default());
        let names = [T::KIND].into_iter().chain(T::ALIASES.iter().copied());
        for name in names.filter_map(|name| name.parse().ok()) {
            self.registry.describe(name, lane.clone(), shape.clone());
        }
        self.add_named(T::KIND, T::ALIASES, T::defaults(), handler)
    }

    fn add_named(
        mut self,
        name: &str,
        aliases: &[&str],
        defaults: Defaults,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let mut problems = Vec::new();
        let mut note = |problem: RegistryError| problems.push(problem);
        let aliases = aliases.iter().map(|alias| alias.parse::<KindName>());
        let aliases =
            aliases.filter_map(|alias| alias.map_err(|why| note(why.into())).ok()).collect();
        if let Some(Err(why)) = defaults.queue.map(str::parse::<QueueName>) {
            note(why.into());
        }
        if let Some(attempts) = defaults.max_attempts
            && !(1..=MAX_ATTEMPTS).contains(&attempts)
        {
            note(RegistryError::Attempts(attempts));
        }
        match name.parse() {
            Ok(name) => {
                let queue = defaults.queue.and_then(|queue| queue.parse().ok());
                self.registry.serve(queue.unwrap_or_default());
                let timeout = defaults.timeout.unwrap_or(self.timeout);
                self.kinds
                    .push((Kind { name, handler, retry: policy(defaults), timeout }, aliases));
            }
            Err(why) => note(InvalidName::into(why)),
        }
        self.problems.extend(problems);
        self
    }
}

fn policy(defaults: Defaults) -> RetryPolicy {
    let usual = RetryPolicy::default();
    RetryPolicy {
        max_attempts: defaults.max_attempts.unwrap_or(usual.max_attempts),
        backoff: defaults.backoff.unwrap_or(usual.backoff.clone()),
        ..usual
    }
}

/// The kinds of a worker, in whatever form they were written down.
pub trait IntoRegistry {
    /// Makes the erased form.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    fn into_registry(self) -> Result<Registry, RegistryError>;
}

impl IntoRegistry for Registry {
    fn into_registry(self) -> Result<Registry, RegistryError> {
        Ok(self)
    }
}

impl<S> IntoRegistry for Handlers<S> {
    fn into_registry(self) -> Result<Registry, RegistryError> {
        let Self { kinds, layers, mut registry, mut problems, .. } = self;
        let mut aliases = Vec::new();
        for (mut kind, before) in kinds {
            for layer in layers.iter().rev() {
                kind.handler = layer.around(kind.handler);
            }
            let name = kind.name.clone();
            problems.extend(registry.add(kind).err());
            aliases.extend(before.into_iter().map(|alias| (alias, name.clone())));
        }
        for (alias, name) in aliases {
            problems.extend(registry.alias(alias, name).err());
        }
        match problems.len() {
            0 => Ok(registry),
            1 => Err(problems.remove(0)),
            _ => Err(RegistryError::Several(problems)),
        }
    }
}
