//! What one source wants the timetable to hold: schedules by name, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use leveret_common::name::ScheduleName;
use leveret_common::schedule::Definition;
use leveret_producer::{Problem, Producer};
use uuid::Uuid;

use super::{Written, check, file, lines};

/// The schedules of one source.
///
/// While anything is wrong with one of them, nothing of it is applied.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Wanted {
    /// What each schedule is to say.
    pub schedules: BTreeMap<ScheduleName, Definition>,
    /// Those that are paused as they are made.
    pub paused: BTreeSet<ScheduleName>,
    /// Everything that is wrong.
    pub flaws: Vec<Flaw>,
}

/// One thing that is wrong with one of several schedules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The schedule's name; where it has none, the place: `line 7`, `calendars.holidays`, `file`.
    pub place: String,
    /// The field, and what is wrong with it.
    pub problem: Problem,
}

impl Flaw {
    /// Creates a flaw.
    #[must_use]
    pub fn new(place: impl Into<String>, problem: Problem) -> Self {
        Self { place: place.into(), problem }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, problem: Problem { field, why } } = self;
        write!(f, "{place}: {field}: {why}")
    }
}

impl Wanted {
    /// Reads a timetable file: `[schedules."report.nightly"]`, `[calendars.holidays]`.
    #[must_use]
    pub fn from_toml(text: &str) -> Self {
        file::read(text)
    }

    /// Reads an export: one JSON object a line. Where they come from is not read: they become
    /// their importer's.
    #[must_use]
    pub fn from_lines(text: &str) -> Self {
        lines::read(text)
    }

    /// Notes what is wrong with what was read, as [`check()`] judges it.
    #[must_use]
    pub fn checked(mut self, producer: &Producer) -> Self {
        for (name, definition) in &self.schedules {
            let problems = check(producer, name, definition).err().unwrap_or_default();
            let flaws = problems.into_iter().map(|problem| Flaw::new(name.as_str(), problem));
            self.flaws.extend(flaws);
        }
        self
    }

    /// Tells contents apart: equal for texts that say the same, whatever their order and form.
    #[must_use]
    pub fn fingerprint(&self) -> Uuid {
        let written: BTreeMap<_, _> =
            self.schedules.iter().map(|(name, says)| (name, Written::new(says))).collect();
        let text = serde_json::to_vec(&written).unwrap_or_default();
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &text)
    }
}

impl FromIterator<(ScheduleName, Definition)> for Wanted {
    fn from_iter<I: IntoIterator<Item = (ScheduleName, Definition)>>(schedules: I) -> Self {
        Self { schedules: schedules.into_iter().collect(), ..Self::default() }
    }
}
