//! Instants and durations as answers write them: RFC 3339 in UTC with milliseconds, and text with
//! the largest unit that says enough.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat};
use leveret_common::clock::Millis;
use serde::Serializer;

/// Writes an instant; one that no calendar holds as its bare number.
#[must_use]
pub fn text(at: Millis) -> String {
    let instant = i64::try_from(at.0).ok().and_then(DateTime::from_timestamp_millis);
    match instant {
        Some(instant) => instant.to_rfc3339_opts(SecondsFormat::Millis, true),
        None => at.0.to_string(),
    }
}

/// Writes a duration for people, rounded down to at most two units: `3m20s`, `2d4h`.
#[must_use]
pub fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let two = |many: u64, unit: &str, few: u64, smaller: &str| match few {
        0 => format!("{many}{unit}"),
        few => format!("{many}{unit}{few}{smaller}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) if seconds == 0 => format!("{}ms", span.as_millis()),
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, minutes) => two(minutes, "m", seconds % 60, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "m"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

/// Rounds a rate to what can be told of it: thousandths a second.
pub(crate) fn rate(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}

/// Serialises an instant as [`text`].
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
pub(crate) fn serialize<S: Serializer>(at: &Millis, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&text(*at))
}

/// Serialises an instant that may be absent.
#[allow(clippy::ref_option, reason = "serde calls it so")]
pub(crate) fn maybe<S: Serializer>(at: &Option<Millis>, to: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serialize(at, to),
        None => to.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_utc_with_milliseconds() {
        assert_eq!(text(Millis(1_700_000_000_007)), "2023-11-14T22:13:20.007Z");
        assert_eq!(text(Millis(u64::MAX)), u64::MAX.to_string());
    }

    #[test]
    fn a_duration_is_written_with_at_most_two_units() {
        for (millis, written) in [
            (7, "7ms"),
            (59_900, "59s"),
            (60_000, "1m"),
            (200_000, "3m20s"),
            (7_260_000, "2h1m"),
            (187_200_000, "2d4h"),
        ] {
            assert_eq!(rough(Duration::from_millis(millis)), written);
        }
    }
}
