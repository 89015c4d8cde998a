//! How long ago something was, for people: they ask "since when", and `3h` says it in two signs.

use std::time::Duration;

use chrono::DateTime;
use leveret_common::clock::{Clock, Millis, SystemClock};
use serde_json::Value;

/// Puts how long ago the time in `member` was into a new member `name`; absent, nothing.
pub(crate) fn add(thing: &mut Value, member: &str, name: &str) {
    if let Some(text) = of(&thing[member]) {
        thing[name] = text.into();
    }
}

/// Returns how long ago a time was, such as `3h`.
pub(crate) fn of(time: &Value) -> Option<String> {
    Some(text(SystemClock.now(), millis(time.as_str()?)?))
}

fn millis(time: &str) -> Option<Millis> {
    let at = DateTime::parse_from_rfc3339(time).ok()?.timestamp_millis();
    u64::try_from(at).ok().map(Millis)
}

fn text(now: Millis, then: Millis) -> String {
    rough(now.since(then))
}

/// Writes a span in the largest unit that leaves at least two.
pub(crate) fn rough(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_in_one_unit() {
        let then = millis("2026-01-31T08:00:00.500Z").unwrap();
        for (later, said) in [
            (0, "0s"),
            (119_999, "119s"),
            (120_000, "2m"),
            (7_199_000, "119m"),
            (7_200_000, "2h"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(text(Millis(then.0 + later), then), said);
        }
        // Another machine's clock may be ahead.
        assert_eq!(text(Millis(0), then), "0s");
    }

    #[test]
    fn what_is_no_time_is_not_told() {
        assert_eq!(of(&Value::Null), None);
        assert_eq!(of(&"yesterday".into()), None);
    }
}
