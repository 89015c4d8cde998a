//! Why something was not done to the timetable: what is known, on what, and how to mend it.

use leveret_common::clock::Millis;
use leveret_common::id::TaskId;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Source;
use leveret_common::store::StoreError;
use leveret_producer::{EnqueueError, Problem, Problems};

use super::plan::counted;
use crate::definition::Flaw;

/// Tells why something was not done to the timetable.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TimetableError {
    /// There is no such schedule.
    #[error("there is no schedule {name}{}", meant(.nearest.as_ref()))]
    Unknown {
        /// What was asked for.
        name: ScheduleName,
        /// What was probably meant.
        nearest: Option<ScheduleName>,
    },
    /// There is one of that name; nothing was changed.
    #[error(
        "failed to create schedule {name}: there is one already, which comes from {source_of}; \
         change that one, or choose another name"
    )]
    Exists {
        /// The schedule.
        name: ScheduleName,
        /// Where the one that is there comes from.
        source_of: Source,
    },
    /// What it says belongs to another source; nothing was changed.
    #[error("failed to {operation} schedule {name}: it comes from {source_of}; {}", elsewhere(.source_of))]
    Held {
        /// What was asked.
        operation: &'static str,
        /// The schedule.
        name: ScheduleName,
        /// Whose it is.
        source_of: Source,
    },
    /// Somebody else changed it in between; nothing was changed.
    #[error(
        "failed to {operation} schedule {name}: {}; look at it, and ask again",
        meanwhile(*.revision)
    )]
    Changed {
        /// What was asked.
        operation: &'static str,
        /// The schedule.
        name: ScheduleName,
        /// The revision that is there; none where it is gone.
        revision: Option<u32>,
    },
    /// What was asked for is wrong; nothing was done.
    #[error("{}", told(.0))]
    Invalid(Vec<Problem>),
    /// Some of many schedules are wrong; nothing was changed.
    #[error("nothing was changed, because {} wrong: {}", counted(.0.len()), flaws(.0))]
    Flawed(Vec<Flaw>),
    /// The task was not put in.
    #[error(
        "failed to put in a task of schedule {name}: {source}; ask again with the nonce {nonce}, which makes that safe"
    )]
    Enqueue {
        /// The schedule.
        name: ScheduleName,
        /// What makes it safe to ask again.
        nonce: String,
        /// The task.
        task: TaskId,
        /// What went wrong.
        #[source]
        source: Box<EnqueueError>,
    },
    /// Not all tasks of a backfill were put in.
    #[error(
        "failed to put in all of a backfill of schedule {name}: {done} tasks are in, the one that \
         was due at {} is not: {source}; ask again from {}, with the nonce {nonce}",
        at(*.due), at(*.rest)
    )]
    Backfill {
        /// The schedule.
        name: ScheduleName,
        /// What makes it safe to ask again.
        nonce: String,
        /// How many were put in, by this call or one before under this nonce.
        done: usize,
        /// The first that was not.
        due: Millis,
        /// From where to go on.
        rest: Millis,
        /// What went wrong.
        #[source]
        source: Box<EnqueueError>,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TimetableError {
    /// Tells whether the same may be asked again, and succeed.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match self {
            Self::Store(error) => error.retryable(),
            Self::Enqueue { source, .. } | Self::Backfill { source, .. } => source.retryable(),
            Self::Unknown { .. }
            | Self::Exists { .. }
            | Self::Held { .. }
            | Self::Changed { .. }
            | Self::Invalid(_)
            | Self::Flawed(_) => false,
        }
    }

    /// Says that one field is wrong.
    pub(super) fn invalid(field: &str, why: impl std::fmt::Display) -> Self {
        Self::Invalid(vec![Problem::new(field, why)])
    }
}

fn meant(nearest: Option<&ScheduleName>) -> String {
    nearest.map_or_else(
        || "; list them to see what there is".to_owned(),
        |name| format!("; did you mean {:?}?", name.as_str()),
    )
}

/// Says where a schedule of another source is changed.
fn elsewhere(source: &Source) -> &'static str {
    match source {
        Source::File { .. } => "edit the file and have beat read it again",
        Source::Code { .. } => "change it in the program, or take it out there and start it again",
        Source::Api { .. } => "change it at run time, or delete it there first",
    }
}

fn meanwhile(revision: Option<u32>) -> String {
    revision.map_or_else(
        || "it is gone, or cannot be read".to_owned(),
        |revision| format!("somebody changed it meanwhile, it is at revision {revision}"),
    )
}

fn told(problems: &[Problem]) -> String {
    Problems(problems.to_vec()).to_string()
}

fn flaws(flaws: &[Flaw]) -> String {
    let lines: Vec<_> = flaws.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

fn at(due: Millis) -> String {
    crate::definition::instant(due)
}
