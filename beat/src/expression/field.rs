//! Reads a field of numbers: lists of values, names, ranges and steps.
//!
//! Knows what each field takes. The two day fields add forms of their own: [`super::day_fields`].
//! Guards that each problem names its column and what the field takes, and that the work is bounded
//! by the length of the text times the size of the field.

use super::problem::{Field, Problem, excerpt};
use super::wall::{FIRST_YEAR, LAST_YEAR};

/// Whose rules the fields follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Five fields.
    Crontab,
    /// Six or seven fields.
    Quartz,
}

/// A part of the text, with the place of its first character.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'t> {
    pub(super) text: &'t str,
    pub(super) column: usize,
}

/// What a field takes.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) field: Field,
    pub(super) first: u16,
    pub(super) last: u16,
    /// Names of the values from the first on.
    names: &'static [&'static str],
    pub(super) takes: &'static str,
}

/// Values from `first` to `last` (which may lie beyond the field's last: then it goes on from the
/// field's first), each `step`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    first: u16,
    last: u16,
    step: u16,
}

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

pub(super) const SECOND: Spec = Spec {
    field: Field::Second,
    first: 0,
    last: 59,
    names: &[],
    takes: "0-59, `*`, ranges `1-5`, steps `*/5`, and lists of them",
};
pub(super) const MINUTE: Spec = Spec { field: Field::Minute, ..SECOND };
pub(super) const HOUR: Spec = Spec {
    field: Field::Hour,
    first: 0,
    last: 23,
    names: &[],
    takes: "0-23, `*`, ranges `9-17`, steps `*/2`, and lists of them",
};
pub(super) const DAY_OF_MONTH: Spec = Spec {
    field: Field::DayOfMonth,
    first: 1,
    last: 31,
    names: &[],
    takes: "1-31, `*`, `?`, `L`, `L-3`, `15W`, `LW`, `L-3W`, ranges, steps, and lists of them",
};
pub(super) const MONTH: Spec = Spec {
    field: Field::Month,
    first: 1,
    last: 12,
    names: &MONTHS,
    takes: "1-12 or JAN-DEC, `*`, ranges, steps, and lists of them",
};
pub(super) const CRONTAB_DAY_OF_WEEK: Spec = Spec {
    field: Field::DayOfWeek,
    first: 0,
    last: 7,
    names: &DAYS,
    takes: "0-7 (0 and 7 are Sunday) or SUN-SAT, `*`, `?`, `5L`, `5#3`, ranges, steps, and lists \
            of them",
};
pub(super) const QUARTZ_DAY_OF_WEEK: Spec = Spec {
    field: Field::DayOfWeek,
    first: 1,
    last: 7,
    names: &DAYS,
    takes: "1-7 (1 is Sunday, as in Quartz) or SUN-SAT, `*`, `?`, `6L`, `6#3`, ranges, steps, and \
            lists of them",
};
pub(super) const YEAR: Spec = Spec {
    field: Field::Year,
    first: FIRST_YEAR,
    last: LAST_YEAR,
    names: &[],
    takes: "1970-2099, `*`, ranges, steps, and lists of them",
};

impl<'t> Piece<'t> {
    /// Splits off what stands behind a separator.
    pub(super) fn split(self, separator: char) -> Option<(Self, Self)> {
        let (head, tail) = self.text.split_once(separator)?;
        let column = self.column + head.chars().count() + 1;
        Some((Self { text: head, ..self }, Self { text: tail, column }))
    }

    /// Goes through the items of a list.
    pub(super) fn items(self) -> impl Iterator<Item = Self> {
        let mut rest = Some(self);
        std::iter::from_fn(move || {
            let list = rest?;
            let (item, tail) =
                list.split(',').map_or((list, None), |(item, tail)| (item, Some(tail)));
            rest = tail;
            Some(item)
        })
    }

    pub(super) fn is(self, text: &str) -> bool {
        self.text.eq_ignore_ascii_case(text)
    }

    /// Takes the letter at the end off.
    pub(super) fn without_last(self, letter: char) -> Option<Self> {
        let end =
            self.text.char_indices().next_back().filter(|(_, c)| c.eq_ignore_ascii_case(&letter));
        end.map(|(at, _)| Self { text: &self.text[..at], ..self })
    }
}

/// Reads a field of numbers as bits, for a field whose greatest value is below 64.
pub(super) fn bits(piece: Piece<'_>, spec: &Spec, dialect: Dialect) -> Result<u64, Problem> {
    let mut set = 0;
    each_item(piece, spec, |item| {
        for value in spec.run(item, dialect)?.values(spec) {
            set |= 1 << value;
        }
        Ok(())
    })?;
    Ok(set)
}

/// Goes through the items of a field.
pub(super) fn each_item<'t>(
    piece: Piece<'t>,
    spec: &Spec,
    mut read: impl FnMut(Piece<'t>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let is_list = piece.text.contains(',');
    for item in piece.items() {
        if is_list && (item.text == "*" || item.text == "?") {
            let why = format!("`{}` stands alone, not in a list", item.text);
            return Err(spec.problem(item, why).suggest(item.text));
        }
        read(item)?;
    }
    Ok(())
}

impl Run {
    /// Returns the values, each within the field.
    pub(super) fn values(self, spec: &Spec) -> impl Iterator<Item = u16> {
        let (last, size) = (spec.last, spec.last - spec.first + 1);
        let beyond = move |value: u16| if value > last { value - size } else { value };
        (self.first..=self.last).step_by(usize::from(self.step)).map(beyond)
    }
}

impl Spec {
    /// A problem with a piece of this field.
    pub(super) fn problem(&self, piece: Piece<'_>, why: impl Into<String>) -> Problem {
        Problem::new(piece.column, why).of(self.field, self.takes)
    }

    /// The piece means nothing here.
    pub(super) fn unknown(&self, piece: Piece<'_>) -> Problem {
        let shown = excerpt(piece.text, 40);
        if shown.is_empty() {
            return self.problem(piece, "a value is missing");
        }
        let problem = self.problem(piece, format!("`{shown}` means nothing there"));
        match self.name_like(piece.text) {
            Some(name) => problem.suggest(name),
            None => problem,
        }
    }

    /// Reads one item of a list.
    pub(super) fn run(&self, item: Piece<'_>, dialect: Dialect) -> Result<Run, Problem> {
        let (range, step) =
            item.split('/').map_or((item, None), |(range, step)| (range, Some(step)));
        let all = range.text == "*"
            || (range.text.is_empty() && step.is_some() && dialect == Dialect::Quartz);
        let (first, last) = if all {
            // Sunday counts once.
            let last = if self.last == 7 && self.first == 0 { 6 } else { self.last };
            (self.first, last)
        } else if let Some((from, to)) = range.split('-') {
            self.range(range, from, to, dialect)?
        } else {
            let first = self.value(range)?;
            match step {
                None => (first, first),
                Some(_) if dialect == Dialect::Quartz => (first, self.last),
                Some(step) => {
                    let why = format!("`{}` is a step without a range", excerpt(item.text, 40));
                    let meant = format!("{}-{}/{}", range.text, self.last, step.text);
                    return Err(self.problem(item, why).suggest(excerpt(&meant, 40)));
                }
            }
        };
        let step = step.map_or(Ok(1), |step| self.step(step))?;
        Ok(Run { first, last, step })
    }

    fn range(
        &self,
        range: Piece<'_>,
        from: Piece<'_>,
        to: Piece<'_>,
        dialect: Dialect,
    ) -> Result<(u16, u16), Problem> {
        let (first, mut last) = (self.value(from)?, self.value(to)?);
        if self.field == Field::DayOfWeek
            && dialect == Dialect::Crontab
            && to.is("SUN")
            && first > 0
        {
            last = 7;
        }
        if first <= last {
            return Ok((first, last));
        }
        if dialect == Dialect::Quartz && self.field != Field::Year {
            return Ok((first, last + self.last - self.first + 1));
        }
        let why = format!("the range `{}` ends before it begins", range.text);
        let problem = self.problem(range, why);
        if self.field == Field::Year {
            return Err(problem.suggest(format!("{last}-{first}")));
        }
        Err(problem.suggest(format!("{first}-{},{}-{last}", self.last, self.first)))
    }

    /// Reads one value, as a number or by its name.
    pub(super) fn value(&self, piece: Piece<'_>) -> Result<u16, Problem> {
        if let Some(place) = (self.first..).zip(self.names).find(|(_, name)| piece.is(name)) {
            return Ok(place.0);
        }
        let Some(number) = number(piece.text) else { return Err(self.unknown(piece)) };
        if (self.first..=self.last).contains(&number) {
            return Ok(number);
        }
        let why = format!("`{}` is not within {}-{}", piece.text, self.first, self.last);
        let problem = self.problem(piece, why);
        Err(match self.field {
            Field::Second | Field::Minute | Field::Hour if number == self.last + 1 => {
                problem.suggest("0")
            }
            Field::DayOfWeek if number == 0 => problem.suggest("1"),
            _ => problem,
        })
    }

    fn step(&self, step: Piece<'_>) -> Result<u16, Problem> {
        let most = self.last - self.first + 1;
        match number(step.text) {
            Some(number) if (1..=most).contains(&number) => Ok(number),
            Some(0) => Err(self.problem(step, format!("a step of 0; a step is within 1-{most}"))),
            Some(number) => {
                let why =
                    format!("the step {number} leads out of the field; a step is within 1-{most}");
                let problem = self.problem(step, why);
                Err(match self.field {
                    Field::Second => problem.suggest(format!("every {number}s")),
                    Field::Minute => problem.suggest(format!("every {number}m")),
                    Field::Hour => problem.suggest(format!("every {number}h")),
                    _ => problem,
                })
            }
            None if step.text.is_empty() => Err(self.problem(step, "a step is missing behind `/`")),
            None => {
                let why =
                    format!("`{}` is no step; a step is within 1-{most}", excerpt(step.text, 40));
                Err(self.problem(step, why))
            }
        }
    }

    /// The name that begins like the text: `MONDAY`, `Sept`.
    fn name_like(&self, text: &str) -> Option<&'static str> {
        let head = text.get(..3)?;
        self.names.iter().find(|name| name.eq_ignore_ascii_case(head)).copied()
    }
}

/// Reads a number of at most four digits.
pub(super) fn number(text: &str) -> Option<u16> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}
