//! Times as Python's `isoformat` writes them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::clock::Millis;

/// Reads an ISO 8601 time; one without an offset is UTC, Celery's own default. What is before 1970
/// is 1970.
pub(super) fn read(text: &str) -> Result<Millis, String> {
    let text = text.trim();
    let naive = |form| NaiveDateTime::parse_from_str(text, form).map(|time| time.and_utc());
    let date = || NaiveDate::parse_from_str(text, "%Y-%m-%d").map(NaiveDateTime::from);
    let time = DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z").map(|t| t.to_utc()))
        .or_else(|_| naive("%Y-%m-%dT%H:%M:%S%.f"))
        .or_else(|_| naive("%Y-%m-%d %H:%M:%S%.f"))
        .or_else(|_| naive("%Y-%m-%dT%H:%M"))
        .or_else(|_| date().map(|date| date.and_utc()));
    match time {
        // Up, so that a task is never started early.
        Ok(time) => {
            let up = i64::from(time.timestamp_subsec_nanos() % 1_000_000 > 0);
            Ok(Millis(u64::try_from(time.timestamp_millis() + up).unwrap_or(0)))
        }
        Err(_) => Err("write it as ISO 8601, such as 2031-01-01T08:30:00+00:00".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_writes_is_read_and_never_early() {
        for (text, ms) in [
            ("2026-11-21T22:00:03.079081+00:00", 1_795_298_403_080),
            ("2026-11-21T22:00:03.079+00:00", 1_795_298_403_079),
            ("2026-11-22T03:30:03+05:30", 1_795_298_403_000),
            ("2026-11-22T03:30:03+0530", 1_795_298_403_000),
            ("2026-11-21T22:00:03Z", 1_795_298_403_000),
            ("2026-11-21T22:00:03", 1_795_298_403_000),
            ("2026-11-21 22:00:03", 1_795_298_403_000),
            ("2026-11-21T22:00", 1_795_298_400_000),
            ("2026-11-21", 1_795_219_200_000),
            ("1969-12-31T00:00:00", 0),
        ] {
            assert_eq!(read(text), Ok(Millis(ms)), "{text}");
        }
        for text in ["", "tomorrow", "1790000000", "2026-13-01T00:00:00"] {
            assert!(read(text).unwrap_err().contains("ISO 8601"), "{text}");
        }
    }
}
