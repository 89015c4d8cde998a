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
        file::gather(text, Self::default, Self::extend)
    }

    /// Adds what a further part of the same source says.
    pub(crate) fn extend(&mut self, part: Self) {
        let Self { schedules, paused, flaws } = part;
        self.schedules.extend(schedules);
        self.paused.extend(paused);
        self.flaws.extend(flaws);
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
}

/// Tells contents apart: equal for texts that say the same, whatever their order and form.
#[derive(Debug, Default)]
pub(crate) struct Fingerprint(Vec<Uuid>);

impl Fingerprint {
    /// Adds some schedules, each of which is added once.
    pub(crate) fn add(&mut self, part: &Wanted) {
        let mut text = Vec::new();
        for schedule in &part.schedules {
            text.clear();
            let written = (schedule.0, Written::new(schedule.1));
            // Fails for nothing that was read; an empty text is as good as any then.
            let _ = serde_json::to_writer(&mut text, &written);
            self.0.push(Uuid::new_v5(&Uuid::NAMESPACE_OID, &text));
        }
    }

    /// Returns the fingerprint of all that was added.
    pub(crate) fn finish(mut self) -> Uuid {
        self.0.sort_unstable();
        let all: Vec<u8> = self.0.iter().flat_map(Uuid::as_bytes).copied().collect();
        Uuid::new_v5(&Uuid::NAMESPACE_OID, &all)
    }
}

impl FromIterator<(ScheduleName, Definition)> for Wanted {
    fn from_iter<I: IntoIterator<Item = (ScheduleName, Definition)>>(schedules: I) -> Self {
        Self { schedules: schedules.into_iter().collect(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In parts of one schedule each, which makes no difference.
    fn of(wanted: &Wanted) -> Uuid {
        let mut fingerprint = Fingerprint::default();
        for (name, says) in wanted.schedules.iter().rev() {
            fingerprint.add(&[(name.clone(), says.clone())].into_iter().collect());
        }
        let mut whole = Fingerprint::default();
        whole.add(wanted);
        let fingerprint = fingerprint.finish();
        assert_eq!(fingerprint, whole.finish());
        fingerprint
    }

    #[test]
    fn files_that_say_the_same_have_one_fingerprint() {
        let one = Wanted::from_toml(
            "[schedules.a]\nwhen = \"@daily\"\nkind = \"k\"\nexpires = \"60m\"\n\
             [schedules.b]\nwhen = \"@daily\"\nkind = \"k\"\nargs = { x = 1, y = [1] }\n",
        );
        let other = Wanted::from_toml(
            "# the same\n[schedules]\nb = { kind = \"k\", when = \"@daily\", args = { y = [ 1 ], x = 1 } }\n\
             a = { when = \"@daily\", kind = \"k\", expires = \"1h\", misfire = \"latest\" }",
        );
        assert_eq!(one.flaws.len() + other.flaws.len(), 0);
        assert_eq!(of(&one), of(&other));
        let third = Wanted::from_toml(
            "[schedules.a]\nwhen = \"@daily\"\nkind = \"k\"\nexpires = \"59m\"\n\
             [schedules.b]\nwhen = \"@daily\"\nkind = \"k\"\nargs = { x = 1, y = [1] }\n",
        );
        assert_ne!(of(&one), of(&third));
        assert_ne!(of(&one), of(&Wanted::default()));
    }
}
