//! The plan: what has to change so that the timetable holds what a source wants.
//!
//! Pure. Guards that one source never touches what belongs to another, and that a plan that was
//! carried out leaves nothing to do.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use leveret_common::name::ScheduleName;
use leveret_common::schedule::{Definition, Source};
use leveret_common::store::ScheduleEntry;

use crate::definition::{Flaw, Wanted, Written};

/// What has to change so that the timetable holds what a source wants.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Who wants it.
    pub source: Source,
    /// What is to be done about each schedule that the source wants or has, by name.
    pub steps: Vec<Step>,
    /// What is wrong with what is wanted. While there is any, nothing is done.
    pub flaws: Vec<Flaw>,
}

/// What is to be done about one schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The schedule.
    pub name: ScheduleName,
    /// What is to be done.
    pub what: What,
}

/// What is to be done about a schedule.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It is new.
    Create {
        /// What it says.
        to: Box<Definition>,
        /// Whether it is paused at once.
        is_paused: bool,
    },
    /// It is to say something else, or comes from another file of the same sort.
    Change {
        /// What is there.
        from: Box<ScheduleEntry>,
        /// What it is to say.
        to: Box<Definition>,
        /// Where it comes from afterwards.
        source: Source,
        /// In what the two differ.
        differences: Vec<Difference>,
    },
    /// Its source does not want it any more.
    Delete {
        /// The revision that is there.
        revision: u32,
    },
    /// It is as it is to be.
    Keep,
    /// It is another source's, and stays as it is.
    Held {
        /// Whose it is.
        by: Source,
    },
    /// It is there and says something else, and nobody said that it may be replaced.
    Present {
        /// Where it comes from.
        from: Source,
    },
}

/// One field in which two schedules differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The field.
    pub field: String,
    /// What it is, as JSON; none where it is absent.
    pub old: Option<String>,
    /// What it becomes, as JSON; none where it is left out.
    pub new: Option<String>,
}

impl Plan {
    /// Plans how `present`, all entries of the timetable, become what `source` wants: what it does
    /// not want any more is deleted, what belongs to others is left alone.
    #[must_use]
    pub fn between(
        source: Source,
        wanted: Wanted,
        present: impl IntoIterator<Item: Borrow<ScheduleEntry>>,
    ) -> Self {
        let mut planner = Planner::new(source, present);
        planner.want(wanted);
        planner.finish()
    }

    /// Plans how what `source` brings along is added to `present`, the entries of these names.
    /// Nothing is deleted; what says something else is changed where `replace` allows it.
    #[must_use]
    pub fn adding(
        source: Source,
        wanted: Wanted,
        present: impl IntoIterator<Item = ScheduleEntry>,
        replace: bool,
    ) -> Self {
        let Wanted { schedules, paused, flaws } = wanted;
        let mut present: BTreeMap<_, _> =
            present.into_iter().map(|entry| (entry.name.clone(), entry)).collect();
        let step = |(name, to): (ScheduleName, Definition)| {
            let what = match present.remove(&name) {
                None => What::Create { to: Box::new(to), is_paused: paused.contains(&name) },
                // Whoever brings along what is there already has nothing to ask for.
                Some(entry) if !is_same_owner(&source, &entry.source) => {
                    let is_same = differences(&entry.definition, &to).is_empty();
                    if is_same { What::Keep } else { What::Held { by: entry.source } }
                }
                Some(entry) => {
                    let made_by = entry.source.clone();
                    match change(&entry, to, &made_by) {
                        What::Change { .. } if !replace => What::Present { from: made_by },
                        what => what,
                    }
                }
            };
            (name, what)
        };
        let steps = schedules.into_iter().map(step).collect();
        Self::of(source, steps, flaws)
    }

    fn of(source: Source, steps: BTreeMap<ScheduleName, What>, flaws: Vec<Flaw>) -> Self {
        let steps = steps.into_iter().map(|(name, what)| Step { name, what }).collect();
        Self { source, steps, flaws }
    }

    /// Tells whether carrying it out would change nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| !step.what.changes())
    }

    /// Describes the plan for people: a line for everything but what is kept, and one with numbers.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.flaws.iter().map(|flaw| format!("! {flaw}")).collect();
        lines.extend(self.steps.iter().flat_map(Step::describe));
        lines.push(self.sum());
        lines
    }

    /// Says with numbers what it does.
    #[must_use]
    pub fn sum(&self) -> String {
        let count = |is: fn(&What) -> bool| self.steps.iter().filter(|step| is(&step.what)).count();
        let mut line = format!(
            "{} to create, {} to change, {} to delete, {} as they are",
            count(|what| matches!(what, What::Create { .. })),
            count(|what| matches!(what, What::Change { .. })),
            count(|what| matches!(what, What::Delete { .. })),
            count(|what| matches!(what, What::Keep)),
        );
        let left = count(|what| matches!(what, What::Held { .. } | What::Present { .. }));
        if left > 0 {
            line.push_str(&format!(", {left} left alone"));
        }
        if !self.flaws.is_empty() {
            line.push_str(&format!("; {} wrong, so nothing is done", counted(self.flaws.len())));
        }
        line
    }
}

/// Makes a plan from what a source wants, however many parts that comes in.
#[derive(Debug)]
pub(crate) struct Planner<E> {
    source: Source,
    /// The entries that nobody has said to want, by name.
    present: BTreeMap<ScheduleName, E>,
    steps: BTreeMap<ScheduleName, What>,
    flaws: Vec<Flaw>,
}

impl<E: Borrow<ScheduleEntry>> Planner<E> {
    /// Begins with all entries of the timetable.
    pub(crate) fn new(source: Source, present: impl IntoIterator<Item = E>) -> Self {
        let named = |entry: E| (entry.borrow().name.clone(), entry);
        let present = present.into_iter().map(named).collect();
        Self { source, present, steps: BTreeMap::new(), flaws: Vec::new() }
    }

    /// Takes what the source wants, or a part of it.
    pub(crate) fn want(&mut self, part: Wanted) {
        let Wanted { schedules, paused, flaws } = part;
        for (name, to) in schedules {
            let what = match self.present.remove(&name) {
                None => What::Create { to: Box::new(to), is_paused: paused.contains(&name) },
                Some(entry) => {
                    let entry = entry.borrow();
                    match is_same_owner(&self.source, &entry.source) {
                        true => change(entry, to, &self.source),
                        false => What::Held { by: entry.source.clone() },
                    }
                }
            };
            self.steps.insert(name, what);
        }
        self.flaws.extend(flaws);
    }

    /// Returns the plan, once everything that is wanted is said.
    pub(crate) fn finish(self) -> Plan {
        let Self { source, present, mut steps, flaws } = self;
        for (name, entry) in present {
            let entry = entry.borrow();
            if is_same_owner(&source, &entry.source) {
                steps.insert(name, What::Delete { revision: entry.revision });
            }
        }
        Plan::of(source, steps, flaws)
    }
}

impl Step {
    /// Describes the step for people; nothing where the schedule is kept as it is.
    #[must_use]
    pub fn describe(&self) -> Vec<String> {
        let name = &self.name;
        match &self.what {
            What::Keep => Vec::new(),
            What::Create { to, is_paused } => {
                let zone = to.zone.as_deref().map_or(String::new(), |zone| format!(" {zone}"));
                let paused = if *is_paused { ", paused" } else { "" };
                vec![format!("+ {name}: {:?}{zone}, {}{paused}", to.when, to.kind)]
            }
            What::Delete { .. } => vec![format!("- {name}")],
            What::Change { differences, .. } => {
                let mut lines = vec![format!("~ {name}")];
                lines.extend(differences.iter().map(Difference::describe));
                lines
            }
            What::Held { by } => vec![format!("= {name}: left alone, it comes from {by}")],
            What::Present { .. } => {
                let why =
                    "it is there already and says something else; have it replaced to change it";
                vec![format!("= {name}: left alone, {why}")]
            }
        }
    }
}

impl What {
    /// Tells whether it changes anything.
    #[must_use]
    pub const fn changes(&self) -> bool {
        match self {
            Self::Create { .. } | Self::Change { .. } | Self::Delete { .. } => true,
            Self::Keep | Self::Held { .. } | Self::Present { .. } => false,
        }
    }
}

impl Difference {
    fn describe(&self) -> String {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        format!("    {}: {} -> {}", self.field, shown(&self.old), shown(&self.new))
    }
}

/// Says how many things are, or one is.
pub(crate) fn counted(things: usize) -> String {
    if things == 1 { "one thing is".to_owned() } else { format!("{things} things are") }
}

/// Tells whether what belongs to `other` may be changed by `source`: a file takes over from any
/// file, a program owns what it declared, and what was made at run time is everybody's who may
/// change schedules there.
#[must_use]
pub fn is_same_owner(source: &Source, other: &Source) -> bool {
    match (source, other) {
        (Source::File { .. }, Source::File { .. }) | (Source::Api { .. }, Source::Api { .. }) => {
            true
        }
        (Source::Code { program }, Source::Code { program: other }) => program == other,
        (Source::File { .. } | Source::Code { .. } | Source::Api { .. }, _) => false,
    }
}

/// Compares an entry with what it is to say, and where it is to come from.
fn change(from: &ScheduleEntry, to: Definition, source: &Source) -> What {
    // Most of a large timetable is as it was; what differs is worked out for the rest.
    if from.source == *source && from.definition == to {
        return What::Keep;
    }
    let mut differences = differences(&from.definition, &to);
    if from.source != *source {
        let quoted = |source: &Source| Some(format!("{:?}", source.to_string()));
        let (old, new) = (quoted(&from.source), quoted(source));
        differences.push(Difference { field: "source".to_owned(), old, new });
    }
    if differences.is_empty() {
        return What::Keep;
    }
    let (from, to) = (Box::new(from.clone()), Box::new(to));
    What::Change { from, to, source: source.clone(), differences }
}

/// Lists the fields in which two schedules differ.
#[must_use]
pub fn differences(from: &Definition, to: &Definition) -> Vec<Difference> {
    let mut olds: BTreeMap<_, _> = Written::new(from).fields().into_iter().collect();
    let mut news: BTreeMap<_, _> = Written::new(to).fields().into_iter().collect();
    let difference = |field: &&str| {
        let (old, new) = (olds.remove(*field), news.remove(*field));
        (old != new).then(|| Difference { field: (*field).to_owned(), old, new })
    };
    crate::definition::FIELDS.iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use leveret_common::clock::Millis;
    use leveret_producer::Problem;
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

    fn source(number: u8) -> Source {
        match number {
            0 | 1 => Source::File { path: format!("{number}.toml") },
            2 | 3 => Source::Code { program: number.to_string() },
            _ => Source::Api { by: number.to_string() },
        }
    }

    fn says(number: u8) -> Definition {
        Definition::new(format!("{number} 2 * * *"), "k".parse().unwrap())
    }

    fn entry(name: &str, source: Source, definition: Definition) -> ScheduleEntry {
        ScheduleEntry {
            name: name.parse().unwrap(),
            definition,
            source,
            revision: 7,
            since: Millis(1),
            paused: None,
            created_at: Millis(1),
            changed_at: Millis(1),
        }
    }

    type Table = BTreeMap<ScheduleName, ScheduleEntry>;

    fn tables() -> impl Strategy<Value = Table> {
        let one = proptest::option::of((0..6_u8, 0..2_u8));
        proptest::collection::vec(one, NAMES.len()).prop_map(|all| {
            let entries = NAMES.iter().zip(all).filter_map(|(name, one)| {
                let (from, what) = one?;
                Some((name.parse().unwrap(), entry(name, source(from), says(what))))
            });
            entries.collect()
        })
    }

    fn wishes() -> impl Strategy<Value = Wanted> {
        proptest::collection::vec(proptest::option::of(0..2_u8), NAMES.len()).prop_map(|all| {
            let wished = NAMES.iter().zip(all);
            wished.filter_map(|(name, what)| Some((name.parse().unwrap(), says(what?)))).collect()
        })
    }

    /// Carries a plan out, as the store would.
    fn applied(plan: &Plan, table: &Table) -> Table {
        let mut table = table.clone();
        for Step { name, what } in &plan.steps {
            match what {
                What::Create { to, .. } => {
                    let new = entry(name.as_str(), plan.source.clone(), (**to).clone());
                    assert!(table.insert(name.clone(), new).is_none());
                }
                What::Change { from, to, source, .. } => {
                    let definition = (**to).clone();
                    let changed =
                        ScheduleEntry { definition, source: source.clone(), ..(**from).clone() };
                    assert_eq!(table.insert(name.clone(), changed).as_ref(), Some(&**from));
                }
                What::Delete { revision } => {
                    assert_eq!(table.remove(name).map(|gone| gone.revision), Some(*revision));
                }
                What::Keep | What::Held { .. } | What::Present { .. } => {}
            }
        }
        table
    }

    proptest! {
        #[test]
        fn a_plan_that_was_carried_out_leaves_nothing_to_do(
            table in tables(), wanted in wishes(), from in 0..6_u8,
        ) {
            let plan = Plan::between(source(from), wanted.clone(), table.values().cloned());
            let after = applied(&plan, &table);
            let again = Plan::between(source(from), wanted, after.values().cloned());
            prop_assert!(again.is_empty(), "{:?} then {:?}", plan, again);
            let counts = again.describe().pop().unwrap();
            prop_assert!(counts.starts_with("0 to create, 0 to change, 0 to delete, "), "{}", counts);
        }

        #[test]
        fn a_plan_never_touches_what_is_anothers_and_does_all_else_that_is_wanted(
            table in tables(), wanted in wishes(), from in 0..6_u8,
        ) {
            let source = source(from);
            let plan = Plan::between(source.clone(), wanted.clone(), table.values().cloned());
            let after = applied(&plan, &table);
            for name in NAMES {
                let name = name.parse().unwrap();
                let (old, new) = (table.get(&name), after.get(&name));
                let wish = wanted.schedules.get(&name);
                match old.filter(|old| !is_same_owner(&source, &old.source)) {
                    Some(anothers) => prop_assert_eq!(new, Some(anothers)),
                    None => prop_assert_eq!(new.map(|new| &new.definition), wish),
                }
            }
        }

        #[test]
        fn an_import_deletes_nothing_and_changes_only_what_it_may(
            table in tables(), wanted in wishes(), replace in any::<bool>(),
        ) {
            let source = Source::Api { by: "me".to_owned() };
            let named = table.values().filter(|entry| wanted.schedules.contains_key(&entry.name));
            let plan = Plan::adding(source.clone(), wanted.clone(), named.cloned(), replace);
            prop_assert_eq!(plan.steps.len(), wanted.schedules.len());
            let after = applied(&plan, &table);
            for (name, old) in &table {
                let new = &after[name];
                prop_assert_eq!(&new.source, &old.source);
                let may = replace && is_same_owner(&source, &old.source);
                let wish = wanted.schedules.get(name).filter(|_| may);
                prop_assert_eq!(&new.definition, wish.unwrap_or(&old.definition));
            }
            prop_assert!(wanted.schedules.keys().all(|name| after.contains_key(name)));
        }
    }

    #[test]
    fn a_plan_says_in_what_schedules_differ() {
        let mut from = says(0);
        from.exclude = vec!["sat".to_owned()];
        from.tags = [("a".to_owned(), "1".to_owned())].into();
        from.description = Some("x".to_owned());
        let mut to = says(0);
        to.exclude = vec!["sat".to_owned()];
        to.zone = Some("Asia/Tokyo".to_owned());
        to.description = Some("y".to_owned());
        let wanted = [("a".parse().unwrap(), to)].into_iter().collect();
        let plan = Plan::between(source(2), wanted, [entry("a", source(2), from)]);
        assert_eq!(
            plan.describe(),
            [
                "~ a",
                "    zone: nothing -> \"Asia/Tokyo\"",
                "    tags: {\"a\":\"1\"} -> nothing",
                "    description: \"x\" -> \"y\"",
                "0 to create, 1 to change, 0 to delete, 0 as they are",
            ]
        );
    }

    #[test]
    fn an_import_keeps_what_another_source_says_in_the_same_words() {
        let me = Source::Api { by: "me".to_owned() };
        for replace in [false, true] {
            let there = [entry("a", source(0), says(0)), entry("b", source(2), says(1))];
            let wanted = ["a", "b"].map(|name| (name.parse().unwrap(), says(0)));
            let wanted = wanted.into_iter().collect();
            let plan = Plan::adding(me.clone(), wanted, there, replace);
            let whats: Vec<_> = plan.steps.into_iter().map(|step| step.what).collect();
            assert_eq!(whats, [What::Keep, What::Held { by: source(2) }]);
        }
    }

    #[test]
    fn one_flaw_is_told_as_one() {
        let flaws = vec![Flaw::new("a", Problem::new("when", "no"))];
        let plan = Plan::between(
            source(0),
            Wanted { flaws, ..Wanted::default() },
            Vec::<ScheduleEntry>::new(),
        );
        let counts = "0 to create, 0 to change, 0 to delete, 0 as they are; one thing is wrong, so \
                      nothing is done";
        assert_eq!(plan.describe(), ["! a: when: no", counts]);
    }
}
