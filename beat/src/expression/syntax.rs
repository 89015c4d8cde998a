//! Takes an expression apart: its words, its fields, and how the fields come together.
//!
//! Guards that whatever text comes in is answered within the limit of its length, that all fields
//! are looked at before an answer is given, and that an expression which is accepted is due at some
//! time.

use super::days::{Days, Rule};
use super::field::{
    DAY_OF_MONTH, Dialect, HOUR, MINUTE, MONTH, Piece, SECOND, Spec, YEAR, bits, each_item,
};
use super::firing::Clocks;
use super::problem::{Problem, excerpt, nearest};
use super::wall::{FIRST_YEAR, Wall, Years};
use super::{Kind, MAX_LENGTH, day_fields, interval, once};

const WORDS: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// Reads an expression.
pub(super) fn read(text: &str) -> Result<Kind, Vec<Problem>> {
    if text.len() > MAX_LENGTH {
        let why = format!("it has {} bytes; the limit is {MAX_LENGTH}", text.len());
        return Err(vec![Problem::new(1, why)]);
    }
    let pieces: Vec<Piece<'_>> = pieces(text).collect();
    match pieces.as_slice() {
        [word, rest @ ..] if word.text.starts_with('@') => {
            read_fields(&self::pieces(spelled(*word, rest)?).collect::<Vec<_>>())
        }
        [word, rest @ ..] if word.is("every") => interval::read(*word, rest),
        [word, rest @ ..] if word.is("at") => once::read(*word, rest),
        pieces => read_fields(pieces),
    }
}

/// Splits a text at its blanks.
fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let (mut rest, mut column) = (text, 1);
    std::iter::from_fn(move || {
        let begin = rest.find(|c: char| !c.is_ascii_whitespace())?;
        column += begin;
        let tail = &rest[begin..];
        let end = tail.find(|c: char| c.is_ascii_whitespace()).unwrap_or(tail.len());
        let piece = Piece { text: &tail[..end], column };
        column += piece.text.chars().count();
        rest = &tail[end..];
        Some(piece)
    })
}

/// Returns the fields that a word stands for.
fn spelled(word: Piece<'_>, rest: &[Piece<'_>]) -> Result<&'static str, Vec<Problem>> {
    let known = WORDS.iter().find(|(known, _)| word.is(known));
    let problem = match (known, rest) {
        (Some((_, fields)), []) => return Ok(fields),
        (Some(_), [other, ..]) => {
            let why =
                format!("`{}` means nothing there; a word stands alone", excerpt(other.text, 40));
            Problem::new(other.column, why).suggest(word.text)
        }
        (None, rest) => {
            let known = WORDS.map(|(known, _)| known);
            let why = format!("there is no such word; there are {}", known.join(", "));
            let problem = Problem::new(word.column, why);
            match (nearest(word.text, known), rest) {
                (_, [interval]) if word.is("@every") => {
                    problem.suggest(format!("every {}", excerpt(interval.text, 40)))
                }
                (Some(known), _) => problem.suggest(known),
                (None, _) => problem,
            }
        }
    };
    Err(vec![problem])
}

fn read_fields(pieces: &[Piece<'_>]) -> Result<Kind, Vec<Problem>> {
    let zero = Piece { text: "0", column: 1 };
    let every = Piece { text: "*", column: 1 };
    match *pieces {
        [minute, hour, day, month, weekday] => {
            let fields = Fields { second: zero, minute, hour, day, month, weekday, year: every };
            fields.read(Dialect::Crontab)
        }
        [second, minute, hour, day, month, weekday] => {
            let fields = Fields { second, minute, hour, day, month, weekday, year: every };
            fields.read(Dialect::Quartz)
        }
        [second, minute, hour, day, month, weekday, year] => {
            let fields = Fields { second, minute, hour, day, month, weekday, year };
            fields.read(Dialect::Quartz)
        }
        _ => Err(vec![wrong_count(pieces)]),
    }
}

fn wrong_count(pieces: &[Piece<'_>]) -> Problem {
    let column = pieces.get(7).or(pieces.last()).map_or(1, |piece| piece.column);
    let fields = if pieces.len() == 1 { "field" } else { "fields" };
    let why = format!(
        "it has {} {fields}; write five (minute, hour, day of month, month, day of week: \
         `30 2 * * *`), six or seven (second first, and perhaps a year: `0 30 2 * * ?`), a word \
         (`@daily`), `every 90s` or `at 2027-01-01T09:00`",
        pieces.len()
    );
    let problem = Problem::new(column, why);
    match pieces {
        [one] if leveret_common::duration::parse(one.text).is_ok() => {
            problem.suggest(format!("every {}", one.text))
        }
        [one] if once::is_instant(one.text) => problem.suggest(format!("at {}", one.text)),
        [one] if WORDS.iter().any(|(word, _)| one.is(&word[1..])) => {
            problem.suggest(format!("@{}", one.text.to_ascii_lowercase()))
        }
        _ => problem,
    }
}

struct Fields<'t> {
    second: Piece<'t>,
    minute: Piece<'t>,
    hour: Piece<'t>,
    day: Piece<'t>,
    month: Piece<'t>,
    weekday: Piece<'t>,
    year: Piece<'t>,
}

impl Fields<'_> {
    fn read(&self, dialect: Dialect) -> Result<Kind, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut set = |piece, spec| {
            bits(piece, spec, dialect).unwrap_or_else(|problem| {
                problems.push(problem);
                0
            })
        };
        let (seconds, minutes) = (set(self.second, &SECOND), set(self.minute, &MINUTE));
        let hours = set(self.hour, &HOUR);
        let mut days = Days { rule: self.rule(dialect), ..Days::default() };
        let read = day_fields::day_of_month(self.day, dialect, &mut days);
        problems.extend(read.err());
        let months = bits(self.month, &MONTH, dialect);
        let months = months.unwrap_or_else(|problem| {
            problems.push(problem);
            0
        });
        problems.extend(day_fields::day_of_week(self.weekday, dialect, &mut days).err());
        let years = self.years(dialect).unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        if dialect == Dialect::Quartz {
            problems.extend(self.day_fields_clash());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let wall = Wall {
            seconds,
            minutes,
            hours: hours as u32,
            days,
            months: months as u16,
            years,
            clocks: self.clocks(dialect, minutes, hours),
        };
        if wall.next(-1).is_none() {
            return Err(vec![self.never(&wall, dialect)]);
        }
        Ok(Kind::Wall(wall))
    }

    /// Says that it is never due, at the field that says which days.
    fn never(&self, wall: &Wall, dialect: Dialect) -> Problem {
        let mut why = "it is never due: no month that it names has such a day".to_owned();
        if wall.years.is_some() {
            why.push_str(" in a year that it names");
        }
        if wall.days.rule == Rule::OfWeek {
            day_fields::spec_of(dialect).problem(self.weekday, why)
        } else {
            DAY_OF_MONTH.problem(self.day, why)
        }
    }

    /// crontab(5): a day field that begins with `*` restricts nothing, so that both have to match.
    fn rule(&self, dialect: Dialect) -> Rule {
        let every = |piece: Piece<'_>| matches!(piece.text, "*" | "?");
        let star = |piece: Piece<'_>| piece.text.starts_with(['*', '?']);
        match (every(self.day), every(self.weekday)) {
            (true, true) => Rule::Every,
            (false, true) => Rule::OfMonth,
            (true, false) => Rule::OfWeek,
            (false, false) if dialect == Dialect::Quartz => Rule::Both,
            (false, false) if star(self.day) || star(self.weekday) => Rule::Both,
            (false, false) => Rule::Either,
        }
    }

    /// Quartz: one of the day fields, and one only, is `?`.
    fn day_fields_clash(&self) -> Option<Problem> {
        let spec = day_fields::spec_of(Dialect::Quartz);
        let with = |day: &str, weekday: &str| {
            let head = [self.second, self.minute, self.hour].map(|piece| piece.text).join(" ");
            format!("{head} {day} {} {weekday}", self.month.text)
        };
        match (self.day.text, self.weekday.text) {
            ("?", "?") => {
                let why = "both day fields are `?`; one of them has to say which days";
                Some(spec.problem(self.weekday, why).suggest(with("*", "?")))
            }
            ("?", _) | (_, "?") => None,
            (day, "*") => {
                let why = "with six or seven fields one of the day fields is `?`";
                Some(spec.problem(self.weekday, why).suggest(with(day, "?")))
            }
            ("*", weekday) => {
                let why = "with six or seven fields one of the day fields is `?`";
                Some(DAY_OF_MONTH.problem(self.day, why).suggest(with("?", weekday)))
            }
            (day, weekday) => {
                let why = format!(
                    "both day fields are restricted, which Quartz does not know: write `?` in one \
                     of them, and a second schedule for the other (`{}` and `{}`)",
                    with(day, "?"),
                    with("?", weekday)
                );
                Some(spec.problem(self.weekday, why))
            }
        }
    }

    fn years(&self, dialect: Dialect) -> Result<Option<Box<Years>>, Problem> {
        if self.year.text == "*" {
            return Ok(None);
        }
        let mut years = Box::new(Years::default());
        each_item(self.year, &YEAR, |item| {
            for year in YEAR.run(item, dialect)?.values(&YEAR) {
                let bit = usize::from(year - FIRST_YEAR);
                years[bit / 64] |= 1 << (bit % 64);
            }
            Ok(())
        })?;
        Ok(Some(years))
    }

    /// cron(8): whether the times are fixed is told by how the minute and the hour are written.
    fn clocks(&self, dialect: Dialect, minutes: u64, hours: u64) -> Clocks {
        if hours == all(&HOUR) {
            return Clocks::Hourly;
        }
        let repeats = |piece: Piece<'_>| {
            let is_stepped = |item: Piece<'_>| {
                item.split('/').is_some_and(|(start, _)| !start.text.contains('-'))
            };
            piece.text.starts_with('*')
                || (dialect == Dialect::Quartz && piece.items().any(is_stepped))
        };
        if minutes == all(&MINUTE) || repeats(self.minute) || repeats(self.hour) {
            Clocks::Repeating
        } else {
            Clocks::Fixed
        }
    }
}

fn all(spec: &Spec) -> u64 {
    u64::MAX >> (63 - spec.last)
}
