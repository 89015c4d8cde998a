//! Reads `every 90s phase 15s`: intervals on the line of time, which no change of the clocks bends.
//!
//! They are counted from 1970-01-01T00:00:00Z, so that everybody agrees on the turn of an interval
//! without having to know when the schedule was made.

use std::time::Duration;

use leveret_common::duration;

use super::Kind;
use super::field::Piece;
use super::problem::{Field, Problem, excerpt, nearest};

/// The longest interval.
const LONGEST: Duration = Duration::from_secs(366 * 86_400);
const INTERVAL: &str = "whole seconds from 1s to 366d, such as 90s or 1h30m";
const PHASE: &str = "whole seconds from 0s to less than the interval, such as 15s";

/// Reads what stands behind the word.
pub(super) fn read(word: Piece<'_>, rest: &[Piece<'_>]) -> Result<Kind, Vec<Problem>> {
    let (interval, phase) = match *rest {
        [interval] => (interval, None),
        [interval, keyword, phase] if keyword.is("phase") => (interval, Some(phase)),
        [] => {
            let column = word.column + word.text.len();
            let problem = Problem::new(column, "the interval is missing");
            return Err(vec![problem.of(Field::Interval, INTERVAL).suggest("every 90s")]);
        }
        [_, other, ..] => return Err(vec![surplus(rest, other)]),
    };
    let mut problems = Vec::new();
    let mut keep = |problem| problems.push(problem);
    let length = seconds(interval)
        .map_err(|why| keep(Problem::new(interval.column, why).of(Field::Interval, INTERVAL)));
    let offset = phase.map_or(Ok(0), seconds);
    let offset = offset.map_err(|why| {
        let column = phase.map_or(0, |phase| phase.column);
        keep(Problem::new(column, why).of(Field::Phase, PHASE));
    });
    let (Ok(length), Ok(offset)) = (length, offset) else { return Err(problems) };
    if length == 0 || u64::from(length) > LONGEST.as_secs() {
        let why = format!("`{}` is not within 1s to 366d", interval.text);
        return Err(vec![Problem::new(interval.column, why).of(Field::Interval, INTERVAL)]);
    }
    if let Some(phase) = phase.filter(|_| offset >= length) {
        let why = format!("the phase `{}` is not below the interval", phase.text);
        let meant = duration::format(Duration::from_secs(u64::from(offset % length)));
        let problem = Problem::new(phase.column, why).of(Field::Phase, PHASE);
        return Err(vec![problem.suggest(format!("every {} phase {meant}", interval.text))]);
    }
    Ok(Kind::Every { interval: length, phase: offset })
}

fn surplus(rest: &[Piece<'_>], other: Piece<'_>) -> Problem {
    let why = format!(
        "`{}` means nothing there; write `every 90s` or `every 90s phase 15s`",
        excerpt(other.text, 40)
    );
    let problem = Problem::new(other.column, why);
    let joined: String = rest.iter().map(|piece| piece.text).collect();
    if duration::parse(&joined).is_ok() {
        problem.suggest(format!("every {joined}"))
    } else if nearest(other.text, ["phase", "offset"]).is_some() && rest.len() == 3 {
        problem.suggest(format!("every {} phase {}", rest[0].text, rest[2].text))
    } else {
        problem
    }
}

fn seconds(piece: Piece<'_>) -> Result<u32, String> {
    let shown = excerpt(piece.text, 40);
    let span = duration::parse(piece.text).map_err(|why| format!("`{shown}`: {why}"))?;
    if span.subsec_nanos() != 0 {
        return Err(format!("`{shown}` has a part of a second"));
    }
    // What is beyond 136 years is beyond the longest interval all the same.
    Ok(u32::try_from(span.as_secs()).unwrap_or(u32::MAX))
}
