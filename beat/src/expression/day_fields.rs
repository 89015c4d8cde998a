//! Reads the two day fields, with what only they take: `?`, `L`, `W`, `#`.
//!
//! In a list each item stands for itself, and the days of all of them count: `1,15,LW`.

use super::days::Days;
use super::field::{
    CRONTAB_DAY_OF_WEEK, DAY_OF_MONTH, Dialect, Piece, QUARTZ_DAY_OF_WEEK, Spec, each_item, number,
};
use super::problem::{Problem, excerpt};

/// Most days before the last that can be written: the first of a month of 31 days.
const MOST_BEFORE_LAST: u16 = 30;

/// Reads the field day of month.
pub(super) fn day_of_month(
    piece: Piece<'_>,
    dialect: Dialect,
    days: &mut Days,
) -> Result<(), Problem> {
    if piece.text == "?" {
        return Ok(());
    }
    let spec = &DAY_OF_MONTH;
    each_item(piece, spec, |item| {
        if let Some(day) = item.without_last('W') {
            if let Some(before) = before_last(day)? {
                days.near_from_last |= 1 << before;
            } else if number(day.text).is_some() {
                days.near |= 1 << spec.value(day)?;
            } else {
                let why = format!("`{}`: W stands behind one day", excerpt(item.text, 40));
                return Err(spec.problem(item, why));
            }
        } else if let Some(before) = before_last(item)? {
            days.from_last |= 1 << before;
        } else {
            for day in spec.run(item, dialect)?.values(spec) {
                days.numbered |= 1 << day;
            }
        }
        Ok(())
    })
}

/// Reads the field day of week.
pub(super) fn day_of_week(
    piece: Piece<'_>,
    dialect: Dialect,
    days: &mut Days,
) -> Result<(), Problem> {
    if piece.text == "?" {
        return Ok(());
    }
    let spec = spec_of(dialect);
    // Bit 0 for Sunday, whatever its number is.
    let bit = |value: u16| 1_u8 << ((value - spec.first) % 7);
    each_item(piece, spec, |item| {
        if item.is("L") && dialect == Dialect::Quartz {
            days.weekdays |= bit(spec.last);
        } else if let Some(day) = item.without_last('L') {
            days.last_weekdays |= bit(spec.value(day)?);
        } else if let Some((day, nth)) = item.split('#') {
            let weekday = bit(spec.value(day)?);
            match number(nth.text) {
                Some(nth @ 1..=5) => days.nth_weekdays[usize::from(nth) - 1] |= weekday,
                _ => {
                    let why = format!(
                        "`{}` is not within 1-5: a month has five of a day at most",
                        excerpt(nth.text, 40)
                    );
                    return Err(spec.problem(nth, why));
                }
            }
        } else {
            for day in spec.run(item, dialect)?.values(spec) {
                days.weekdays |= bit(day);
            }
        }
        Ok(())
    })
}

/// Returns what the field day of week takes.
pub(super) const fn spec_of(dialect: Dialect) -> &'static Spec {
    match dialect {
        Dialect::Crontab => &CRONTAB_DAY_OF_WEEK,
        Dialect::Quartz => &QUARTZ_DAY_OF_WEEK,
    }
}

/// Reads `L` and `L-3`: how many days before the last.
fn before_last(item: Piece<'_>) -> Result<Option<u16>, Problem> {
    if item.is("L") {
        return Ok(Some(0));
    }
    let Some((_, before)) = item.split('-').filter(|(last, _)| last.is("L")) else {
        return Ok(None);
    };
    match number(before.text) {
        Some(before @ 1..=MOST_BEFORE_LAST) => Ok(Some(before)),
        _ => {
            let shown = excerpt(before.text, 40);
            let why = format!("`{shown}` is not within 1-{MOST_BEFORE_LAST}: days before the last");
            Err(DAY_OF_MONTH.problem(before, why))
        }
    }
}
