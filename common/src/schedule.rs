//! A schedule as data: what its owner wrote down, and where it comes from.
//!
//! The same form in a timetable file, over HTTP, in an export and in the store. Nothing here reads
//! an expression or knows when it is due: that is `leveret-beat`'s, which also checks what a door
//! takes in. What stands here has been checked.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Millis;
use crate::duration;
use crate::name::{Class, KindName, QueueName};

/// A timetable entry: when which task is due, and what to do when that cannot be kept to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Definition {
    /// The expression: five fields (crontab), six or seven (Quartz), `@daily`, `every 90s`,
    /// `at 2027-01-01T09:00`.
    pub when: String,
    /// The IANA zone whose wall clock counts; UTC where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What to do.
    pub kind: KindName,
    /// The task's JSON document; `null` where absent.
    #[serde(default = "null")]
    pub args: Box<RawValue>,
    /// The queue; the kind's, or `default`, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueName>,
    /// The class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    /// Not to be started later than so long after it was due.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    pub expires: Option<Duration>,
    /// Time limit of one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    pub timeout: Option<Duration>,
    /// Most attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// Tags to find the tasks by.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Nothing is due before this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Millis>,
    /// Nothing is due after this instant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Millis>,
    /// Each occurrence is put off by a time of its own below this: the same for everybody who asks.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional")]
    pub jitter: Option<Duration>,
    /// What becomes of occurrences that nobody could put in on time.
    #[serde(default, skip_serializing_if = "Misfire::is_default")]
    pub misfire: Misfire,
    /// What becomes of an occurrence that is due while the previous one is not over.
    #[serde(default, skip_serializing_if = "Overlap::is_default")]
    pub overlap: Overlap,
    /// Days on which nothing is due, in the schedule's zone: `2027-12-24`,
    /// `2027-12-24..2027-12-31`, `12-25` (each year), `sat`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What it is for, in its owner's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl Definition {
    /// Creates a schedule that puts in tasks of `kind` with args `null`, everything else at its
    /// default.
    #[must_use]
    pub fn new(when: impl Into<String>, kind: KindName) -> Self {
        Self {
            when: when.into(),
            zone: None,
            kind,
            args: null(),
            queue: None,
            class: None,
            expires: None,
            timeout: None,
            max_attempts: None,
            tags: BTreeMap::new(),
            start: None,
            end: None,
            jitter: None,
            misfire: Misfire::default(),
            overlap: Overlap::default(),
            exclude: Vec::new(),
            description: None,
        }
    }
}

impl PartialEq for Definition {
    /// Compares what is written: args as text, all else by value.
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that no field is forgotten.
        let Self {
            when,
            zone,
            kind,
            args,
            queue,
            class,
            expires,
            timeout,
            max_attempts,
            tags,
            start,
            end,
            jitter,
            misfire,
            overlap,
            exclude,
            description,
        } = self;
        (when, zone, kind) == (&other.when, &other.zone, &other.kind)
            && args.get() == other.args.get()
            && (queue, class, expires) == (&other.queue, &other.class, &other.expires)
            && (timeout, max_attempts) == (&other.timeout, &other.max_attempts)
            && (tags, start, end) == (&other.tags, &other.start, &other.end)
            && (jitter, misfire, overlap) == (&other.jitter, &other.misfire, &other.overlap)
            && (exclude, description) == (&other.exclude, &other.description)
    }
}

/// What becomes of missed occurrences: those that could not be put in within `after` of being due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Misfire {
    /// Which of them are put in late.
    pub policy: MisfirePolicy,
    /// An occurrence counts as missed when it is this late; until then it is put in whatever the
    /// policy says.
    #[serde(with = "duration")]
    pub after: Duration,
    /// None that is later than this is put in.
    #[serde(with = "duration")]
    pub window: Duration,
    /// Most that are put in, with the policy `all`: the newest.
    pub max: u32,
}

impl Misfire {
    /// How late an occurrence counts as missed, unless the schedule says otherwise: a minute.
    pub const AFTER: Duration = Duration::from_secs(60);
    /// How late one is still put in, unless the schedule says otherwise: thirty days.
    pub const WINDOW: Duration = Duration::from_secs(30 * 86_400);
    /// Most missed occurrences that are put in, unless the schedule says otherwise.
    pub const MAX: u32 = 100;
    /// The greatest `max`.
    pub const MOST: u32 = 10_000;

    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Misfire {
    fn default() -> Self {
        let policy = MisfirePolicy::Latest;
        Self { policy, after: Self::AFTER, window: Self::WINDOW, max: Self::MAX }
    }
}

/// Which missed occurrences are put in late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MisfirePolicy {
    /// None of them.
    Skip,
    /// The latest, unless one that is not missed is put in at the same time. The default.
    #[default]
    Latest,
    /// All within the window, the newest `max` of them, in their order.
    All,
}

/// What becomes of an occurrence that is due while the task of the previous one is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// It is put in all the same. The default.
    #[default]
    Allow,
    /// It is left out.
    Skip,
    /// One waits until the previous is over; further ones are left out.
    Queue,
    /// The previous one is cancelled, and it is put in.
    Cancel,
}

impl Overlap {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a schedule comes from, and so who may change what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Source {
    /// A timetable file, reconciled by the leading beat.
    File {
        /// The file's path, as the beat was given it.
        path: String,
    },
    /// A program that declares it next to a handler.
    Code {
        /// The program.
        program: String,
    },
    /// Made at run time, over HTTP or by a command.
    Api {
        /// Who made it.
        by: String,
    },
}

impl Source {
    /// Returns the sort of source: `file`, `code` or `api`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::File { .. } => "file",
            Self::Code { .. } => "code",
            Self::Api { .. } => "api",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path } => write!(f, "the file {path}"),
            Self::Code { program } => write!(f, "the program {program}"),
            Self::Api { by } => write!(f, "{by}, at run time"),
        }
    }
}

fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}

mod optional {
    //! An optional duration as text with a unit.

    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::duration::DurationText;

    #[allow(clippy::ref_option, reason = "serde's `with` hands it over so")]
    pub(super) fn serialize<S: Serializer>(
        span: &Option<Duration>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        span.map(DurationText::from).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<DurationText>::deserialize(deserializer)?.map(DurationText::get))
    }
}
