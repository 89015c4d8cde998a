//! Reads `at 2027-01-01T09:00 Europe/Berlin`: one instant.
//!
//! With an offset or `Z` the text names an instant; else what the wall clock shows, in the zone
//! behind it or, where there is none, in that of the schedule.

use chrono::{DateTime, NaiveDateTime};

use super::Kind;
use super::field::Piece;
use super::problem::{Field, Problem, excerpt};
use super::wall::END;
use super::zone as zones;

const INSTANT: &str = "a date and a time from 1970 to 2099, such as 2027-01-01T09:00, \
                       2027-01-01T09:00:30 or, as an instant, 2027-01-01T09:00:00+01:00";
const ZONE: &str = "the name of an IANA zone, such as Europe/Berlin";

/// Reads what stands behind the word.
pub(super) fn read(word: Piece<'_>, rest: &[Piece<'_>]) -> Result<Kind, Vec<Problem>> {
    let (instant, zone) = match *rest {
        [instant] => (instant, None),
        [date, time] if is_instant(&format!("{}T{}", date.text, time.text)) => {
            let meant = format!("at {}T{}", date.text, time.text);
            let why = "between date and time stands a T";
            let problem = Problem::new(time.column, why).of(Field::Instant, INSTANT);
            return Err(vec![problem.suggest(meant)]);
        }
        [instant, zone] => (instant, Some(zone)),
        [] => {
            let column = word.column + word.text.len();
            let problem = Problem::new(column, "the instant is missing");
            return Err(vec![problem.of(Field::Instant, INSTANT)]);
        }
        [_, _, other, ..] => {
            let why = format!("`{}` means nothing there", excerpt(other.text, 40));
            return Err(vec![Problem::new(other.column, why)]);
        }
    };
    let mut problems = Vec::new();
    let read = match parse(instant.text) {
        Some(read) if (0..END).contains(&read.second()) => Some(read),
        Some(_) => {
            let why = format!("`{}` is not within 1970 to 2099", excerpt(instant.text, 40));
            problems.push(Problem::new(instant.column, why).of(Field::Instant, INSTANT));
            None
        }
        None => {
            let why = format!("`{}` is no instant", excerpt(instant.text, 40));
            problems.push(Problem::new(instant.column, why).of(Field::Instant, INSTANT));
            None
        }
    };
    let name = zone.and_then(|piece| {
        let read = zones::read(piece.text);
        read.map_err(|why| problems.push(Problem::new(piece.column, why).of(Field::Zone, ZONE)))
            .ok()
    });
    match (read, zone) {
        (Some(Read::Instant(_)), Some(piece)) if problems.is_empty() => {
            let why = "the instant has an offset already; leave the offset or the zone out";
            Err(vec![Problem::new(piece.column, why).of(Field::Zone, ZONE)])
        }
        (Some(Read::Instant(second)), None) => Ok(Kind::Instant(second)),
        (Some(Read::Wall(wall)), _) if problems.is_empty() => Ok(Kind::Local { wall, zone: name }),
        _ => Err(problems),
    }
}

/// Whether a text is an instant as this expression takes it.
pub(super) fn is_instant(text: &str) -> bool {
    parse(text).is_some()
}

#[derive(Clone, Copy)]
enum Read {
    Instant(i64),
    Wall(i64),
}

impl Read {
    const fn second(self) -> i64 {
        match self {
            Self::Instant(second) | Self::Wall(second) => second,
        }
    }
}

fn parse(text: &str) -> Option<Read> {
    if !(16..=25).contains(&text.len()) || !text.is_ascii() {
        return None;
    }
    // chrono takes a leap second (and a blank for the T); neither is written in a timetable.
    if text.as_bytes()[10] != b'T' || text.as_bytes().get(17..19) == Some(b"60") {
        return None;
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Some(Read::Instant(instant.timestamp()));
    }
    let wall = ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M"];
    let wall = wall.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())?;
    Some(Read::Wall(wall.and_utc().timestamp()))
}
