//! When one schedule is due: its expression, its zone and everything that bounds them.
//!
//! A [`Timing`] is read once from a definition and answers from then on without a clock and without
//! an allocation: two beats that ask the same get the same. It knows nothing of what was put in, of
//! pauses or of missed occurrences; that is the engine's. Guards that `next` is strictly later than
//! what was asked about, that `latest`, `newest` and `count` agree with it, and that jitter keeps
//! the order of occurrences.

mod exclusion;
pub mod explain;
mod jitter;

use std::time::Duration;

use chrono_tz::Tz;
use leveret_common::clock::Millis;
use leveret_common::duration::DurationText;
use leveret_common::name::ScheduleName;
use leveret_common::schedule::Definition;
use leveret_producer::Problem;

use self::exclusion::Exclusions;
use crate::definition::instant;
use crate::expression::{Expression, zone};

/// The greatest jitter: seven days.
pub const MAX_JITTER: Duration = Duration::from_secs(7 * 86_400);
/// Most exclusions of a schedule.
pub const MAX_EXCLUSIONS: usize = 1_000;

/// When one schedule is due.
///
/// # Examples
///
/// ```
/// use leveret_beat::timing::Timing;
/// use leveret_common::{clock::Millis, schedule::Definition};
///
/// let mut definition = Definition::new("0 2 * * *", "report.nightly".parse()?);
/// definition.zone = Some("Europe/Berlin".to_owned());
/// let timing = Timing::new(&"report".parse()?, &definition).map_err(|problems| problems[0].why.clone())?;
/// // 2027-01-01T01:00:00Z is 02:00 in Berlin.
/// assert_eq!(timing.next(Millis(1_798_761_600_000)), Some(Millis(1_798_765_200_000)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    expression: Expression,
    exclusions: Exclusions,
    /// Tells this schedule's jitter from another's.
    seed: u64,
    /// The first and the last second that count, since 1970: 2099 ends before these do.
    first: u32,
    last: u32,
    /// Milliseconds.
    jitter: u32,
    zone: Tz,
}

impl Timing {
    /// Reads the fields `when`, `zone`, `start`, `end`, `jitter` and `exclude` of a definition.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, each with its field: an expression or an exclusion that
    /// means nothing, a zone that nobody knows or that is not the one the expression names, an end
    /// before the start, a jitter beyond [`MAX_JITTER`], and exclusions or bounds that leave nothing
    /// that would ever be due. That all of it lies in the past is no error: [`Timing::is_over`].
    pub fn new(name: &ScheduleName, definition: &Definition) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let expression = read_expression(&definition.when, &mut problems);
        let written = read_zone(definition.zone.as_deref(), &mut problems);
        let exclusions = Exclusions::read(&definition.exclude, &mut problems);
        let (first, last) = read_bounds(definition, &mut problems);
        let jitter = read_jitter(definition.jitter, &mut problems);
        let zone = match &expression {
            Some(expression) => settle_zone(expression, written, &mut problems),
            None => Tz::UTC,
        };
        let (Some(expression), true) = (expression, problems.is_empty()) else {
            return Err(problems);
        };
        let seed = jitter::seed(name.as_str());
        let timing = Self { expression, exclusions, seed, first, last, jitter, zone };
        let problems = timing.never_due(definition);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(timing)
    }

    /// Says why nothing is ever due, where it is so.
    fn never_due(&self, definition: &Definition) -> Vec<Problem> {
        if !self.exclusions.is_empty() && self.next_day_left(-1).is_none() {
            let why = "it leaves no day on which the schedule is due; leave out fewer days";
            return vec![Problem::new("exclude", why)];
        }
        // An expression alone is due at some time; looked at again only where something bounds it.
        let is_bounded = definition.start.is_some() || definition.end.is_some();
        if !is_bounded || self.next_second(-1).is_some() {
            return Vec::new();
        }
        let from_start = self.next_day_left(i64::from(self.first) - 1).map(millis);
        let (field, why) = match (definition.start, from_start) {
            (Some(_), None) => {
                ("start", "nothing is ever due from then on; make it earlier".to_owned())
            }
            (_, first) => {
                let first = first.map(instant).unwrap_or_default();
                ("end", format!("the first that would be due is {first}, later; make it later"))
            }
        };
        vec![Problem::new(field, why)]
    }

    /// Returns the first occurrence strictly after `after`, without its jitter: not before the
    /// start, not after the end, not on an excluded day.
    #[must_use]
    pub fn next(&self, after: Millis) -> Option<Millis> {
        self.next_second(second(after)).map(millis)
    }

    /// Whether nothing is due after `now` any more. No error, because every schedule with an end
    /// comes to it; who takes a schedule that is over already had better say so.
    #[must_use]
    pub fn is_over(&self, now: Millis) -> bool {
        self.next(now).is_none()
    }

    /// Returns the last occurrence that is later than `after` and not later than `until`.
    ///
    /// Asks [`Timing::next`] 70 times at most, however many occurrences lie between.
    #[must_use]
    pub fn latest(&self, after: Millis, until: Millis) -> Option<Millis> {
        self.latest_second(second(after), second(until)).map(millis)
    }

    /// Lists the newest occurrences that are later than `after` and not later than `until`, at most
    /// `most` of them, oldest first.
    ///
    /// Costs as much as `most` questions for the latest one.
    #[must_use]
    pub fn newest(&self, after: Millis, until: Millis, most: usize) -> Vec<Millis> {
        let (after, until) = (second(after), second(until));
        let latest = self.latest_second(after, until);
        let before = |due: &i64| self.latest_second(after, due - 1);
        let mut newest: Vec<Millis> =
            std::iter::successors(latest, before).take(most).map(millis).collect();
        newest.reverse();
        newest
    }

    /// Counts the occurrences that are later than `after` and not later than `until`, up to `most`.
    ///
    /// Goes through them one by one.
    #[must_use]
    pub fn count(&self, after: Millis, until: Millis, most: u64) -> u64 {
        let dues = self.upcoming(after).take_while(|due| *due <= until);
        (0..most).zip(dues).fold(0, |count, _| count + 1)
    }

    /// Goes through the occurrences strictly after `from`, in their order, without their jitter.
    pub fn upcoming(&self, from: Millis) -> impl Iterator<Item = Millis> + '_ {
        let next = |due: &i64| self.next_second(*due);
        std::iter::successors(self.next_second(second(from)), next).map(millis)
    }

    /// Returns when the occurrence `due` is to be put in: `due` with its jitter.
    ///
    /// Everybody who asks gets the same, and never an instant at or after the next occurrence.
    #[must_use]
    pub fn planned(&self, due: Millis) -> Millis {
        if self.jitter == 0 {
            return due;
        }
        let gap = self.next(due).map_or(u64::MAX, |next| next.0 - due.0);
        let below = u64::from(self.jitter).min(gap);
        Millis(due.0.saturating_add(jitter::draw(self.seed, due, below)))
    }

    /// Returns the zone whose wall clock counts.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        self.zone
    }

    /// Returns the expression.
    #[must_use]
    pub const fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Says in words when the schedule is due: `at 02:00 each day, in Europe/Berlin`.
    #[must_use]
    pub fn words(&self) -> String {
        let mut words = self.expression.words();
        let is_said = self.zone != Tz::UTC && self.expression.depends_on_zone();
        if is_said {
            words.push_str(", in ");
            words.push_str(self.zone.name());
        }
        if let Some(exclusions) = self.exclusions.words() {
            words.push_str(", but not on ");
            words.push_str(&exclusions);
            // Whose days those are, where the instants alone do not need it.
            if self.zone != Tz::UTC && !is_said && self.expression.zone().is_none() {
                words.push_str(", in ");
                words.push_str(self.zone.name());
            }
        }
        words
    }

    /// [`Timing::next`] in seconds since 1970.
    fn next_second(&self, after: i64) -> Option<i64> {
        let due = self.next_day_left(after.max(i64::from(self.first) - 1))?;
        (due <= i64::from(self.last)).then_some(due)
    }

    /// Returns the first occurrence after `after` on a day that is not excluded.
    fn next_day_left(&self, after: i64) -> Option<i64> {
        let mut from = after;
        loop {
            let due = self.expression.next_second(self.zone, from)?;
            match self.exclusions.end_of_exclusion(self.zone, due) {
                None => return Some(due),
                Some(end) => from = end?,
            }
        }
    }

    /// [`Timing::latest`] in seconds since 1970, by bisection.
    fn latest_second(&self, after: i64, until: i64) -> Option<i64> {
        let until = until.min(i64::from(self.last));
        let within = |from: i64| self.next_second(from).filter(|due| *due <= until);
        // There is something at `found`, and nothing after `beyond`.
        let (mut found, mut beyond) = (within(after)?, until);
        // Strides back from the end, twice as far each time, until something lies ahead.
        let mut stride = 1;
        while found < beyond {
            let from = until.saturating_sub(stride).max(found);
            match within(from) {
                Some(due) => {
                    found = due;
                    break;
                }
                None => beyond = from,
            }
            stride *= 2;
        }
        while found < beyond {
            let middle = found + (beyond - found) / 2;
            match within(middle) {
                Some(due) => found = due,
                None => beyond = middle,
            }
        }
        Some(found)
    }
}

/// The second that an instant lies in. An occurrence is a whole second: it is later than the
/// instant where it is later than that second.
fn second(at: Millis) -> i64 {
    i64::try_from(at.0 / 1_000).unwrap_or(i64::MAX)
}

fn millis(second: i64) -> Millis {
    Millis(u64::try_from(second).unwrap_or_default() * 1_000)
}

fn read_expression(when: &str, problems: &mut Vec<Problem>) -> Option<Expression> {
    match when.parse() {
        Ok(expression) => Some(expression),
        Err(why) => {
            problems.extend(why.problems().iter().map(|one| Problem::new("when", one)));
            None
        }
    }
}

fn read_zone(zone: Option<&str>, problems: &mut Vec<Problem>) -> Option<Tz> {
    match zone::read(zone?) {
        Ok(zone) => Some(zone),
        Err(why) => {
            problems.push(Problem::new("zone", why));
            None
        }
    }
}

/// The zone of an `at` expression and that of the schedule may not contradict one another.
fn settle_zone(expression: &Expression, written: Option<Tz>, problems: &mut Vec<Problem>) -> Tz {
    match (expression.zone(), written) {
        // Links are two names for the same clocks, and one instant is all that is asked here.
        (Some(inline), Some(zone)) if inline != zone && !expression.agrees_with(zone) => {
            let why =
                format!("it says {zone}, the expression says {inline}; leave one of them out");
            problems.push(Problem::new("zone", why));
            zone
        }
        (inline, zone) => inline.or(zone).unwrap_or(Tz::UTC),
    }
}

/// Reads the first and the last whole second that count.
fn read_bounds(definition: &Definition, problems: &mut Vec<Problem>) -> (u32, u32) {
    if definition.start.zip(definition.end).is_some_and(|(start, end)| start > end) {
        problems.push(Problem::new("end", "it lies before the start; nothing would ever be due"));
    }
    let whole = |second: u64| u32::try_from(second).unwrap_or(u32::MAX);
    let first = definition.start.map_or(0, |start| whole(start.0.div_ceil(1_000)));
    let last = definition.end.map_or(u32::MAX, |end| whole(end.0 / 1_000));
    (first, last)
}

fn read_jitter(jitter: Option<Duration>, problems: &mut Vec<Problem>) -> u32 {
    let jitter = jitter.unwrap_or_default();
    if jitter > MAX_JITTER {
        let (jitter, most) = (DurationText(jitter), DurationText(MAX_JITTER));
        problems.push(Problem::new("jitter", format!("{jitter} is too long; the most is {most}")));
    }
    u32::try_from(jitter.as_millis()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod exclusion_tests;
#[cfg(test)]
mod explain_tests;
#[cfg(test)]
mod tests;
