//! The request: what a sender wants, in the sender's own words.
//!
//! Nothing here is checked; [`super::draft`] does that for all fields at once, so that a sender
//! learns every mistake in one answer.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use leveret_common::clock::Millis;
use leveret_common::name::{Class, Lane, ScheduleName};
use leveret_common::shape::Misfit;
use serde::Serialize;

use crate::draft;
use crate::error::Problem;
use crate::producer::Enqueue;
use crate::task::Shaped;

/// A task to enqueue: its kind, its args and what its sender says of it. What is not said is as the
/// type of the args has it ([`Defaults`](crate::Defaults)), then as the configuration has it.
///
/// Nothing is checked before it is enqueued, or asked for by [`Producer::check`](crate::Producer::check).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub(crate) kind: String,
    pub(crate) args: Args,
    pub(crate) queue: Option<String>,
    pub(crate) class: Option<Class>,
    pub(crate) delay: Option<Duration>,
    pub(crate) at: Option<Millis>,
    pub(crate) key: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) expires: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_attempts: Option<u32>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) result_ttl: Option<Duration>,
    pub(crate) occasion: Option<Occasion>,
    /// What queue and class are where neither the sender nor the configuration says so.
    usual: (Option<String>, Option<Class>),
    /// What its type says of the args.
    pub(crate) misfit: Option<Misfit>,
}

/// The occurrence of a schedule that a task is put in for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occasion {
    pub(crate) schedule: ScheduleName,
    pub(crate) due: Millis,
    pub(crate) revision: u32,
}

/// The args document, and what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Args {
    /// JSON for sure: we wrote it.
    Written(Bytes),
    /// What a sender calls JSON.
    Given(Bytes),
    /// They could not be written as JSON.
    Failed(String),
}

impl Request {
    /// Creates a request with `args` written as JSON.
    #[must_use]
    pub fn new(kind: impl Into<String>, args: &(impl Serialize + ?Sized)) -> Self {
        let args = match serde_json::to_vec(args) {
            Ok(json) => Args::Written(json.into()),
            Err(error) => Args::Failed(error.to_string()),
        };
        Self::with(kind.into(), args)
    }

    /// Creates a request whose args are `json`, kept byte for byte.
    #[must_use]
    pub fn from_json(kind: impl Into<String>, json: impl Into<Bytes>) -> Self {
        Self::with(kind.into(), Args::Given(json.into()))
    }

    /// Returns the kind, as it was written.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Returns how many bytes of args there are; 0 where they cannot be written.
    #[must_use]
    pub fn args_size(&self) -> usize {
        match &self.args {
            Args::Written(json) | Args::Given(json) => json.len(),
            Args::Failed(_) => 0,
        }
    }

    /// Tells whether the sender names the task, by id or by key.
    #[must_use]
    pub const fn is_named(&self) -> bool {
        self.id.is_some() || self.key.is_some()
    }

    /// Returns the id that the sender gives, as it was written.
    #[must_use]
    pub fn given_id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Says that the request was made so long ago: `delay` and `expires` count from then. One whose
    /// time is over is accepted, and ends as *expired*.
    #[must_use]
    pub fn made(mut self, ago: Duration) -> Self {
        // What is wrong however old it is stays as it is, to be refused as such.
        if self.expires.is_some_and(|expires| expires <= self.delay.unwrap_or_default()) {
            return self;
        }
        let left = |span: Duration| span.saturating_sub(ago);
        self.delay = self.delay.map(left);
        self.expires = self.expires.map(|expires| left(expires).max(Duration::from_millis(1)));
        self
    }

    /// Lists what is wrong with it, as far as no setting decides that; [`super::Producer::check`]
    /// tells all.
    #[must_use]
    pub fn problems(self) -> Vec<Problem> {
        draft::problems_of(self)
    }

    fn with(kind: String, args: Args) -> Self {
        Self {
            kind,
            args,
            queue: None,
            class: None,
            delay: None,
            at: None,
            key: None,
            id: None,
            expires: None,
            timeout: None,
            max_attempts: None,
            tags: BTreeMap::new(),
            result_ttl: None,
            occasion: None,
            usual: (None, None),
            misfit: None,
        }
    }

    /// Says where tasks of its type go by themselves.
    pub(crate) fn usually(mut self, queue: Option<String>, class: Option<Class>) -> Self {
        self.usual = (queue, class);
        self
    }

    /// Looks at the args as their type asks for.
    pub(crate) fn fitting(mut self, shape: Shaped) -> Self {
        self.misfit = match (shape, &self.args) {
            (Ok(Some(shape)), Args::Written(json) | Args::Given(json)) => shape.check(json).err(),
            (Ok(_), _) => None,
            (Err(why), _) => Some(Misfit { path: String::new(), why: why.to_string() }),
        };
        self
    }

    /// Settles queue and class: what the sender says comes before what is configured for the kind,
    /// and that before what the type says.
    pub(crate) fn in_lane(mut self, configured: Option<&Lane>) -> Self {
        let (queue, class) = std::mem::take(&mut self.usual);
        self.queue = self.queue.or_else(|| configured.map(|lane| lane.queue.to_string())).or(queue);
        self.class = self.class.or(configured.map(|lane| lane.class)).or(class);
        self
    }
}

/// Writes each setter once for [`Request`] and once for [`Enqueue`], which wraps one.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $of:ty),*) |$request:ident| $set:expr;)*) => {
        impl Request {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $($arg: $of),*) -> Self {
                let $request = &mut self;
                $set;
                self
            })*
        }

        impl Enqueue<'_> {
            $($(#[$doc])*
            pub fn $name(mut self, $($arg: $of),*) -> Self {
                let $request = &mut self.request;
                $set;
                self
            })*
        }
    };
}

setters! {
    /// Names the queue; the kind's own, else `default`, where it is not called.
    queue(queue: impl Into<String>) |request| request.queue = Some(queue.into());
    /// Sets how urgent the task is; as is usual for the kind, else normal, where it is not called.
    class(class: Class) |request| request.class = Some(class);
    /// Has the task start no earlier than after this wait. Not together with `at`.
    delay(delay: Duration) |request| request.delay = Some(delay);
    /// Has the task start no earlier than at this instant; a past one means now. Not together
    /// with `delay`.
    at(at: Millis) |request| request.at = Some(at);
    /// Makes the request repeatable: the same kind, key and args are one task. At most 128 bytes.
    /// Not together with `id`.
    key(key: impl Into<String>) |request| request.key = Some(key.into());
    /// Names the task: a UUID, or the sender's own text of at most 128 bytes.
    id(id: impl Into<String>) |request| request.id = Some(id.into());
    /// Has the task not started later than this after the enqueue: it ends as *expired* instead.
    expires(expires: Duration) |request| request.expires = Some(expires);
    /// Limits one attempt; the kind's limit where it is not called. 1 ms to 30 days.
    timeout(timeout: Duration) |request| request.timeout = Some(timeout);
    /// Limits the number of attempts, the first included: 1 to 1,000.
    max_attempts(attempts: u32) |request| request.max_attempts = Some(attempts);
    /// Adds a tag to find the task by; at most 32 tags, names of 255 bytes, values of 256.
    tag(name: impl Into<String>, value: impl Into<String>) |request| {
        request.tags.insert(name.into(), value.into())
    };
    /// Sets how long the result is kept; zero keeps none, and at most 365 days are kept.
    result_ttl(ttl: Duration) |request| request.result_ttl = Some(ttl);
    /// Says that the task is an occurrence of `schedule`: which instant of it, under which revision.
    occurrence(schedule: ScheduleName, due: Millis, revision: u32) |request| {
        request.occasion = Some(Occasion { schedule, due, revision })
    };
}
